"""Make a batch's archive: whole entries, proofs, keys, the verifier and pages for people, in one zip that needs nothing of the gateway."""

import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from buffer import entry as formats
from buffer import sqlite, verify
from buffer.archive.configurations import files_of
from buffer.archive.html import html
from buffer.archive.pdf import pdf
from buffer.archive.record import Proof, Record
from buffer.proofs import EpochTree, coded
from buffer.reader import read_journal
from buffer.segment import Entry
from buffer.times import now_ticks, rfc3339

FORMAT = "ebr-gateway/archive/1"
MADE = (1980, 1, 1, 0, 0, 0)  # equal content gives an equal file


class NotReady(Exception):
    """The archive can not be made yet; the text says what is missing."""


class Span(NamedTuple):
    """Consecutive entries of one epoch, and single ones before them that records of the batch rest on."""

    epoch: int
    first: int
    last: int
    cited: frozenset[int] = frozenset()


def make(
    journal: Path, batch: str, target: Path, keys: Iterable[str], sign: Callable[[str], str | None] = lambda _text: None
) -> verify.Report:
    """Write the archive of a batch and verify it. Works beside a running gateway.

    keys: public verifier keys. sign: makes a signed note of the text that names the archive's sums (`Signer.note`); None if it can not.

    Holds every entry from where the batch and its steps began to the last that names the batch, other equipment's among them (only a
    gapless range proves that nothing was left out); and of those before, the single entries that its records rest on, the tag tables and
    the configuration in force. Raises NotReady, FileExistsError, StorageError.
    """
    held = list(_needed(journal, batch))
    if not held:
        raise NotReady(f"no entry held in {journal} names batch {batch}")
    keys = list(keys)
    if not keys:
        raise NotReady("the gateway has no signing key")
    files = dict(_files(journal, batch, held, keys))
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items()).encode()
    files["SHA256SUMS"] = sums
    note = sign(sums_text(json.loads(held[0].payload)["gateway"], batch, sums))
    if note is not None:
        files[verify.SUMS_NOTE] = note.encode()
    _write(target, files)
    return verify.verify(target, "\n".join(keys))


def sums_text(gateway: str, batch: str, sums: bytes) -> str:
    """Return the text that is signed for an archive: gateway, batch, and the digest of its SHA256SUMS."""
    return f"{verify.SUMS_SIGNED}\n{gateway}\n{batch}\n{hashlib.sha256(sums).hexdigest()}\n"


def _needed(journal: Path, batch: str) -> Iterator[Entry]:
    """Yield the entries of the batch's spans, and before them those that a reader needs."""
    for epoch, first, last, cited in spans_of(journal, batch):
        before: dict[str, list[Entry]] = {}
        for entry in read_journal(journal, (epoch, 0)):
            if entry.epoch != epoch or entry.seq > last:
                break
            if entry.seq < first:
                _remember(before, entry)
                if entry.seq in cited:
                    before[f"{entry.seq}"] = [entry]
                continue
            if entry.seq == first:
                remembered = {entry.seq: entry for entries in before.values() for entry in entries}
                yield from (remembered[seq] for seq in sorted(remembered))
            yield entry


_BEFORE = re.compile(rb'"event":\{"type":"(tagset|config|epoch)"')


def _remember(before: dict[str, list[Entry]], entry: Entry) -> None:
    """Keep the newest tag table of each source, the newest configuration, and the epoch event."""
    if not _BEFORE.search(entry.payload):
        return
    event = json.loads(entry.payload)["event"]
    name = f"{event['type']}/{event.get('source', '')}"
    begins = event.get("first", 0) == 0 and event.get("part", 1) == 1
    before[name] = [entry] if begins else [*before.get(name, []), entry]


def spans_of(journal: Path, batch: str) -> list[Span]:
    """Return the range of the batch for each epoch: from where it and its steps began to the last entry that names it.

    A step may have begun before anybody knew the batch. Checkpoints and audit entries that name it do not count: what was signed, released
    or archived later would draw everything between into the archive, and an archive could never be made at once after the end.
    """
    names = verify.names_of(batch)
    named: dict[int, tuple[int, int]] = {}
    cited: dict[int, set[tuple[int, int]]] = {}
    for entry in read_journal(journal):
        if any(name in entry.payload for name in names) and not verify.NAMED_LATER.search(entry.payload):
            first, _ = named.get(entry.epoch, (entry.seq, 0))
            before = max((epoch for epoch in named if epoch < entry.epoch), default=entry.epoch)
            named[entry.epoch] = first, entry.seq
            for interval in verify.rests_on(entry.payload, batch):
                cited.setdefault(entry.epoch if interval[1] < entry.seq else before, set()).add(interval)
    return [_span(epoch, first, last, cited.get(epoch, set())) for epoch, (first, last) in named.items()]


def _span(epoch: int, first: int, last: int, cited: set[tuple[int, int]]) -> Span:
    begun = min([first, *(begin for begin, end in cited if begin != end)])
    return Span(epoch, begun, last, frozenset(begin for begin, end in cited if begin == end and begin < begun))


def _files(journal: Path, batch: str, held: list[Entry], keys: list[str]) -> Iterator[tuple[str, bytes]]:
    gateway = json.loads(held[0].payload)["gateway"]
    manifest = {"format": FORMAT, "gateway": gateway, "batch": batch, "entries": len(held), "made": rfc3339(now_ticks() // 10 * 10)}
    proofs, notes = [], []
    for epoch in sorted({entry.epoch for entry in held}):
        proof, note = _proof(journal, epoch, [entry for entry in held if entry.epoch == epoch])
        proofs.append(proof)
        notes.append(note)
    yield "README.txt", README.format(batch=batch, gateway=gateway, made=manifest["made"]).encode()
    shown = [_shown(proof, note, keys) for proof, note in zip(proofs, notes, strict=True)]
    yield from _pages(batch, gateway, held, shown, str(manifest["made"]))
    yield "manifest.json", _json(manifest)
    yield "keys.txt", "".join(f"{key}\n" for key in keys).encode()
    if (rotations := journal / verify.ROTATIONS_BESIDE).exists():
        yield verify.ROTATIONS_BESIDE, rotations.read_bytes()
    for proof, note in zip(proofs, notes, strict=True):
        yield proof["checkpoint"], note.encode()
        yield f"entries/{proof['epoch']}.jsonl", b"".join(entry.payload + b"\n" for entry in held if entry.epoch == proof["epoch"])
    yield "proofs.json", _json({"epochs": proofs})
    yield "verify.py", Path(verify.__file__).read_bytes()
    for name, schema in formats.schemas():
        yield f"schemas/{name}", _json(schema)
    yield from files_of(held)


def _pages(batch: str, gateway: str, held: list[Entry], proofs: list[Proof], made: str) -> Iterator[tuple[str, bytes]]:
    """Yield the pages for people. Each says when it was made: with the same entries at the same time they are the same bytes."""
    record = Record(batch, gateway, held, proofs, made)
    blocks, title = list(record.blocks()), f"Batch record {batch}"
    footer = f"{record.number}; made {record.made_at}; a copy for reading, the evidence is the entries"
    yield "record.html", html(title, blocks).encode()
    yield "record.pdf", pdf(title, footer, blocks, datetime.fromisoformat(made))


def _shown(proof: Mapping[str, Any], note: str, keys: Iterable[str]) -> Proof:
    checkpoint = verify.Checkpoint.parse(note)
    signers = [key for key in keys if verify.Key.parse(key).signed(note)]
    return Proof(proof["epoch"], proof["ranges"], checkpoint.size, checkpoint.root.hex(), signers)


def _proof(journal: Path, epoch: int, held: list[Entry]) -> tuple[dict[str, Any], str]:
    evidence = EpochTree(journal, epoch)
    checkpoint = evidence.covering(held[-1].seq)
    if checkpoint is None:
        raise NotReady(f"no signed checkpoint covers entry {held[-1].seq} yet; one is made every five minutes")
    ranges: list[list[int]] = []
    for entry in held:
        if ranges and ranges[-1][1] == entry.seq - 1:
            ranges[-1][1] = entry.seq
        else:
            ranges.append([entry.seq, entry.seq])
    digests = {entry.seq: entry.digest for entry in held}
    previous = {entry.seq: json.loads(entry.payload)["previous"] for entry in held if any(entry.seq == first for first, _ in ranges)}
    return {
        "epoch": epoch,
        "checkpoint": f"checkpoints/{epoch}.txt",
        "ranges": ranges,
        "previous": previous,
        "digests": {last: digests[last] for _, last in ranges},
        "hashes": coded(evidence.others([entry.seq - 1 for entry in held], checkpoint.size)),
    }, checkpoint.note


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n"


def _write(target: Path, files: Mapping[str, bytes]) -> None:
    """Write the zip, stored, not compressed. Its comment is the SHA-256 of all bytes before it, so that any changed byte is seen.

    Whole or not at all: what a full disk or a kill has cut short never has the archive's name.
    """
    if target.exists():
        raise FileExistsError(f"{target}: exists already")
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    sqlite.create(part)
    try:
        _zip(part, files)
        part.chmod(0o440)
        part.replace(target)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    sqlite.sync_directory(target.parent)


def _zip(part: Path, files: Mapping[str, bytes]) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, MADE)
            info.external_attr = 0o100444 << 16
            archive.writestr(info, content)
        archive.comment = b"0" * 64
    whole = made.getbuffer()[:-64]
    with part.open("r+b") as file:
        file.write(whole)
        file.write(hashlib.sha256(whole).hexdigest().encode())
        file.flush()
        os.fsync(file.fileno())


README = """\
Archive of batch {batch}, gateway {gateway}, made {made}.

You need nothing of the gateway to read this. Everything but record.pdf is UTF-8 text.

record.pdf        the batch's record for people, to print: steps, parameters, limits, completeness, materials, gaps, alarms, findings,
record.html       corrections, audit trail, evidence. The same in both. Copies for reading; the evidence is in entries/.
entries/*.jsonl   the entries as the gateway stored them and sent them to the electronic batch record, one JSON object per line, byte for
                  byte. The file's name is the epoch. From where the batch and its steps began to the last entry that names it nothing is
                  left out, so entries of other equipment and other batches that ran meanwhile are among them. Before them stand the
                  tag tables ("tagset"), the configuration and the beginning of the epoch that a reader needs, and single entries that a
                  record of the batch cites: a set point that had been standing, for instance.
schemas/          JSON Schemas of all entries, each with an example and with the meaning of its members.
configuration/    each configuration of the line at that time, as files, in a folder named by its version.
proofs.json       what connects the entries with the checkpoint.
checkpoints/      for each epoch, the gateway's signed statement of its whole journal (C2SP tlog-checkpoint, Ed25519).
keys.txt          the gateway's public keys. Compare them with those that you got another way: a forger would put in his own.
key-rotations.txt if the key was ever changed: each change, signed by the old and by the new key. Who trusts one of them may trust both.
verify.py         the verifier: python3 verify.py ARCHIVE.zip --key KEYFILE. Needs Python 3.11 or later and the package "cryptography".
                  Exit 0 good, 1 bad, 2 evidence is missing; without --key always 2 at best, for a forger would have signed himself.
SHA256SUMS        sums of all files here: sha256sum -c SHA256SUMS.
SHA256SUMS.note   the gateway's signature over the SHA-256 of SHA256SUMS (its last line before the empty one): so none of these files, the
                  pages for people among them, is another one than the gateway put in.

If verify.py does not run any more, check by hand; SHA-256 and Ed25519 are all it takes.

Entries. The digest of an entry is SHA-256 over its line without the line's end. The member "previous" is the digest of the entry before.
Tree. The leaf of entry seq is SHA-256(0x00, the same bytes), at index seq - 1; a node is SHA-256(0x01, left, right); a tree of n leaves
splits at the largest power of two smaller than n (RFC 6962, section 2.1). "hashes" in proofs.json are the roots of all largest subtrees
that hold none of these entries, from left to right. With them the leaves give the root that stands, base64, in the third line of the
checkpoint; its second line is the number of entries.
Signatures (C2SP signed-note). The text is everything before the last empty line, its line's end included. Each line after it is an em dash,
the key's name, and base64 of 4 bytes of the key's id and 64 bytes of Ed25519 signature over the text. A line of keys.txt is name+id+base64
of a byte 1 and the 32 bytes of the public key; the id is the first 4 bytes of SHA-256(name, line feed, byte 1, public key).

How to read a value. In an entry of readings each row of "readings" has the members that "columns" names; what is equal for all rows stands
in "constant". "tag" is the index in the tags of the tagset whose name the entry gives. "*_ticks" are units of 100 ns after "time_base".
"status" is an OPC UA StatusCode, 0 is good. Times are UTC; "clock" says how far they could be trusted. Units are UCUM codes.
"""
