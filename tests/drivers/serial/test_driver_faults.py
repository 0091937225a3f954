"""A scale with partial lines, dynamic loads, overload, noise, no terminator, on a pseudo-terminal."""

import asyncio
import random
import time
from collections import Counter
from contextlib import suppress
from decimal import Decimal
from typing import get_args

import pytest
from kit.collector import Collector
from kit.processes import DEADLINE_S

from config import Source, Tag
from drivers.contract import BadReply, LinkLost
from drivers.serial import SerialDriver
from simulators.device import Truth
from simulators.scale import Scale, ScaleFault
from simulators.scale.device import Kind

STRIKES, ENOUGH = 90, 50
"""So many faults, and more weights taken as good, make a run; a busy machine takes longer for it."""


class Judge(Collector):
    """Every good weight must be one that lay on the scale, at rest, between request and answer."""

    def __init__(self):
        super().__init__()
        self.loads = [(time.monotonic_ns(), Decimal("0.00"), True)]
        self.good = self.false_accepts = 0
        self.statuses, self.causes, self.codes = Counter[str](), Counter[str](), Counter[str]()

    def put(self, weight: Decimal, *, at_rest: bool):
        self.loads.append((time.monotonic_ns(), weight, at_rest))

    def __call__(self, readings, *, received_ns, requested_ns=None, **_):
        since_ns = (requested_ns or received_ns - 300_000_000) - 2_000_000
        for _, value, status, _, _ in readings:
            self.statuses[f"{status:08X}"] += 1
            if status == 0:
                self.good += 1
                ends = [at for at, _, _ in self.loads[1:]] + [received_ns]
                lay = [(w, r) for (at, w, r), end in zip(self.loads, ends, strict=True) if at <= received_ns and end >= since_ns]
                self.false_accepts += (value, True) not in lay
        return self.done()

    def lost(self, loss):
        self.causes[loss.cause] += 1
        return self.done()

    def found(self, finding):
        self.codes[finding.code] += 1
        return self.done()


@pytest.mark.bar("F31")
@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-06", "URS-DAQ-11")
@pytest.mark.parametrize("command", ["SI", "S", "SIR"])
async def test_f31_only_a_whole_weight_at_rest_is_good(tmp_path, figures, command):
    rng, kinds = random.Random(31), [*get_args(Kind)]
    tags = [Tag(tag="net", source="scale", address="weight", type="decimal", source_unit="kg")]
    options = {"protocol": "mt-sics", "timeout_ms": 400 if command == "SIR" else 120, "command": command}
    source = Source(name="scale", driver="serial", endpoint="serial://ports/scale", rate_ms=50, folder=tmp_path, options=options)
    scale, judge, restarts, struck = Scale(source, tags, Truth(None)), Judge(), Counter[str](), Counter[str]()
    await scale.start()

    async def supervised():
        while True:
            try:
                await SerialDriver(source, tags).run(judge)
            except (LinkLost, BadReply) as error:
                restarts[type(error).__name__] += 1
                await asyncio.sleep(0.05)

    task = asyncio.create_task(supervised())
    load = 0
    async with asyncio.timeout(4 * DEADLINE_S):
        while struck.total() < STRIKES or judge.good <= ENOUGH or not judge.causes:
            load += 1
            at_rest = rng.random() < 0.8
            weight = Decimal(load).scaleb(-2)
            judge.put(weight, at_rest=at_rest)
            scale._stable = at_rest
            await scale.set({"net": weight}, 0)
            if rng.random() < 0.3:
                kind = rng.choice(kinds)
                struck[kind] += 1
                scale.faults[:] = [ScaleFault(kind, seconds=rng.uniform(0.05, 0.5))]
            await asyncio.sleep(rng.uniform(0.02, 0.25))
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await scale.stop()
    figures(
        "scale",
        f"scale, {command}: {sum(struck.values())} faults of {len(struck)} kinds, {judge.good} weights taken as good, "
        f"false accepts {judge.false_accepts}; statuses {dict(judge.statuses)}, losses {dict(judge.causes)}, restarts {dict(restarts)}",
    )
    assert judge.false_accepts == 0
