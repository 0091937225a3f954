"""Steps of a qualification: each with what was expected and what came, and the files that they rest on."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from gateway.validation.check import Verdict


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


def evidence(value: Any) -> bytes:
    """Write facts as a file of evidence."""
    return json.dumps(value, indent=1, ensure_ascii=False, default=str).encode()
