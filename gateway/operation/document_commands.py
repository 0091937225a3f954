"""Defines the commands on documents: put the head on one and record it; sign one. With a running gateway, and without one."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from buffer.keys import Signer
from gateway.access import Actor, NotSigned
from gateway.access.signatures import problem, sign
from gateway.alarms.observation import ENDED, SUMMARY
from gateway.changes import software
from gateway.documents import NotADocument, content_of, event_of, head, local_time, signed, unsigned, whole
from gateway.documents.deviations import Disposal, NotDisposed, disposed, signing_problem
from gateway.operation.command import Command, Declined, needed, number
from gateway.operation.parts import Parts


class Surroundings(NamedTuple):
    """What making documents needs of a line.

    state: members of the head that the line alone knows: environment, configuration, journal, clock, ticks. keys: public keys, all so far.
    record: appends the event; on disk when the awaitable completes.
    """

    line: str
    gateway: str
    zone: str
    state: Callable[[], Mapping[str, Any]]
    signer: Callable[[], Signer]
    keys: Callable[[], Sequence[str]]
    record: Callable[[Mapping[str, Any]], Awaitable[None]]


def document_commands(surroundings: Callable[[], Surroundings]) -> dict[str, Command]:
    """Return the commands by name. surroundings: called with each command."""

    async def record(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        line = surroundings()
        drafted, made = arguments.get("draft"), arguments.get("document")
        if isinstance(drafted, Mapping):
            return {"document": await recorded(line, drafted, by)}
        document = known_document(made, line)
        await line.record({**event_of(document), **by_whom(by)})
        return {"document": document}

    async def sign_(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        line = surroundings()
        document, meaning = known_document(arguments.get("document"), line), needed(arguments, "meaning")
        if document["document"] == SUMMARY and meaning.casefold() == ENDED:
            raise Declined("this ends the period: `observation end LINE FILE`")
        signature = await signature_of(line, document, by, meaning)
        document = signed(document, signature)
        await line.record({**event_of(document), **by_whom(by)})
        return {"document": document}

    async def dispose(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        line = surroundings()
        document, newest = known_document(arguments.get("document"), line), arguments.get("newest")
        before = None if newest is None else known_document(newest, line)
        try:
            given = _disposal(line, arguments, by)
            made = await _made(line, disposed(document, before, given), by)
        except NotDisposed as error:
            raise Declined(str(error)) from error
        made = signed(made, await signature_of(line, made, by, f"deviation {given.no}: {given.disposition}"))
        await line.record({**event_of(made), "reason": by.reason, **by_whom(by)})
        return {"document": made}

    return {"document-record": record, "document-sign": sign_, "qualification-dispose": dispose}


def _disposal(line: Surroundings, arguments: Mapping[str, Any], by: Actor) -> Disposal:
    """Read what is disposed of. Raises Declined."""
    no = number(arguments, "no")
    if no is None:
        raise Declined("a no is needed: the number of the deviation")
    impact, disposition = needed(arguments, "impact"), needed(arguments, "disposition")
    return Disposal(no, impact, disposition, str(by.reason), by.who, local_time(line.state()["ticks"], line.zone))


def of_parts(parts: Parts) -> Surroundings:
    """Give what documents need of a running line."""
    line = parts.line

    def state() -> Mapping[str, Any]:
        now, (epoch, seq) = parts.clock.stamp(), parts.journal.last
        return {
            "environment": line.line.environment,
            "configuration": parts.registered.shown(parts.intake.version, line.sha256),
            "journal": [{"epoch": epoch, "first": 1, "last": seq}],
            "clock": {"status": now.status, "bound_s": now.bound_s},
            "ticks": now.ticks,
        }

    keyring, names = parts.keyring, (line.line.name, line.gateway, line.line.timezone)
    return Surroundings(*names, state, lambda: keyring.signer, keyring.publics, parts.audit.made_document)


def by_whom(by: Actor) -> dict[str, Any]:
    """Give the members of an event that say who gave a command, and where."""
    return {"who": by.who, "where": by.where}


async def recorded(line: Surroundings, drafted: Mapping[str, Any], by: Actor) -> dict[str, Any]:
    """Make a document of a draft, and record it; on disk when it returns. Raises Declined."""
    document = await _made(line, drafted, by)
    await line.record({**event_of(document), **by_whom(by)})
    return document


async def _made(line: Surroundings, drafted: Mapping[str, Any], by: Actor) -> dict[str, Any]:
    """Put the head on a draft. Raises Declined."""
    installed = await asyncio.to_thread(software)
    told = {name: line.state()[name] for name in ("environment", "configuration", "journal", "clock", "ticks")}
    place = {"line": line.line, "gateway": line.gateway, "zone": line.zone, "who": by.who, "station": by.where["station"]}
    try:
        return unsigned(head(drafted, software=installed, **place, **told))
    except (KeyError, TypeError, ValueError) as error:
        raise Declined(f"the draft is not understood: {type(error).__name__} {error}") from error


def known_document(told: Any, line: Surroundings) -> dict[str, Any]:
    """Check that this is a document of this gateway, as it was made, and that who stands under it signed it. Raises Declined."""
    try:
        document = whole(told, "this")
    except NotADocument as error:
        raise Declined(str(error)) from error
    if document["gateway"] != line.gateway:
        raise Declined(f"this is a document of {document['gateway']}, not of {line.gateway}")
    if wrong := signature_problems(document, line.keys()):
        raise Declined(f"a signature under it does not hold: {wrong[0]}")
    return document


def signature_problems(document: Mapping[str, Any], publics: Sequence[str]) -> list[str]:
    """Say of each signature that none of these keys made, whose it is said to be and why it does not hold."""
    content, told = content_of(document), []
    for one in document["signatures"]:
        wrong = [problem(one, content, public) for public in publics] or ["no public key of the gateway is known"]
        if all(wrong):
            told.append(f"{one['name']}: {wrong[-1]}")
    return told


async def signature_of(line: Surroundings, document: Mapping[str, Any], by: Actor, meaning: str) -> dict[str, Any]:
    """Sign what was not signed by this person with this meaning before. Raises Declined."""
    return await asyncio.to_thread(_signature, line, document, by, meaning)


def _signature(line: Surroundings, document: Mapping[str, Any], by: Actor, meaning: str) -> dict[str, Any]:
    if any(one["user"] == by.user and one["meaning"] == meaning for one in document["signatures"]):
        raise Declined(f"{by.user} has signed it before: {meaning}")
    if wrong := signing_problem(document, str(by.user), meaning):
        raise Declined(wrong)
    try:
        return sign(content_of(document), by, meaning, line.signer(), now=line.state()["ticks"], site_zone=line.zone)
    except NotSigned as error:
        raise Declined(str(error)) from error
