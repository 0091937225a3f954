"""First values that a server owes: one for every item (Part 4, 5.13.1.2)."""

from collections.abc import Collection, Iterable


class FirstValues:
    """Which of them did not come, over all sessions. Times are seconds of one clock."""

    def __init__(self) -> None:
        self._made_s: dict[int, float] = {}  # of tags whose item was made in the midst of a session
        self._missed: set[int] = set()

    def made(self, tags: Iterable[int], now_s: float) -> None:
        """Note that the items of these tags were made anew: what they owe is not late yet."""
        self._made_s |= dict.fromkeys(tags, now_s)

    def missed(self, fresh: Collection[int], now_s: float, within_s: float) -> tuple[int, ...]:
        """Return those that are late now, each once. fresh: tags of which no first value has come."""
        self._made_s = {tag: made_s for tag, made_s in self._made_s.items() if now_s - made_s < within_s}
        late = tuple(sorted(set(fresh) - self._missed - self._made_s.keys()))
        self._missed.update(late)
        return late

    def came(self, fresh: Collection[int]) -> tuple[int, ...]:
        """Return those that were late and have come, each once."""
        came = tuple(sorted(self._missed.difference(fresh)))
        self._missed.difference_update(came)
        return came
