"""A batch to which much happened: each copy of its record says the same of every item."""

import asyncio
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from golden.cases import GRANULATION
from golden.example_lines import left_by
from golden.product import Evidence
from kit.pages_read import seen, tables
from kit.random_line import Recorded
from kit.record_copies import Copies
from kit.whole_way import TABLES, Way, way_of, write_folder

from buffer.archive.texts import duration_text
from drivers import Loss
from simulators.ebr.record.statement import duration

LIMITED = TABLES["parameters.csv"].replace(",,none,CPP", ",200,map,CPP")
CHANGED = LIMITED.replace("40,95", "41,95")
PRODUCT = 'product = { row = "mes.orders", key = "unit_id", column = "product" }\nbatch_ends ='
SAMPLES = TABLES["samples.csv"] + "release,mixer,mes.samples,unit_id=MIX-9,,row.batch_no,row.sample_id,lims.results,sample_id,1\n"


async def disturbed(way: Way) -> None:
    """A cut link, another configuration and another product in mid batch, a result that is replaced, rows that are changed and deleted."""
    toml = (way.folder / "line.toml").read_text()
    edited = toml.replace("batch_ends =", PRODUCT).replace("recipe, status FROM v_orders", "recipe, status, product FROM v_orders")
    write_folder(way.folder, parameters=LIMITED, samples=SAMPLES)
    (way.folder / "line.toml").write_text(edited)
    await way.restart()
    await way.order(10, "B1", product="P-1")
    await way.alive(11)
    await way.read(12, step=10, temp=60.0)
    await way.row(13, "mes.samples", "71", {"id": "71", "unit_id": "MIX-1", "batch_no": "B1", "sample_id": "S-71"})
    for second in (14, 15, 16):
        await way.alive(second)
    await way.intake.ports["plc"].lost(Loss("link-lost", detail="cut"))
    way.at(17.2)
    await way.read(17.2, "initial", step=10, temp=61.0, speed_sp=250.0)
    await way.alive(18)
    await way.order(19, "B1", change="changed", product="P-2")
    write_folder(way.folder, parameters=CHANGED, samples=SAMPLES)
    (way.folder / "line.toml").write_text(edited)
    way.at(20)
    await way.restart()
    await way.read(25, "initial", step=0, temp=61.0, speed_sp=250.0)
    await way.order(30, None, "B1 ended")
    await way.finish(31)
    await way.row(60, "lims.results", "S-71", {"sample_id": "S-71", "moisture": "5.20", "note": None})
    await way.finish(61)
    await way.row(80, "lims.results", "S-71", {"sample_id": "S-71", "moisture": "3.45", "note": None})
    await way.finish(81)
    await way.row(100, "mes.orders", "B1", {}, "deleted")
    await way.finish(101)


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Copies:
    async def made(folder: Path) -> Copies:
        async with way_of(folder) as way:
            await disturbed(way)
            return Copies([entry.payload for entry in way.entries()], folder)

    return asyncio.run(made(tmp_path_factory.mktemp("disturbed")))


@pytest.mark.urs("URS-AUD-08", "URS-CTX-09")
def test_every_copy_says_the_same_of_each_item_of_a_disturbed_batch(copies: Copies) -> None:
    """The page said 88.5 % and a dash where the archive said 88.45 % and `not-judged`; the page had no correction of the batch's end."""
    told = copies.told()
    items = told.items()
    assert {"parameter above present", "parameter not-judged gap"} <= items.keys()
    assert (items["corrections"], items["gaps"], items["materials"]) == (4, 1, 1), "two of the end, two of the sample"
    assert copies.record["completeness"]["missing"], "the sample for release"
    assert {"result-replaced", "configuration", "identity", "gap", "limit", "missing"} <= {
        one["kind"] for one in copies.record["exceptions"]
    }
    assert told.differences() == []


@pytest.mark.urs("URS-AUD-08")
@pytest.mark.parametrize("seed", [1, 6])
def test_every_copy_of_a_random_batch_says_the_same_of_each_item(recorded: Recorded, tmp_path: Path, seed: int) -> None:
    told = Copies(recorded(seed).payloads, tmp_path).told()
    assert told.items()["gaps"]
    assert told.items()["parameter not-judged gap"]
    assert told.differences() == []


@pytest.mark.urs("URS-AUD-08")
def test_every_copy_of_the_example_lines_batch_says_the_same_of_each_item(tmp_path: Path) -> None:
    """Bookings of lots, results, hold times, alarms and corrections."""
    told = Copies(left_by(GRANULATION, tmp_path).payloads, tmp_path, "B2026-0417").told()
    kinds = {"corrections", "materials", "gaps", "hold_times", "parameter within present", "parameter not-judged missing"}
    assert kinds <= told.items().keys()
    assert told.differences() == []


async def on_a_set_clock(way: Way) -> None:
    """The clock is set forward while a batch is mixed, not verified for a while, and set back."""
    write_folder(way.folder, parameters=LIMITED)
    await way.restart()
    await way.order(10, "B1")
    await way.alive(11)
    await way.read(12, step=10, temp=60.0)
    await way.alive(13)
    await way.alive(14)
    head = {"type": "clock", "kind": "step", "status": "unsynchronised", "bound_s": None, "reason": "set, and no update followed"}
    way.happened({**head, "step_s": 40.0, "last_seq": 20})
    await way.stored()
    way.hands.ticks = way.ticks(15)
    way.clock.take(Evidence("chrony", way.hands.monotonic_ns(), synchronised=False, bound_s=0.001))
    way.clock.look()
    way.emit("plc", [(1, 61.0, 0, way.ticks(15), way.ticks(15))], 15, kind="change")
    await way.stored()
    way.at(16)
    way.happened({**head, "step_s": -40.25, "last_seq": 24})
    for second in (16, 17, 18):
        await way.alive(second)
    await way.read(19, step=0)
    await way.order(30, None, "B1 ended")
    await way.finish(31)


@pytest.mark.urs("URS-AUD-08", "URS-TIME-07")
async def test_every_copy_says_by_how_much_a_clock_was_set_what_that_does_and_which_values_rest_on_it(tmp_path: Path) -> None:
    """No page said which values have times of an unverified clock, nor what a step does to times."""
    async with way_of(tmp_path) as way:
        await on_a_set_clock(way)
        copies = Copies([entry.payload for entry in way.entries()], tmp_path)
    (step,) = copies.record["steps"]
    assert [parameter["time_verified"] for parameter in step["parameters"]] == [False, False]
    steps = [event for event in copies.record["clock"]["events"] if event["kind"] == "step"]
    assert [(event["step_s"], event["running"]) for event in steps] == [(40.0, ["mixer: MIX/1"]), (-40.25, ["mixer: MIX/1"])]
    assert "clock was not verified for: Temperature, Speed set point." in copies.page
    assert copies.page.count("present, time unverified") == copies.archive.count("present, time unverified") == 2
    assert "40.25 s earlier against those before" in copies.page
    assert copies.told().differences() == []
    assert "Environment development (not production)" in copies.archive


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0, "0 s"), (0.04, "less than 0.1 s"), (12.5, "12.5 s"), (119.96, "2 min 00 s"), (179.7, "3 min 00 s"), (7_199.7, "2 h 00 min")],
)
def test_a_length_of_time_never_has_sixty_seconds_in_its_last_place(seconds: float, said: str) -> None:
    """179.7 s were "2 min 60 s", and a gap of 0.04 s had "0 s"."""
    assert (duration(seconds), duration_text(seconds)) == (said, said)


OTHERWISE = {
    "result": ("not-judged", "within"),
    "share": ("90.76 %", "90.8 %"),
    "gap": ("lost", "filled"),
    "correction": ("re-bound", "late-data"),
    "environment": ("development", "production"),
}


@pytest.mark.parametrize("copy", ["page", "archive", "BatchML", "PDF"])
@pytest.mark.parametrize("item", OTHERWISE)
def test_a_copy_that_says_one_item_otherwise_is_found(copies: Copies, copy: str, item: str) -> None:
    """Else the comparison above might see nothing."""
    told = copies.told()
    old, new = OTHERWISE[item] if (item, copy) != ("share", "BatchML") else ("0.907692", "0.908")
    match copy:
        case "page":
            page = swapped(copies.page_html, old, new)
            told = told._replace(page=tables(page), words=(seen(page), told.words[1]))
        case "archive":
            page = swapped(copies.archive_html, old, new)
            told = told._replace(archive=tables(page), words=(told.words[0], seen(page)))
        case "BatchML":
            told = told._replace(xml=ET.fromstring(swapped(ET.tostring(copies.xml, "unicode"), old, new)))
        case _:
            if told.pdf is None:
                pytest.skip("poppler-utils is not installed")
            told = told._replace(pdf=swapped(told.pdf, old, new))
    assert [text for text in told.differences() if copy in text]


def swapped(text: str, old: str, new: str) -> str:
    """Put another word where one stands last."""
    *_, last = re.finditer(rf"(?<![-\w]){re.escape(old)}(?![-\w])", text)
    return text[: last.start()] + new + text[last.end() :]
