"""A small set of requirements, tests and results."""

from collections.abc import Callable
from typing import Any

import pytest

from gateway.validation.traceability.cases import Case
from gateway.validation.traceability.requirements import Proof, Requirement
from gateway.validation.traceability.results import FORM, last
from gateway.validation.traceability.tree import Traceability


def requirement(identifier: str, risk: str = "high", state: str = "built", remark: str = "", **more: Any) -> Requirement:
    told = {"text": f"The gateway shall {identifier}.", "source": "21 CFR 211.68(b)", "verification": "OQ SIM; PQ LOAD", **more}
    return Requirement(id=identifier, risk=risk, state=state, remark=remark, design="docs/house.md: buffer", line=7, **told)


def case(name: str, *urs: str) -> Case:
    return Case(f"tests/x/test_y.py::test_{name}", 3, urs)


def run(begun: str, *rows: tuple[Any, ...], **more: Any) -> dict[str, Any]:
    """A file of results. rows: (name, requirement, passed, failed, skipped)."""
    return {
        "schema": FORM,
        "software": "1.0.0",
        "content": "ab" * 32,
        "commit": "c" * 40,
        "dirty": False,
        "begun": begun,
        "ended": begun.replace("T08", "T09"),
        "python": "3.11.7",
        "platform": "Linux",
        "command": ["-m", "not faults"],
        "whole": True,
        "cases": [
            {"case": f"tests/x/test_y.py::test_{name}", "urs": [urs], "passed": passed, "failed": failed, "skipped": skipped}
            for name, urs, passed, failed, skipped in rows
        ],
        **more,
    }


@pytest.fixture
def small() -> Callable[..., Traceability]:
    """Two tests of one requirement, of which it stands on the first; `small(rows)` with the results of one run."""

    def made(*rows: tuple[Any, ...], **more: Any) -> Traceability:
        told = Traceability(
            "1.0.0",
            "ab" * 32,
            (requirement("URS-DAQ-01"),),
            (case("first", "URS-DAQ-01"), case("second", "URS-DAQ-01")),
            (Proof("URS-DAQ-01", case("first").id, "all of it", 2),),
            (),
            last([("test.json", run("2026-11-30T08:00:00Z", *rows))] if rows else []),
        )
        return told._replace(**more)

    return made
