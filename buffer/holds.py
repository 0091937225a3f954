"""Holds: entries that must stay until they are released, whatever retention says. Each call is durable when it returns."""

from functools import partial

from buffer import retention
from buffer.store import Store
from buffer.writer import Writer

Span = tuple[int, int, int | None]
"""(epoch, first, last). Without a last entry a hold reaches into the epochs that follow."""


class Holds:
    """The holds of an open journal, by name. May be called from any thread; the writer's thread does the work."""

    def __init__(self, store: Store, writer: Writer) -> None:
        self._store, self._writer = store, writer

    def all(self) -> dict[str, Span]:
        """Return all holds by name."""
        return dict(self._store.holds)

    def keep(self, name: str, first: int, last: int | None = None) -> None:
        """Keep the entries of this epoch from `first` on (to `last`) until `release`.

        A second hold of the same name (a batch that goes on to the next equipment) widens the first, never narrows it.
        """
        self._writer.do(partial(self._keep, name, self._store.view.epoch, first, last)).result()

    def end(self, name: str, last: int) -> None:
        """Let a hold end at entry `last` of the present epoch, or later if it ended later before: what comes after may go.

        Nothing happens if nothing is held under this name, or if the hold begins in an earlier epoch: then it keeps all that follows.
        """
        self._writer.do(partial(self._end, name, last)).result()

    def release(self, name: str) -> bool:
        """End a hold. Returns False if there is none of this name. The caller appends the audit event that names who ended it, and why."""
        return self._writer.do(partial(self._release, name)).result()

    def _keep(self, name: str, epoch: int, first: int, last: int | None) -> None:
        held = self._store.holds.get(name)
        wide = retention.widened(held, (epoch, first, last)) if held else (epoch, first, last)
        self._store.catalogue.hold(name, *wide)
        self._store.holds = {**self._store.holds, name: wide}

    def _end(self, name: str, last: int) -> None:
        epoch, first, end = self._store.holds.get(name, (0, 0, None))
        if epoch == self._store.view.epoch:
            self._store.catalogue.hold(name, epoch, first, max(last, end or 0))
            self._store.holds = {**self._store.holds, name: (epoch, first, max(last, end or 0))}

    def _release(self, name: str) -> bool:
        was_held = name in self._store.holds
        self._store.catalogue.release(name)
        self._store.holds = {other: span for other, span in self._store.holds.items() if other != name}
        return was_held
