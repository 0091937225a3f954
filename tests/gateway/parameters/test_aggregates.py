"""What the record of a step says of values that their source has aggregated: told of which windows, and of how many samples."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.archive.texts import computed_text
from buffer.entry.steps import Parameter as PublishedParameter
from config import Equipment, Line, Parameter, Source, Step, Tag
from config.sections import BufferSection, ClockSection, FromTag, LineSection
from gateway.context import Fold
from gateway.entries.fold_input import EventInput, ReadingsInput, Told
from gateway.entries.ticks import TICKS_PER_S, rfc3339
from gateway.entries.windows import said_by, window_of, window_text
from simulators.ebr.record.statement import computed

T0 = 1_795_330_000 * TICKS_PER_S
S = TICKS_PER_S
INSTANT = 803_295_441 * S
BEFORE, AT, AFTER = (rfc3339(INSTANT + edge * 60 * S) for edge in (-1, 0, 1))
TAGS = (
    Tag("batch", "plc", "x", "string"),
    Tag("step", "plc", "x", "int16"),
    Tag("mean", "mes", "x", "float64", unit="Cel", aggregate=("mean", 60.0)),
)


def line_of() -> Line:
    return Line(
        folder=Path(), line=LineSection(site="x", name="y", timezone="UTC"), clock=ClockSection(), buffer=BufferSection(), web=None,
        sources=(Source(name="plc", driver="opcua", endpoint="x"), Source(name="mes", driver="mes_sql", endpoint="x")),
        equipment=(Equipment(name="unit", batch=FromTag(tag="batch"), batch_ends="empty", settle_ms=0, settle_s=1),),
        routes=(), uplinks=(), tags=TAGS, steps=(Step("MIX", "unit", "phase", "step", "1"),),
        parameters=(Parameter("p", "unit", "MIX", "mean", "mean", unit="Cel"),),
        codes={}, lots=None, files={}, sha256="0" * 64,
    )  # fmt: skip


def told_of(windows: list[tuple[int, Told | None]], *, loaded_after: int = -1) -> dict[str, Any]:
    """The parameter of a step from 10 s to 1000 s. windows: (second of the reading, what was told of its window).

    loaded_after: after so many readings the fold is stored and loaded, as by a start.
    """
    fold, made, seq = Fold(line_of()), [], 0

    def read(source: str, at_s: float, tag: int, value: Any, told: Told | None = None) -> None:
        nonlocal seq
        seq += 1
        at = T0 + round(at_s * S)
        known = None if told is None else {(tag, at): told}
        made.extend(fold.decide(ReadingsInput(seq, at, source, [(tag, value, 0, at, "change")], True, known)))

    read("plc", 0, 0, "B1")
    read("plc", 1, 1, 0)
    read("plc", 10, 1, 1)
    for number, (at_s, told) in enumerate(windows):
        if number == loaded_after:
            fold = Fold.load(line_of(), fold.dump())
        read("mes", at_s, 0, 70.0 + number, told)
    read("plc", 1000, 1, 0)
    read("plc", 1001, 0, "")
    seen = {name: rfc3339(T0 + 1100 * S) for name in ("plc", "mes")}
    made.extend(fold.decide(EventInput(seq + 1, T0 + 1100 * S, {"type": "heartbeat", "observed": seen})))
    (end,) = (event for event in made if event["type"] == "step" and event["transition"] == "end")
    (parameter,) = end["parameters"]
    PublishedParameter.model_validate(parameter)
    return parameter


@pytest.mark.urs("URS-DAQ-08")
def test_a_record_says_of_which_windows_its_source_told_and_how_many_samples_they_have() -> None:
    first, second = (T0 + 40 * S, T0 + 100 * S, 58), (T0 + 100 * S, T0 + 160 * S, None)
    parameter = told_of([(5, (T0 - 60 * S, T0, 60)), (100, first), (160, second), (220, None), (280, (None, T0 + 280 * S, 3))])
    assert parameter["status"] == "aggregate-only"
    assert parameter["readings"] == 4, "the one before the step is none of it"
    assert parameter["aggregate"] == {
        "function": "mean", "window_s": 60.0, "told": 2, "counted": 2, "count": 61,
        "start": rfc3339(T0 + 40 * S), "end": rfc3339(T0 + 160 * S),
    }  # fmt: skip


@pytest.mark.urs("URS-DAQ-08")
@given(
    windows=st.lists(st.none() | st.tuples(st.none() | st.integers(0, 900), st.none() | st.integers(0, 99)), max_size=8),
    loaded_after=st.integers(0, 8),
)
def test_what_is_summed_of_windows_is_what_was_told_also_over_a_start(
    windows: list[tuple[int | None, int | None] | None], loaded_after: int
) -> None:
    told: list[tuple[int, Told | None]] = []
    for number, window in enumerate(windows):
        start = None if window is None or window[0] is None else T0 + window[0] * S
        told.append((20 + 60 * number, None if window is None else (start, None if start is None else start + 60 * S, window[1])))
    if not told:
        return
    aggregate = told_of(told, loaded_after=loaded_after)["aggregate"]
    edges = [(one[0], one[1]) for _, one in told if one is not None and one[0] is not None and one[1] is not None]
    counts = [one[2] for _, one in told if one is not None and one[2] is not None]
    assert (aggregate["told"], aggregate["counted"], aggregate["count"]) == (len(edges), len(counts), sum(counts) if counts else None)
    assert aggregate["start"] == (rfc3339(min(start for start, _ in edges)) if edges else None)
    assert aggregate["end"] == (rfc3339(max(end for _, end in edges)) if edges else None)


@pytest.mark.urs("URS-DAQ-08")
@pytest.mark.parametrize(
    ("aggregate", "text"),
    [
        ({"function": "mean", "window_s": 60.0}, "max of t, of the source's own mean over 60 s"),
        (
            {"function": "mean", "window_s": 60.0, "told": 0, "start": None, "end": None, "counted": 0, "count": None},
            "max of t, of the source's own mean over 60 s (window not known; number of samples not known)",
        ),
        (
            {"function": "mean", "window_s": 0.5, "stamp": "end", "told": 0, "start": None, "end": None, "counted": 2, "count": 7},
            "max of t, of the source's own mean over 0.5 s (window declared; 7 samples in 2 of them)",
        ),
        (
            {"function": "sum", "window_s": 60.0, "told": 2, "start": "A", "end": "B", "counted": 3, "count": 61},
            "max of t, of the source's own sum over 60 s (2 of 3 windows told, A to B; 61 samples in 3 of them)",
        ),
    ],
)
def test_page_and_archive_say_it_in_the_same_words(aggregate: dict[str, Any], text: str) -> None:
    parameter = {"statistic": "max", "tag": "t", "readings": 3, "aggregate": aggregate}
    assert computed_text(parameter) == computed(parameter) == text


@pytest.mark.urs("URS-DAQ-08")
@pytest.mark.parametrize(
    ("stamp", "windows", "text", "by"),
    [
        (None, [], "not known", "not known"),
        ("end", [], f"{BEFORE} (declared) to {AT} (declared), count not known", "start and end declared"),
        ("start", [], f"{AT} (declared) to {AFTER} (declared), count not known", "start and end declared"),
        (None, [{"row": 1, "count": 3}], "not known to not known, 3 samples", "source"),
        ("end", [{"row": 1, "start": "X", "count": 3}], f"X to {AT} (declared), 3 samples", "source; end declared"),
        (None, [{"row": 0, "start": "X", "end": "Y", "count": 3}], "not known", "not known"),
    ],
)
def test_what_is_told_what_is_declared_and_what_is_not_known_are_never_mixed_up(
    stamp: str | None, windows: list[dict[str, Any]], text: str, by: str
) -> None:
    at = INSTANT
    known = {"tag": "t", "aggregate": "mean:60", **({"aggregate_stamp": stamp} if stamp else {})}
    window = window_of({"windows": windows}, 1, known, at)
    assert window is not None
    assert (window_text(window), said_by(window)) == (text, by)
    assert window_of({"windows": windows}, 1, {"tag": "t"}, at) is None
    if stamp and not windows:
        unstamped = window_of({}, 1, known, None)
        assert unstamped is not None
        assert said_by(unstamped) == "not known", "a value without a time of its own is no edge"
