"""No callback: a batch's record is made of the stored messages alone, in any order, some twice, with MES and PLC switched off.

Whole random batches run into a real journal: holds, aborts, repeats, ids that come late, parallel phases, overlapping batches on two
equipments, cut links. Nothing of the plant is left when the EBR begins. Its record is held against a model that knows only what the
plant did.
"""

import importlib.util
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from kit import random_line, recipe_model
from kit import random_recipes as recipes
from kit.repository import DOCS, SCHEMAS

from gateway.demo.processes import COMMAND
from simulators.ebr import Store
from simulators.ebr.builder import build
from simulators.ebr.record.queries import record_queries
from simulators.ebr.record.record import batch_record


def loaded(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


consumer = loaded(DOCS / "examples" / "batch_from_entries.py")
SEEDS = int(os.environ.get("EBR_SEEDS", "72"))
SOME = 8
BLOCKS = 8
AGAIN = 0.2
LITTLE = 50


@pytest.mark.urs("URS-CTX-02", "URS-UPL-01")
@pytest.mark.parametrize("seed", range(SOME))
async def test_the_record_of_a_batch_needs_nothing_but_the_messages(tmp_path: Path, seed: int) -> None:
    await check(tmp_path, seed)


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("block", range(BLOCKS))
async def test_the_record_needs_nothing_but_the_messages_over_many_seeds(
    tmp_path: Path, block: int, figures: Callable[[str, str], None]
) -> None:
    total: Counter[str] = Counter()
    for seed in range(SOME + block, SEEDS, BLOCKS):
        total += await check(tmp_path / str(seed), seed)
    told = ", ".join(f"{name} {count}" for name, count in sorted(total.items()))
    figures(f"EBR-{block}", f"record = truth, no callback, random order, 20 % twice: {told}")


@pytest.mark.urs("URS-VAL-01")
def test_every_entry_is_what_the_published_schemas_say(recorded: random_line.Recorded) -> None:
    """The consumer may read by docs/schemas/ because every entry of a story keeps to them."""
    judges = published()
    truth = recorded(3)
    seen = Counter[str]()
    for entry in map(json.loads, truth.payloads):
        kind = "entry-readings" if "readings" in entry else "entry-event"
        judges[kind].validate(entry)
        if "event" in entry:
            judges[f"event-{entry['event']['type']}"].validate(entry["event"])
            kind = entry["event"]["type"]
        seen[kind] += 1
    assert seen.keys() >= {"entry-readings", "step", "batch", "gap", "tagset", "checkpoint", "config", "message", "heartbeat"}


def published() -> dict[str, Draft202012Validator]:
    """docs/schemas/, by name."""
    files = SCHEMAS.glob("e*.json")
    return {path.stem: Draft202012Validator(json.loads(path.read_bytes()), format_checker=FormatChecker()) for path in files}


@pytest.mark.faults
@pytest.mark.timeout(400)
@pytest.mark.urs("URS-CTX-02")
def test_the_consumer_agrees_over_a_whole_line_with_real_devices(tmp_path: Path, figures: Callable[[str, str], None]) -> None:
    done = subprocess.run(
        [*COMMAND, "demo", "--dir", str(tmp_path), "--minutes", "0.4", "--uplink", "https"], capture_output=True, text=True, check=False
    )
    assert (tmp_path / "store" / "ebr.db").exists(), done.stdout + done.stderr
    db = tmp_path / "store" / "ebr.db"
    with record_queries(db) as books:
        batches = [batch for batch, *_ in books.batches()]
    assert batches
    stored, steps = consumer.payloads(db), 0
    for batch in batches:
        record, _ = batch_record(db, batch)
        assert_same(consumer.record(stored, batch), json.loads(json.dumps(record)))
        steps += len(record["steps"])
    figures(
        "EBR-READ", f"a reader of docs/schemas alone and the reference EBR agree: {len(batches)} batches, {steps} steps of the demo's line"
    )


async def check(path: Path, seed: int) -> Counter[str]:
    """One story; counts of what was compared."""
    truth = await random_line.played(path / "line", seed)
    found: Counter[str] = Counter(seeds=1, entries=len(truth.payloads))
    shuffled = random.Random(seed + 1).sample(truth.payloads, len(truth.payloads))
    with offline():
        fed(path / "ebr", truth, random.Random(seed), found)
        with record_queries(path / "ebr" / "ebr.db") as books:
            batches = sorted(batch for batch, *_ in books.batches())
        expected = Expected(truth)
        assert batches == sorted(expected.batches), seed
        for batch in batches:
            record = json.loads((build(path / "ebr", batch) / "record.json").read_bytes())
            _, series = batch_record(path / "ebr" / "ebr.db", batch)
            expected.check(batch, record, series, found)
            assert_same(consumer.record(shuffled, batch), record)
    return found


def fed(store: Path, truth: Any, rng: random.Random, found: Counter[str]) -> None:
    """Everything in random order and a fifth of it twice, in pages of any size; what got no receipt is sent again, as a gateway does.

    Each third EBR keeps only a little of what comes too early.
    """
    ebr = Store(store, ahead_entries=LITTLE) if truth.seed % 3 == 0 else Store(store)
    head = json.loads(truth.payloads[0])
    stream, through, rounds = (head["gateway"], head["epoch"]), 0, 0
    while through < len(truth.payloads):
        left = truth.payloads[through:]
        order = left + rng.sample(left, round(AGAIN * len(left)))
        rng.shuffle(order)
        while order:
            size = rng.randint(1, 60)
            page, order = order[:size], order[size:]
            ebr.take(page)
            found["messages"] += len(page)
        before, through = through, int(str(ebr.receipt(stream)["through"]))
        assert through > before, "each round brings the receipt on"
        rounds += 1
    counts = ebr.counts()
    assert ebr.receipt(stream)["rejected"] == []
    assert (counts["stored"], counts["suspects"], counts["unreadable"]) == (len(truth.payloads), 0, 0)
    found["duplicates"] += counts["duplicates"]
    assert (rounds == 1) == (truth.seed % 3 != 0), "with room for all, one round is enough; without, what came too early comes again"
    found["rounds"] += rounds
    ebr.close()


_SWITCH = {"offline": False}


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _SWITCH["offline"] and event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen"):
        raise AssertionError(f"the record was to be made of messages alone, but: {event} {arguments}")


sys.addaudithook(_watch)


@contextmanager
def offline() -> Iterator[None]:
    """Whoever asks another system in here fails."""
    _SWITCH["offline"] = True
    try:
        yield
    finally:
        _SWITCH["offline"] = False


# ---------------------------------------------------------------- the consumer that was written by docs/schemas/ alone

STEP = (
    "record", "revision", "supersedes", "reason", "cause", "equipment", "unit_id", "order", "batch", "product", "recipe", "recipe_version",
    "level", "step", "parent", "run", "start", "end", "holds", "performed_by", "parameters", "completeness", "transition",
)  # fmt: skip
GAP = ("gap", "source", "tags", "start", "end", "outcome")


def assert_same(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    """Another reader's record says the same as the reference EBR's: steps, parameters, limits, gaps, materials, completeness, proof."""
    assert theirs["status"] == ours["status"]
    assert theirs["identity"] == {name: ours["header"][name] for name in theirs["identity"]}
    by_name = {step["record"]: step for step in ours["steps"]}
    assert [step["record"] for step in theirs["steps"]] == sorted(by_name, key=lambda name: (ticks(by_name[name]["start"]["time"]), name))
    for step in theirs["steps"]:
        own = by_name[step["record"]]
        assert {name: step.get(name) for name in STEP} == {name: own.get(name) for name in STEP}
        assert step["sha256"] == own["content_sha256"]
    assert theirs["completeness"] == {name: ours["completeness"][name] for name in theirs["completeness"]}
    told = [{name: gap[name] for name in GAP} for gap in ours["gaps"]]
    assert sorted(theirs["gaps"], key=str) == sorted(told, key=str)
    bookings = [one for one in ours["materials"] if one["type"] == "material"]
    samples = [one for one in ours["materials"] if one["type"] == "sample"]
    for mine, own in ((theirs["materials"], bookings), (theirs["samples"], samples)):
        assert sorted((one["record"], one["revision"]) for one in mine) == sorted((one["record"], one["revision"]) for one in own)
    assert [(one["records"], one["same"], one["root"]) for one in theirs["proof"]] == [
        (one["listed"], not one["differences"], one["merkle_root_matches"]) for one in ours["seal"]
    ]


# ---------------------------------------------------------------- the truth


class Expected:
    """What the records must say, from the plant's own story."""

    def __init__(self, truth: Any) -> None:
        self.truth = truth
        self.raw = recipe_model.raw_signals(truth.log, truth.items)
        self.runs: dict[str, list[dict[str, Any]]] = {}
        for equipment in recipes.SOURCES:
            for run in recipe_model.runs_of(truth.log, truth.story, self.raw, equipment):
                assert run["end"] is not None, "every story ends at rest"
                self.runs.setdefault(run["batch"], []).append({**run, "equipment": equipment})
        self.batches = {batch for _, _, _, batch in truth.story.orders if batch is not None}

    def check(self, batch: str, record: dict[str, Any], series: Any, found: Counter[str]) -> None:
        where = (self.truth.seed, batch)
        runs = {(run["equipment"], run["step"], run["run"]): run for run in self.runs.get(batch, [])}
        steps = {(step["equipment"], step["step"], step["run"]): step for step in record["steps"]}
        assert steps.keys() == runs.keys(), where
        found.update(batches=1, steps=len(steps))
        present = required = 0
        for name, step in steps.items():
            run = runs[name]
            assert (step["transition"], step["batch"]) == ("end", batch), (where, name)
            assert (ticks(step["start"]["time"]), ticks(step["end"]["time"])) == (run["start"], run["end"]), (where, name)
            self._holds(step, run, where)
            if step["step"] != "RUN":
                complete = self._parameters(step, run, where, found)
                assert step["completeness"]["present"] == sum(complete.values()), (where, name)
                present, required = present + sum(complete.values()), required + len(complete)
                self._readings(step, run, series, where, found)
        told = record["completeness"]
        assert (told["present"], told["required"]) == (present, required), where
        assert record["status"] == ("complete" if present == required else "incomplete"), where
        missing = {(item["equipment"], item["step"], item["run"], item["parameter"]) for item in told["missing"]}
        assert len(missing) == required - present, where
        assert record["header"]["recipe"] == ["R"], where
        assert [(seal["differences"], seal["merkle_root_matches"], seal["listed"]) for seal in record["seal"]] == [([], True, len(runs))]
        self._gaps(record, where, found)
        assert not any(one["kind"] in ("chain", "seal", "rejected", "checkpoint") for one in record["exceptions"]), where

    def _holds(self, step: dict[str, Any], run: dict[str, Any], where: Any) -> None:
        """Each time that the equipment stood held within the run."""
        states = self.raw[f"{recipes.SOURCES[run['equipment']]}.state"]
        ends = [*(t for t, _ in states[1:]), run["end"]]
        held = [
            (max(t, run["start"]), end if end <= run["end"] else None)
            for (t, v), end in zip(states, ends, strict=True)
            if v == recipes.HELD and t < run["end"] and end > run["start"]
        ]
        told = [(ticks(hold["start"]["time"]), ticks(hold["end"]["time"]) if hold["end"] else None) for hold in step["holds"]]
        assert told == held, (where, step["record"])

    def _parameters(self, step: dict[str, Any], run: dict[str, Any], where: Any, found: Counter[str]) -> dict[str, bool]:
        """Value, readings, share of the time and status of each parameter. Returns which ones count as present."""
        equipment, name = run["equipment"], run["step"]
        told = {one["parameter"]: one for one in step["parameters"]}
        states = self.raw[f"{recipes.SOURCES[equipment]}.state"]
        duration = told.pop(f"{name}_s")
        assert duration["unrounded"] == (run["end"] - run["start"]) / recipes.S, (where, step["record"])
        complete = {f"{name}_s": run["unseen"] == [None, None] and run["sighted"]}
        assert (duration["status"] == "present") == complete[f"{name}_s"], (where, step["record"], duration, run)
        for kind, statistic, tag, include in recipes.MEASURED:
            model = recipe_model.judged(self.truth.log, equipment, run, states, statistic, tag, include)
            mine = told.pop(f"{name}_{kind}")
            here = (where, step["record"], mine, model)
            complete[mine["parameter"]] = model["value"] is not None and model["present"]
            assert (mine["status"] == "present") == complete[mine["parameter"]], here
            found["parameters"] += 1
            if model["value"] is None:
                assert mine["value"] is None, here
                continue
            assert mine["unrounded"] == pytest.approx(model["value"], rel=1e-9, abs=1e-6), here
            assert float(mine["value"]) == pytest.approx(model["value"], rel=1e-6, abs=1e-6), here
            assert mine["readings"] == model["readings"], here
            if model["covered"] is not None:
                assert mine["covered"] == pytest.approx(model["covered"], abs=2e-6), here
        assert not told, (where, told)
        return complete

    def _readings(self, step: dict[str, Any], run: dict[str, Any], series: Any, where: Any, found: Counter[str]) -> None:
        """Every reading of the step's tags, value by value, as the EBR has them; one that was told twice counts once."""
        for tag in ("speed", "temp", "set"):
            name = f"{recipes.SOURCES[run['equipment']]}.{tag}"
            held = sorted({(p.ticks, p.value, p.status) for p in series.get(("x/y", name), ()) if run["start"] <= p.ticks < run["end"]})
            seen = sorted({(t, v, s) for t, v, s in self._told(name) if run["start"] <= t < run["end"]})
            assert held == seen, (where, step["record"], tag)
            found["readings"] += len(seen)

    def _told(self, tag: str) -> Iterator[tuple[int, Any, int]]:
        for item in self.truth.items:
            for index, value, status, t, _ in item.readings:
                if self.truth.log.places[tag] == (item.source, index):
                    yield t, value, status

    def _gaps(self, record: dict[str, Any], where: Any, found: Counter[str]) -> None:
        """The gaps that hid a source while the batch was there, by the orders, each with its instants and outcome, and no other.

        The rule with clocks that are set, single tags and sources of rows: tests/gateway/context/gaps/test_belonging_property.py.
        """
        stays = list(self._stays(where[1]))
        truth = {gap for gap in self.truth.gaps if any(gap[0] == of and gap[1] <= end and gap[2] >= start for of, start, end in stays)}
        told = [(one["source"], ticks(one["start"]), ticks(one["end"]), one["outcome"]) for one in record["gaps"]]
        assert sorted(told) == sorted(truth), where
        found["gaps"] += len(told)

    def _stays(self, batch: str) -> Iterator[tuple[str, int, int]]:
        """Source, start and end of each stay: from its order on, or a run of it before, until the next order was there and had stood."""
        for equipment, source in recipes.SOURCES.items():
            orders = sorted((row, told) for row, _, unit, told in self.truth.story.orders if unit == equipment)
            runs = [run for run in self.runs[batch] if run["equipment"] == equipment]
            for (start, told), (end, _) in pairwise(orders):
                if told == batch:
                    first, last = min([start, *(run["start"] for run in runs)]), max([end, *(run["end"] for run in runs)])
                    yield source, first, last + recipe_model.STILL


def ticks(text: str) -> int:
    """An RFC 3339 time in 100-ns units, read by the standard library but for its seventh decimal."""
    whole, _, rest = text.rstrip("Z").partition(".")
    moment = datetime.fromisoformat(whole).replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1) * 10_000_000 + int(rest.ljust(7, "0")[:7] or 0)
