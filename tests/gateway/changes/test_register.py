"""Acts as people do them: what is written down, what counts, and what a forger, a colleague or a crash can not do."""

import json
import shutil
from dataclasses import replace

import pytest
from kit.change_desk import Desk, actor
from kit.nearly_full import nearly_full
from kit.production_line import PLC, accepts, production_line

import config
from buffer import keys
from gateway.access.actor import Peer, account
from gateway.changes import NotAllowed, OpenBatch, Store, baseline
from gateway.interfaces.contract import release

pytestmark = pytest.mark.urs("URS-CFG-02")


def lines(desk):
    return (desk.around.data / "changes" / "acts.jsonl").read_bytes().splitlines(keepends=True)


def write(desk, content):
    (desk.around.data / "changes" / "acts.jsonl").write_bytes(b"".join(content))


def notes(desk):
    return [json.loads(line)["note"] for line in lines(desk)]


@pytest.mark.urs("URS-CFG-01", "URS-AUD-02", "URS-CFG-03", "URS-AUD-01")
async def test_a_proposal_freezes_the_folder_and_is_written_down_with_document_and_note(desk: Desk) -> None:
    held = config.load(desk.folder)
    number = await desk.proposed(author="writer")
    desk.edit("line.toml", "rate_ms = 200", "rate_ms = 300")
    assert desk.store.content(held.sha256) == held.files, "what is edited afterwards does not reach it"
    ((action, what, by),) = desk.written
    assert (action, what["version"], what["sha256"], what["change_no"]) == ("config-propose", 1, held.sha256, "CC-7")
    assert by.who["user"] == "engineer"
    version = desk.register.book().named(number)
    assert what["impact"] == version.begun.impact
    assert desk.store.read_document(version.begun.impact)["new"] == held.sha256
    assert what["note"] in notes(desk)


@pytest.mark.urs("URS-CFG-02")
async def test_a_signature_shows_name_user_role_meaning_both_times_and_key_over_the_digest_of_the_content(desk: Desk) -> None:
    number = await desk.approved()
    (row,) = desk.register.described(number)["versions"]
    signature = row["acts"][-1]
    assert {name: signature[name] for name in ("act", "user", "name", "role", "meaning", "auth")} == {
        "act": "approve",
        "user": "qa",
        "name": "Quentin Abel",
        "role": "qa",
        "meaning": "approved for production",
        "auth": "password",
    }
    assert signature["at"].endswith("Z")
    assert signature["local"].endswith("Europe/Paris")
    assert signature["key"] == desk.signer.public.split("+")[1]
    text = json.loads(signature["note"].split("\n")[1])
    assert (text["sha256"], text["impact"]) == (config.load(desk.folder).sha256, row["impact_ref"])


@pytest.mark.urs("URS-SEC-01", "URS-CFG-02")
async def test_author_proposer_account_and_who_gives_no_password_do_not_approve_and_nothing_is_signed(desk: Desk) -> None:
    number = await desk.proposed(author="writer")
    for who in (actor("engineer", "qa"), actor("writer", "qa"), actor("engineer"), actor("qa", now=False), account(Peer(0, "root"))):
        with pytest.raises(NotAllowed):
            await desk.register.decide("approve", number, who, meaning="approved")
    assert [action for action, _, _ in desk.written] == ["config-propose"]
    assert len(lines(desk)) == 1
    assert desk.register.book().named(number).state == "proposed"


@pytest.mark.urs("URS-AUD-03")
async def test_an_act_that_can_not_be_written_down_does_not_count(desk: Desk) -> None:
    number = await desk.proposed()
    desk.fails = OSError("no space")
    with pytest.raises(OSError, match="no space"):
        await desk.register.decide("approve", number, actor("qa"), meaning="approved")
    assert desk.register.book().named(number).state == "proposed"


@pytest.mark.urs("URS-CFG-02")
async def test_a_content_that_was_changed_after_it_was_frozen_is_neither_approved_nor_put_into_force(desk: Desk) -> None:
    number = await desk.approved()
    sha256 = desk.register.book().named(number).sha256
    place = desk.around.data / "changes" / "content" / sha256 / "line.toml"
    place.write_text(place.read_text().replace("rate_ms = 200", "rate_ms = 900"))
    with pytest.raises(NotAllowed, match="was changed: it has not the digest that was signed"):
        await desk.register.activate(number, actor("engineer"), emergency=True)
    with pytest.raises(NotAllowed, match="was changed"):
        await desk.register.decide("reject", number, actor("qa"), meaning="no")
    assert desk.over == []


FORGERIES = {
    "an approval that is repeated": lambda all_, _: [*all_, all_[1]],
    "an approval put before its proposal": lambda all_, _: [all_[1], all_[0]],
    "a proposal that is taken out": lambda all_, _: all_[1:],
    "an approval taken out": lambda all_, _: [all_[0], all_[2]],
    "a name that is changed": lambda all_, _: [all_[0], all_[1].replace(b"Quentin", b"Quintin"), *all_[2:]],
    "a meaning that is changed": lambda all_, _: [all_[0], all_[1].replace(b"approved for", b"tried for   "), *all_[2:]],
    "no signature": lambda all_, _: [all_[0], all_[1].replace(b"\\n\\n\xe2\x80\x94 lyon", b"\\n\\n\xe2\x80\x94 nobody"), *all_[2:]],
    "no act at all": lambda all_, _: [all_[0], b'{"note": 7}\n', *all_[1:]],
    "JSON that is nested without end": lambda all_, _: [b'{"note": ' + b"[" * 200_000 + b"\n", *all_],
    "text that is no JSON": lambda all_, _: [b"approve 1\n", *all_],
    "another key's": lambda all_, other: [all_[0], other, *all_[2:]],
}


@pytest.mark.bar("S18")
@pytest.mark.urs("URS-CFG-02")
@pytest.mark.parametrize("forged", FORGERIES)
async def test_acts_that_were_changed_moved_repeated_or_taken_out_count_for_nothing_and_what_follows_neither(
    desk, tmp_path, forged
) -> None:
    await desk.in_force()
    whole = desk.register.book()
    stranger = keys.create(tmp_path / "other-key", desk.around.gateway)
    held = lines(desk)
    text = notes(desk)[1].rpartition("\n\n")[0] + "\n"
    other = json.dumps({"note": stranger.note(text)}, ensure_ascii=False).encode() + b"\n"
    write(desk, FORGERIES[forged](held, other))
    read = desk.store.read(desk.around.gateway)
    assert read.wrong is not None
    assert "count for nothing" in read.wrong
    assert read.book.acts < whole.acts or forged == "an approval that is repeated"
    with pytest.raises(NotAllowed):
        desk.register.book()
    if forged != "an approval that is repeated":
        assert read.book.active is None, "what was not approved is not in force"


@pytest.mark.urs("URS-CFG-02")
async def test_an_approval_of_another_line_or_another_version_is_no_approval_here(desk: Desk, tmp_path) -> None:
    first = await desk.approved()
    approval = lines(desk)[1]
    desk.edit("line.toml", "rate_ms = 200", "rate_ms = 300")
    second = await desk.proposed()
    write(desk, [*lines(desk), approval])
    read = desk.store.read(desk.around.gateway)
    assert read.wrong is not None
    assert read.book.named(second).state == "proposed"
    assert read.book.named(first).state == "approved"
    other = Desk(production_line(tmp_path / "other"))
    shutil.copytree(desk.around.data / "changes", other.around.data / "changes")
    assert other.store.read("lyon/test-1").book.acts == 0, "signed by a key that is not this line's"


async def test_a_line_that_a_crash_cut_is_no_act_and_is_written_over(desk: Desk) -> None:
    number = await desk.proposed()
    path = desk.around.data / "changes" / "acts.jsonl"
    path.write_bytes(path.read_bytes() + b'{"note": "ebr-gateway/configuration-a')
    assert desk.register.book().acts == 1
    await desk.register.decide("approve", number, actor("qa"), meaning="approved")
    assert desk.store.read(desk.around.gateway).wrong is None
    assert desk.register.book().named(number).state == "approved"


@pytest.mark.urs("URS-CFG-04")
async def test_an_open_batch_on_equipment_that_is_touched_keeps_a_version_out_of_force(desk: Desk) -> None:
    number = await desk.approved()
    desk.open = [OpenBatch("B1", frozenset({"granulator"}))]
    with pytest.raises(NotAllowed, match="open on equipment that it touches: B1"):
        await desk.register.activate(number, actor("engineer"), emergency=False)
    desk.open = None
    with pytest.raises(NotAllowed, match="can not be known while no gateway runs"):
        await desk.register.activate(number, actor("engineer"), emergency=False)
    assert desk.over == []
    desk.open = []
    _, runs = await desk.register.activate(number, actor("engineer"), emergency=False)
    assert runs
    assert [line.sha256 for line in desk.over] == [desk.register.book().active.sha256]


@pytest.mark.urs("URS-CFG-04")
async def test_an_emergency_names_the_batches_needs_a_reason_and_owes_an_approval_by_somebody_else(desk: Desk) -> None:
    number = await desk.proposed()
    desk.open = [OpenBatch("B1", frozenset())]
    with pytest.raises(NotAllowed, match="an emergency needs a reason"):
        await desk.register.activate(number, actor("qa", reason=None), emergency=True)
    await desk.register.activate(number, actor("qa"), emergency=True)
    book = desk.register.book()
    assert (book.active.state, [version.number for version in book.owing]) == ("emergency", [number])
    assert desk.written[-1][1]["batches"] == ["B1"]
    (told,) = desk.happened
    assert (told["code"], told["severity"], told["evidence"]) == (
        "config-emergency",
        "alarm",
        {"name": f"version {number}", "batches": ["B1"]},
    )
    with pytest.raises(NotAllowed, match="somebody else decides"):
        await desk.register.decide("approve", number, actor("qa"), meaning="it was needed")
    await desk.register.decide("approve", number, actor("quality", "qa"), meaning="assessed afterwards")
    assert desk.register.book().owing == ()
    assert [event["code"] for event in desk.happened if event["type"] == "finding"] == ["config-emergency", "config-emergency-over"]


@pytest.mark.urs("URS-CFG-05")
async def test_going_back_is_one_command_under_the_approval_that_the_content_has(desk: Desk) -> None:
    first = await desk.in_force()
    held = config.load(desk.folder)
    desk.edit("line.toml", "rate_ms = 200", "rate_ms = 300")
    second = await desk.in_force()
    version, _ = await desk.register.roll_back(first, actor("engineer"), emergency=False)
    book = desk.register.book()
    assert (version.number, book.active.number, book.active.sha256) == (second + 1, second + 1, held.sha256)
    assert book.approval_of(book.active).version == first
    assert desk.over[-1].files == held.files
    with pytest.raises(NotAllowed, match="version 3, which is in force, holds what version 3 held"):
        await desk.register.roll_back(version.number, actor("engineer"), emergency=False)
    with pytest.raises(NotAllowed, match="version 3, which is in force, holds what version 1 held"):
        await desk.register.roll_back(first, actor("engineer"), emergency=True)
    assert len(desk.over) == 3, "going back twice is no other version, and no gap"


@pytest.mark.urs("URS-CFG-04", "URS-CFG-05")
async def test_what_owes_its_approval_is_listed_as_approved_by_nobody_whatever_was_approved_before(desk: Desk) -> None:
    first = await desk.in_force()
    desk.edit("line.toml", "rate_ms = 200", "rate_ms = 300")
    second = await desk.approved()
    await desk.register.activate(second, actor("engineer"), emergency=True)
    await desk.register.roll_back(first, actor("engineer"), emergency=True)
    rows = {row["version"]: row for row in desk.register.described()["versions"]}
    assert {number: (row["state"], row["approved_by"] is None) for number, row in rows.items()} == {
        first: ("superseded", False),
        second: ("unapproved", True),
        second + 1: ("emergency", True),
    }
    await desk.register.decide("approve", second, actor("qa"), meaning="assessed afterwards")
    assert desk.register.described(second)["versions"][0]["approved_by"].startswith("Quentin Abel")


@pytest.mark.urs("URS-CFG-01")
async def test_numbers_go_on_from_those_that_ran_before_there_were_versions(desk: Desk) -> None:
    desk.ran = 5
    assert await desk.proposed() == 6
    desk.edit("line.toml", "rate_ms = 200", "rate_ms = 300")
    desk.ran = 3
    assert await desk.proposed() == 7


async def test_what_has_errors_or_is_another_line_or_changes_nothing_is_not_proposed(desk: Desk) -> None:
    await desk.in_force()
    with pytest.raises(NotAllowed, match="in force as version 1, and nothing else was installed"):
        await desk.proposed()
    desk.edit("line.toml", 'name = "test-1"', 'name = "test-2"')
    with pytest.raises(NotAllowed, match="the folder is of lyon/test-2"):
        await desk.proposed()
    desk.edit("line.toml", "rate_ms = 200", "rate_ms = fast")
    with pytest.raises(config.ConfigError):
        await desk.proposed()


@pytest.mark.urs("URS-SEC-03", "URS-CFG-03", "URS-MAP-03")
async def test_a_disposition_counts_as_part_of_the_version_that_holds_it(desk: Desk) -> None:
    await desk.in_force()
    desk.edit("line.toml", "[[uplink]]", PLC + "[[uplink]]")
    table = desk.folder / "tags.csv"
    table.write_text(table.read_text() + "press.force,press-plc,nsu=urn:x;s=Force,float64,none\n")
    with pytest.raises(config.ConfigError, match="without a security policy is refused in production"):
        await desk.proposed()
    accepts(desk.folder, "security:press-plc")
    number = await desk.proposed()
    rows = {row["path"]: row for row in desk.register.impact(number)["impact"]["rows"]}
    assert {"disposition security:press-plc", "source press-plc", "tag press.force"} <= set(rows)
    assert rows["tag press.force"]["interfaces"] == ["press-plc"]


def test_a_damaged_document_is_no_document(desk: Desk) -> None:
    sha256 = desk.store.document({"a": 1})
    assert desk.store.read_document(sha256) == {"a": 1}
    (desk.around.data / "changes" / "documents" / f"{sha256}.json").write_text('{"a":2}')
    with pytest.raises(NotAllowed, match="was changed"):
        desk.store.read_document(sha256)
    assert Store(desk.around.data).read().book.acts == 0


@pytest.mark.urs("URS-CFG-02")
async def test_an_act_of_which_only_a_part_has_room_is_told_and_does_not_count(desk: Desk) -> None:
    number = await desk.proposed()
    path = desk.around.data / "changes" / "acts.jsonl"
    with nearly_full(path, 100), pytest.raises(OSError, match="File too large"):
        await desk.register.decide("approve", number, actor("qa"), meaning="approved for production")
    assert desk.register.book().named(number).state == "proposed"
    await desk.register.decide("approve", number, actor("qa"), meaning="approved for production")
    assert desk.store.read(desk.around.gateway).wrong is None
    assert desk.register.book().named(number).state == "approved"


@pytest.mark.urs("URS-CFG-03")
async def test_a_first_version_and_another_release_are_as_critical_as_the_most_critical_that_they_touch(desk: Desk, monkeypatch) -> None:
    desk.edit("tags.csv", "type,criticality", "type,criticality,unit")
    desk.edit("tags.csv", "lims,results.lod,decimal,none", "lims,results.lod,decimal,GMP,1")
    accepts(desk.folder, "tag:lab.lod")
    first = await desk.in_force()
    before = desk.store.read_document(desk.register.book().named(first).begun.impact)
    taken = baseline.installed("line")
    monkeypatch.setattr(baseline, "installed", lambda line, units=(): {**taken, "files": {"gateway/x.py": "bb"}})
    second = await desk.proposed()
    after = desk.store.read_document(desk.register.book().named(second).begun.impact)
    assert [(each["changes"], each["software"], each["criticality"]) for each in (before, after)] == [
        (0, [], "GMP"),
        (0, ["gateway/x.py was changed"], "GMP"),
    ]


async def test_a_history_that_is_longer_than_what_is_told_says_how_many_are_left_out(desk: Desk, monkeypatch) -> None:
    monkeypatch.setattr("gateway.changes.register.MOST_TOLD", 2)
    await desk.proposed()
    assert desk.register.described()["left_out"] == 0
    await desk.proposed()
    await desk.proposed()
    listed = desk.register.described()
    assert ([row["version"] for row in listed["versions"]], listed["left_out"]) == ([2, 3], 1)


@pytest.mark.urs("URS-CFG-03")
async def test_the_impact_says_at_which_interfaces_the_other_side_must_look_again(desk: Desk, monkeypatch) -> None:
    """By the folder, or by another release: what was promised when the version in force was proposed is what counts."""

    async def changed() -> list[str]:
        return [row["interface"] for row in desk.register.impact(await desk.proposed())["impact"]["contracts"]["changed"]]

    await desk.in_force()
    desk.edit("line.toml", "rate_ms = 200", "rate_ms = 300")
    assert await changed() == ["source:lims"]
    desk.edit("line.toml", "rate_ms = 300", "rate_ms = 200")
    desk.edit("line.toml", "[[uplink]]", "[clock]\nmax_error_s = 0.5\n[[uplink]]")
    assert await changed() == []
    monkeypatch.setitem(release(), "control", "another release")
    assert await changed() == ["control"]


@pytest.mark.urs("URS-CFG-02", "URS-CFG-04")
async def test_where_the_kernel_names_the_person_nothing_can_be_approved_and_an_emergency_is_the_way_to_passwords(desk: Desk) -> None:
    by_kernel = replace(actor("engineer"), who={**actor("engineer").who, "auth": "os"}, password_now=False)
    qa_by_kernel = replace(actor("qa"), who={**actor("qa").who, "auth": "os"}, password_now=False)
    version, _ = await desk.register.propose(by_kernel, change_no="CC-1", author=None)
    with pytest.raises(NotAllowed, match="password with this very command"):
        await desk.register.decide("approve", version.number, qa_by_kernel, meaning="approved")
    forced, _ = await desk.register.activate(version.number, by_kernel, emergency=True)
    assert forced.state == "emergency"
    assert (await desk.register.decide("approve", version.number, actor("qa"), meaning="approved afterwards")).state == "active"
