"""A register of a production line without a running gateway: real store, key and folder; what is written down is kept in a list."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kit.persons import NAMES

import config
from buffer import keys
from gateway.access.actor import Actor, person
from gateway.changes import OpenBatch, Register, Store, Surroundings

WHERE: dict[str, Any] = {"station": "here", "address": None, "interface": "cli", "account": "os:somebody"}


def actor(user: str, role: Any = None, reason: str | None = "because the test says so", *, now: bool = True) -> Actor:
    """A person who proved it. role: that of the name, unless another is given. now: with this very command."""
    held: Any = role or user
    known = person(user, NAMES.get(user, user.title() + " Person"), held, "password", WHERE, reason)
    return replace(known, password_now=now)


@dataclass
class Desk:
    """Where acts are done. written, happened: what went into the record. open: batches. over: contents that were put into force."""

    folder: Path
    written: list[tuple[str, dict[str, Any], Any]] = field(default_factory=list)
    happened: list[Mapping[str, Any]] = field(default_factory=list)
    open: list[OpenBatch] | None = field(default_factory=list)
    over: list[config.Line] = field(default_factory=list)
    ran: int = 0
    fails: BaseException | None = None

    def __post_init__(self) -> None:
        line = config.load(self.folder)
        line.data.mkdir(mode=0o700)
        self.signer = keys.create(line.data / "checkpoint-key", line.gateway)
        self.store = Store(line.data)
        self.around = Surroundings(
            folder=self.folder,
            data=line.data,
            gateway=line.gateway,
            zone="Europe/Paris",
            check=config.read,
            record=self.record,
            happened=self.happened.append,
            signer=lambda: self.signer,
            ran=lambda: self.ran,
            batches=lambda: self.open,
            put_in_force=self.put,
        )
        self.register = Register(self.around)

    async def record(self, action: str, what: Mapping[str, Any], by: Any = None, /, **more: Any) -> None:
        if self.fails is not None:
            raise self.fails
        self.written.append((action, {**what, **more}, by))

    def put(self, line: config.Line) -> bool:
        self.over.append(line)
        return True

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text
        (self.folder / name).write_text(text.replace(old, new, 1))

    async def proposed(self, user: str = "engineer", author: str | None = None) -> int:
        version, _ = await self.register.propose(actor(user, "engineer"), change_no="CC-7", author=author)
        return version.number

    async def approved(self) -> int:
        number = await self.proposed()
        await self.register.decide("approve", number, actor("qa"), meaning="approved for production")
        return number

    async def in_force(self) -> int:
        number = await self.approved()
        await self.register.activate(number, actor("engineer"), emergency=False)
        return number

    def elsewhere(self, **changes: Any) -> Register:
        return Register(replace(self.around, **changes))
