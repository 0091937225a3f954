"""What a case of the operational qualification is, and what it says: steps, each expected and actual, with the files they rest on."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from gateway.validation.check import Verdict
from gateway.validation.oq.stage import Stage


class NotPlayed(Exception):
    """A case can not be played here; the text says why, and what would be needed. applies: False where the line has nothing of the kind."""

    def __init__(self, text: str, *, applies: bool = True) -> None:
        super().__init__(text)
        self.applies = applies


class Step(NamedTuple):
    """One step of a case. evidence: name of a file of the case's, or nothing."""

    action: str
    expected: str
    actual: str
    verdict: Verdict
    evidence: str = ""


class Told:
    """Takes the steps of a case and the files that they rest on."""

    def __init__(self, hear: Callable[[Step], object] = lambda _: None) -> None:
        """hear: is told each step as it comes."""
        self._hear = hear
        self.steps: list[Step] = []
        self.files: dict[str, bytes] = {}

    def step(self, action: str, expected: str, actual: str, good: bool | None, /, **file: object) -> None:  # noqa: FBT001 - the verdict
        """Take a step. good: None where there was nothing to look at. file: at most one, `name=content`; its name gets the end .json."""
        names = []
        for name, content in file.items():
            names.append(f"{name}.json")
            self.files[names[-1]] = evidence(content)
        verdict: Verdict = "not checked" if good is None else "passed" if good else "failed"
        self.steps.append(Step(action, expected, actual, verdict, "".join(names)))
        self._hear(self.steps[-1])


class Case(NamedTuple):
    """A case. play: takes the copy, what takes the steps, and how many seconds the line runs.

    faults: of the fault list (`gateway.validation.oq.fault_list`) that it plays. timed: times are judged in it, so that the site's own
    rule on a clock that is not verified holds in the copy. outside: the copy sends to the site's own EBR.
    """

    id: str
    title: str
    urs: tuple[str, ...]
    risk: str
    objective: str
    play: Callable[[Stage, Told, float], Awaitable[None]]
    faults: tuple[str, ...] = ()
    timed: bool = False
    outside: bool = False


def evidence(value: Any) -> bytes:
    """Write facts as a file of evidence."""
    return json.dumps(value, indent=1, ensure_ascii=False, default=str).encode()
