"""The cases of the performance qualification: load at the site's rate and above it, an outage of declared length, a drill of restoring."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import NamedTuple

from gateway.demo.truth import read
from gateway.validation.cases import Case
from gateway.validation.check import listed
from gateway.validation.line_copy import all_connected, end_of, proved, states
from gateway.validation.pq_judge import Judge
from gateway.validation.pq_limits import Limits
from gateway.validation.pq_parallel import Comparison
from gateway.validation.pq_profile import Profile
from gateway.validation.pq_stage import Stage
from gateway.validation.pq_watch import Sample, Watch, cpu_cores, growth, memory_slope
from gateway.validation.restore_test import Given, checked
from gateway.validation.steps import Told

SLICE_S = 600.0
SLICE_VALUES = 300_000
"""A slice is compared at once: so long, or of about so many values."""
TELLS_EVERY_S = 60.0
SETTLES_S = 90.0
SLOPE_AFTER_S = 3600.0
"""Of a shorter run the slope of memory says nothing."""
MIB = 2**20
LESSER = {f"{name}_p{percent}_s": f"{name}_p99_s" for name in ("stored", "receipted") for percent in (50, 95)}
"""Limits that need not be set where a stricter one is."""


class Asked(NamedTuple):
    """What was asked for. seconds: of load at each factor. factors: of the site's peak rate. backup: of the plant; None: one of the run.

    comparisons: signed ones of batches in parallel run, as evidence.
    """

    seconds: float
    factors: Sequence[float]
    outage_s: float
    limits: Limits
    profile: Profile
    backup: Given | None
    say: Callable[[str], None]
    comparisons: Sequence[Comparison] = ()


@dataclass
class Results:
    """Figures by column (1x, 2x, outage), for one table; and the copy that a load left for the drill."""

    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    copy: Given | None = None


class Slice(NamedTuple):
    """A part of a run. turn: the number of its logs. after, through: its entries."""

    turn: int
    after: tuple[int, int]
    through: tuple[int, int]


def cases(asked: Asked, results: Results) -> list[Case]:
    """Return the cases of a run, in the order in which they are played."""
    listed_: list[Case] = []
    for factor in asked.factors:
        title, aim = f"Load at {factor:g} times the site's peak rate", "nothing lost, doubled or made up, in the declared times"
        urs = ("URS-VAL-05", "URS-BUF-03", "URS-UPL-02")
        listed_.append(Case(f"PQ-{len(listed_) + 1:02}", title, urs, "high", aim, partial(load, asked, results, factor)))
    if asked.outage_s > 0:
        title, urs = "EBR away for the declared time", ("URS-VAL-05", "URS-BUF-03", "URS-BUF-09")
        aim = "recording goes on, everything comes once, in the declared time"
        listed_.append(Case(f"PQ-{len(listed_) + 1:02}", title, urs, "high", aim, partial(outage, asked, results)))
    title, aim = "Drill: restore from a backup", "within the declared recovery time, and the same"
    listed_.append(Case(f"PQ-{len(listed_) + 1:02}", title, ("URS-OPS-02",), "high", aim, partial(drill, asked, results)))
    return listed_


async def load(asked: Asked, results: Results, factor: float, stage: Stage, told: Told, seconds: float) -> None:
    """Run at so many times the profile, and compare slice by slice what the EBR holds with the devices' own logs."""
    run = Run(asked, stage, factor)
    column = results.columns.setdefault(f"{factor:g}x", {})
    async with stage.running(), run.watch.looking():
        told.step("start devices, EBR and gateway", f"{len(stage.served)} sources connected", states(stage), all_connected(stage))
        await run.goes(seconds, judging=True)
        await run.settles()
        await stage.gateway.end()
    copy = stage.folder / "copy"
    status, text = await stage.command("backup", str(stage.line.folder), "--to", str(copy))
    told.step("make a backup of the journal", "exit status 0", f"exit {status}: {end_of(text)}", status == 0)
    run.rates(told)
    run.compared(told)
    run.figures(told, column)
    await proved(stage, told)
    key = (stage.line.data / "checkpoint-key.pub").read_text("utf-8")
    results.copy = results.copy or Given(stage.line.gateway, stage.line.data, copy, None, key, 0.0)


async def outage(asked: Asked, results: Results, stage: Stage, told: Told, seconds: float) -> None:
    """Take the EBR away for the declared time under the site's peak rate, bring it back, and see everything come once."""
    del seconds
    run, before_s = Run(asked, stage, 1.0), min(max(asked.outage_s / 4, 10.0), 120.0)
    column = results.columns.setdefault("outage", {})
    async with stage.running(), run.watch.looking():
        await run.goes(before_s, judging=True)
        await stage.go()
        await stage.ebr.kill()
        before, held = stage.last(), stage.store.last()
        await run.goes(asked.outage_s, judging=False)
        during = stage.last()
        told.step(f"kill the EBR for {asked.outage_s:g} s of load", "entries go on", f"{before[1]} to {during[1]}", during > before)
        told.step("read what the EBR holds meanwhile", "nothing more", f"entry {stage.store.last()[1]}", stage.store.last() == held)
        causes = listed(run.watch.held_back) or "none was"
        told.step("look whether sources were held back", "none was", causes, not run.watch.held_back if run.watch.looks else None)
        await stage.go()
        await stage.ebr.start()
        began, waiting = time.monotonic(), during[1] - held[1]
        await stage.until(lambda: stage.store.last() >= during, f"the EBR to receive entry {during[1]}", asked.outage_s * 4 + 600)
        took_s = time.monotonic() - began
        await run.goes(before_s / 2, judging=True)
        await run.settles()
        await stage.gateway.end()
    limit = asked.limits.values.get("back_filled_s")
    told.step(
        f"start the EBR again under load; {waiting} entries wait",
        "receipted" if limit is None else f"receipted within {limit:g} s",
        f"{took_s:.1f} s" if limit is not None else f"{took_s:.1f} s; no limit was set",
        None if limit is None else took_s <= limit,
    )
    column |= {"duration": f"{asked.outage_s:.0f} s", "back-filled within": f"{took_s:.1f} s, {waiting} entries"}
    run.rates(told)
    run.compared(told)
    run.counted(column)
    await proved(stage, told)


async def drill(asked: Asked, results: Results, stage: Stage, told: Told, seconds: float) -> None:
    """Restore a backup beside the line, prove it, compare it, and hold the time against the declared one."""
    del seconds
    given = asked.backup or results.copy
    if given is None:
        told.step("find a backup", "one of the run, or of the plant (--backup)", "no load was played to its end, so there is none", None)
        return
    limit_h = asked.limits.values.get("restored_h")
    place = stage.folder / "restored"
    try:
        checks, took_s = await asyncio.to_thread(checked, given._replace(within_s=(limit_h or 0) * 3600), place)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    whose = "the plant's backup" if asked.backup else "a backup of the first load"
    size = sum(path.stat().st_size for path in given.source.rglob("*") if path.is_file())
    told.step("choose the backup", "one of the plant, or of this run", f"{whose}, {size / MIB:.1f} MiB", size > 0)
    for check in checks:
        unset = check.id == "time" and limit_h is None
        good = None if unset or check.verdict == "not checked" else check.verdict == "passed"
        expected = "within a declared time" if unset else check.expected
        told.step(check.title.lower(), expected, f"{check.found}; no limit was set" if unset else check.found, good)
    results.columns.setdefault("drill", {}).update({"restored within": f"{took_s:.1f} s", "size": f"{size / MIB:.1f} MiB"})


class Run:
    """A run under load: what is watched and judged of it."""

    def __init__(self, asked: Asked, stage: Stage, factor: float) -> None:
        self.asked, self.stage, self.factor = asked, stage, factor
        self.watch, self.judge = Watch(stage), Judge(stage.line, asked.profile.rates)
        self.values = 0
        self.samples: list[Sample] = []
        self._slices: list[Slice] = []
        self._after = (0, 0)

    async def goes(self, seconds: float, *, judging: bool) -> None:
        """Let the line run under load for so long, in slices. judging: each is compared as soon as the EBR holds it; else later."""
        rate = max(sum(self.asked.profile.rates.values()) * self.factor, 1.0)
        length_s, left, begin = max(min(SLICE_S, SLICE_VALUES / rate), 30.0), seconds, len(self.watch.samples)
        while left > 0:
            length = length_s if left > 1.5 * length_s else left
            left -= length
            async with self._judged(judging):
                await self._passes(length, seconds - left - length, seconds)
                at = await self.stage.turned(last=left <= 0)
            self._slices.append(Slice(self.stage.turns, self._after, at))
            self._after = at
        self.samples += self.watch.samples[begin:]
        if judging:
            await self._judge_all()

    async def settles(self) -> None:
        """Give what was made at the very end, and is not there yet, its time to come; what has not come then is lost."""
        deadline = time.monotonic() + SETTLES_S
        await self.stage.drained()
        while any(one.lost for one in self.judge.ended().values()) and time.monotonic() < deadline:
            at = await self.stage.turned(last=True)
            self._slices.append(Slice(self.stage.turns, self._after, at))
            self._after = at
            await self._judge_all()

    @asynccontextmanager
    async def _judged(self, judging: bool) -> AsyncIterator[None]:  # noqa: FBT001 - as `goes`
        """Compare the slices that are over while the next one runs."""
        task = asyncio.create_task(self._judge_all()) if judging and self._slices else None
        yield
        if task is not None:
            await task

    async def _passes(self, seconds: float, before_s: float, of_s: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, TELLS_EVERY_S))
            await self.stage.until(lambda: True, "")  # no part has died
            done = before_s + seconds - max(end - time.monotonic(), 0)
            waiting = self.watch.samples[-1].waiting if self.watch.samples else 0
            self.asked.say(
                f"  {_clock(done)} of {_clock(of_s)} at {self.factor:g}x: entry {self.stage.last()[1]}, {waiting} wait for receipts"
            )

    async def _judge_all(self) -> None:
        while self._slices:
            one = self._slices.pop(0)
            await self.stage.until(lambda one=one: self.stage.store.last() >= one.through, f"the EBR to receive entry {one.through[1]}")  # type: ignore[misc]
            await asyncio.to_thread(self._judge, one)

    def _judge(self, one: Slice) -> None:
        folder = self.stage.logged(one.turn)
        got = self.judge.take(read(folder), self.stage.store.between(one.after, one.through))
        self.watch.measure(got)
        self.watch.forget(one.after)
        self.values = got.values
        shutil.rmtree(folder)

    @property
    def seconds(self) -> float:
        """How long the devices moved."""
        return self.stage.went_s

    # ------------------------------------------------------------------ what came

    def rates(self, told: Told) -> None:
        """Tell for each source with a target what its device reached of it. One that did not reach it has proved nothing."""
        for name, target, ratio in self._ratios():
            counted = f"{self._made(name)} changes in {self.seconds:.0f} s"
            told.step(
                f"move the tags of {name} at {target:.1f} changes a second",
                f"at least {self.asked.limits.reached:.0%} of it",
                f"{counted}: {self._made(name) / max(self.seconds, 0.001):.1f} a second, {ratio:.1%}",
                True if ratio >= self.asked.limits.reached else None,
            )

    def _made(self, source: str) -> int:
        """Return the changes that a client could see: of a polled device those that it answered."""
        driver = next(one.driver for one in self.stage.line.sources if one.name == source)
        return self.judge.offered[source] if driver == "opcua" else self.judge.answered[source]

    def _ratios(self) -> Iterator[tuple[str, float, float]]:
        for name in sorted(self.stage.served):
            target = self.asked.profile.of(self.stage.line, name) * self.factor
            if target > 0:
                yield name, target, self._made(name) / max(target * self.seconds, 0.001)

    def compared(self, told: Told) -> None:
        """Compare source by source. A device that was too slow, or of which nothing came, proves nothing."""
        slow = {name for name, _, ratio in self._ratios() if ratio < self.asked.limits.reached}
        for name, counts in self.judge.ended().items():
            if name not in self.stage.served:
                continue
            text = f"read {counts.read}, received {counts.received}, left out {counts.left_out}, in gaps {counts.in_gaps}"
            wrong = f"lost {counts.lost}, doubled {counts.doubled}, made up {counts.foreign}"
            good = None if counts.good and (not counts.received or name in slow) else counts.good
            why = "" if good is not None else ": nothing came" if not counts.received else ": its device was too slow"
            told.step(
                f"compare {name} with its own log",
                "received; none lost, doubled or made up",
                f"{text}, {wrong}{why}",
                good,
                **{f"{name}-counts": asdict(counts)},
            )
            gaps = f"{counts.in_gaps} of {counts.read} lie in declared gaps"
            too_slow = f"; {listed(sorted(slow))} too slow: this machine is not the judge of it" if slow and counts.in_gaps else ""
            told.step(
                f"look for gaps of {name}", "none: it was there", f"{gaps}{too_slow}", _of_gaps(counts.in_gaps, counts.read, bool(slow))
            )

    def counted(self, column: dict[str, str]) -> None:
        """Put the counts and the share of the target into the table of figures."""
        total = [
            sum(getattr(one, name) for one in self.judge.ended().values()) for name in ("read", "received", "lost", "doubled", "foreign")
        ]
        rates = [f"{name} {ratio:.1%}" for name, _, ratio in self._ratios()]
        column |= {
            "values stored in": f"{self.seconds:.0f} s: {self.values}",
            "target reached": listed(rates) or "no target",
            "compared, received": f"{total[0]}, {total[1]}",
            "lost, doubled, made up": f"{total[2]}, {total[3]}, {total[4]}",
        }

    def figures(self, told: Told, column: dict[str, str]) -> None:
        """Tell delays, CPU, memory and growth, each against the limit that was set before the run."""
        self.counted(column)
        for name in ("stored", "receipted"):
            delays = self.watch.delays[name]
            found = {percent: delays.percentile(percent) for percent in (50, 95, 99)}
            column[f"{name}, p50, p95, p99"] = ", ".join("-" if one is None else f"{one:.3f} s" for one in found.values())
            for percent, seconds in found.items():
                self._against(told, f"{name}_p{percent}_s", f"measure how soon {percent} % are {name}", seconds, "s", most=True)
        self._machine(told, column)
        rows = ["ticks,cpu_s,rss_bytes,journal_bytes,closed_segments,entries_waiting", *(",".join(map(str, one)) for one in self.samples)]
        told.files["samples.csv"] = ("\n".join(rows) + "\n").encode()

    def _machine(self, told: Told, column: dict[str, str]) -> None:
        samples, slope = self.samples, memory_slope(self.samples)
        cpu, grown = cpu_cores(samples), growth(samples)
        most = max((one.rss_bytes for one in samples), default=None)
        column["CPU, cores"] = "-" if cpu is None else f"{cpu:.3f}"
        ends = [f"{one.rss_bytes / MIB:.1f}" for one in (samples[0], samples[-1])] if samples else ["-", "-"]
        column["memory begin, end, most, MiB"] = f"{ends[0]}, {ends[1]}, {'-' if most is None else f'{most / MIB:.1f}'}"
        column["memory, MiB in an hour"] = (
            "-" if slope is None else f"{slope / MIB:+.1f}{'' if self._is_long() else ' (run too short to tell)'}"
        )
        column["journal grows, MiB in a day"] = "fewer than two segments filled" if grown is None else f"{grown / MIB:.0f}"
        self._against(told, "cpu_cores", "measure the CPU of the gateway", cpu, "cores", most=True)
        self._against(told, "memory_mib", "measure the memory of the gateway", None if most is None else most / MIB, "MiB", most=True)
        why = "" if self._is_long() else f"; a run of less than {SLOPE_AFTER_S / 3600:g} h says nothing of it"
        per_h = None if slope is None else slope / MIB
        self._against(told, "memory_mib_per_h", "measure how memory grows", per_h, "MiB in an hour", most=True, why_not=why)
        days = self._days_to_full(grown)
        column["days to full"] = "-" if days is None else f"{days:.1f}"
        why = "" if grown is not None else "fewer than two segments of the journal were filled: a longer run tells"
        self._against(told, "days_to_full", "compute in how many days the journal is full", days, "days", most=False, why_not=why)

    def _is_long(self) -> bool:
        return self.seconds >= SLOPE_AFTER_S

    def _days_to_full(self, grown: float | None) -> float | None:
        if not grown or grown < 0:
            return None
        room = shutil.disk_usage(self.stage.line.data).free + self.samples[-1].journal_bytes
        return float(min(self.stage.line.buffer.max_bytes, room) / grown)

    def _against(self, told: Told, key: str, action: str, found: float | None, unit: str, *, most: bool, why_not: str = "") -> None:
        """Judge a figure by its limit; without one, or where it can not be told, it is `not checked`."""
        limit = self.asked.limits.values.get(key)
        if limit is None and key in LESSER and LESSER[key] in self.asked.limits.values:
            return
        slow = [name for name, _, ratio in self._ratios() if ratio < self.asked.limits.reached]
        text = why_not.removeprefix("; ") if found is None else f"{found:.3f} {unit}{why_not}"
        if limit is None:
            told.step(action, "a limit that was set before the run", f"{text or 'not measured'}; no limit was set", None)
            return
        good = found is not None and (found <= limit if most else found >= limit)
        verdict = None if found is None or why_not or (good and slow) else good
        slower = f"; not at the load asked for: {listed(slow)}" if slow and good and not why_not else ""
        told.step(action, f"{'at most' if most else 'at least'} {limit:g} {unit}", f"{text or 'not measured'}{slower}", verdict)


def _of_gaps(in_gaps: int, read: int, slow: bool) -> bool | None:  # noqa: FBT001 - one fact of three
    if in_gaps == 0:
        return True if read else None
    return None if slow else False


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 3600:02}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"
