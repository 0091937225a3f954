"""The steps of a retirement, in their order. Each is done once: what was completed stands in `retirement.json`, and is not done again."""

import asyncio
import hashlib
import os
import shutil
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import config
from buffer import durable, verify
from buffer.restore import backup as backups
from buffer.times import now_ticks, rfc3339
from config import Line
from gateway.access import Actor, account, alone, myself
from gateway.changes import software
from gateway.changes.retired import ENDED, Retirement
from gateway.documents import FORMS, head, unsigned, written
from gateway.operation.archive_sums import archive_sums
from gateway.operation.command import Declined
from gateway.operation.document_commands import document_commands, of_parts
from gateway.operation.document_state import stated_offline
from gateway.operation.parts import Parts
from gateway.retirement import archives, certificates, erasing, lines, looked, record, secrets
from gateway.retirement.compared import compared
from gateway.retirement.places import Places, read_later
from gateway.runtime import gateway
from gateway.runtime.choosing import Chosen

HAND_OVER_S = 20.0
"""So long receivers and witnesses are given to confirm the last entries and checkpoints."""
MEANING = "retirement approved"
REVOCATION = verify.REVOCATION_BESIDE
COPY = "journal"
SUMS = "SHA256SUMS"
"""In the copy, as `backup` writes it."""


class NotRetired(Exception):
    """A step can not be done; the text says why, and what to do. The same command goes on from here."""


@dataclass(frozen=True)
class Act:
    """One run of the command. by: the person; None where only the end of the erasure is left. asked: as of `compared`.

    shown: folder with archives of before. named: secrets that the person named. say: tells how far it is.
    """

    line: Line
    chosen: Chosen
    to: Path
    by: Actor | None
    state: Retirement
    asked: Mapping[str, str]
    shown: Path | None
    named: tuple[Path, ...]
    say: Callable[[str], None]

    def stops_for(self, obstacles: list[looked.Obstacle]) -> None:
        """Raise NotRetired where something stands in the way that nobody has accepted."""
        accepted = {one["what"] for one in self.state.accepted}
        if left := looked.unaccepted(obstacles, dict.fromkeys(accepted)):
            self.state.stops_for([one._asdict() for one in left])
            raise NotRetired("\n".join(f"in the way: {one.what}: {one.found}" for one in left))

    @property
    def read_later(self) -> tuple[tuple[str, Path], ...]:
        """The folders of which nothing is erased."""
        return read_later(self.to, self.shown, tuple(self.asked.values()))

    @property
    def places(self) -> Places:
        """Where the line's files lie."""
        return Places.of(self.line.folder, self.line.data, self.read_later)

    @property
    def keys(self) -> str:
        """The line's public keys."""
        return looked.keys_of(self.line.data)


Step = Callable[[Act, Parts], Awaitable[dict[str, Any]]]


def retire(act: Act) -> None:
    """Do every step that is not done yet. Raises NotRetired, JournalError, StorageFault, OSError."""
    writes = any(name not in act.state.done for name in IN_JOURNAL)
    if writes:
        _withdraw(act)
    if writes and (error := asyncio.run(gateway.once(act.line, act.chosen, lambda parts: _in_journal(act, parts)))) is not None:
        raise error
    with alone(act.line.data):
        for name, step in AFTER.items():
            if name not in act.state.done:
                act.say(f"{name} ...")
                act.state.completed(name, step(act))


async def _in_journal(act: Act, parts: Parts) -> Exception | None:
    """Do the steps that write to the journal; return what stopped them: raised, it would end what delivers entries without a word."""
    if parts.broken:
        return NotRetired("; ".join(f"{name}: {why}" for name, why in parts.broken.items()))
    try:
        for name, step in IN_JOURNAL.items():
            if name not in act.state.done:
                act.say(f"{name} ...")
                act.state.completed(name, await step(act, parts))
    except (NotRetired, Declined, OSError) as error:
        return error if isinstance(error, NotRetired | OSError) else NotRetired(str(error))
    return None


async def _reconcile(act: Act, parts: Parts) -> dict[str, Any]:
    """Compare with each receiver once more, after it has had time to take everything; each comparison is a document."""
    await _handed_over(act, parts)
    found = await compared(act.line, act.asked)
    act.stops_for([looked.Obstacle(f"reconcile:{one.uplink}", one.why) for one in found if one.why])
    rows = []
    for one in found:
        document = None if one.drafted is None else await _recorded(act, parts, one.drafted, sign=False)
        made = {} if document is None else {name: document[name] for name in ("id", "sha256", "result")}
        rows.append({"uplink": one.uplink, "receiver": one.receiver, "why": one.why or None, "document": made or None})
    return {"uplinks": rows}


async def _archive(act: Act, parts: Parts) -> dict[str, Any]:
    """Make the archive of each batch that the journal names, verify it, and verify those of before."""
    await parts.checkpoints.sign("retirement")  # so that the last batch is covered
    signer, made, rows = parts.keyring.signer, [], []
    batches = await asyncio.to_thread(looked.batches_of, act.line.data)
    for batch, name in archives.file_names(batches.names).items():
        texts: list[str] = []

        def sign(text: str, texts: list[str] = texts) -> str:
            texts.append(text)
            return signer.note(text)

        one = await asyncio.to_thread(
            archives.made, act.line.data, batch, act.to / archives.FOLDER / name, parts.line.gateway, act.keys, sign
        )
        made.append(one)
        for text in texts:
            await parts.audit.record("archive", archive_sums(text, parts.line.gateway), act.by, target=f"batch {batch}")
    shown = await asyncio.to_thread(archives.shown, act.shown, parts.line.gateway, act.keys)
    act.stops_for([looked.Obstacle(f"archive:{one.batch}", one.why) for one in made if one.why])
    act.stops_for([looked.Obstacle(f"archive:{one.path.name}", one.why) for one in shown if one.why])
    rows = [{**one.facts(), "made": is_made, "why": one.why or None} for of, is_made in ((made, True), (shown, False)) for one in of]
    return {"archives": rows, "open": list(batches.open_)}


async def _close(act: Act, parts: Parts) -> dict[str, Any]:
    """Append that the line is retired, sign everything, and see who outside has it."""
    certs = await asyncio.to_thread(certificates.listed, act.line)
    done = act.state.done
    what = {
        "to": str(act.to),
        "archives": len(done["archived"]["archives"]),
        "keys": act.keys.split()[-10:],
        "certificates": [one["sha256"] for one in certs][:100],
        "accepted": [one["what"] for one in act.state.accepted][:100],
    }
    await parts.audit.record("retired", what, act.by, target=f"line {parts.line.gateway}", old="being retired", new="retired")
    told = await _signed_and_told(act, parts)
    return {**told, "keys": act.keys.split(), "certificates": certs, "journal": await asyncio.to_thread(looked.ranges_of, act.line.data)}


async def _signed_and_told(act: Act, parts: Parts) -> dict[str, Any]:
    """Sign everything so far; say who outside has the checkpoint, and which receiver has all entries. Raises NotRetired."""
    await parts.checkpoints.sign("retirement")
    if parts.checkpoints.refused is not None:
        raise NotRetired(f"a checkpoint is refused, for it would contradict an earlier one: {parts.checkpoints.refused}")
    await _handed_over(act, parts)
    delivered = [_delivered(parts, one.status.name) for one in parts.uplinks]
    act.stops_for([looked.Obstacle(f"undelivered:{one['uplink']}", one["why"]) for one in delivered if one["why"]])
    last = parts.checkpoints.last or {}
    return {
        "checkpoint": {name: last.get(name) for name in ("epoch", "size", "root")},
        "witnesses": [_witnessed(one.describe(), last) for one in parts.checkpoints.witnesses],
        "delivered": delivered,
    }


def _delivered(parts: Parts, uplink: str) -> dict[str, Any]:
    at, last = parts.journal.cursor(uplink), parts.journal.last
    why = "" if at >= last else looked.undelivered(at, last)
    return {"uplink": uplink, "through": {"epoch": at[0], "seq": at[1]}, "why": why}


def _witnessed(told: Mapping[str, Any], last: Mapping[str, Any]) -> dict[str, Any]:
    """Say whether a witness has the last checkpoint; one that did not answer is not known to have it."""
    holds = (told["epoch"], told["size"]) == (last.get("epoch"), last.get("size"))
    why = told["contradicts"] or told["away"] or f"it had not answered after {HAND_OVER_S:.0f} s"
    return {"witness": told["name"], "endpoint": told["endpoint"], "holds": holds or None, "why": None if holds else why}


async def _handed_over(act: Act, parts: Parts) -> None:
    """Wait until every receiver and every witness has everything, or until their time is over.

    Whom nobody expects to take it any more is not waited for.
    """
    accepted = {one["what"] for one in act.state.accepted}
    names = [one.status.name for one in parts.uplinks if f"undelivered:{one.status.name}" not in accepted]
    deadline_s = time.monotonic() + HAND_OVER_S
    while time.monotonic() < deadline_s:
        behind = any(parts.journal.cursor(name) < parts.journal.last for name in names)
        if not behind and not any(one.waiting for one in parts.checkpoints.witnesses):
            return
        await asyncio.sleep(0.05)


async def _erase(act: Act, _parts: Parts) -> dict[str, Any]:
    """Erase what nothing needs any more. Which files, stands on disk since it was begun, and is looked at once more before the first."""
    if not act.state.is_erasing:
        act.state.will_erase(await asyncio.to_thread(_settled, act))
    await asyncio.to_thread(_erase_those, act, to_the_end=False)
    return {}


def _settled(act: Act) -> list[dict[str, Any]]:
    """Return the list that was fixed, in the order in which it is erased, as its files are now. Raises NotRetired."""
    found, missing = secrets.found(act.line, act.named, act.read_later, lines.others(act.chosen).lines)
    fixed = {one["path"]: one for one in act.state.told["secrets"] or secrets.rows(found, missing)}
    now = [_since(one, fixed, act) for one in found]
    stay = {path for path, one in fixed.items() if not one["erase"]}
    act.stops_for([*looked.kept([one for one in now if str(one.path) not in stay], [])])
    rows = {one["path"]: one for one in secrets.rows(now, [])}
    gone = [one for path, one in fixed.items() if path not in rows]
    return [*gone, *(fixed[path] if path in stay else one for path, one in rows.items())]


def _since(one: secrets.Secret, fixed: Mapping[str, Any], act: Act) -> secrets.Secret:
    """Mark a file that came after the list was fixed; keys of the journal's folder may, when the start completes a change of them."""
    if str(one.path) in fixed or one.kept_elsewhere or act.places.is_own(one.path.resolve()):
        return one
    return one._replace(
        kept_elsewhere="came after the list of secrets was fixed, as this was begun: remove it, or --abandon and begin anew"
    )


def _erase_those(act: Act, *, to_the_end: bool) -> None:
    for one in act.state.told["secrets"]:
        if one["erase"] and not one["erased"] and one["to_the_end"] is to_the_end:
            _erase_one(act, one["path"], to_the_end=to_the_end)


def _erase_one(act: Act, path: str, *, to_the_end: bool) -> None:
    """Erase a file, or note that it stays where a person has accepted just that. Raises NotRetired."""
    try:
        told = erasing.erased(Path(path), act.places.objection)
    except erasing.NotErased as error:
        act.stops_for([looked.Obstacle(f"secret:{path}", str(error), acceptable=not to_the_end)])
        act.state.stays(path, str(error))
        return
    act.state.erased(path, told)


async def _record(act: Act, parts: Parts) -> dict[str, Any]:
    """Make the record, have the person sign it, sign the journal for the last time, and revoke the keys."""
    document = await _recorded(act, parts, record.of_retirement(parts.line.gateway, act.state.told), sign=True)
    told = await _signed_and_told(act, parts)
    epoch, seq = parts.journal.last
    last = f"sign nothing after entry {seq} of epoch {epoch}"
    text = "\n".join([verify.REVOKED, parts.line.gateway, *act.keys.split(), last, rfc3339(now_ticks()), ""])
    note = parts.keyring.signer.note(text)
    for folder in (act.line.data, act.to):
        await asyncio.to_thread(_put, folder / REVOCATION, note)
    made = {name: document[name] for name in ("id", "sha256", "result")}
    return {**told, "document": made, "last": {"epoch": epoch, "seq": seq}, "revocation_sha256": hashlib.sha256(note.encode()).hexdigest()}


async def _recorded(act: Act, parts: Parts, drafted: Mapping[str, Any], *, sign: bool) -> dict[str, Any]:
    """Record a document in the journal, have the person sign it, and write its files."""
    assert act.by is not None
    commands = document_commands(lambda: of_parts(parts))
    document: dict[str, Any] = (await commands["document-record"]({"draft": dict(drafted)}, act.by))["document"]
    if sign:
        document = (await commands["document-sign"]({"document": document, "meaning": MEANING}, act.by))["document"]
    await asyncio.to_thread(write, document, act.to)
    return document


def write(document: Mapping[str, Any], to: Path) -> list[Path]:
    """Write the files of a document. Raises OSError."""
    return written(document, to, FORMS, now_ticks())


def _withdraw(act: Act) -> None:
    """Remove the revocation that a run wrote which was cut before its step was done: this run signs more, and revokes anew."""
    for folder in (act.line.data, act.to):
        if (folder / REVOCATION).exists():
            (folder / REVOCATION).unlink()
            durable.sync(folder)


def _put(path: Path, text: str) -> None:
    durable.write(path, text.encode(), 0o644)


def _copy(act: Act) -> dict[str, Any]:
    """Copy the whole journal beside the archives, and prove the copy: it is what is read when this machine is gone."""
    target, part = act.to / COPY, act.to / f".{COPY}.part"
    for remains in (target, part):  # of a run that was cut: this one has not come so far before
        shutil.rmtree(remains, ignore_errors=True)
    backups.backup(act.line.data, part)
    report = verify.verify(part, act.keys)
    act.stops_for([] if not report.exit_code else [copy_obstacle(report, verify.verify(act.line.data, act.keys))])
    durable.place(part, target)
    sums = hashlib.sha256((target / SUMS).read_bytes()).hexdigest()
    return {
        "place": str(target),
        "entries": report.entries,
        "signatures": report.signatures,
        "good": not report.exit_code,
        "sums_sha256": sums,
    }


def copy_obstacle(copy: verify.Report, original: verify.Report) -> looked.Obstacle:
    """Say what is wrong with a copy. Nobody can accept what the journal itself does not have: the copy is the last that is made of it."""
    known = {*original.problems, *original.missing}
    told = [text for text in (*copy.problems, *copy.missing) if text not in known]
    if told:
        return looked.Obstacle("copy", f"{looked.some(told)}: look at the medium of --to: the same command copies anew", acceptable=False)
    return looked.Obstacle("journal", f"the copy is as the journal: {looked.some([*copy.problems, *copy.missing])}")


def _erase_last(act: Act) -> dict[str, Any]:
    """Erase what was needed to the end, the key that signs last of all."""
    _erase_those(act, to_the_end=True)
    return {}


def _state_it(act: Act) -> dict[str, Any]:
    """Write down how it ended. Nobody is left who could sign it here: it has room for a signature by hand."""
    line = config.identity(act.line.folder)
    who = (act.by or account(myself())).who
    names: dict[str, Any] = {"line": line.line.name, "gateway": line.gateway, "zone": line.line.timezone}
    drafted = record.of_erasure(line.gateway, act.state.told)
    content = head(drafted, **names, **stated_offline(line, now_ticks()), software=software(), who=who, station=socket.gethostname())
    document = unsigned(content)
    files = write(document, act.to)
    return {"document": {"id": document["id"], "sha256": document["sha256"]}, "files": [str(file) for file in files]}


IN_JOURNAL: dict[str, Step] = {"reconciled": _reconcile, "archived": _archive, "closed": _close, "erased": _erase, "recorded": _record}
"""With the journal open."""
AFTER: dict[str, Callable[[Act], dict[str, Any]]] = {"copied": _copy, "erased-last": _erase_last, ENDED: _state_it}
"""With the journal closed for good. Nothing here is signed."""


def left(state: Retirement) -> list[str]:
    """Look which of the files that were erased are there (again)."""
    return [one["path"] for one in state.told["secrets"] or () if one["erase"] and os.path.lexists(one["path"])]
