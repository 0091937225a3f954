"""A fallback as a shift does it: a gateway, the reference EBR, an outage, a kill; and no entry missing or doubled on return."""

import csv
import hashlib
import json
import shutil
import sqlite3
import zipfile
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kit.commands import called
from kit.drop_line import drop_line, events
from kit.mixing_line import BATCH, mixed_row, mixing_line
from kit.persons import options, people
from kit.processes import free_port, process, running, until
from kit.quick_passwords import quick
from kit.reconciled import damage

from gateway.operation.control import ask
from gateway.validation.fallback.stood import begin_of

WHY = "the EBR's server is being replaced"
HAND_HEAD = "time,batch,equipment,step,run,ebr_field,value,unit,entered_by,second_person"
HAND = {"PM-7": "7.1", "PM-8": "clear"}
UPLINK = '\n[[uplink]]\nname = "ebr"\nkind = "https"\nendpoint = "http://127.0.0.1:{}"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    line = drop_line(tmp_path / "line")
    people(line / "data")
    return line


def audits(line: Path, action: str) -> list[dict[str, Any]]:
    return [one for one in events(line, "audit") if one["action"] == action]


def stored_there(store: Path) -> list[tuple[int, int]]:
    with closing(sqlite3.connect(store / "ebr.db")) as db:
        return [(epoch, seq) for epoch, seq in db.execute("SELECT epoch, seq FROM entries")]


def held_here(line: Path) -> list[tuple[int, int]]:
    told = (json.loads(text) for text in called("log", line, "--format", "jsonl").stdout.splitlines())
    return [(entry["epoch"], entry["seq"]) for entry in told]


@pytest.fixture(scope="module")
def returned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A line after a fallback with an EBR that was away and a gateway that was killed; and the EBR's store."""
    place, port = tmp_path_factory.mktemp("returned"), free_port()
    line, store = mixing_line(place / "line", UPLINK.format(port)), place / "store"
    people(line / "data")

    def ebr() -> Any:
        return process("ebr", "--store", store, "--http", str(port), log=place / "ebr.log")

    def ends() -> list[Any]:
        return [one["led_elsewhere"][0]["until"] for one in events(line, "batch") if one["transition"] == "end"]

    with ebr(), running(line, quick):
        mixed_row(line, 0)
        mixed_row(line, 1)
        until(lambda: all(one["entries"] == 0 for one in ask(line / "data")["uplinks"]))
    with running(line, quick) as gateway:  # the EBR is away from here on
        begun = called("fallback", "begin", line, "--led-by", "manual", "--reason", WHY, *options("operator", place))
        assert (begun.returncode, "records of all equipment are led by manual recording since" in begun.stdout) == (0, True), begun.stderr
        mixed_row(line, 2)
        gateway.kill()
        gateway.wait()
    with running(line, quick):
        now = ask(line / "data")
        assert now["fallback"]["reason"] == WHY, "it stands after a kill"
        assert [one for one in now["problems"] if one.startswith("fallback: ") and WHY in one]
        for number in (3, 4, 5):
            mixed_row(line, number)
        until(ends, every_s=0.5)
        assert called("status", line).returncode == 1
        with ebr():
            ended = called("fallback", "end", line, "--reason", "the new server answers", *options("qa", place))
            assert (ended.returncode, "over; " in ended.stdout) == (0, True), ended.stderr
            assert ask(line / "data")["fallback"] is None
            until(lambda: any(ends()), every_s=0.5)
            until(lambda: all(one["entries"] == 0 for one in ask(line / "data")["uplinks"]))
            compared = called("reconcile", line, "--json")
            assert (compared.returncode, json.loads(compared.stdout)["result"]) == (0, "passed"), compared.stdout
            page = store / "batches" / BATCH / "record.html"
            until(lambda: page.exists() and "were led by manual recording" in page.read_text(), every_s=0.5)
    return line, store


@pytest.mark.urs("URS-OBS-07", "URS-UPL-05")
def test_after_an_outage_a_kill_and_the_return_the_ebr_holds_every_entry_once(returned: tuple[Path, Path]) -> None:
    line, store = returned
    here, there = held_here(line), stored_there(store)
    assert max(Counter(there).values()) == 1, "no entry is there twice"
    assert {place for place in here if place <= max(there)} == set(there), "and none of those confirmed is missing"
    numbers = sorted(seq for _, seq in there)
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.urs("URS-OBS-07", "URS-AUD-01")
def test_the_switch_and_the_return_are_in_the_audit_trail_and_in_the_record_of_the_batch(
    returned: tuple[Path, Path], tmp_path: Path
) -> None:
    line, _ = returned
    end = [one for one in events(line, "batch") if one["transition"] == "end"][-1]
    (told,) = end["led_elsewhere"]
    by = "Otto Bediener (operator, operator)"
    assert (told["led_by"], told["equipments"], told["reason"], told["by"]) == ("manual", ["mixer"], WHY, by)
    assert told["from"] < told["until"]
    basis = "commanded-clock-unverified"  # no time server in a test
    (begin,), (over,) = audits(line, "fallback-begun"), audits(line, "fallback-ended")
    what = begin["what"]
    assert (begin["who"]["user"], begin["reason"], what["basis"], what["led_by"]) == ("operator", WHY, basis, "manual")
    assert (over["what"]["fallback"], over["what"]["from"], over["old"]) == (what["fallback"], what["from"], "led by manual")
    archive = called("archive", line, "--batch", BATCH, "--to", tmp_path / "archive.zip", *options("qa", tmp_path))
    assert archive.returncode == 0, archive.stderr
    with zipfile.ZipFile(tmp_path / "archive.zip") as members:
        (page,) = [members.read(name).decode() for name in members.namelist() if name.endswith("record.html")]
    assert "Led elsewhere" in page
    assert by in page


@pytest.mark.urs("URS-OBS-07")
def test_the_export_has_every_reading_of_the_interval_and_what_nobody_watched(returned: tuple[Path, Path], tmp_path: Path) -> None:
    line, _ = returned
    exported = called("fallback", "export", line, "--to", tmp_path / "out", *options("operator", tmp_path))
    assert exported.returncode == 0, exported.stderr
    (document,) = [json.loads(path.read_text()) for path in (tmp_path / "out").glob("*.json")]
    (file,) = (tmp_path / "out").glob("*.csv")
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert document["facts"]["file"] == {"name": file.name, "rows": len(rows), "sha256": digest}
    assert [row["value"] for row in rows if row["tag"] == "mix.temp" and row["what"] == "reading"] == ["73.25", "71.0", "40.0", "30.0"]
    gaps = [row for row in rows if row["what"] == "gap"]
    assert {(row["value"], row["status"]) for row in gaps} == {("", "not observed")}
    told = {(row["tag"], row["detail"].rpartition(" ")[2]) for row in gaps}
    off = {(tag, "gateway-crashed") for tag in ("mix.batch", "mix.step", "mix.temp")}  # that of the stop ended with the first look, before
    assert off <= told, "while no gateway ran, nobody watched: tag by tag"
    newest = [one for one in events(line, "step") if one["transition"] == "end"][-1]
    assert document["facts"]["steps"] == [f"lyon/test-1/{BATCH}/mixer/MIX/1#{newest['revision']}"]
    again = called("fallback", "export", line, "--to", tmp_path / "out", *options("operator", tmp_path))
    assert (again.returncode, "is not written over" in again.stderr) == (2, True)


@pytest.mark.urs("URS-OBS-07", "URS-SEC-01")
def test_an_export_by_somebody_who_is_not_admitted_leaves_nothing_and_the_next_right_one_is_made(
    returned: tuple[Path, Path], tmp_path: Path
) -> None:
    line, _ = returned
    right, out = options("operator", tmp_path), tmp_path / "new" / "out"
    wrong = tmp_path / "wrong.password"
    wrong.touch(mode=0o600)
    wrong.write_text("not-the-password\n")
    refused = called("fallback", "export", line, "--to", out, "--user", "operator", "--password-file", wrong)
    assert (refused.returncode, "nothing was exported" in refused.stderr) == (2, True), refused.stderr
    assert not out.exists()
    made = called("fallback", "export", line, "--to", out, *right)
    assert (made.returncode, len(list(out.glob("*.csv")))) == (0, 1), made.stderr
    there = sorted(path.name for path in out.iterdir())
    again = called("fallback", "export", line, "--to", out, *right)
    assert (again.returncode, sorted(path.name for path in out.iterdir())) == (2, there), "what was there stays as it was"


@pytest.mark.urs("URS-OBS-07")
def test_an_export_that_stands_in_no_journal_says_so_by_its_exit_code(returned: tuple[Path, Path], tmp_path: Path) -> None:
    line, _ = returned
    before = len(events(line, "document"))
    nobody = called("fallback", "export", line, "--to", tmp_path / "out", "--form", "json")
    assert (nobody.returncode, "not recorded in the journal" in nobody.stderr) == (1, True), nobody.stdout
    assert len(events(line, "document")) == before
    assert len(list((tmp_path / "out").iterdir())) == 2, "it is made all the same, as each document is"


@pytest.mark.urs("URS-OBS-07")
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--fallback", "F-1", "--from", "2026-11-22T06:30"), "--fallback and --from: "),
        (("--from", "2026-11-22T06:30", "--until", "2026-11-22T06:10"), "--until 2026-11-22T06:10 is not after --from 2026-11-22T06:30"),
        (("--until", "2020-11-22T06:10"), "--until 2020-11-22T06:10 is not after the begin of fallback F-"),
        (("--from", "2999-01-01T00:00"), "--from 2999-01-01T00:00 lies in the future"),
    ],
)
def test_a_time_of_which_nothing_can_be_exported_is_refused_for_what_it_is(
    returned: tuple[Path, Path], tmp_path: Path, given: tuple[str, ...], said: str
) -> None:
    refused = called("fallback", "export", returned[0], "--to", tmp_path / "out", *given)
    assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.urs("URS-OBS-07")
def test_an_export_while_a_batch_and_a_step_run_names_both_and_claims_no_silence(tmp_path: Path) -> None:
    line = mixing_line(tmp_path / "line", "")
    people(line / "data")
    me = options("operator", tmp_path)
    with running(line, quick):
        for number in (0, 1):
            mixed_row(line, number)
        (start,) = until(lambda: events(line, "step"), every_s=0.2)
        assert called("fallback", "begin", line, "--led-by", "manual", "--reason", WHY, *me).returncode == 0
        assert called("fallback", "end", line, "--reason", WHY, *me).returncode == 0
        exported = called("fallback", "export", line, "--to", tmp_path / "out", "--form", "json", *me)
        assert exported.returncode == 0, exported.stderr
        assert [one["transition"] for one in events(line, "step")] == ["start"], "it runs still"
    document = next(json.loads(path.read_text()) for path in (tmp_path / "out").glob("*.json"))
    assert (document["facts"]["steps_without_record"], document["facts"]["batches"]) == ([start["record"]], [BATCH])
    told = json.dumps(document)
    assert "by the newest entry it had none" in told
    assert "No step of this equipment ran" not in told
    with running(line, quick):  # which keeps what stands beside the entries: with it, nothing of before need be held
        stood = until(lambda: (told := begin_of(line / "data", 0)[1]) and told.steps and told)
    assert ([one["record"] for one in stood.steps], [one["batch"] for one in stood.stays]) == ([start["record"]], [BATCH])
    assert (stood.steps[0]["start"]["time"], stood.steps[0]["end"]) == (start["start"]["time"], None)


@pytest.mark.urs("URS-OBS-07", "URS-AUD-01", "URS-UPL-05")
def test_what_was_written_by_hand_comes_in_whole_and_once_as_no_reading_and_reaches_the_ebr(
    returned: tuple[Path, Path], tmp_path: Path
) -> None:
    line, store = returned
    me, (begin,) = options("operator", tmp_path), audits(line, "fallback-begun")
    port = int((line / "line.toml").read_text().rpartition(":")[2].split('"')[0])
    rows = [f"{begin['what']['from']},{BATCH},mixer,MIX,1,{name},{value},Cel,O. Bediener,E. Bauer" for name, value in HAND.items()]
    good, bad = tmp_path / "hand.csv", tmp_path / "bad.csv"
    good.write_text("\n".join([HAND_HEAD, *rows]) + "\n")
    bad.write_text("\n".join([HAND_HEAD, rows[0].replace("PM-7", "PM-9"), rows[1].replace("E. Bauer", "O. Bediener")]) + "\n")
    with process("ebr", "--store", store, "--http", str(port), log=tmp_path / "ebr.log"), running(line, quick):
        before = called("log", line, "--format", "csv").stdout.count("\n")
        refused = called("fallback", "import", line, bad, "--reason", WHY, *me)
        assert (refused.returncode, "bad.csv:3: entered_by and second_person are one person" in refused.stderr) == (2, True), refused.stderr
        assert audits(line, "manual-entry") == []
        doubted = called("fallback", "import", line, good, "--reason", WHY, *me)
        assert (doubted.returncode, audits(line, "manual-entry")) == (2, [])
        told = doubted.stderr.splitlines()
        assert "hand.csv:2: no parameter, and no row of ebr-fields.csv, has the field PM-7" in told[0]
        assert told[-1].endswith("have it taken as it stands with --accept-unknown")
        first = called("fallback", "import", line, good, "--accept-unknown", "--reason", WHY, *me)
        assert (first.returncode, "2 entries by hand imported" in first.stdout) == (0, True), first.stderr
        again = called("fallback", "import", line, good, "--reason", WHY, *me)
        assert (again.returncode, "0 entries by hand imported; 2 were there before" in again.stdout) == (0, True), again.stderr
        other = tmp_path / "other.csv"
        other.write_text(good.read_text().replace("7.1", "7.2"))
        changed = called("fallback", "import", line, other, "--reason", WHY, *me)
        assert (changed.returncode, "other.csv:2: was imported before and said something else" in changed.stderr) == (2, True)
        entered = audits(line, "manual-entry")
        assert [(one["what"]["ebr_field"], one["what"]["value"], one["what"]["origin"], one["batch"]) for one in entered] == [
            ("PM-7", "7.1", "manual", BATCH),
            ("PM-8", "clear", "manual", BATCH),
        ]
        assert len({one["record"] for one in entered}) == 2
        (whole,) = audits(line, "manual-entries-imported")
        assert len(whole["what"]["accepted_unknown"]) == 2
        assert all("accepted_unknown" not in one["what"] for one in entered)
        assert (whole["what"]["imported"], whole["what"]["file_sha256"]) == (2, hashlib.sha256(good.read_bytes()).hexdigest())
        assert called("log", line, "--format", "csv").stdout.count("\n") == before, "none of it is a reading"
        until(lambda: all(one["entries"] == 0 for one in ask(line / "data")["uplinks"]))
        assert called("reconcile", line).returncode == 0
        record = store / "batches" / BATCH / "record.json"
        until(lambda: "Entries by hand" in record.with_name("record.html").read_text(), every_s=0.5)  # the last that is written
        until(lambda: len(json.loads(record.read_text())["by_hand"]) == 2, every_s=0.5)
        told = json.loads(record.read_text())["by_hand"]
        assert [(one["ebr_field"], one["value"], one["entered_by"]) for one in told] == [
            ("PM-7", "7.1", "O. Bediener"),
            ("PM-8", "clear", "O. Bediener"),
        ]
    with running(line, quick):
        late = called("fallback", "import", line, good, "--reason", WHY, *me)
        assert "0 entries by hand imported" in late.stdout, "a new start has not forgotten"
    archived = called("archive", line, "--batch", BATCH, "--to", tmp_path / "a.zip", *me)
    assert archived.returncode == 0, archived.stderr
    with zipfile.ZipFile(tmp_path / "a.zip") as members:
        (page,) = [members.read(name).decode() for name in members.namelist() if name.endswith("record.html")]
    assert "Entries by hand" in page


@pytest.mark.urs("URS-OBS-07", "URS-UPL-05")
def test_a_drill_is_judged_by_the_record_and_the_receiver_and_says_what_differs(returned: tuple[Path, Path], tmp_path: Path) -> None:
    line, store = returned
    (begin,), (over,) = audits(line, "fallback-begun"), audits(line, "fallback-ended")
    called_at, return_called = begin["what"]["from"][:19], over["what"]["until"][:19]
    step = f'[[step]]\nwhat = "Paper record opened"\nwho = "O. Bediener"\nactual = {called_at}Z\n'
    limits = "most_to_fallback_s = 60\nmost_to_return_s = 60\n"
    plan = tmp_path / "drill.toml"
    plan.write_text(f'title = "Drill"\ncalled = {called_at}Z\nreturn_called = {return_called}Z\n{limits}{step}')
    asked = ("fallback", "drill", line, "--plan", plan, "--ebr")
    drill = called(*asked, store, "--to", tmp_path / "drill", *options("qa", tmp_path))
    assert (drill.returncode, "passed       entries at the receiver: 0 missing, 0 extra, 0 different" in drill.stdout) == (1, True), drill
    assert "not-complete the instant of the switch: commanded-clock-unverified" in drill.stdout, "no time server in a test"
    (document,) = [json.loads(path.read_text()) for path in (tmp_path / "drill").glob("*.json")]
    assert (document["result"], document["facts"]["compared"]) == ("not-complete", "passed")
    assert {one["verdict"] for one in document["facts"]["checks"] if not one["what"].startswith("the instant of")} == {"passed"}
    damaged = tmp_path / "damaged"
    shutil.copytree(store, damaged)
    damage(damaged, f"DELETE FROM entries WHERE seq = {begin['what']['after'][1] + 1}")
    lost = called(*asked, damaged, "--to", tmp_path / "lost", *options("qa", tmp_path))
    assert (lost.returncode, "finding      entries at the receiver: 1 missing, 0 extra, 0 different" in lost.stdout) == (1, True), lost
    away = called(*asked, f"http://127.0.0.1:{free_port()}", "--to", tmp_path / "away", *options("qa", tmp_path))
    assert (away.returncode, "not-complete entries at the receiver: " in away.stdout) == (1, True), away


@pytest.mark.urs("URS-OBS-07")
def test_a_cut_over_names_the_first_record_of_the_journal_and_what_nobody_compared_is_not_good(
    returned: tuple[Path, Path], tmp_path: Path
) -> None:
    line, _ = returned
    start = events(line, "batch")[0]["start"]["time"][:19]
    plan = tmp_path / "cutover.toml"
    plan.write_text(
        f'title = "Mixer"\ndecision = "go"\ndecided_by = "Q. Abel"\nwhy = "three batches without a difference"\ndecided_at = {start}Z\n'
        f'at = {start}Z\nlast_legacy_record = "MES 4711"\nlast_legacy_at = {start}Z\n'
        '[[open]]\nwhat = "Archive the MES reports"\nwho = "IT"\ndue = 2099-01-01\n'
    )
    judged = called("fallback", "cutover", line, "--plan", plan, "--to", tmp_path / "out", *options("qa", tmp_path))
    assert judged.returncode == 1, judged.stderr
    assert f"passed       the first record of the gateway: lyon/test-1/{BATCH}, " in judged.stdout
    assert "not-complete the overlap of both records: no comparison was given" in judged.stdout
    assert "not-complete the phase that is declared: none is declared" in judged.stdout
    (document,) = [json.loads(path.read_text()) for path in (tmp_path / "out").glob("*.json")]
    assert (document["document"], document["result"], document["facts"]["first_record"]) == (
        "cut-over",
        "not-complete",
        f"lyon/test-1/{BATCH}",
    )


@pytest.mark.urs("URS-OBS-07", "URS-SEC-01")
def test_a_file_that_is_longer_than_an_import_takes_is_refused_with_its_name_the_limit_and_what_to_do(folder: Path) -> None:
    rows = f"{HAND_HEAD}\n" + "2026-12-01T01:17,B1,mixer,MIX,1,PM-7,7.1,Cel,O. Bediener,E. Bauer\n" * 20_000
    long, widened = folder.parent / "long.csv", folder.parent / "wide.csv"
    long.write_text(rows)
    widened.write_text(f"{HAND_HEAD}\n" + "\N{CYRILLIC SMALL LETTER ZHE}" * 500_000)
    for file in (long, widened):
        done = called("fallback", "import", folder, file, "--reason", WHY, *options("engineer", folder.parent))
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
        assert done.stderr.startswith(f"{file}: is more than an import takes, 1,048,576 bytes (fewer where letters are not ASCII)")
        assert "cut it, with the header over each part" in done.stderr


@pytest.mark.urs("URS-OBS-07", "URS-SEC-01")
def test_a_second_begin_an_end_of_nothing_and_times_that_can_not_be_are_refused_in_one_line(folder: Path) -> None:
    me = options("engineer", folder.parent)

    def refused(*words: str, user: list[str] = me) -> str:
        done = called("fallback", words[0], folder, *words[1:], "--reason", WHY, *user)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stdout + done.stderr
        return done.stderr

    with running(folder, quick):
        assert "no fallback was begun" in refused("end")
        assert "viewer" in refused("begin", "--led-by", "manual", user=options("viewer", folder.parent))
        assert "is still to come" in refused("begin", "--led-by", "legacy", "--at", "2199-01-01T00:00:00Z")
        assert "is no time" in refused("begin", "--led-by", "legacy", "--at", "yesterday")
        assert "2026-10-25T02:30 happened twice" in refused("begin", "--led-by", "legacy", "--at", "2026-10-25T02:30")
        assert "2026-03-29T02:30 never was" in refused("begin", "--led-by", "legacy", "--at", "2026-03-29T02:30")
        assert "2026-11-30 is a day" in refused("begin", "--led-by", "legacy", "--at", "2026-11-30")
        assert "the line has no equipment mixer" in refused("begin", "--led-by", "legacy", "--equipment", "mixer")
        assert audits(folder, "fallback-begun") == []
        begun = called("fallback", "begin", folder, "--led-by", "legacy", "--reason", WHY, *me)
        assert begun.returncode == 0
        assert "are led elsewhere already" in refused("begin", "--led-by", "manual")
        assert "when the fallback began" in refused("end", "--at", "2020-01-01T00:00:00Z")
        ready = called("ready", folder)
        assert ready.returncode == 0, "sources and uplinks are what `ready` is asked for"
        assert called("fallback", "end", folder, "--reason", WHY, *me).returncode == 0
        assert "when the fallback before ended" in refused("begin", "--led-by", "legacy", "--at", "2020-01-01T00:00:00Z")
    assert len(audits(folder, "fallback-begun")) == len(audits(folder, "fallback-ended")) == 1


@pytest.mark.urs("URS-OBS-07", "URS-AUD-01")
def test_what_began_while_no_gateway_ran_is_told_beside_it_and_the_next_start_takes_it_as_reported(folder: Path) -> None:
    me = options("operator", folder.parent)
    with running(folder, quick):
        pass
    begun = called("fallback", "begin", folder, "--led-by", "manual", "--at", "2026-11-20T06:30", "--reason", WHY, *me)
    assert (begun.returncode, "since 2026-11-20 06:30:00 (Europe/Paris, reported)" in begun.stdout) == (0, True), (
        begun.stdout + begun.stderr
    )
    again = called("fallback", "begin", folder, "--led-by", "manual", "--reason", WHY, *me)
    assert (again.returncode, "are led elsewhere already" in again.stderr) == (2, True)
    waits = called("fallback", "list", folder)
    assert "waits for the next start" in waits.stdout
    named = called("fallback", "begin", folder, "--led-by", "manual", "--equipment", "mixer", "--reason", WHY, *me)
    assert named.returncode == 2
    with running(folder, quick):
        assert ask(folder / "data")["fallback"]["basis"] == "reported"
        (row,) = json.loads(called("fallback", "list", folder, "--json").stdout)
        assert (row["from"], row["from_basis"], row["until"]) == ("2026-11-20T05:30:00.000000Z", "reported", None)
        assert row["entry"] is not None
        assert called("alarms", "list", folder).stdout.count("fallback-open") == 1
    over = called("fallback", "end", folder, "--reason", "recording goes on at the machine", *me)
    assert (over.returncode, "reported" in over.stdout) == (0, True), over.stderr
    with running(folder, quick):
        assert ask(folder / "data")["fallback"] is None
    (begin,), (end,) = audits(folder, "fallback-begun"), audits(folder, "fallback-ended")
    assert (begin["what"]["gateway_ran"], end["what"]["basis"]) == (False, "reported")
