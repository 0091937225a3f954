"""The record page as quality assurance reads and prints it: everything is in it, and it becomes a PDF whose pages name their batch."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from kit.processes import DEADLINE_S
from kit.random_line import Recorded

from simulators.ebr import Store
from simulators.ebr.pages.page import html
from simulators.ebr.pages.plot import LEFT, RIGHT, WIDTH, Plot, bad_times, svg
from simulators.ebr.pages.sections import sections
from simulators.ebr.record.bookings import genealogy
from simulators.ebr.record.corrections import corrections
from simulators.ebr.record.exceptions import exceptions
from simulators.ebr.record.readings import Point
from simulators.ebr.record.record import batch_record
from simulators.ebr.record.statement import duration
from simulators.ebr.record.unverified_times import UnverifiedTimes, placed

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
POPPLER = shutil.which("pdftotext") and shutil.which("pdfinfo")
S = 10_000_000
PARIS = ZoneInfo("Europe/Paris")


@pytest.fixture
def full(recorded: Recorded, tmp_path: Path) -> tuple[dict[str, Any], Any]:
    """A record of a random batch, to which one of every kind of booking, alarm, hold time and correction is added."""
    store = Store(tmp_path / "ebr")
    store.take(recorded(6).payloads)
    store.close()
    record, series = batch_record(tmp_path / "ebr" / "ebr.db", "B1")
    at = record["steps"][0]["start"]
    changed = [{"path": "parameters/A_mean/value", "old": "151.2", "new": "149.9"}, {"path": "end", "old": at, "new": None}]
    told = [{"revision": 1, "entered": at["time"]}, {"revision": 2, "entered": at["time"], "reason": "late-data", "changed": changed}]
    record["steps"][1] |= {"revision": 2, "reason": "late-data", "revisions": told}
    record["materials"] = materials(at)
    record["genealogy"] = {
        "edges": [{"from": "L2026-0417-A", "to": "B1", "kind": "consume", "material": "Lactose", "quantity": "12.91", "unit": "kg"}],
        "orphans": [{"gateway": "x/y", "lot": "L-9", "raw": "L-9", "side": "no-child"}],
    }
    record["hold_times"], record["alarms"] = hold_times(at), alarms(at)
    record["clock"]["sources"] = {"g": {"entries": 12, "least_s": -0.008, "most_s": 0.012, "bound_s": 0.02}}
    edge = {"time": at["time"], "placed": at["time"]}
    record["clock"]["placed"] = [{"entries": 3, "first": edge, "last": edge, "bound_s": 0.25, "by": [1, 77]}]
    missing = {"equipment": "granulator", "step": None, "run": None, "parameter": None, "status": "missing"}
    record["completeness"]["missing"] += [
        {**missing, "material": "weigh_api"},
        {**missing, "equipment": None, "lot": "L-9", "status": "no-child"},
    ]
    record["corrections"] = corrections("B1", record["steps"], record["ends"], record["materials"])
    record["exceptions"] = exceptions(record)
    return record, series


def materials(at: dict[str, Any]) -> list[dict[str, Any]]:
    """What was weighed, produced, sampled, and booked again for each reason."""
    head = {"gateway": "x/y", "epoch": 1, "seq": 7, "entered": at["time"], "equipment": "granulator", "revision": 1, "revisions": []}
    place = {
        "steps": [["operation", "RUN", 1], ["phase", "A", 1]],
        "at": at,
        "performed_by": [{"id": "jdupont", "kind": "person", "from": "g.u"}],
    }
    lot = {"raw": "26/417-A", "canonical": "L2026-0417-A", "rule": "legacy@1"}
    weighed = {"kind": "consume", "booking": "weigh", "material": "Lactose <mono>", "quantity": "12.91", "unit": "kg", "target": "12.50"}
    limits = {"low": "12.4", "high": "12.6", "result": "above", "status": "present"}
    sample = {"type": "sample", "record": "x/s/1", "sampling": "lod", "sample": "S-001", "taken": at, "status": "present"}
    result = {"source": "lims", "name": "results", "key": "S-001", "time": at["time"], "seq": 9, "values": {"lod": 2.1, "verdict": "pass"}}
    reasons = ("source-corrected", "re-bound", "config-corrected")
    return [
        {**head, **place, **weighed, **limits, "type": "material", "record": "x/m/1", "lot": lot, "output_lot": None},
        {**head, **place, "type": "material", "record": "x/m/2", "kind": "produce", "lot": None, "output_lot": lot, "status": "bad",
         "problems": ["lot"]},
        {**head, **place, **sample, "results": [result]},
        *(
            {**head, **place, **weighed, "type": "material", "record": f"x/m/{reason}", "lot": lot, "revision": 2, "reason": reason,
             "revisions": [{"revision": 2, "entered": at["time"], "reason": reason, "changed": []}]}
            for reason in reasons
        ),
    ]  # fmt: skip


def hold_times(at: dict[str, Any]) -> list[dict[str, Any]]:
    """One that was passed, and one that nobody could judge."""
    hold = {"gateway": "x/y", "equipment": "granulator", "hold": "dirty", "start": at, "end": at, "after": "B0", "before": "CIP/1"}
    late = {"seconds": 270_000.0, "limit_s": 259_200.0, "result": "above", "status": "present"}
    return [
        {**hold, **late},
        {**hold, "hold": "clean", "seconds": None, "limit_s": None, "result": "not-judged", "status": "gap"},
    ]


def alarms(at: dict[str, Any]) -> list[dict[str, Any]]:
    """One that was acknowledged and stands."""
    alarm = {
        "gateway": "x/y",
        "seq": 9,
        "alarm": "G-HIGH",
        "severity": "warning",
        "text": "Speed high",
        "equipment": "granulator",
        "steps": [],
    }
    times = {"raised": at["time"], "acknowledged": at["time"], "acknowledged_by": "mleroy", "cleared": None, "duration_s": None}
    return [{**alarm, **times}]


@pytest.mark.urs("URS-AUD-08")
def test_everything_that_a_reviewer_must_know_stands_on_the_page(full: tuple[dict[str, Any], Any]) -> None:
    record, series = full
    page = html(record, series)
    text = re.sub(r"<[^>]*>", " ", page.partition("</style>")[2])
    for told in (
        "Genealogy", "L2026-0417-A", "read 26/417-A", "Lactose &lt;mono&gt;", "12.91 kg", "12.4 … 12.6", "S-001", "verdict pass", "3 d 3 h",
        "mleroy", "Corrections", "151.2", "149.9", "late-data", "source-corrected", "re-bound", "config-corrected",
        "booking of material weigh_api",
        "± 0.25 s", "1/77", "-0.008 s", "Lot L-9",
    ):  # fmt: skip
        assert told.replace(" ", "") in text.replace(" ", ""), told
    assert "<mono>" not in page
    said = {(one["kind"], one["severity"]) for one in record["exceptions"]}
    assert said >= {("booking", "alarm"), ("limit", "alarm"), ("orphan", "alarm"), ("hold-time", "alarm"), ("hold-time", "warning"),
                    ("corrected", "warning"), ("missing", "alarm"), ("alarm", "warning")}  # fmt: skip
    order = [one["severity"] for one in record["exceptions"]]
    assert order == sorted(order, key=["alarm", "warning", "info"].index), "the gravest first"
    assert page.index("Review by exception") < page.index("<h2>Steps") < page.index("<h2>Materials") < page.index("<h2>Clock")
    links = re.findall(r'href="#([^"]+)"', page)
    assert links
    assert all(f'id="{link}"' in page for link in links)


def test_sections_without_anything_in_them_are_left_out(full: tuple[dict[str, Any], Any]) -> None:
    record, _ = full
    for name in ("materials", "hold_times", "alarms", "gaps", "corrections"):
        record[name] = []
    record["genealogy"] = {"edges": [], "orphans": []}
    for end in record["ends"]:
        end["configurations"] = []
    left = "".join(sections(record, PARIS))
    assert re.findall(r"<h2>([^<]+)", left) == ["Clock"]


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.skipif(not POPPLER, reason="poppler-utils are not installed")
@pytest.mark.urs("URS-AUD-08")
def test_it_prints_to_pages_that_name_the_batch_and_their_number(full: tuple[dict[str, Any], Any], tmp_path: Path) -> None:
    record, series = full
    record["batch"] = 'B1 "</style>'
    (tmp_path / "record.html").write_text(html(record, series), "utf-8")
    pages = printed(tmp_path)
    assert len(pages) >= 4
    for number, text in enumerate(pages, 1):
        assert f"Page {number} of {len(pages)}" in text
        assert 'Batch B1 "</style>' in text
        assert len(text.split()) > 20, "no page is empty"
    assert "Review by exception" in pages[0]
    for page in pages:  # a heading never stands alone at a page's end
        lines = [line.strip() for line in page.splitlines() if line.strip()]
        assert lines[-3] not in {"Materials", "Genealogy", "Samples", "Alarms", "Corrections", "Clock", "Completeness", "Steps"}


def printed(folder: Path) -> list[str]:
    """The text of each page of record.html's PDF."""
    profile = f"--user-data-dir={folder / 'chromium'}"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", profile, f"--print-to-pdf={folder / 'record.pdf'}"]
    assert CHROMIUM is not None
    subprocess.run([CHROMIUM, *options, (folder / "record.html").as_uri()], check=True, capture_output=True, timeout=DEADLINE_S)
    told = subprocess.run(["pdfinfo", folder / "record.pdf"], check=True, capture_output=True, text=True).stdout
    count = int(re.search(r"Pages:\s+(\d+)", told)[1])
    text = subprocess.run(["pdftotext", "-layout", folder / "record.pdf", "-"], check=True, capture_output=True, text=True).stdout
    pages = text.split("\f")[:count]
    assert "A4" in told
    return pages


# -- the small rules


@pytest.mark.parametrize(
    ("booking", "edge"),
    [
        ({"kind": "consume", "lot": {"raw": "1", "canonical": "L1"}, "output_lot": None}, ("L1", "B1")),
        ({"kind": "consume", "lot": {"raw": "1", "canonical": None}, "output_lot": {"raw": "2", "canonical": "L2"}}, ("1", "L2")),
        ({"kind": "produce", "lot": None, "output_lot": {"raw": "2", "canonical": "L2"}}, ("B1", "L2")),
        ({"kind": "produce", "lot": {"raw": "1", "canonical": "L1"}, "output_lot": {"raw": "2", "canonical": "L2"}}, ("L1", "L2")),
        ({"kind": "produce", "lot": {"raw": "1", "canonical": "L1"}, "output_lot": None}, ("B1", "L1")),
        ({"kind": "move", "lot": {"raw": "1", "canonical": "L1"}, "output_lot": None, "to": "dryer"}, ("L1", "dryer")),
    ],
)
def test_what_went_into_what_names_the_batch_where_no_lot_is_named(booking: dict[str, Any], edge: tuple[str, str]) -> None:
    (told,) = genealogy("B1", [{"type": "material", **booking}], [])["edges"]
    assert (told["from"], told["to"]) == edge
    assert genealogy("B1", [{"type": "material", **booking, "problems": ["row-withdrawn"]}], [])["edges"] == []


def drawn(
    points: list[tuple[float, float | None]], gaps: list[tuple[float, float]], between: str = "hold"
) -> list[list[tuple[float, ...]]]:
    """The lines of a plot of 100 s: each a list of corners in seconds and values, as far as the drawing tells them."""
    told = [Point(round(t * S), v, 0 if v is not None else 0x80000000, 1) for t, v in points]
    cut = [(round(a * S), round(b * S)) for a, b in gaps]
    picture = svg(Plot("t", "", 0, 100 * S, told, cut, (), PARIS, between, bad_times(told, 100 * S)))
    paths = re.findall(r'<path class="line" d="([^"]*)"', picture)
    width = WIDTH - LEFT - RIGHT
    return [[(round((float(x) - LEFT) / width * 100),) for x in re.findall(r"[MLH](-?[0-9.]+)", path)] for path in paths]


def test_a_plot_has_no_line_where_nothing_is_known() -> None:
    assert drawn([(0, 1.0), (50, 2.0)], []) == [[(0,), (50,), (100,)]]
    assert drawn([(0, 1.0), (50, 2.0)], [(20, 40)]) == [[(0,), (20,)], [(50,), (100,)]]
    assert drawn([(0, 1.0), (30, 2.0)], [(20, 40)]) == [[(0,), (20,)], [(40,), (100,)]], "told afterwards: stands from the gap's end on"
    assert drawn([(0, 1.0), (30, None), (60, 2.0)], []) == [[(0,), (30,)], [(60,), (100,)]], "a Bad reading cuts"
    assert drawn([(0, 1.0), (50, 2.0)], [(0, 100)]) == [], "all of it is a gap"
    assert drawn([(0, 1.0), (50, 2.0), (90, 3.0)], [(60, 70)], "linear") == [[(0,), (50,)]]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(None, "–"), (12.5, "12.5 s"), (60, "60 s"), (130, "2 min 10 s"), (7_260, "2 h 01 min"), (270_000, "3 d 3 h")],
)
def test_a_length_of_time_is_told_for_people(seconds: float | None, told: str) -> None:
    assert duration(seconds) == told


@pytest.mark.urs("URS-TIME-07")
def test_entries_from_before_the_clock_was_verified_are_placed_by_its_own_word() -> None:
    anchor = {"boot": "b", "time": "2026-11-22T08:00:00.0000000Z", "monotonic_s": 500.0}
    since = {"boot": "b", "time": "2026-11-22T01:00:00.0000000Z", "monotonic_s": 100.0}
    event = {"type": "clock", "kind": "recovered", "anchor": anchor, "since": since, "gateway": "x/y", "epoch": 3, "seq": 99}
    places = UnverifiedTimes([{**event, "correction_bound_s": 0.02}, {"type": "clock", "kind": "step", "gateway": "x/y"}])

    def item(monotonic_s: float, status: str = "unknown", boot: str = "b", gateway: str = "x/y") -> dict[str, Any]:
        clock = {"status": status, "boot": boot, "monotonic_s": monotonic_s}
        return {"gateway": gateway, "time": "2026-11-22T01:00:00.000000Z", "clock": clock}

    for one in (item(120.0), item(440.5), item(450, "synchronised"), item(450, boot="c"), item(99), item(501), item(450, gateway="x/z")):
        places.see(one)
    (told,) = places.spans()
    assert (told["entries"], told["bound_s"], told["by"]) == (2, 0.02, [3, 99])
    assert told["first"] == {"time": "2026-11-22T01:00:00.000000Z", "placed": "2026-11-22T07:53:40.000000Z"}
    assert told["last"]["placed"] == placed(anchor, 440.5) == "2026-11-22T07:59:00.500000Z"
