"""Lines beside each other: every difference in meaning is told, with the evidence that it blocks; what is not known is equal to nothing."""

import asyncio
import json
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from kit.change_desk import Desk
from kit.commands import called
from kit.journals import event, numbered, opened
from kit.persons import options, people
from kit.production_line import production_line

import config
from config.reports.coverage import name_of
from config.reports.diff import changes
from gateway.changes.impact import TESTS
from gateway.cli.documents import alone, write
from gateway.documents import draft
from gateway.validation.bundle import Bundle
from gateway.validation.fleet.compared import Given, compared
from gateway.validation.fleet.differences import PLACES, Row, differences
from gateway.validation.fleet.facts import Facts, read
from gateway.validation.fleet.taken import facts_of
from gateway.validation.fleet.triggers import EMERGENCY, RECEIVER, RELEASE, SECOND_LINE, SOURCE, VERSION, triggers

LOTS = """
version = "1"
[[rule]]
name = "legacy"
pattern = "(?P<year>[0-9]{2})/(?P<number>[1-9][0-9]{0,3})-(?P<part>[A-Z])"
canonical = "L20{year}-{number:04}-{part}"
examples = { "26/417-A" = "L2026-0417-A" }
"""


def new(folder: Path, like: str = "new") -> Path:
    assert called("new", folder, "--like", like).returncode == 0
    return folder


def edit(folder: Path, name: str, *pairs: tuple[str, str]) -> None:
    text = (folder / name).read_text()
    for old, by in pairs:
        assert old in text, old
        text = text.replace(old, by)
    (folder / name).write_text(text)


def facts(folder: Path) -> Facts:
    return facts_of(folder, None, (), ())


def subjects(rows: Any) -> dict[str, tuple[str, ...]]:
    return {f"{row.area}: {row.subject}": row.values for row in rows if row.area not in ("configuration", "qualification")}


def by_subject(told: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{row['area']}: {row['subject']}": row for row in told["rows"]}


@pytest.fixture
def lines(tmp_path: Path) -> tuple[Path, Path]:
    """Two lines by `new`, of which the second has another unit, precision and lot rule."""
    one, two = new(tmp_path / "one"), new(tmp_path / "two")
    (one / "lots.toml").write_text(LOTS)
    (two / "lots.toml").write_text(LOTS.replace("L20", "LOT20"))
    edit(two, "tags.csv", ("mixer.speed,plc,plc:s=Mixer.Speed,float32,/min,rpm", "mixer.speed,plc,plc:s=Mixer.Speed,float32,Hz,Hz"))
    edit(two, "parameters.csv", ("tag:mixer.speed_sp,55,65", ",0.9,1.1"), ("mean,/min,0", "mean,Hz,1"))
    return one, two


@pytest.mark.urs("URS-OPS-06")
def test_each_difference_says_what_it_blocks_by_the_table_of_triggers_and_the_tests_of_impact(lines: tuple[Path, Path]) -> None:
    made = called("fleet", "compare", *lines, "--json")
    told = json.loads(made.stdout)
    assert (made.returncode, told["result"]) == (1, "finding")
    rows = by_subject(told)
    unit = rows["dictionary: mixer.speed: unit"]
    assert [one["value"] for one in unit["values"]] == ["/min", "Hz"]
    assert [one["line"] for one in unit["values"]] == ["my-site/one", "my-site/two"]
    assert (unit["trigger"], unit["blocks"]) == (VERSION, {"OQ": ", ".join(TESTS["tag"]), "PQ": "loop check of mixer.speed"})
    precision = rows["dictionary: EBR-002: precision"]
    assert [one["value"] for one in precision["values"]] == ["0", "1"]
    lot = rows["lot rules: lots legacy: canonical"]
    assert lot["blocks"] == {"OQ": ", ".join(TESTS["lots"])}
    assert triggers()[VERSION].first in lot["why"]
    assert {"interface: source:plc", "interface: uplink:ebr", "tag map: tag mixer.speed: source_unit"} <= set(rows)
    assert "line folder: parameter mixer/HOLD/hold_speed_mean: unit" not in rows, "told twice"
    assert not [name for name in rows if name.startswith(("software", "schema"))], "one installation"
    assert told["always"] == {"IQ": triggers()[SECOND_LINE].iq, "PQ": triggers()[SECOND_LINE].pq}


@pytest.mark.urs("URS-OPS-06")
def test_what_is_not_known_is_never_equal_and_is_told_as_that(tmp_path: Path) -> None:
    both = [facts(new(tmp_path / name)) for name in ("one", "two")]
    rows = {row.subject: row for row in compared([Given(one.gateway, one) for one in both]).rows}
    for stage in ("IQ", "OQ", "PQ"):
        assert all(value.startswith("not known: none is recorded") for value in rows[stage].values)
    assert rows["OQ"].blocks.keys() == {"OQ"}
    assert "no evidence of my-site/one" in rows["OQ"].why
    assert rows["approved version"].blocks.keys() == {"OQ"}
    unknown = both[0].software.model_copy(update={"sha256": None, "version": "9.9.9"})
    neither = [one.model_copy(update={"software": unknown}) for one in both]
    (row,) = [row for row in differences(neither) if row.subject == "installed files"]
    assert all(value.startswith("not known: the line runs 9.9.9") for value in row.values)
    assert row.trigger == RELEASE
    assert row.blocks == {"IQ": "all", "OQ": triggers()[RELEASE].oq, "PQ": triggers()[RELEASE].pq}


@pytest.mark.urs("URS-OPS-06")
def test_schemas_and_interfaces_of_the_installed_program_are_not_known_of_a_line_that_ran_another_version_last(tmp_path: Path) -> None:
    one, two = new(tmp_path / "one"), new(tmp_path / "two")
    journal = opened(two / "data", "my-site/two")
    installed = version("ebr-gateway")
    for software in (installed, "9.9.9"):
        journal.append([event({"type": "audit", "action": "start", "what": {"software": software}}), numbered(1)], urgent=True).result()
    journal.close()
    told = subjects(differences([facts(one), facts(two)]))
    digests = facts(one).schemas
    for name, digest in digests.items():
        of_two = f"not known: {digest} is of the installed program, version {installed}; the line runs 9.9.9"
        assert told[f"schema: {name}"] == (digest, of_two)
    assert told["interface: uplink:ebr"][1].endswith("the line runs 9.9.9")
    assert told["software: installed files"][1].startswith("not known: the line runs 9.9.9")
    (row,) = [row for row in differences([facts(two), facts(two)]) if row.subject == next(iter(digests))]
    assert row.blocks, "what is not known is not even equal to itself"
    journal = opened(two / "data", "my-site/two")
    journal.append([event({"type": "audit", "action": "unclean-start", "what": {"software": installed}})], urgent=True).result()
    journal.close()
    assert facts(two).schemas == digests
    runs = facts_of(two, {"software": "9.9.8", "configuration": {}}, (), ())
    assert all(value.endswith("the line runs 9.9.8") for value in (*runs.schemas.values(), *runs.interfaces.values())), (
        "its gateway says it"
    )


@pytest.mark.urs("URS-OPS-06")
def test_a_line_that_can_not_be_read_is_one_row_and_the_others_are_compared(lines: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    written = called("fleet", "facts", lines[1], "--to", tmp_path / "two.facts")
    assert written.returncode == 0, written.stderr
    changed = tmp_path / "changed.facts"
    changed.write_text((tmp_path / "two.facts").read_text().replace("LOT20", "LOX20"))
    folders = json.loads(called("fleet", "compare", *lines, "--json").stdout)
    made = called("fleet", "compare", lines[0], tmp_path / "broken", changed, tmp_path / "two.facts", "--json")
    told = json.loads(made.stdout)
    assert (made.returncode, told["result"]) == (1, "not-complete")
    unread, rest = [row for row in told["rows"] if row["area"] == "line"], [row for row in told["rows"] if row["area"] != "line"]
    assert [row["subject"] for row in unread] == [str(tmp_path / "broken"), str(changed)]
    assert "line.toml: is missing" in unread[0]["values"][0]
    assert "was changed" in unread[1]["values"][0]
    assert unread[0]["blocks"].keys() == {"IQ", "OQ", "PQ"}
    assert rest == folders["rows"], "a file of facts says what its folder says"
    alone_ = called("fleet", "compare", lines[0], tmp_path / "broken")
    assert (alone_.returncode, "nothing is compared" in alone_.stdout) == (1, True)
    assert called("fleet", "facts", lines[1], "--to", tmp_path / "two.facts").returncode == 2, "a file that is there is not written over"
    assert called("fleet", "compare", lines[0]).returncode == 2


@pytest.mark.urs("URS-OPS-06")
def test_no_other_line_takes_the_place_of_the_first_if_that_can_not_be_read(lines: tuple[Path, Path], tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    ran = called("fleet", "compare", nowhere, *lines)
    assert (ran.returncode, "whose evidence is to be used again, could not be read" in ran.stdout) == (1, True), ran.stdout
    assert f"{nowhere}: can not be read: No such file or directory: name a line folder, or a file that" in ran.stdout
    told = json.loads(called("fleet", "compare", nowhere, *lines, "--json").stdout)
    assert (told["result"], [row["area"] for row in told["rows"]]) == ("not-complete", ["line"]), "nothing is compared with another first"
    assert "evidence of my-site" not in ran.stdout


@pytest.mark.urs("URS-OPS-06")
def test_each_line_is_named_once(lines: tuple[Path, Path], tmp_path: Path) -> None:
    copied = shutil.copytree(lines[0], tmp_path / "copied")
    for words, says in (
        ([lines[0], lines[1], lines[0]], f"{lines[0]}: is named twice: name each line once"),
        ([lines[0], copied], f"{lines[0]} and {copied}: both are my-site/one: name one of them"),
        ([lines[0], tmp_path / "gone", tmp_path / "gone"], f"{tmp_path / 'gone'}: is named twice"),
    ):
        ran = called("fleet", "compare", *words)
        assert (ran.returncode, ran.stdout, says in ran.stderr, ran.stderr.count("\n")) == (2, "", True, 1), ran.stderr


@pytest.mark.urs("URS-OPS-06")
def test_equipment_of_one_class_is_compared_whatever_it_is_called(tmp_path: Path) -> None:
    one, two = new(tmp_path / "one"), new(tmp_path / "two")
    for name in ("line.toml", "tags.csv", "steps.csv", "parameters.csv"):
        (two / name).write_text((two / name).read_text().replace("mixer", "blender-7"))
    assert len(subjects(differences([facts(one), facts(two)]))) > 20, "of another name it is another equipment"
    edit(two, "line.toml", ('name = "blender-7"', 'name = "blender-7"\nclass = "mixer"'))
    assert set(subjects(differences([facts(one), facts(two)]))) == {"interface: source:plc", "interface: uplink:ebr"}
    edit(two, "tags.csv", ("int16,Cel,°C,0.1", "int16,Cel,°C,0.01"))
    told = subjects(differences([facts(one), facts(two)]))
    assert told["tag map: tag mixer.temperature: scaling.scale"] == ("0.1", "0.01")


@pytest.mark.urs("URS-OPS-06")
@pytest.mark.parametrize("like", ["granulation", "bioreactor", "tablet-press", "tablet-coater"])
def test_every_leaf_in_which_config_diff_sees_a_difference_is_told_or_is_a_place(like: str, tmp_path: Path) -> None:
    one, two = new(tmp_path / "one", like), tmp_path / "two"
    shutil.copytree(one, two)
    edit(two, "parameters.csv", ("value_at_end", "last"))
    edit(two, "line.toml", ("rate_ms = ", "rate_ms = 1"))
    first, second = config.load(one), config.load(two)
    said = {row.subject for row in differences([facts(one), facts(two)])}
    fields = {name_of(row): row.ebr_field or name_of(row) for row in second.parameters}
    expected = [(change.kind, change.name, path) for change in changes(first, second) for path, _, _ in change.fields]
    assert {"parameter", "source"} <= {kind for kind, _, _ in expected}
    for kind, name, path in expected:
        if path not in PLACES.get(kind, ()):
            assert {f"{kind} {name}: {path}", f"{fields.get(name)}: type"} & said, (kind, name, path)


def test_every_trigger_that_is_named_stands_in_the_page() -> None:
    assert {RELEASE, VERSION, EMERGENCY, SOURCE, RECEIVER, SECOND_LINE} <= set(triggers())
    assert triggers()[RECEIVER].first == "does it read and write the same contract (uplink)?"
    assert Row("", "", (), VERSION).blocks == {"OQ": triggers()[VERSION].oq, "PQ": triggers()[VERSION].pq}


def qualified(line: Path, to: Path, *, sign: bool = True) -> Path:
    """The evidence of an OQ that passed, signed by who executed it and by quality."""
    bundle = Bundle(to)
    bundle.keep("case.txt", b"played\n")
    told = {"evidence": bundle.facts(), "deviations": []}
    write(alone(line, draft("operational-qualification", "OQ", [], told, result="passed")), to, ("json", "html", "pdf"), "document")
    for user, meaning in (("engineer", "executed"), ("qa", "approved")) if sign else ():
        signed = called("qualify", "sign", line, to, "--meaning", meaning, *options(user, to.parent))
        assert signed.returncode == 0, signed.stderr
    return to


@pytest.mark.urs("URS-OPS-06")
def test_evidence_can_be_used_again_where_approved_lines_are_the_same_and_it_is_of_what_the_first_is_now(tmp_path: Path) -> None:
    one, two = (production_line(tmp_path / name) for name in ("one", "two"))
    edit(two, "line.toml", ('name = "test-1"', 'name = "test-2"'))
    for line in (one, two):
        asyncio.run(Desk(line).in_force())
        people(line / "data")
    evidence = qualified(one, tmp_path / "oq")
    same = called("fleet", "compare", one, two, "--bundle", evidence)
    assert same.returncode == 0, same.stdout
    assert "none blocks" in same.stdout
    assert "passed, " in same.stdout
    assert "version 1" in same.stdout
    other_way = called("fleet", "compare", two, one, "--bundle", evidence)
    assert (other_way.returncode, "no evidence of lyon/test-2" in other_way.stdout) == (1, True), "its own evidence is what is used again"
    (evidence / "evidence" / "case.txt").write_bytes(b"not played\n")
    spoiled = called("fleet", "compare", one, two, "--bundle", evidence)
    assert (spoiled.returncode, "counts for nothing: evidence/case.txt was changed" in spoiled.stdout) == (1, True), spoiled.stdout
    unsigned = called("fleet", "compare", one, two, "--bundle", qualified(one, tmp_path / "oq-2", sign=False))
    assert (unsigned.returncode, "was signed by nobody" in unsigned.stdout) == (1, True)


@pytest.mark.urs("URS-OPS-06")
def test_a_comparison_is_a_document_of_the_first_line_that_is_a_folder(lines: tuple[Path, Path], tmp_path: Path) -> None:
    people(lines[0] / "data")
    made = called("fleet", "compare", *lines, "--into", tmp_path / "doc", *options("qa", tmp_path))
    assert made.returncode == 1, made.stderr
    (file,) = (tmp_path / "doc").glob("*.json")
    told = json.loads(file.read_text())
    assert (told["document"], told["result"], told["made_by"]["user"]) == ("fleet-comparison", "finding", "qa")
    assert "dictionary: mixer.speed: unit" in by_subject(told["facts"])
    assert sorted(path.suffix for path in (tmp_path / "doc").iterdir()) == [".html", ".json", ".pdf"]
    signed = called("document", "sign", lines[0], file, "--meaning", "reviewed", *options("qa", tmp_path))
    assert signed.returncode == 0, signed.stderr
    for line in lines:
        called("fleet", "facts", line, "--to", tmp_path / f"{line.name}.facts")
    assert read(tmp_path / "one.facts").gateway == "my-site/one"
    files = called("fleet", "compare", tmp_path / "one.facts", tmp_path / "two.facts", "--into", tmp_path / "no")
    assert (files.returncode, "name one of the lines by its folder" in files.stderr) == (2, True)


def test_a_journal_of_which_nothing_can_be_read_is_not_one_in_which_nothing_was_recorded(lines: tuple[Path, Path], tmp_path: Path) -> None:
    line = shutil.copytree(lines[1], tmp_path / "damaged")
    (line / "data").mkdir(exist_ok=True)
    (line / "data" / "journal.db").write_bytes(b"no database at all" * 500)
    ran = called("fleet", "compare", lines[0], line)
    assert (ran.returncode, "what it remembers of them could not be read" in ran.stdout) == (1, True), ran.stdout + ran.stderr
    assert "is of the installed program" in ran.stdout
    assert "the line runs an unknown version, as its journal can not be read" in ran.stdout
