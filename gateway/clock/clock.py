"""Converts monotonic instants into UTC, judges how far the system clock can be trusted, and reports every event of it.

A stamp is taken on CLOCK_MONOTONIC at the completion of an I/O and converted by the present anchor (UTC minus monotonic). Between two steps
of the wall clock this difference is constant, so converting later gives the same as converting at once.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from drivers.lasting import lasting
from gateway.clock.clock_set_timer import ClockSetWatch
from gateway.clock.daemon_reading import Evidence, Reader, Readers, Unreadable
from gateway.clock.disturbance import ReferenceUpdateWait, UnverifiedSpan
from gateway.clock.events import clock_event, leap_mixed, rounded, time_of, told, told_anchor, told_leap, unverified
from gateway.clock.judge import READ_EVERY_S, Limits, Status, Verdict, judge
from gateway.clock.leap import DAY_NS, NO_LEAP, STEP_NS, Announced, LeapTable, is_leap_step, leap_extra_s, leap_instant_ns, mixed
from gateway.clock.sntp import CrossCheck
from gateway.clock.system_clocks import Anchor, SystemTimes, Times, anchor, boot_id
from gateway.entries.findings import Announcer

READING_NS = 20_000
"""Smaller differences between two pairs of clock reads are due to the reading itself, which the bound includes as the spread."""
CHECK_EVERY_S = 1.0
HISTORY = 1440
"""Points of bound history kept for the page: one per minute of a day."""
HISTORY_EVERY_NS = 60 * 10**9
EVENTS = 50
"""Clock events since the start kept for the page; the journal has all of them."""

TRUSTED: frozenset[Status] = frozenset({"synchronised", "holdover"})
STEPS_KEPT = 100
"""Steps kept of one unverified span, for its correction; each has an event of its own as well."""
ALARM_AFTER_NS = 15 * 10**9
STALE_NS = 5 * 10**9
"""A verdict that `look` has not renewed for so long (the process was stopped, the loop was blocked) is not used."""

OnEvent = Callable[[dict[str, Any]], None]


class Stamp(NamedTuple):
    """UTC of an instant in ticks, with the clock's status and bound then.

    `bound_s`: UTC differs by at most this; None if nothing is known. `boot` and `monotonic_s` identify the instant on the monotonic clock,
    so that it can be corrected later.
    """

    ticks: int
    status: Status
    bound_s: float | None
    boot: str
    monotonic_s: float


class Clock:
    """The gateway's clock, one per process: makes stamps, watches the system clock, and reports its events.

    `stamp` and `ticks` are cheap and may be called before `watch` runs; until the first evidence the status is "unknown".
    """

    def __init__(
        self,
        limits: Limits | None = None,
        readers: Sequence[Reader] = (),
        *,
        times: Times | None = None,
        cross: CrossCheck | None = None,
        leaps: LeapTable | None = None,
        alarm: Callable[[asyncio.Event], ClockSetWatch] = ClockSetWatch,
        last_seq: Callable[[], int | None] = lambda: None,
    ) -> None:
        """Make a clock over the machine's clocks (`times`), judged by `limits`.

        readers: asked in order; the first that answers is kept from then on, so that its daemon's death is noticed. cross: the gateway's
        own questions to NTP servers, which can contradict the evidence. leaps: the leap seconds in the system's time zone data, used beside
        those that the daemon announces. alarm: makes the watch that wakes the clock at once when the wall clock is set. last_seq: returns
        the journal's last sequence number.
        """
        self._limits, self._readers, self._times = limits or Limits(), Readers(readers), times or SystemTimes()
        self._cross, self._leaps, self._alarm, self._last_seq = cross, leaps, alarm, last_seq
        self.boot = boot_id()
        # Bound once: `stamp` is called for every list of readings.
        self._monotonic_ns, self._realtime_ns, self._raw_ns = self._times.monotonic_ns, self._times.realtime_ns, self._times.raw_ns
        self._drift_per_ns = self._limits.drift_ppm * 1e-6 / 1e9
        self._anchor = anchor(self._times)
        self._offset_ns = self._anchor.offset_ns
        self._watched = self._reported = False
        self._wake = asyncio.Event()
        self._history: deque[tuple[Anchor, Status, float | None]] = deque(maxlen=HISTORY)
        self._events: deque[dict[str, Any]] = deque(maxlen=EVENTS)
        self._on_event: OnEvent = lambda _: None
        self._announcer = Announcer(lambda event: self._on_event(event))  # noqa: PLW0108 - who listens is told later
        self._begin_without_evidence()

    def _begin_without_evidence(self) -> None:
        """Set what is known before the first evidence: nothing but the present anchor, so that the status is "unknown"."""
        self._evidence: Evidence | None = None
        self._asked, self._rate = self._anchor, 0.0
        self._extra_s = 0.0
        self._leap: Announced = NO_LEAP
        self._stepped_since, self._disturbed_since = ReferenceUpdateWait(), ReferenceUpdateWait()
        self._trouble: UnverifiedSpan | None = None
        self._verdict = self._judged(self._anchor)
        self._bound_base: float | None = None
        self._bound_from_ns = self._anchor.monotonic_ns

    # Stamps ------------------------------------------------------------------------------------------------------------------------

    def ticks(self, monotonic_ns: int) -> int:
        """Return the UTC of a monotonic instant, in ticks of 100 ns, by the present anchor."""
        return (monotonic_ns + self._offset_ns) // 100

    def stamp(self, monotonic_ns: int | None = None) -> Stamp:
        """Return the UTC of a monotonic instant (None: now) with its status and bound.

        A step or suspend that `watch` has not seen yet is noticed here: the stamp is then made by the old anchor, as unsynchronised.
        """
        now_ns = self._monotonic_ns()
        instant_ns = now_ns if monotonic_ns is None else monotonic_ns
        status, bound = self._verdict.status, self._bound_base
        left_ns = self._left_ns()
        if now_ns - self._bound_from_ns > STALE_NS or left_ns >= STEP_NS:
            self._wake.set()
            status, bound = "unsynchronised", None
        elif bound is not None:
            # Since the last look the oscillator may have drifted, and what was slewed or set meanwhile may be wrong to its whole size.
            slewed_ns = self._slewed_ns(self._anchor, now_ns, self._raw_ns())
            bound += self._drift_per_ns * (now_ns - self._bound_from_ns) + (left_ns + slewed_ns) / 1e9
        return Stamp((instant_ns + self._offset_ns) // 100, status, bound, self.boot, instant_ns / 1e9)

    def _slewed_ns(self, since: Anchor, monotonic_ns: int, raw_ns: int) -> float:
        """Return how far the clock was slewed against the raw oscillator since an anchor, beyond the daemon's constant rate.

        The daemon may slew towards a measurement that it has not reported to us yet and that may be wrong: with chrony as fast as 1/12 s
        per s, far more than any drift.
        """
        elapsed_ns = monotonic_ns - since.monotonic_ns
        return abs(elapsed_ns - (raw_ns - since.raw_ns) - self._rate * elapsed_ns)

    def _left_ns(self) -> int:
        """Return how far the wall clock has moved from the anchor, by a small step or sleep that `look` has not seen.

        A large result is read once more, because a preemption between two clock reads looks the same.
        """
        monotonic_ns = self._monotonic_ns()
        left_ns = abs(self._realtime_ns() - monotonic_ns - self._offset_ns)
        if left_ns < STEP_NS:
            return left_ns
        monotonic_ns = self._monotonic_ns()
        return abs(self._realtime_ns() - monotonic_ns - self._offset_ns)

    def suspended_ns(self) -> int:
        """Return for how long the machine was suspended since boot; a suspend that nobody has seen yet is looked at first."""
        if self._times.boottime_ns() - self._times.monotonic_ns() - self._anchor.suspended_ns >= STEP_NS:
            self.look()
        return self._anchor.suspended_ns

    # The watch ---------------------------------------------------------------------------------------------------------------------

    async def watch(self, on_event: OnEvent, done: Callable[[], object] = object) -> None:
        """Run until cancelled: look at the clock each second and at each step, ask the daemon every 8 s, pass events to `on_event`.

        done: called when each of these has succeeded once.

        on_event is called in the loop's thread, before any stamp is made by a new anchor: entries that it appends to the journal precede
        all entries with the new time.
        """
        self._on_event = on_event
        self._reported = False
        self._leap = NO_LEAP  # report again what was noted before `on_event` was known
        await self.read()
        self._watched = True
        if not self._reported:
            self._report(self._verdict.status, was=None, last_seq=self._last_seq())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(lasting(self._read_on()), name="clock daemon")
            looked, crossed = asyncio.Event(), asyncio.Event()
            tasks.create_task(lasting(self._check_on(looked)), name="clock steps")
            if self._cross is not None:
                tasks.create_task(lasting(self._cross.watch(crossed.set)), name="clock cross-check")
                await crossed.wait()
            await looked.wait()
            done()

    async def _read_on(self) -> None:
        while True:
            await asyncio.sleep(READ_EVERY_S)
            await self.read()

    async def _check_on(self, looked: asyncio.Event) -> None:
        with self._alarm(self._wake) as alarm:
            while True:
                self._wake.clear()
                alarm.arm()  # before the look: a step after it wakes the next one
                self.look()
                looked.set()
                self._watched = True
                try:
                    async with asyncio.timeout(CHECK_EVERY_S):
                        await self._wake.wait()
                except TimeoutError:
                    pass

    async def read(self) -> None:
        """Ask the readers once and judge the state anew. A failure to read is part of the state, not an error."""
        for reader in self._readers.round():
            asked = anchor(self._times)
            try:
                self.take(await reader.read(), asked)
            except Unreadable as error:
                self._readers.failed(reader, str(error))
                continue
            self._readers.answered(reader)
            break
        self.look()

    def take(self, evidence: Evidence, asked: Anchor | None = None) -> None:
        """Use new evidence: end disturbances that it covers, note an update after a step, a new reference, a leap second.

        asked: the clocks when the reader was asked (None: now), from which slews are counted.
        """
        before, self._evidence = self._evidence, evidence
        self._asked, previous = asked or anchor(self._times), self._asked
        self._rate = self._rate_since(previous) if evidence.rate is None else evidence.rate
        self._stepped_since.see(evidence.update)
        if self._disturbed_since.see(evidence.update):
            self._extra_s = 0.0
        self._note_leap(evidence)
        if before is not None and before.synchronised and evidence.synchronised and before.reference != evidence.reference:
            self._report("reference-change", was=told(before))

    def _note_leap(self, evidence: Evidence) -> None:
        """Note a leap second announced by the daemon or listed in the table; forget it a day after it."""
        now_ns = self._times.realtime_ns()
        if self._leap.kind != "none" and now_ns > self._leap.instant_ns + DAY_NS:
            self._leap = NO_LEAP
        if self._leap.kind != "none":
            return
        if evidence.leap in ("insert", "delete"):
            self._leap = Announced(evidence.leap, leap_instant_ns(now_ns), evidence.reader)
        elif self._leaps is not None:
            self._leap = self._leaps.near(now_ns)
        if self._leap.kind != "none":
            self._report("leap", announced=True, **told_leap(self._leap, self._limits.leap_mode))

    def _rate_since(self, previous: Anchor) -> float:
        """Return the clock's rate against the raw oscillator between two readings, for daemons that do not report it."""
        elapsed_ns = self._asked.raw_ns - previous.raw_ns
        return (self._asked.monotonic_ns - previous.monotonic_ns) / elapsed_ns - 1 if elapsed_ns > 10**9 else self._rate

    def look(self) -> None:
        """Compare the clocks with the last anchor to find a step, a suspend or a leap second; then judge the state."""
        before, now = self._anchor, anchor(self._times)
        # The monotonic clock stands still in a sleep, so UTC moves against it by the length of the sleep: only the rest is a step.
        suspended_ns = now.suspended_ns - before.suspended_ns
        stepped_ns = now.offset_ns - before.offset_ns - suspended_ns
        self._anchor, self._offset_ns = now, now.offset_ns
        happened: list[tuple[str, dict[str, Any]]] = []
        if self._watched and now.monotonic_ns - before.monotonic_ns > STALE_NS:
            # Stopped by a signal or a debugger, or the machine was frozen while its clocks ran on: the clock was not watched.
            happened.append(("suspend", {"of": "process", "duration_s": rounded((now.monotonic_ns - before.monotonic_ns) / 1e9)}))
        if suspended_ns > STEP_NS:
            # The oscillator that counted the sleep is not the one that was measured: an update is needed.
            self._await_update()
            happened.append(("suspend", {"of": "machine", "duration_s": rounded(suspended_ns / 1e9)}))
        if abs(stepped_ns) > STEP_NS:
            happened.append((self._stepped(stepped_ns), {"step_s": rounded(stepped_ns / 1e9)}))
        elif abs(stepped_ns) > READING_NS + before.spread_ns + now.spread_ns:
            self._extra_s += abs(stepped_ns) / 1e9
            self._disturbed_since.begin()
        context = {"before": told_anchor(before, self.boot), "last_seq": self._last_seq()} if happened else {}
        self._settle(self._judged(now), [(kind, {**more, **context}) for kind, more in happened])
        self._alarm_if_due(now)
        self._alarm_if_mixed(now)

    def _alarm_if_mixed(self, now: Anchor) -> None:
        """Report when some servers smear a leap second and others do not, which makes a majority among them meaningless (URS-TIME-10)."""
        if self._cross is None:
            return
        contradiction = mixed(self._cross.leaps(now.monotonic_ns), now.realtime_ns, self._limits.leap_mode)
        self._announcer.once_until_changed("leap-mixed", leap_mixed(contradiction, self._limits.leap_mode), state=bool(contradiction))

    def _alarm_if_due(self, now: Anchor) -> None:
        """Report once that stamps have been unverified for a while (URS-TIME-06: within 30 s). Acquisition goes on."""
        trouble = self._trouble
        if trouble is None or trouble.alarmed or now.monotonic_ns - trouble.since.monotonic_ns < ALARM_AFTER_NS:
            return
        trouble.alarmed = True
        self._on_event(unverified(self._verdict, trouble.since, self._evidence, self._readers.unread))

    def _stepped(self, stepped_ns: int) -> str:
        """Handle a step and return its kind: "leap" if the kernel made it for a leap second, else "step" (set by a daemon or a person)."""
        if self._trouble is not None:
            self._trouble.steps.append((self._anchor.monotonic_ns, stepped_ns))
        if is_leap_step(self._leap, self._limits.leap_mode, stepped_ns, self._anchor.realtime_ns):
            return "leap"
        self._await_update()
        return "step"

    def _await_update(self) -> None:
        """Trust no evidence until the reference has updated the clock anew; the servers' answers before the disturbance are worthless."""
        self._stepped_since.begin()
        if self._cross is not None:
            self._cross.forget()

    # The state ---------------------------------------------------------------------------------------------------------------------

    def _judged(self, now: Anchor) -> Verdict:
        """Judge the present state; small steps, slews since the daemon was asked, a leap second and the reading itself widen the bound."""
        evidence = self._evidence
        slewed_ns = self._slewed_ns(self._asked, now.monotonic_ns, now.raw_ns) if evidence is not None else 0.0
        leap_s = leap_extra_s(self._leap, now.realtime_ns, self._limits.leap_mode, None if evidence is None else evidence.update)
        extra_s = self._extra_s + leap_s + (now.spread_ns + slewed_ns) / 1e9
        contradiction = self._cross.holds_against(evidence, now.monotonic_ns, extra_s) if self._cross and evidence else ""
        stepped = self._stepped_since.waiting
        return judge(
            evidence, now.monotonic_ns, now.realtime_ns, self._limits, stepped=stepped, extra_s=extra_s, contradiction=contradiction
        )

    def _settle(self, verdict: Verdict, happened: Sequence[tuple[str, dict[str, Any]]] = ()) -> None:
        """Make the verdict the present one, then report the events in `happened`, a change of state, and the end of an unverified span."""
        before, self._verdict = self._verdict, verdict
        self._bound_base, self._bound_from_ns = verdict.bound_s, self._anchor.monotonic_ns
        self._remember(verdict)
        trusted = verdict.status in TRUSTED
        if not trusted and self._trouble is None:
            self._trouble = UnverifiedSpan(self._anchor, deque(maxlen=STEPS_KEPT))
        for kind, more in happened:
            self._report(kind, **more)
        if verdict.status != before.status:
            self._report(verdict.status, was=before.status, last_seq=self._last_seq())
        if trusted and self._trouble is not None:
            trouble, self._trouble = self._trouble, None
            self._recovered(trouble)

    def _recovered(self, trouble: UnverifiedSpan) -> None:
        """Report the probable error of the stamps of an unverified span: `correction_s` is to be added to the first and the last of them.

        True time passes as the raw oscillator does (within the drift); the wall clock passed differently by its slews and steps, and its
        remaining error now is the daemon's offset. Between the two ends the correction is linear except for the steps listed in `steps`.
        The bound also covers stamps that are placed by anchor and monotonic clock alone: that clock was slewed meanwhile, too.
        """
        now, since = self._anchor, trouble.since
        offset_s = self._evidence.offset_s if self._evidence is not None else 0.0
        true_s = (now.raw_ns - since.raw_ns + now.suspended_ns - since.suspended_ns) / 1e9
        wall_s = (now.realtime_ns - since.realtime_ns) / 1e9
        slewed_s = abs(now.monotonic_ns - since.monotonic_ns - (now.raw_ns - since.raw_ns)) / 1e9
        self._report(
            "recovered",
            since=told_anchor(since, self.boot),
            last_seq=self._last_seq(),
            correction_s={"start": rounded(offset_s + wall_s - true_s), "end": rounded(offset_s)},
            correction_bound_s=rounded((self._verdict.bound_s or 0.0) + slewed_s + self._limits.drift_ppm * 1e-6 * true_s),
            steps=[{"monotonic_s": at_ns / 1e9, "step_s": rounded(by_ns / 1e9)} for at_ns, by_ns in trouble.steps],
        )

    def _remember(self, verdict: Verdict) -> None:
        """Keep a point of history per minute, and one at each change of state."""
        last = self._history[-1] if self._history else None
        if last is None or last[1] != verdict.status or self._anchor.monotonic_ns - last[0].monotonic_ns >= HISTORY_EVERY_NS:
            self._history.append((self._anchor, verdict.status, verdict.bound_s))

    def _report(self, kind: str, **more: Any) -> None:
        """Make an event of the present state, keep it for the page, and pass it on."""
        self._reported = True
        event = clock_event(kind, self._verdict, self._anchor, self.boot, self._evidence, **more)
        self._events.append({"time": time_of(self._anchor.realtime_ns), **event})
        self._on_event(event)

    def describe(self) -> dict[str, Any]:
        """Describe the clock for the status page: state, reason, reference chain, last anchor, recent events, a day of bound history."""
        stamp = self.stamp()
        return {
            "status": stamp.status,
            "bound_s": rounded(stamp.bound_s),
            "limit_s": self._limits.max_error_s,
            "reason": self._verdict.reason,
            "unread": self._readers.unread,
            "reference": told(self._evidence),
            "anchor": told_anchor(self._anchor, self.boot),
            "leap": None if self._leap.kind == "none" else told_leap(self._leap, self._limits.leap_mode),
            "leap_mode": self._limits.leap_mode,
            "leaps_known_until": None if self._leaps is None else time_of(self._leaps.expires_ns),
            "events": list(self._events),
            "cross_check": None if self._cross is None else self._cross.describe(),
            "history": [
                {
                    "ticks": at.realtime_ns // 100,
                    "monotonic_s": round(at.monotonic_ns / 1e9, 3),
                    "status": status,
                    "bound_s": rounded(bound),
                }
                for at, status, bound in self._history
            ],
        }
