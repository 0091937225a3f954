"""Tags that are silent longer than the map allows (`max_silence_s`): a gap of that tag, opened by the fold, and a finding."""

from collections.abc import Iterable

from gateway.context import event_bodies
from gateway.context.gaps.gaps import Gaps
from gateway.context.plan import Plan
from gateway.context.state import State
from gateway.entries.ticks import TICKS_PER_S, rfc3339


class Silences:
    """Who must be heard how often, and who was not, though the source was alive."""

    def __init__(self, state: State, plan: Plan, gaps: Gaps, emit: event_bodies.Emit) -> None:
        self._state, self._plan, self._gaps, self._emit = state, plan, gaps, emit
        self.limits = {t.tag: round(t.max_silence_s * TICKS_PER_S) for t in plan.line.tags if t.max_silence_s is not None}
        state.heard = {name: ticks for name, ticks in state.heard.items() if name in self.limits}

    def heard(self, name: str, ticks: int) -> None:
        """A reading of the tag came, usable or not."""
        self._state.heard[name] = max(self._state.heard.get(name, 0), ticks)

    def due(self) -> list[tuple[str, int]]:
        """Open a gap for each tag that is silent for too long by now; returns (tag, when it was last heard)."""
        found = []
        for name, limit in self.limits.items():
            source = self._plan.places[name].source.name
            alive = self._state.observed.get(source)
            if alive is None:
                continue
            last = self._state.heard.setdefault(name, alive)
            if alive - last > limit and not self._lost(name, source):
                self._open(name, source, last, limit)
                found.append((name, last))
        return found

    def resumed(self, names: Iterable[str], ticks: int) -> None:
        """A gap of these tags closed: the count begins there."""
        for name in names:
            if name in self.limits:
                self.heard(name, ticks)

    def _lost(self, name: str, source: str) -> bool:
        return any(gap.source == source and gap.covers(name) for gap in self._state.gaps)

    def _open(self, name: str, source: str, last: int, limit: int) -> None:
        detected = self._state.observed[source]
        event = {
            "type": "gap",
            "transition": "open",
            "gap": f"{source}/silent/{self._state.seq}/{name}",
            "source": source,
            "tags": [name],
            "start": rfc3339(last),
            "detected": rfc3339(detected),
            "cause": "silence",
            "detail": f"no reading for more than {limit / TICKS_PER_S:g} s, while the source was alive",
        }
        self._emit(event)
        self._gaps.open(event)
        message = f"{name}: silent since {rfc3339(last)}, allowed are {limit / TICKS_PER_S:g} s; the source is alive"
        evidence = {"last": rfc3339(last), "alive": rfc3339(detected), "max_silence_s": limit / TICKS_PER_S, "gap": event["gap"]}
        self._emit(event_bodies.finding("tag-silent", "warning", message, evidence, source=source, tags=[name]))
