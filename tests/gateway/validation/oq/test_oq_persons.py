"""Of the operational qualification's judges: each role may what the table says, and nothing else; each must be able to fail."""

from typing import Any

import pytest
from kit.judged import verdicts

from gateway.access import ROLES, RULES
from gateway.validation.oq import persons
from gateway.validation.oq.case import Told

pytestmark = pytest.mark.urs("URS-VAL-04")


def tried() -> list[persons.Tried]:
    return [
        persons.Tried("own", command, role, role in rule.roles, None if role in rule.roles else "role", "done")
        for command, rule in RULES.items()
        for role in ROLES
    ]


def test_a_role_that_may_what_the_table_does_not_say_fails_its_own_step_alone() -> None:
    told = Told()
    persons.judge(told, "own", tried())
    assert set(verdicts(told)) == {"passed"}
    spoiled = [one._replace(refused=None) if (one.command, one.role) == ("users-add", "viewer") else one for one in tried()]
    told = Told()
    persons.judge(told, "own", spoiled)
    assert [step.action.split()[4] for step in told.steps if step.verdict == "failed"] == ["viewer"]
    assert "users-add" in told.steps[0].actual


def test_a_role_that_is_refused_what_it_may_or_refused_for_another_reason_fails() -> None:
    for cause in ("role", "wrong-password"):
        told = Told()
        persons.judge(
            told, "own", [one._replace(refused=cause) if (one.command, one.role) == ("rotate-key", "admin") else one for one in tried()]
        )
        assert verdicts(told).count("failed") == 1
    told = Told()
    persons.judge(told, "own", [one._replace(refused="no-password") if not one.allowed else one for one in tried()])
    assert "failed" in verdicts(told), "refused, but not for the role"
    told = Told()
    persons.judge(told, "own", [])
    assert set(verdicts(told)) == {"not checked", "failed"}


@pytest.mark.parametrize(
    ("answer", "verdict"), [({"refused": "nobody-named"}, "passed"), ({"public": "x"}, "failed"), ({"refused": "role"}, "failed")]
)
def test_a_command_that_nobody_gave_must_be_refused_for_that(answer: dict[str, Any], verdict: str) -> None:
    told = Told()
    persons.judge_nobody(told, "own", {"new-epoch": {"refused": "nobody-named"}, "rotate-key": answer})
    assert verdicts(told) == [verdict]


def test_refusals_are_counted_with_those_that_one_entry_tells() -> None:
    audits: list[dict[str, Any]] = [{"action": "refused"}, {"action": "start"}, {"action": "refused-more", "what": {"count": 40}}]
    assert persons.recorded(audits) == 41
