"""One table of who may do what: in the program, on the control socket, on the command line and in the documentation."""

import re
from types import SimpleNamespace
from typing import Any, cast

import click
import pytest
from kit.repository import ROOT

from gateway.access import ROLES, RULES
from gateway.cli import app
from gateway.operation.commands import commands_of
from gateway.operation.offline_commands import works_offline
from gateway.operation.parts import Parts

READS = {
    "alarm-list",
    "quarantine-list",
    "quarantine-show",
    "users-list",
    "config-history",
    "config-show",
    "config-impact",
    "config-assessment",
}
PARTS = cast("Parts", SimpleNamespace(access=None, changes=None, audit=SimpleNamespace(record=None)))
LEAVES = {
    *(
        "about",
        "status",
        "ready",
        "top",
        "values",
        "log",
        "verify",
        "backup",
        "recompute",
        "time",
        "check",
        "new",
        "run",
        "simulate",
        "ebr",
    ),
    *("demo", "docs", "qualify impact", "trace", "stamps", "reconcile", "fallback list"),
    *("browse", "import", "probe", "config diff", "config dictionary", "config inventory", "keys show", "certs show"),
    *("config history", "config show", "config impact"),
    *("document verify", "document print", "rtm export", "rtm check", "rtm document", "spec"),
    *("qualify show", "qualify verify", "fleet compare", "fleet facts"),
    *(
        "alarms list",
        "alarms history",
        "audit list",
        "audit export",
        "audit reviews",
        "quarantine list",
        "quarantine show",
        "users list",
        "users report",
    ),
}
"""What changes nothing of a line's record, keys, trust or users, so that nobody is asked for. A new command is put here, or into RULES."""


BY_ANOTHER = {
    **dict.fromkeys(
        ("qualify iq", "qualify oq", "qualify pq", "loopcheck", "restore-test", "review", "verification run"), "document-record"
    ),
    "qualify sign": "document-sign",
    **dict.fromkeys(("fallback export", "fallback drill", "fallback cutover"), "document-record"),
    **dict.fromkeys(("compare batch", "compare trend", "observation report", "observation summary"), "document-record"),
}
"""Commands that are given as one of the table: what they record or sign is a document."""


def words_of(group: click.Group, before: str = "") -> dict[str, Any]:
    """Every command of the command line by its words."""
    found: dict[str, Any] = {}
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        found |= words_of(command, f"{before}{name} ") if isinstance(command, click.Group) else {f"{before}{name}": command}
    return found


TYPED = words_of(app)


@pytest.mark.urs("URS-SEC-01")
def test_every_command_of_the_control_socket_has_its_row_or_only_reads() -> None:
    on_socket = set(commands_of(PARTS))
    assert on_socket - set(RULES) == READS
    assert [command for command in set(RULES) - on_socket if not works_offline(command)] == []


@pytest.mark.urs("URS-SEC-01", "URS-AUD-02")
def test_every_command_that_is_typed_asks_for_the_person_or_changes_nothing() -> None:
    words = {rule.words: rule for rule in RULES.values()} | {typed: RULES[given] for typed, given in BY_ANOTHER.items()}
    assert set(TYPED) == set(words) | LEAVES
    assert set(words) & LEAVES == set()
    for typed, rule in words.items():
        options = {name: option for option in TYPED[typed].params for name in option.opts}
        assert {"--user", "--password-file"} <= set(options), typed
        assert not rule.reason or options["--reason"].required, typed
        assert "--password" not in options, "what stands among the arguments can be read by everybody"


@pytest.mark.urs("URS-SEC-01")
def test_the_documentation_has_the_table_of_the_program() -> None:
    page = (ROOT / "docs" / "security.md").read_text("utf-8")
    told = {}
    for row in re.findall(r"(?m)^\| `([a-z -]+)` \|(.*)\|$", page):
        *marks, does = [cell.strip() for cell in row[1].split("|")]
        told[row[0]] = (tuple(role for role, mark in zip(ROLES, marks, strict=True) if mark), does)
    assert told == {rule.words: (rule.roles, rule.does) for rule in RULES.values()}


@pytest.mark.urs("URS-SEC-01")
def test_nobody_may_both_give_out_roles_and_let_a_batch_go() -> None:
    for command in ("release-hold", "quarantine-dispose"):
        assert "admin" not in RULES[command].roles
    assert [role for role in ROLES if role in RULES["users-role"].roles] == ["admin"]
    assert [command for command, rule in RULES.items() if "viewer" in rule.roles] == ["users-password"]
