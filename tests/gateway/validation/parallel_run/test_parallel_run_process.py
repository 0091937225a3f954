"""A parallel run as a site makes it: gateway and MES record the same batch; persons compare, explain, sign; exit codes and proofs."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.commands import called
from kit.drop_line import events
from kit.mixing_line import BATCH, mixed, mixing_line
from kit.persons import options, people
from kit.processes import running, until

import config
from buffer import entry as formats
from config.reports.diff import changes
from gateway.access import ROLES, RULES
from simulators.device import Truth
from simulators.mes import MesDevice

pytestmark = pytest.mark.urs("URS-OBS-05")
MES = """
[[source]]
name = "mes"
driver = "mes_sql"
endpoint = "sqlite+aiosqlite:///mes.db"
rate_ms = 200
[[source.query]]
name = "report"
sql = "SELECT id, batch_no, item, result, result_unit, done_at FROM v_report WHERE id > :since ORDER BY id"
key = "id"
watermark = { column = "id", kind = "sequence" }
time = { column = "done_at", zone = "Europe/Paris" }

[parallel_run]
batch = "batch_no"
ignore = ["id", "result_unit", "done_at"]
consecutive_batches = 1
"""
COMPARE = """ebr_field,legacy,where,unit,tolerance,min_covered,rule,description
PM-1,result,item=T_MAX,°C,0.1,0.01,,
PM-2,result,item=T_MEAN,°F,5,0.01,,
PM-3,result,item=T_LAST,°C,0.1,0.01,,
PM-4,,,,,,not-compared,The MES rounds mixing times to minutes
"""
TRUTH = {"T_MAX": "73.25", "T_MEAN": "161.6", "T_LAST": "72.0", "PH": "7.1"}
"""What the MES records. T_MAX: the gateway rounds to 73.3. T_LAST: one degree off. PH: nothing of it is in compare.csv."""


async def recorded_by_mes(line: Path) -> None:
    """Write the batch into the MES, among rows of another batch, as the MES itself does while the gateway polls it."""
    site = config.load(line)
    truth = Truth(line / "truth.jsonl")
    device = MesDevice(next(one for one in site.sources if one.name == "mes"), [], truth)
    await device.start()
    for at, (item, result) in enumerate(TRUTH.items()):
        ticks = 17953317000000000 + at * 600_000_000
        await device.insert("report", {"batch_no": BATCH, "item": item, "result": result, "result_unit": "C"}, ticks)
        await device.insert("report", {"batch_no": "B-OTHER", "item": item, "result": "1", "result_unit": "C"}, ticks)
    await device.stop()
    truth.close()


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A line whose gateway runs, that has made one batch beside the MES."""
    folder = mixing_line(tmp_path_factory.mktemp("parallel") / "line", MES)
    (folder / "compare.csv").write_text(COMPARE)
    people(folder / "data")

    async def empty() -> None:
        truth = Truth(folder / "truth.jsonl")
        device = MesDevice(next(one for one in config.load(folder).sources if one.name == "mes"), [], truth)
        await device.start()
        await device.stop()
        truth.close()

    asyncio.run(empty())
    with running(folder):
        asyncio.run(recorded_by_mes(folder))
        mixed(folder)
        until(lambda: [one for one in events(folder, "batch") if one["transition"] == "end"], every_s=0.5)
        yield folder


def compared(line: Path, *more: str | Path) -> tuple[int, dict[str, Any]]:
    done = called("compare", line, "--batch", BATCH, "--legacy", "mes.report", "--json", *more)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_person_compares_explains_and_signs_and_the_run_may_end_only_then(line: Path, tmp_path: Path) -> None:
    code, found = compared(line)
    told = {row["item"]: (row["verdict"], row["difference"]) for row in found["rows"]}
    assert code == 1
    assert told == {
        "PM-1/1": ("match", "0.05"),
        "PM-2/1": ("match", told["PM-2/1"][1]),
        "PM-3/1": ("mismatch", "-1"),
        "column result (item=PH)": ("only-legacy", None),
    }
    assert found["rows"][1]["legacy"]["converted"] == "72", "161.6 °F are 72 °C, and that is said"
    assert [one["field"] for one in found["not_compared"]] == ["PM-4"]
    assert found["rules"]["declared_before"] == "yes"

    first = called("compare", line, BATCH, "--legacy", "mes.report", "--to", tmp_path / "first", *options("engineer", tmp_path))
    assert (first.returncode, "mismatch       open      PM-3/1" in first.stdout) == (1, True), first.stdout + first.stderr
    (file,) = (tmp_path / "first").glob("*.json")
    assert json.loads(file.read_text())["result"] == "finding"
    nothing = called("compare", "explain", line, file, "--no", "1", "--reason", "there is nothing wrong", *options("qa", tmp_path))
    assert (nothing.returncode, "this row is a match" in nothing.stderr) == (2, True)
    for no, why in ((3, "the MES takes the value a minute later, when it has cooled"), (4, "the pH is no part of this record")):
        done = called("compare", "explain", line, file, "--no", str(no), "--reason", why, *options("engineer", tmp_path))
        assert done.returncode == 0, done.stderr
    trail = [one for one in events(line, "audit") if one["action"] == "compare-explain"]
    assert [(one["who"]["user"], one["object"], one["old"], one["new"]) for one in trail] == [
        ("engineer", f"batch {BATCH}, PM-3/1", "mismatch", "explained"),
        ("engineer", f"batch {BATCH}, column result (item=PH)", "only-legacy", "explained"),
    ]

    comparisons = tmp_path / "comparisons"
    second = called("compare", line, BATCH, "--legacy", "mes.report", "--to", comparisons, *options("engineer", tmp_path))
    assert second.returncode == 0, second.stdout + second.stderr
    (file,) = comparisons.glob("*.json")
    document = json.loads(file.read_text())
    assert document["result"] == "passed-with-dispositions"
    assert document["facts"]["rows"][2]["verdict"] == "mismatch", "what is explained stays what it is"
    assert document["facts"]["rows"][2]["explanation"]["by"]["name"] == "Edda Bauer"
    (stands,) = [one for one in events(line, "document") if one["sha256"] == document["sha256"]]
    formats.MadeEvent.model_validate(stands)

    early = called("compare", "trend", line, comparisons)
    assert (early.returncode, "is not signed by QA" in early.stdout) == (1, True), early.stdout
    signed = called("document", "sign", line, file, "--meaning", "reviewed and approved", *options("qa", tmp_path))
    assert signed.returncode == 0, signed.stderr
    assert called("document", "verify", file, "--key", line / "data" / "checkpoint-key.pub").returncode == 0
    page = next(comparisons.glob("*.html")).read_text()
    for shown in ("161.6 °F (= 72)", "the MES takes the value a minute later", "Not compared, as compare.csv declares"):
        assert shown in page, shown
    trend = called("compare", "trend", line, comparisons, "--to", tmp_path / "trend", *options("qa", tmp_path))
    assert trend.returncode == 0, trend.stdout + trend.stderr
    assert "The criterion is met: 1 of 1 batches in a row" in trend.stdout
    (made,) = (tmp_path / "trend").glob("*.json")
    field = next(one for one in json.loads(made.read_text())["facts"]["fields"] if one["field"] == "PM-3")
    assert (field["largest"], field["mismatch"], field["explained"]) == ("-1", 1, 1)
    worse = called("compare", line, BATCH, "--legacy", "mes.report", "--to", tmp_path / "later", *options("engineer", tmp_path))
    assert worse.returncode == 0
    chosen = called("compare", "trend", line, comparisons)
    assert (chosen.returncode, "the journal holds a newer comparison of it, which is not in the folder" in chosen.stdout) == (1, True)


def test_an_explanation_is_of_its_two_values_and_counts_for_no_others(line: Path, tmp_path: Path) -> None:
    file = tmp_path / "legacy.csv"
    text = "id;batch_no;item;result;result_unit;done_at\n"
    file.write_text(text + f"1;{BATCH};T_MAX;73.3;C;\n2;{BATCH};T_MEAN;161.6;F;\n3;{BATCH};T_LAST;74;C;\n")
    into: list[str | Path] = ["--to", tmp_path / "one", "--form", "json", *options("qa", tmp_path)]
    assert called("compare", line, BATCH, "--legacy", file, *into).returncode == 1
    (made,) = (tmp_path / "one").glob("*.json")
    why = ["--reason", "read from the wrong line of the print"]
    assert called("compare", "explain", line, made, "--no", "3", *why, *options("qa", tmp_path)).returncode == 0
    assert called("compare", line, BATCH, "--legacy", file).returncode == 0
    file.write_text(file.read_text().replace(";74;", ";75;"))
    again = called("compare", line, BATCH, "--legacy", file)
    assert (again.returncode, "mismatch       open      PM-3/1" in again.stdout) == (1, True)


def test_a_folder_in_which_no_comparison_lies_is_not_one_in_which_no_batch_counts(line: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for words in ([], ["--json"]):
        ran = called("compare", "trend", line, tmp_path / "empty", "--to", tmp_path / "trend", *words)
        assert (ran.returncode, ran.stdout, (tmp_path / "trend").exists()) == (1, "", False)
        assert f"{tmp_path / 'empty'}: no comparison of " in ran.stderr
        assert len(ran.stderr.splitlines()) == 1


def test_rules_that_were_set_after_the_batch_do_not_end_the_run(line: Path, tmp_path: Path) -> None:
    before = (line / "compare.csv").read_text()
    try:
        (line / "compare.csv").write_text(before.replace("T_LAST,°C,0.1", "T_LAST,°C,2"))
        _, found = compared(line, "--to", tmp_path / "wide", "--form", "json", *options("qa", tmp_path))
        assert {row["item"]: row["verdict"] for row in found["rows"]}["PM-3/1"] == "match"
        assert found["rules"]["declared_before"] == "no"
        told = called("compare", "trend", line, tmp_path / "wide")
        assert (told.returncode, "The criterion is not met: 0 of 1" in told.stdout) == (1, True)
    finally:
        (line / "compare.csv").write_text(before)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([], 2, "compared with what? --legacy FILE or SOURCE.QUERY"),
        (["--legacy", "mes.reports"], 2, "source mes has no query reports"),
        (["--legacy", "lims.results"], 2, "a source of driver mes_file gives no rows when it is asked; give a file"),
        (["--legacy", "nowhere.csv"], 2, "nowhere.csv: No such file or directory"),
        (["--manual", "nowhere.csv"], 2, "nowhere.csv: No such file or directory"),
    ],
)
def test_what_can_not_be_compared_is_one_readable_line(line: Path, words: list[str], code: int, says: str) -> None:
    done = called("compare", line, "--batch", BATCH, *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_batch_that_is_not_there_is_not_compared(line: Path) -> None:
    done = called("compare", line, "--batch", "B-NONE", "--legacy", "mes.report")
    assert (done.returncode, "the journal holds no batch B-NONE" in done.stderr) == (2, True)


@pytest.mark.parametrize("role", ROLES)
def test_a_difference_is_explained_by_who_may(line: Path, tmp_path: Path, role: str) -> None:
    _, found = compared(line, "--to", tmp_path, "--form", "json", *options("qa", tmp_path))
    (made,) = tmp_path.glob("*.json")
    number = next(row["no"] for row in found["rows"] if row["verdict"] != "match")
    why = ["--reason", "the same reason as it was before"]
    done = called("compare", "explain", line, made, "--no", str(number), *why, *options(role, tmp_path))
    assert (done.returncode == 0) == (role in RULES["compare-explain"].roles), done.stderr


def test_a_line_without_rules_says_what_is_missing(line: Path, tmp_path: Path) -> None:
    plain = mixing_line(tmp_path / "line", "")
    done = called("compare", plain, BATCH, "--legacy", "x.csv")
    assert (done.returncode, "line.toml has no [parallel_run]" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("PM-1,", "PM-9,", "compare.csv:2: ebr_field `PM-9` is filled by no parameter, booking or sampling"),
        ("T_MAX,°C", "T_MAX,", "compare.csv:2: unit: is empty, and PM-1 is in Cel: write in which unit the legacy record has it"),
        ("T_MAX,°C", "T_MAX,bar", "compare.csv:2: unit: "),
        ("°C,0.1,0.01,,", '°C,"0,1",0.01,,', "compare.csv:2: tolerance: `0,1` does not match"),
        (",not-compared,The MES rounds mixing times to minutes", ",not-compared,", "compare.csv:5: description: is empty: of what is not"),
        ("PM-2,", "PM-1,", "compare.csv:3: ebr_field `PM-1` stands already in line 2"),
        ("PM-4,", "start:mixer/MOX,", "compare.csv:5: ebr_field `start:mixer/MOX`: no such step"),
        ("item=T_MAX", "T_MAX", "compare.csv:2: where: `T_MAX`: column=value is meant"),
    ],
)
def test_check_says_what_is_wrong_with_the_rules(tmp_path: Path, old: str, new: str, says: str) -> None:
    folder = mixing_line(tmp_path / "line", MES)
    (folder / "compare.csv").write_text(COMPARE)
    assert called("check", folder).returncode == 0
    (folder / "compare.csv").write_text(COMPARE.replace(old, new, 1))
    done = called("check", folder)
    assert done.returncode != 0
    assert says in done.stdout + done.stderr


def test_check_says_what_is_wrong_with_the_section(tmp_path: Path) -> None:
    folder = mixing_line(tmp_path / "line", MES.replace("consecutive_batches = 1", 'encoding = "klingon"\nzone = "Mars/Base"'))
    (folder / "compare.csv").write_text(COMPARE)
    told = called("check", folder)
    assert re.search(r"line.toml:\d+: `klingon` is no encoding", told.stdout + told.stderr)
    assert re.search(r"line.toml:\d+: `Mars/Base` is no IANA time zone", told.stdout + told.stderr)
    (folder / "compare.csv").unlink()
    assert "compare.csv: is missing: line.toml has [parallel_run]" in called("check", folder).stdout


def test_the_rules_are_part_of_the_approved_configuration(tmp_path: Path) -> None:
    """Who widens a tolerance, or lets the run end earlier, changes the configuration: it is told field by field, and approved."""
    folder = mixing_line(tmp_path / "line", MES)
    (folder / "compare.csv").write_text(COMPARE)
    before = config.load(folder)
    (folder / "compare.csv").write_text(COMPARE.replace("T_LAST,°C,0.1", "T_LAST,°C,9"))
    (folder / "line.toml").write_text((folder / "line.toml").read_text().replace("consecutive_batches = 1", "consecutive_batches = 2"))
    after = config.load(folder)
    assert before.sha256 != after.sha256
    told = " ".join(map(str, changes(before, after)))
    assert "PM-3" in told
    assert "consecutive_batches" in told
