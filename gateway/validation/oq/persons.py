"""Who may do what: each command by each role, over each socket, by real commands to the running gateway of the copy."""

import asyncio
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from config.sections import Role
from gateway.access import ROLES, RULES
from gateway.operation.control import NotRunning, tell
from gateway.validation.check import listed
from gateway.validation.oq.case import Told
from gateway.validation.oq.stage import PEOPLE, Stage

REASON = "operational qualification of roles"
NOT_AT_A_SOCKET = ("restore", "retire")
"""Of the table: given only where no gateway runs."""


class Tried(NamedTuple):
    """A command that was given. role: of who gave it. refused: the cause, None if it was not; said: the answer."""

    socket: str
    command: str
    role: str
    allowed: bool
    refused: str | None
    said: str

    @property
    def good(self) -> bool:
        """A role that may not is refused as that; one that may is not refused, whatever comes of the command itself."""
        return self.refused is None if self.allowed else self.refused == "role"


class Desk:
    """Gives commands over the sockets of a copy, and counts what was refused."""

    def __init__(self, stage: Stage) -> None:
        nowhere = stage.folder / "nowhere"  # a folder without a socket: so the one for people is asked
        nowhere.mkdir(exist_ok=True)
        self._places: dict[str, tuple[Path, Path | None]] = {
            "the gateway's own": (stage.data, None),
            "for people": (nowhere, stage.line.folder / PEOPLE),
        }
        self.refusals = 0
        self.passwords: dict[str, str] = {}

    @property
    def sockets(self) -> tuple[str, ...]:
        """Names of the sockets."""
        return tuple(self._places)

    async def give(self, socket: str, command: str, by: str | None = None, **more: Any) -> dict[str, Any]:
        """Give a command, as a user of the list with its password, or as nobody."""
        data, people = self._places[socket]
        person = {} if by is None else {"as_user": by, "password": self.passwords.get(by, "")}
        answer = await self._answered(data, people, command, {"reason": REASON, **person, **more})
        self.refusals += bool(answer.get("refused"))
        return answer

    async def _answered(self, data: Path, people: Path | None, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Give a command; once more where a slow machine had no answer in time. Raises NotRunning."""
        for _ in range(2):
            with suppress(NotRunning):
                return await asyncio.to_thread(tell, data, command, people=people, **arguments)
        return await asyncio.to_thread(tell, data, command, people=people, **arguments)

    async def add(self, role: Role, by: str | None) -> dict[str, Any]:
        """Add a user of a role, and have it change its first password, as a person does."""
        user, first, own = f"oq-{role}", secrets.token_urlsafe(18), secrets.token_urlsafe(18)
        names = {"user": user, "name": "Operational Qualification", "role": role, "new_password": first}
        added = await self.give(self.sockets[0], "users-add", by, **names)
        self.passwords[user] = first
        changed = await self.give(self.sockets[0], "users-password", user, new_password=own)
        self.passwords[user] = own
        return added if "error" in added else changed


async def roles(stage: Stage, told: Told, seconds: float) -> None:
    """Give every command of the table as nobody, with a wrong password, and as a person of each role, over each socket."""
    del seconds
    async with stage.running():
        desk = Desk(stage)
        order: Sequence[Role] = ("admin", *(role for role in ROLES if role != "admin"))
        answers = [await desk.add(role, None if role == "admin" else "oq-admin") for role in order]
        wrong = [str(one["error"]) for one in answers if "error" in one]
        told.step("add a user of each role; each changes its first password", "done", listed(wrong) or f"{len(order)} users", not wrong)
        for socket in desk.sockets:
            await _as_nobody(desk, told, socket)
            tried = [one async for one in _tried(desk, socket)]
            judge(told, socket, tried)
        await _without_right(desk, told)
        await stage.at_rest()
    written = recorded(stage.received().audits)
    told.step("read the audit trail", "each refusal is there", f"{written} of {desk.refusals}", 0 < desk.refusals <= written)


async def _as_nobody(desk: Desk, told: Told, socket: str) -> None:
    """Give each command without a person: there are users, so nobody's word counts."""
    commands = [command for command in RULES if command not in NOT_AT_A_SOCKET]
    judge_nobody(told, socket, {command: await desk.give(socket, command) for command in commands})


def judge_nobody(told: Told, socket: str, answers: Mapping[str, Mapping[str, Any]]) -> None:
    """Say whether each command that nobody gave was refused for that."""
    done = [
        f"{command}: {answer.get('refused') or answer.get('error', 'done')}"
        for command, answer in answers.items()
        if answer.get("refused") != "nobody-named"
    ]
    text = listed(done) or f"{len(answers)} refused"
    told.step(f"give each command without a person (socket {socket})", "each refused", text, not done if answers else None)


async def _tried(desk: Desk, socket: str) -> Any:
    for command, rule in RULES.items():
        for role in ROLES if command not in NOT_AT_A_SOCKET else ():
            answer = await desk.give(socket, command, f"oq-{role}")
            said = str(answer.get("error", "done"))[:200]
            yield Tried(socket, command, role, role in rule.roles, answer.get("refused"), said)


def judge(told: Told, socket: str, tried: Sequence[Tried]) -> None:
    """Say whether each role may what the table says, and nothing else. One step for each role, the matrix as evidence."""
    name = socket.replace(" ", "-").replace("'", "")
    for role in ROLES:
        mine = [one for one in tried if one.role == role]
        wrong = [f"{one.command}: {'refused, ' + one.refused if one.refused else one.said}" for one in mine if not one.good]
        may = sum(one.allowed for one in mine)
        text = listed(wrong) or f"{len(mine) - may} refused for the role, {may} not refused"
        expected = f"{may} of {len(mine)} commands are for it, the others are refused"
        told.step(f"give each command as {role} (socket {socket})", expected, text, not wrong if mine else None)
    told.step(
        f"keep the matrix (socket {socket})", "a table", f"{len(tried)} commands", bool(tried), **{f"roles-{name}": list(matrix(tried))}
    )


def matrix(tried: Sequence[Tried]) -> Iterator[Mapping[str, Any]]:
    """Write one row for each command: what came for each role."""
    for command in dict.fromkeys(one.command for one in tried):
        yield {"command": command, **{one.role: one.refused or one.said for one in tried if one.command == command}}


async def _without_right(desk: Desk, told: Told) -> None:
    """Give a command with a wrong password, as somebody who is not there, and as somebody who is let in no more."""
    socket = desk.sockets[0]
    right, desk.passwords["oq-engineer"] = desk.passwords["oq-engineer"], secrets.token_urlsafe(18)
    wrong = await desk.give(socket, "new-epoch", "oq-engineer")
    desk.passwords["oq-engineer"] = right
    strange = await desk.give(socket, "new-epoch", "oq-nobody")
    disabled = await desk.give(socket, "users-disable", "oq-admin", user="oq-engineer")
    after = await desk.give(socket, "new-epoch", "oq-engineer")
    for action, expected, answer in (
        ("give one with a wrong password", "wrong-password", wrong),
        ("give one as somebody who is not in the list", "unknown-user", strange),
        ("give one as somebody who was disabled", "disabled", after),
    ):
        found = str(answer.get("refused"))
        told.step(action, f"refused: {expected}", found if "error" not in disabled else str(disabled["error"]), found == expected)


def recorded(audits: Sequence[Mapping[str, Any]]) -> int:
    """Count refusals in the audit trail: those with an entry of their own, and those that one entry counts."""
    counted = sum(int(one["what"]["count"]) for one in audits if one["action"] == "refused-more")
    return counted + sum(1 for one in audits if one["action"] == "refused")
