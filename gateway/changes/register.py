"""Carries out acts on versions: checks, signs, has the audit event written, and only then lets the act count."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from buffer.keys import Signer
from buffer.times import TICKS_PER_S, now_ticks, rfc3339
from config import ConfigError, Line, Problem
from config.reports import coverage
from gateway.access import Actor
from gateway.access.gate import Record
from gateway.access.roles import reason_problem
from gateway.access.signatures import NotSigned, may_sign
from gateway.changes import acts, baseline, impact
from gateway.changes.acts import Act, Person, Signed
from gateway.changes.book import Book, NotAllowed, Version
from gateway.changes.described import described, owes_approval
from gateway.changes.impact import OpenBatch
from gateway.changes.states import Deed
from gateway.changes.store import Store
from gateway.entries.findings import finding

Check = Callable[[Path, Mapping[str, bytes] | None], tuple[Line | None, list[Problem]]]
"""Reads a line folder, or these contents in its place, and tells every problem."""
MOST_WORDS = 500
MOST_DIFF_BYTES = 6_000
MOST_TOLD = 200


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What acts need of the gateway, or of the command line while none runs.

    folder: the line folder. data: the journal's. zone: of the people at the line. record, happened: append an audit event, any event.
    signer: the gateway's key. ran: the highest number that a configuration of the journal has. batches: those that are open; None where
    nobody can know. put_in_force: called with the content of a version that is in force from now on; returns whether the gateway goes over
    to it at once. known: digest of an act that the journal knows to be kept, None if it knows none.
    """

    folder: Path
    data: Path
    gateway: str
    zone: str
    check: Check
    record: Record
    happened: Callable[[Mapping[str, Any]], object]
    signer: Callable[[], Signer]
    ran: Callable[[], int]
    batches: Callable[[], Iterable[OpenBatch] | None]
    put_in_force: Callable[[Line], bool] = lambda _: False
    known: Callable[[], str | None] = lambda: None
    now: Callable[[], int] = now_ticks


class Frozen(NamedTuple):
    """A folder's content that was read and checked, with what it was compared with."""

    line: Line
    impact: dict[str, Any]
    baseline: dict[str, Any]


class Register:
    """Carries out acts on the versions of one line, one at a time: each is decided by the book as it is."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._store = Store(around.data)
        self._one = asyncio.Lock()

    def book(self) -> Book:
        """Read every version. Raises NotAllowed if the acts are damaged: nothing is added to what can not be trusted. For a thread."""
        read = self._store.read(self._around.gateway)
        if read.wrong is not None:
            raise NotAllowed(read.wrong)
        if (gone := missing(read.book, self._around.known())) is not None:
            raise NotAllowed(gone)
        return read.book

    # ---- acts ----------------------------------------------------------------------------------------------------------------------

    async def propose(self, by: Actor, *, change_no: str, author: str | None) -> tuple[Version, dict[str, Any]]:
        """Freeze the folder as the next version. Returns it with its impact. Raises NotAllowed, ConfigError, OSError."""
        _person(by)
        _words("change number", change_no)
        async with self._one:
            book = await asyncio.to_thread(self.book)
            frozen = await asyncio.to_thread(self._frozen, book)
            line = frozen.line
            number = max(book.newest, self._around.ran()) + 1
            assessed = await asyncio.to_thread(self._store.document, frozen.impact)
            taken = await asyncio.to_thread(self._store.document, frozen.baseline)
            await asyncio.to_thread(self._store.keep, line.files, line.sha256)
            follows = None if book.active is None else book.active.number
            given = {"change_no": change_no, "author": author or None, "follows": follows, "impact": assessed, "baseline": taken}
            signed = self._signed(book, "propose", number, line.sha256, by, **given)
            after = book.with_act(signed)
            told = {
                "change_no": change_no,
                "impact": assessed,
                "changes": frozen.impact["changes"],
                "criticality": frozen.impact["criticality"],
            }
            await self._done(signed, by, old=follows, new=number, **told, diff=_bounded(frozen.impact["rows"]))
            return after.named(number), frozen.impact

    async def decide(self, deed: Deed, number: int, by: Actor, *, meaning: str) -> Version:
        """Approve or reject a version, in the name of a person who had no hand in it. Raises NotAllowed, OSError."""
        _signer(by)
        _words("meaning", meaning)
        async with self._one:
            book = await asyncio.to_thread(self.book)
            before = book.named(number)
            await asyncio.to_thread(self._whole, before)
            signed = self._signed(book, deed, number, before.sha256, by, meaning=meaning, impact=before.begun.impact)
            after = book.with_act(signed)
            await self._done(signed, by, old=before.state, new=after.named(number).state, meaning=meaning)
            if before in book.owing and deed == "approve":
                text = f"version {number} was approved afterwards by {by.who['name'] or by.who['user']}"
                self._around.happened(finding("config-emergency-over", "info", text, {"name": f"version {number}"}))
            return after.named(number)

    async def activate(self, number: int, by: Actor, *, emergency: bool) -> tuple[Version, bool]:
        """Put a version into force. Returns it, and whether the gateway goes over to it at once. Raises NotAllowed, OSError."""
        _person(by)
        async with self._one:
            book = await asyncio.to_thread(self.book)
            before = book.named(number)
            line = await asyncio.to_thread(self._whole, before)
            assessed = await asyncio.to_thread(self._impact_of, book, before, line)
            deed: Deed = "activate-emergency" if emergency else "activate"
            return await self._put_in_force(book, deed, number, line, by, assessed)

    async def roll_back(self, number: int, by: Actor, *, emergency: bool) -> tuple[Version, bool]:
        """Bring the content of an earlier version back as a new one, under the approval that it has. Returns and raises as `activate`."""
        _person(by)
        async with self._one:
            book = await asyncio.to_thread(self.book)
            back = book.named(number)
            if (now := book.active) is not None and (now.sha256, now.begun.baseline) == (back.sha256, back.begun.baseline):
                raise NotAllowed(f"version {now.number}, which is in force, holds what version {number} held: nothing to go back to")
            line = await asyncio.to_thread(self._whole, back)
            assessed = await asyncio.to_thread(self._impact_of, book, back, line)
            deed: Deed = "rollback-emergency" if emergency else "rollback"
            new = max(book.newest, self._around.ran()) + 1
            return await self._put_in_force(book, deed, new, line, by, assessed, of=number, baseline=back.begun.baseline)

    async def _put_in_force(
        self, book: Book, deed: Deed, number: int, line: Line, by: Actor, assessed: Mapping[str, Any], **more: Any
    ) -> tuple[Version, bool]:
        batches = self._open(assessed, by, emergency=deed.endswith("-emergency"))
        follows = None if book.active is None else book.active.number
        # Nothing is awaited from here until the entry has its place: no batch begins between what was asked and what is written.
        signed = self._signed(book, deed, number, line.sha256, by, follows=follows, batches=tuple(batches), **more)
        after = book.with_act(signed)
        await self._done(signed, by, old=follows, new=number, batches=batches, emergency=deed.endswith("-emergency"))
        if deed.endswith("-emergency"):
            self._around.happened(owes_approval(after.named(number)))
        return after.named(number), self._around.put_in_force(line)

    def _open(self, assessed: Mapping[str, Any], by: Actor, *, emergency: bool) -> list[str]:
        """Name the open batches that are concerned. Raises NotAllowed if there are some, or nobody knows, and it is no emergency."""
        if emergency and (wrong := reason_problem(by.reason or "")) is not None:
            raise NotAllowed(f"an emergency needs a reason: {wrong}")
        open_ = self._around.batches()
        if open_ is None:
            if not emergency:
                raise NotAllowed(
                    "which batches are open can not be known while no gateway runs: start it, the version in force runs on; "
                    "or --emergency with a reason"
                )
            return []
        found = impact.concerned(assessed, open_)
        if found and not emergency:
            told = ", ".join(found)
            raise NotAllowed(f"open on equipment that it touches: {told}; wait for the end, or --emergency with a reason")
        return found

    # ---- what is read --------------------------------------------------------------------------------------------------------------

    def described(self, number: int | None = None) -> dict[str, Any]:
        """Describe all versions, or one with its acts, for people and programs. Raises NotAllowed. For a thread."""
        read = self._store.read(self._around.gateway)
        found = list(read.book.versions.values()) if number is None else [read.book.named(number)]
        rows = [described(version, read.book, with_notes=number is not None) for version in found[-MOST_TOLD:]]
        wrong = read.wrong or missing(read.book, self._around.known())
        left_out = len(found) - len(rows)
        gaps = {} if number is None else {"gaps": self._gaps(found[0])}
        return gaps | {"versions": rows, "left_out": left_out, "active": read.book.active and read.book.active.number, "wrong": wrong}

    def impact(self, number: int) -> dict[str, Any]:
        """Return a version's impact against what is in force now, with the open batches concerned. Raises NotAllowed. For a thread."""
        book = self._store.read(self._around.gateway).book
        version = book.named(number)
        assessed = self._impact_of(book, version, self._whole(version))
        open_ = self._around.batches()
        batches = None if open_ is None else impact.concerned(assessed, open_)
        return {"version": number, "state": version.state, "sha256": version.sha256, "reference": version.begun.impact} | {
            "impact": assessed,
            "batches": batches,
        }

    def keep_assessment(self, document: Mapping[str, Any]) -> None:
        """Keep the document of a version's impact assessment. Raises OSError. For a thread."""
        self._store.keep_assessment(document)

    def assessment(self, number: int) -> dict[str, Any]:
        """Return the document of a version's impact assessment, as it was recorded. Raises NotAllowed. For a thread."""
        version = self._store.read(self._around.gateway).book.named(number)
        found = self._store.assessment(number, version.begun.impact)
        if found is None:
            raise NotAllowed(f"no document of the impact assessment of version {number} is kept; `config impact` tells it anew")
        return found

    # ---- inside --------------------------------------------------------------------------------------------------------------------

    def _frozen(self, book: Book) -> Frozen:
        around = self._around
        line, problems = around.check(around.folder, None)
        if line is None:
            raise ConfigError([problem for problem in problems if problem.severity == "error"])
        if (line.gateway, line.data) != (around.gateway, around.data):
            raise NotAllowed(
                f"the folder is of {line.gateway} with its journal in {line.data}: site, name and [buffer] directory stay as they are"
            )
        now, active = baseline.installed(line.line.name), book.active
        before = self._baseline(active)
        software = baseline.differences(before, now) if before is not None else []
        if active is not None and active.sha256 == line.sha256 and not software:
            raise NotAllowed(f"the folder holds what is in force as version {active.number}, and nothing else was installed")
        old = None if active is None else self._whole(active)
        return Frozen(line, impact.impact(old, line, software[:MOST_TOLD], self._promised(active)), now)

    def _promised(self, version: Version | None) -> dict[str, str] | None:
        """Read what the interfaces of a version promised when it was proposed; None if its assessment, or nobody any more, says so."""
        if version is None or version.begun.impact is None:
            return None
        try:
            told: dict[str, str] | None = self._store.read_document(version.begun.impact).get("contracts", {}).get("digests")
        except NotAllowed:
            return None
        return told

    def _baseline(self, version: Version | None) -> dict[str, Any] | None:
        return None if version is None or version.begun.baseline is None else self._store.read_document(version.begun.baseline)

    def _whole(self, version: Version) -> Line:
        """Read a version's content, if it is what was signed and this program takes it. Raises NotAllowed."""
        line, problems = self._around.check(self._around.folder, self._store.content(version.sha256))
        if line is None:
            first = next(str(problem) for problem in problems if problem.severity == "error")
            raise NotAllowed(f"version {version.number} is not taken by this release: {first}")
        return line

    def _gaps(self, version: Version) -> list[dict[str, Any]] | None:
        """List what a version's mapping leaves open, and who has accepted it; None where this release does not read it."""
        try:
            line = self._whole(version)
        except NotAllowed:
            return None
        return coverage.decided(line)

    def _impact_of(self, book: Book, version: Version, line: Line) -> dict[str, Any]:
        active, now = book.active, self._baseline(version)
        before = self._baseline(active)
        software = baseline.differences(before, now) if before is not None and now is not None else []
        old = None if active is None else self._whole(active)
        return impact.impact(old, line, software[:MOST_TOLD], self._promised(active))

    def _signed(self, book: Book, deed: Deed, number: int, sha256: str, by: Actor, **more: Any) -> Signed:
        """Sign an act, if it may be done. Raises NotAllowed."""
        around, at, signer = self._around, self._around.now(), self._around.signer()
        local = datetime.fromtimestamp(at / TICKS_PER_S, ZoneInfo(around.zone))
        who = Person(**{name: by.who[name] for name in ("user", "name", "role", "auth")})
        act = Act(
            act=deed,
            gateway=around.gateway,
            version=number,
            sha256=sha256,
            previous=book.last,
            by=who,
            reason=by.reason,
            at=rfc3339(at),
            local=f"{local:%Y-%m-%d %H:%M:%S %z}",
            zone=around.zone,
            key=signer.public.split("+")[1],
            **more,
        )
        if (why := book.problem(act)) is not None:
            before = book.versions.get(number)
            own = deed in ("approve", "reject") and before is not None and before.is_of(who.user)
            raise NotAllowed(why, "own-hand" if own else None)
        return acts.sign(act, signer)

    async def _done(self, signed: Signed, by: Actor, *, old: Any, new: Any, **what: Any) -> None:
        """Write an act down, then let it count."""
        act = signed.act
        facts = {"version": act.version, "sha256": act.sha256, **what, "previous": act.previous, "note": signed.note}
        await self._around.record(f"config-{act.act}", facts, by, target=f"configuration {act.version}", old=old, new=new)
        await asyncio.to_thread(self._store.append, signed)


def missing(book: Book, known: str | None) -> str | None:
    """Say that acts are missing which the journal knows to have been kept; None if it is not so. known: digest of the newest of them."""
    if known is None or any(signed.digest == known for version in book.versions.values() for signed in version.acts):
        return None
    return f"acts on the versions of this line are missing: the journal knows one ({known[:16]}) that is not there"


def _person(by: Actor) -> None:
    """Raise NotAllowed for who is no person."""
    if by.who["kind"] != "person":
        raise NotAllowed(f"{by.who['user']} is an account and no person: say who you are with --user (`users add` adds people)")


def _signer(by: Actor) -> None:
    """Raise NotAllowed for who can not sign."""
    try:
        may_sign(by)
    except NotSigned as error:
        raise NotAllowed(str(error)) from error


def _words(name: str, text: str) -> None:
    if not text.strip() or len(text) > MOST_WORDS or not text.isprintable():
        raise NotAllowed(f"the {name} is a text of one line, with at most {MOST_WORDS} characters")


def _bounded(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Cut the list of changes so that it fits an entry, and a line that waits; the document holds all."""
    told: list[dict[str, Any]] = []
    for row in rows:
        short = {"path": row["path"][:200], "what": row["what"], "criticality": row["criticality"], "fields": row["fields"][:5]}
        if len(orjson.dumps([*told, short])) > MOST_DIFF_BYTES:
            break
        told.append(short)
    return told
