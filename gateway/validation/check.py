"""One check: what was expected, what was found, and the verdict. What could not be looked at is never passed."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

Verdict = Literal["passed", "failed", "not checked"]
RESULT = {"passed": "passed", "failed": "finding", "not checked": "not-complete"}
"""What a document's result is, by the worst verdict."""


class NotChecked(Exception):
    """A check can not be made here; the text says why."""


class Check(NamedTuple):
    """A check that was made, or not. found: why not, where it was not checked."""

    id: str
    title: str
    urs: tuple[str, ...]
    expected: str
    found: str
    verdict: Verdict


class Asked(NamedTuple):
    """A check to be made. look: returns (what was found, whether that is as expected). Raises NotChecked."""

    id: str
    title: str
    urs: tuple[str, ...]
    expected: str
    look: Callable[[], tuple[str, bool]]

    def made(self) -> Check:
        """Make the check. What fails to look has not looked: it is `not checked`, and says what happened."""
        try:
            found, good = self.look()
        except NotChecked as why:
            return Check(*self[:4], str(why), "not checked")
        except Exception as error:  # noqa: BLE001 - one check that breaks must not take the others along, nor count as passed
            return Check(*self[:4], f"could not be looked at: {type(error).__name__}: {error}", "not checked")
        return Check(*self[:4], found, "passed" if good else "failed")


def result(checks: Iterable[Check]) -> str:
    """Return a document's result: passed only if every check passed, and there is one."""
    verdicts = {check.verdict for check in checks}
    worst = next((verdict for verdict in ("failed", "not checked", "passed") if verdict in verdicts), "not checked")
    return RESULT[worst]


def listed(items: Sequence[str], most: int = 20) -> str:
    """Write a list in one cell, with how many more there are."""
    more = f"; and {len(items) - most} more" if len(items) > most else ""
    return "; ".join(items[:most]) + more


def none_of(wrong: Sequence[str], good: str) -> tuple[str, bool]:
    """Return what a check gives that looks for what is wrong: `good` where there is nothing."""
    return (listed(wrong), False) if wrong else (good, True)
