"""Times in which the gateway asked nobody: it stood still as a whole, or the polls of some tags starved. As the intake writes them.

A polled source keeps nothing: what changed meanwhile is never read, and the poll that comes too late is preceded by a gap of the cause
`not-asked`. A subscribed source keeps its notifications, and rows wait in their table: both are read when the gateway goes on.
"""

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from kit.random_recipes import T0, TAGS, Log, S, Story

from config import Line
from gateway.entries.ticks import rfc3339

POLLED = "d"
VALUES = (("state",), ("speed", "temp", "set"), ("speed",), ("temp", "state"))
SIGNALS = (("step", "key", "bit", "state"), ("step", "key"), ("step",), ("key",), ("bit",))
"""Tags of one rate that starve together, while others of the source are read."""
LENGTHS_S = (0.3, 0.7, 2.0, 8.0, 30.0)
APART, SETTLE = 2 * S, S
MOST_DELAY = S // 10
"""From the answer to a poll to its entry."""


class Silence(NamedTuple):
    """After the poll at `begin` these tags were asked again at `until`. is_whole: the gateway stood still."""

    begin: int
    until: int
    tags: frozenset[str]
    is_whole: bool


def silences(story: Story, rng: random.Random, subsets: Sequence[tuple[str, ...]], *, settling: bool) -> list[Silence]:
    """Draw silences, over changes of the signals and anywhere, none near a cut link. settling: also before a change has stood."""
    names = frozenset(tag for tag in story.changes if tag.startswith(f"{POLLED}."))
    changes = [t for name in ("step", "key", "bit", "state") for t, _ in story.changes[f"{POLLED}.{name}"]]
    drawn: list[Silence] = []
    for _ in range(rng.randint(1, 6)):
        length = round(rng.choice(LENGTHS_S) * rng.uniform(0.8, 1.2) * S)
        within = rng.choice(changes) if rng.random() < 0.7 else rng.randint(T0, story.end)
        begin = max(within - round(rng.random() * length), T0 + 2 * S)
        is_whole = rng.random() < 0.5
        tags = names if is_whole or rng.random() < 0.3 else frozenset(f"{POLLED}.{name}" for name in rng.choice(subsets))
        taken = [(a, b) for _, a, b, *_ in story.cuts] + [(each.begin, each.until) for each in drawn]
        settles = any(begin - SETTLE < t <= begin for t in changes)
        if (settling or not settles) and all(begin - APART > b or begin + length + APART < a for a, b in taken):
            drawn.append(Silence(begin, begin + length, tags, is_whole))
    return sorted(drawn)


class LateLog(Log):
    """What a gateway was given to see that did not ask all the time. lost: of each tag when nobody asked for it."""

    subsets: Sequence[tuple[str, ...]] = VALUES
    settling = False

    def __init__(self, line: Line, story: Story, rng: random.Random) -> None:
        """Draw the silences, and read the story around them."""
        self.silences = silences(story, rng, self.subsets, settling=self.settling)
        super().__init__(line, story, rng)
        for silence in self.silences:
            if silence.is_whole:
                self._stood_still(silence)
            elif len(silence.tags) == len(TAGS):
                self._not_alive(silence)

    def _source(self, story: Story, source: str) -> list[tuple[int, int, Any]]:
        items = super()._source(story, source)
        for number, silence in enumerate(self.silences if source == POLLED else ()):
            items = self._starved(story, items, silence, number)
        return items

    def _starved(self, story: Story, items: list[Any], silence: Silence, number: int) -> list[Any]:
        """Leave out what nobody asked for, and put the late poll in its place: the answers of one source come in order."""
        before: list[tuple[int, int, Any]] = []
        after: list[tuple[int, int, Any]] = []
        for entry, order, what in items:
            if isinstance(what, dict) or what[0] == "gap":
                (before if entry <= silence.until else after).append((entry, order, what))
                continue
            source, rows, kind = what
            asked = [r for r in rows if r[1] not in silence.tags or not silence.begin < r[0] <= silence.until]
            for kept, part in ((before, [r for r in asked if r[0] <= silence.until]), (after, [r for r in asked if r[0] > silence.until])):
                if part:
                    kept.append((entry, order, (source, part, kind)))
        poll = max(silence.until + self.rng.randint(10_000, MOST_DELAY), max((entry for entry, *_ in before), default=0) + 1)
        after = [(max(entry, poll + 2 + place), order, what) for place, (entry, order, what) in enumerate(after)]
        return [*before, *self._late_poll(story, silence, number, poll), *after]

    def _late_poll(self, story: Story, silence: Silence, number: int, poll: int) -> list[tuple[int, int, Any]]:
        """The gap that the intake writes, and the answer: new values as the poll's, those it found unchanged as they were stored."""
        tags = [tag for tag, (source, _) in self.places.items() if source == POLLED]
        starved = [tag for tag in tags if tag in silence.tags]
        for tag in starved:
            self.lost.setdefault(tag, []).append((silence.begin, silence.until))
        event = {
            "type": "gap",
            "transition": "open",
            "gap": f"{POLLED}/late/{number}",
            "source": POLLED,
            "tags": "all" if len(starved) == len(tags) else starved,
            "start": rfc3339(silence.begin),
            "detected": rfc3339(poll),
            "cause": "not-asked",
            "detail": f"asked again {(silence.until - silence.begin) / S:.3f} s after the last observation",
        }
        rows = [(silence.until, tag, [v for t, v in story.changes[tag] if t <= silence.until][-1], 0) for tag in starved]
        return [(poll, 0, event), (poll + 1, 0, (POLLED, rows, self.rng.choice(["change", "initial"])))]

    def _not_alive(self, silence: Silence) -> None:
        """Let no heartbeat say that a source was observed of which nobody asked anything."""
        for entry, _, what in self.items:
            if isinstance(what, dict) and what["type"] == "heartbeat" and silence.begin < entry <= silence.until + S:
                what["observed"].pop(POLLED, None)

    def _stood_still(self, silence: Silence) -> None:
        """Let nothing be written while the gateway stood still: what was kept elsewhere is read afterwards, each source in its order."""
        asleep = [item for item in self.items if silence.begin < item[0] <= silence.until + S]
        awake = [item for item in self.items if not silence.begin < item[0] <= silence.until + S]
        by_source: dict[str, list[Any]] = {}
        for item in asleep:
            what = item[2]
            if isinstance(what, dict) and what["type"] == "heartbeat":
                continue
            by_source.setdefault(what["source"] if isinstance(what, dict) else what[1] if what[0] == "gap" else what[0], []).append(item)
        entry, read = silence.until + MOST_DELAY, []
        while by_source:
            source = self.rng.choice(sorted(by_source))
            first = by_source[source].pop(0)
            entry = max(entry + 1, first[0])
            read.append((entry, 0, first[2]))
            if not by_source[source]:
                del by_source[source]
        later = [
            (max(at, entry + 1 + place), order, what) for place, (at, order, what) in enumerate(i for i in awake if i[0] > silence.until)
        ]
        self.items = [*(item for item in awake if item[0] <= silence.begin), *read, *later]


class SignalsStarved(LateLog):
    """Polls of signals starve too, while other tags of their source are read: the source is alive."""

    subsets = SIGNALS


class Settling(LateLog):
    """Silences begin also while a change of a signal has not yet stood still."""

    settling = True
