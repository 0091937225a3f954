"""Contains what a part raises: it becomes that part's own failure, said in one plain line, and the part is started again.

Only the journal's own failure (`fatal`) passes: it ends the process. Everything else that a part's contract does not allow is `Crashed`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator

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
    return text[:LONGEST_REASON] or type(error).__name__


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, or of a group the exceptions that are not groups themselves, in order."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def end_if_asked() -> None:
    """Raise CancelledError if this task was asked to stop: what clean-up raised meanwhile is no answer to that."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def contained(name: str, attempt: Callable[[], Awaitable[None]], *, expected: Kinds = (), fatal: Kinds) -> Callable[[], Awaitable[None]]:
    """Return an attempt that raises nothing but `expected`, `fatal`, Crashed, and a cancellation that was asked for: then that, or `fatal`.

    A traceback is logged for a new reason only: a crash that comes again each ten seconds must not fill the log.
    """
    known = (*(expected if isinstance(expected, tuple) else (expected,)), *(fatal if isinstance(fatal, tuple) else (fatal,)))
    logged = ""

    def crashed(bug: BaseException) -> Crashed:
        nonlocal logged
        why = f"crashed: {type(bug).__name__}: {plain(bug)}"
        log.log(logging.DEBUG if why == logged else logging.ERROR, "%s: %s", name, why, exc_info=bug)
        logged = why
        return Crashed(why)

    async def run() -> None:
        try:
            await attempt()
        except asyncio.CancelledError as error:
            end_if_asked()
            raise Crashed("crashed: a library cancelled it") from error
        except (Exception, SystemExit) as error:
            # What ends the process may stand in a group beside bugs, and ends it still.
            worst = next((leaf for leaf in leaves(error) if isinstance(leaf, fatal)), None)
            bug = next((leaf for leaf in leaves(error) if not isinstance(leaf, known)), None)
            told = None if bug is None else crashed(bug)
            if worst is not None:
                raise worst from (None if worst is error else error)
            end_if_asked()
            if told is None:
                raise
            raise told from error
        end_if_asked()
        raise Crashed("crashed: it returned, but must run until cancelled")

    return run


def telling(name: str, on_failure: Callable[[str], Awaitable[None]], *, fatal: Kinds) -> Callable[[str], Awaitable[None]]:
    """Return an `on_failure` whose own fault is logged: a second fault while the first is handled ends nothing either."""

    async def tell(why: str) -> None:
        try:
            await on_failure(why)
        except fatal:
            raise
        except Exception:
            log.exception("%s: its failure could not be told (%s)", name, why)
        end_if_asked()

    return tell
