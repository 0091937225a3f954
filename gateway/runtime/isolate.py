"""Contains what a part raises: it becomes that part's own failure, said in one plain line, and the part is started again.

Only the journal's own failure (`fatal`) passes: it ends the process. Everything else that a part's contract does not allow is `Crashed`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator

from gateway.entries.printable import printable

log = logging.getLogger(__name__)

LONGEST_REASON = 500
Kinds = type[Exception] | tuple[type[Exception], ...]


class Crashed(Exception):
    """A part raised what its contract does not allow, returned, or was cancelled from inside: a bug of its own, or of its library."""


def plain(error: BaseException) -> str:
    """Say an error in one line. Never raises: a library's error may itself fail when it is asked what it says."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - a second fault while the first is handled
        text = ""
    return printable(text[:LONGEST_REASON]) or type(error).__name__


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, or of a group the exceptions that are not groups themselves, in order."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


async def apart(work: Callable[[], Awaitable[None]]) -> BaseException | None:
    """Run work in a task of its own. Returns what it raised, a cancellation that it did to itself among it; None if it returned.

    Cancelled, it cancels the work, waits for its end, and raises CancelledError, whatever the work made of it; `error` of that tells what
    the work raised. Whether a stop was asked for is seen by nothing else: a task's own count of cancellations (`Task.cancelling`) stays
    above 0 after a TaskGroup in it has failed (Python 3.11, 3.12).
    """
    asked: Stopped | None = None

    async def caught() -> BaseException | None:
        try:
            await work()
        except (Exception, SystemExit, asyncio.CancelledError) as error:  # noqa: BLE001 - whoever asked for the work judges it
            return error
        return None

    task = asyncio.create_task(caught())
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            asked = asked or Stopped()
            task.cancel()
    error = asyncio.CancelledError() if task.cancelled() else task.result()  # cancelled before it began
    if asked is None:
        return error
    asked.error = error
    raise asked


class Stopped(asyncio.CancelledError):
    """A cancellation that was asked for. error: what the work raised as it was stopped."""

    error: BaseException | None = None


def contained(name: str, attempt: Callable[[], Awaitable[None]], *, expected: Kinds = (), fatal: Kinds) -> Callable[[], Awaitable[None]]:
    """Return an attempt that raises nothing but `expected`, `fatal`, Crashed, and a cancellation that was asked for: then that, or `fatal`.

    A traceback is logged for a new reason only: a crash that comes again each ten seconds must not fill the log.
    """
    known = (*(expected if isinstance(expected, tuple) else (expected,)), *(fatal if isinstance(fatal, tuple) else (fatal,)))
    logged = ""

    def judged(error: BaseException | None) -> BaseException:
        """Choose what to raise: of a group what ends the process, else what is a bug, else the group itself."""
        nonlocal logged
        if error is None:
            return Crashed("crashed: it returned, but must run until cancelled")
        if isinstance(error, asyncio.CancelledError):
            return Crashed("crashed: a library cancelled it")
        bug = next((leaf for leaf in leaves(error) if not isinstance(leaf, known)), None)
        why = f"crashed: {type(bug).__name__}: {plain(bug)}" if bug is not None else ""
        if bug is not None:
            log.log(logging.DEBUG if why == logged else logging.ERROR, "%s: %s", name, why, exc_info=bug)
            logged = why
        worst = next((leaf for leaf in leaves(error) if isinstance(leaf, fatal)), None)
        return worst or (Crashed(why) if bug is not None else error)

    async def run() -> None:
        try:
            error = await apart(attempt)
        except Stopped as stopped:
            if stopped.error is not None and isinstance(ended := judged(stopped.error), fatal):
                raise ended from None
            raise
        ended = judged(error)
        raise ended from (None if ended is error else error)

    return run


def telling(name: str, on_failure: Callable[[str], Awaitable[None]], *, fatal: Kinds) -> Callable[[str], Awaitable[None]]:
    """Return an `on_failure` whose own fault is logged: a second fault while the first is handled ends nothing either."""

    async def tell(why: str) -> None:
        error = await apart(lambda: on_failure(why))
        if isinstance(error, fatal):
            raise error
        if error is not None:
            log.error("%s: its failure could not be told (%s)", name, why, exc_info=error)

    return tell
