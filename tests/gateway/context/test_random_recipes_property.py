"""Random recipes against an independent model: holds, aborts, repeats, parallel phases, overlapping batches, late ids, cut links."""

import os
import random
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from kit.random_recipes import MEASURED, SOURCES, Log, S, line, played, played_into, stored
from kit.recipe_model import UNKNOWN, judged, last_records, raw_signals, runs_of

from gateway.context import Fold
from gateway.entries.ticks import from_rfc3339, rfc3339
from gateway.evidence.recompute import recompute

SEEDS = int(os.environ.get("FOLD_SEEDS", "60"))
SOME = 24


@pytest.mark.urs("URS-CTX-01", "URS-CTX-02", "URS-CTX-04", "URS-CTX-08", "URS-CTX-09")
@pytest.mark.parametrize("block", range(4))
def test_records_equal_the_model(block: int) -> None:
    for seed in range(block, SOME, 4):
        check(seed)


@pytest.mark.faults
@pytest.mark.urs("URS-CTX-01", "URS-CTX-02", "URS-CTX-04", "URS-CTX-08", "URS-CTX-09")
@pytest.mark.timeout(3_600)
def test_records_equal_the_model_over_many_seeds(figures: Callable[[str, str], None]) -> None:
    told = [check(seed) for seed in range(SEEDS)]
    records, statistics, events = (sum(counts) for counts in zip(*told, strict=True))
    figures(
        "STATISTICS", f"{SEEDS} seeds: {records:,} step records, {statistics:,} statistics equal numpy's over the observation log (1e-9)"
    )
    figures("RECOMPUTE", f"{SEEDS} seeds: {events:,} events of the fold made again from stored entries, byte for byte; 0 differences")


def check(seed: int) -> tuple[int, int, int]:
    """One seed against the model; returns the numbers of records, of statistics compared, of events."""
    rng = random.Random(seed)
    the_line, story = line(), played(rng)
    log = Log(the_line, story, rng)
    events, fold, items = played_into(Fold(the_line), log, random.Random(seed))
    raw = raw_signals(log, items)
    final = last_records(events)
    ends = {e["batch"]: e for e in events if e["type"] == "batch" and e["transition"] == "end"}
    expected_records: dict[str | None, set[str]] = {}
    for equipment in SOURCES:
        states = raw[f"{SOURCES[equipment]}.state"]
        for run in runs_of(log, story, raw, equipment):
            if run["end"] is None:
                continue
            name = f"x/y/{run['batch']}/{equipment}/{run['step']}/{run['run']}"
            if run["batch"] is None:
                name = f"x/y/-/{equipment}/{run['step']}/{rfc3339(run['start'])}"
            record = final.get(name)
            assert record is not None, (seed, name, sorted(final))
            expected_records.setdefault(run["batch"], set()).add(name)
            times = (from_rfc3339(record["start"]["time"]), from_rfc3339(record["end"]["time"]))
            assert times == (run["start"], run["end"]), (seed, name)
            for edge, unseen in zip(("start", "end"), run["unseen"], strict=True):
                assert record[edge]["basis"] == ("observed" if unseen is None else "inferred-from-gap"), (seed, name, edge)
                window_s = None if unseen == UNKNOWN else record[edge]["window_s"] if unseen is None else unseen / S
                assert record[edge]["window_s"] == window_s, (seed, name, edge)
            check_parameters(seed, log, equipment, run, states, record)
    assert set(final) == set().union(*expected_records.values()), seed
    for batch, end in ends.items():
        assert {r["record"] for r in end["records"]} == expected_records.get(batch, set()), (seed, batch)
        for listed in end["records"]:
            assert listed["revision"] == final[listed["record"]]["revision"], (seed, listed)
    assert set(expected_records) - {None} <= set(ends), seed
    replay = Fold(the_line)
    again = [event for item in items for event in replay.decide(item)]
    assert orjson.dumps(again) == orjson.dumps(events), seed
    assert not fold.state.runs, (seed, "everything final is forgotten")
    assert list(recompute(the_line, stored(the_line, items, events))) == [], seed
    steps = sum(not name.rpartition("/")[0].endswith("/RUN") for names in expected_records.values() for name in names)
    return len(final), steps * (len(MEASURED) + 1), len(events)


def check_parameters(seed: int, log: Log, equipment: str, run: dict[str, Any], states: Any, record: dict[str, Any]) -> None:
    told = {p["parameter"]: p for p in record["parameters"]}
    if run["step"] == "RUN":
        return
    duration = told[f"{run['step']}_s"]
    assert duration["unrounded"] == (run["end"] - run["start"]) / S, (seed, run)
    assert duration["status"] == ("present" if run["unseen"] == [None, None] and run["sighted"] else "gap"), (seed, run)
    for name, statistic, tag, include in MEASURED:
        mine, model = told[f"{run['step']}_{name}"], judged(log, equipment, run, states, statistic, tag, include)
        where = (seed, record["record"], name, mine, model)
        if model["value"] is None:
            assert mine["unrounded"] is None, where
            assert mine["status"] in {"gap", "bad", "missing"}, where
            continue
        assert mine["status"] == "present" if model["present"] else mine["status"] in {"gap", "bad"}, where
        assert (mine["status"], mine["covered"]) != ("gap", 1.0) or run["unseen"] != [None, None], where
        assert mine["unrounded"] == pytest.approx(model["value"], rel=1e-9, abs=1e-6), where
        assert mine["readings"] == model["readings"], where
        if model["covered"] is not None:
            assert mine["covered"] == pytest.approx(model["covered"], abs=2e-6), where
