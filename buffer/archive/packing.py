"""Make a batch's archive: whole entries, proofs, keys, the verifier and pages for people, in one zip that needs nothing of the gateway."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from buffer import entry as formats
from buffer import verify
from buffer.archive.configurations import files_of
from buffer.archive.happenings import is_event
from buffer.archive.record import Proof, Record
from buffer.archive.zipped import Members, TooLarge, write
from buffer.pages.html import html
from buffer.pages.pdf import pdf
from buffer.proofs import EpochTree, coded
from buffer.reader import read_journal
from buffer.segment import Entry, type_of
from buffer.times import now_ticks, rfc3339

FORMAT = "ebr-gateway/archive/1"


class NotReady(Exception):
    """The archive can not be made yet; the text says what is missing."""


class NoSuchBatch(NotReady):
    """No entry that is held names the batch."""


class Span(NamedTuple):
    """Consecutive entries of one epoch, and single ones beside them.

    cited: before them, that records of the batch rest on; gaps: before and after, that tell of the gaps which the batch's end lists.
    """

    epoch: int
    first: int
    last: int
    cited: frozenset[int] = frozenset()
    gaps: frozenset[int] = frozenset()

    def proved(self, size: int) -> "Span":
        """Give the span without what the first `size` entries of its epoch do not hold: no checkpoint proves it yet."""
        return self._replace(gaps=frozenset(seq for seq in self.gaps if seq <= size))


def make(
    journal: Path, batch: str, target: Path, keys: Iterable[str], sign: Callable[[str], str | None] = lambda _text: None
) -> verify.Report:
    """Write the archive of a batch and verify it. Works beside a running gateway.

    keys: public verifier keys. sign: makes a signed note of the text that names the archive's sums (`Signer.note`); None if it can not.

    Holds every entry from where the batch and its steps began to the last that names the batch, other equipment's among them (only a
    gapless range proves that nothing was left out); of those before, the single entries that its records rest on, the tag tables and
    the configuration in force; and beside them how each gap of the batch began and ended, as far as a checkpoint covers it.
    Raises NoSuchBatch, NotReady, FileExistsError, StorageError.
    """
    spans = spans_of(journal, batch)
    if not spans:
        raise NoSuchBatch(f"{journal}: the journal holds no batch {batch}")
    keys = list(keys)
    if not keys:
        raise NotReady("the gateway has no signing key")
    try:
        trees = [_Proved(EpochTree(journal, span.epoch), span) for span in spans]
    except NotReady as error:
        if not _has_ended(journal, batch):
            open_ = "the batch has no end yet, and what names it goes on"
            raise NotReady(f"{error}; {open_}: make the archive when it has ended") from error
        raise
    spans = [span.proved(tree.checkpoint.size) for span, tree in zip(spans, trees, strict=True)]

    def fill(members: Members) -> None:
        held = [_put_entries(members, journal, span) for span in spans]
        for name, content in _beside(journal, batch, held, trees, keys):
            members.put(name, content)
        sums = "".join(f"{digest}  {name}\n" for name, digest in members.sums.items()).encode()
        members.put("SHA256SUMS", sums)
        if (note := sign(sums_text(held[0].gateway, batch, sums))) is not None:
            members.put(verify.SUMS_NOTE, note.encode())

    try:
        write(target, fill)
    except TooLarge as error:
        raise NotReady(str(error)) from error
    return verify.verify(target, "\n".join(keys))


def sums_text(gateway: str, batch: str, sums: bytes) -> str:
    """Return the text that is signed for an archive: gateway, batch, and the digest of its SHA256SUMS."""
    return f"{verify.SUMS_SIGNED}\n{gateway}\n{batch}\n{hashlib.sha256(sums).hexdigest()}\n"


@dataclass
class _Held:
    """What of an epoch's entries is still needed when they are written: where they lie, and the events among them.

    ranges: (first, last) of entries that follow each other. previous: digest before each range, by its first; digests: by its last.
    """

    epoch: int
    ranges: list[list[int]] = field(default_factory=list)
    previous: dict[int, str] = field(default_factory=dict)
    digests: dict[int, str] = field(default_factory=dict)
    events: list[Entry] = field(default_factory=list)
    gateway: str = ""

    def take(self, entry: Entry) -> None:
        """Note an entry; they come in order."""
        if self.ranges and self.ranges[-1][1] == entry.seq - 1:
            del self.digests[entry.seq - 1]
            self.ranges[-1][1] = entry.seq
        else:
            head = json.loads(entry.payload)
            self.gateway = head["gateway"]
            self.ranges.append([entry.seq, entry.seq])
            self.previous[entry.seq] = head["previous"]
        self.digests[entry.seq] = entry.digest
        if is_event(entry):
            self.events.append(entry)

    @property
    def sequences(self) -> Iterator[int]:
        """The numbers of all its entries."""
        return chain.from_iterable(range(first, last + 1) for first, last in self.ranges)

    @property
    def count(self) -> int:
        """How many entries it has."""
        return sum(last - first + 1 for first, last in self.ranges)


class _Proved:
    """The tree of one epoch, and the signed checkpoint that covers the batch's last entry in it; if there is one, its gaps' too."""

    def __init__(self, tree: EpochTree, span: Span) -> None:
        """Raises NotReady if no checkpoint covers it yet."""
        self.tree, checkpoint = tree, tree.covering(max(span.last, *span.gaps, 0)) or tree.covering(span.last)
        if checkpoint is None:
            raise NotReady(f"no signed checkpoint covers entry {span.last} yet; one is made every five minutes")
        self.checkpoint = checkpoint


def _put_entries(members: Members, journal: Path, span: Span) -> _Held:
    """Write one epoch's entries as they are read, a batch of weeks being larger than memory."""
    held = _Held(span.epoch)

    def lines() -> Iterator[bytes]:
        for entry in _needed(journal, span):
            held.take(entry)
            yield entry.payload + b"\n"

    members.put(f"entries/{span.epoch}.jsonl", lines())
    if not held.ranges:
        raise NotReady(f"entries {span.first} to {span.last} of epoch {span.epoch} were removed while the archive was made")
    return held


def _needed(journal: Path, span: Span) -> Iterator[Entry]:
    """Yield the entries of a span, and before them those that a reader needs."""
    epoch, first, last, beside = span.epoch, span.first, span.last, span.cited | span.gaps
    before: dict[str, list[Entry]] = {}
    until = max(last, *span.gaps, 0)
    for entry in read_journal(journal, (epoch, 0)):
        if entry.epoch != epoch or entry.seq > until:
            return
        if entry.seq > last:
            if entry.seq in beside:
                yield entry
            continue
        if entry.seq < first:
            _remember(before, entry)
            if entry.seq in beside:
                before[f"{entry.seq}"] = [entry]
            continue
        if entry.seq == first:
            remembered = {entry.seq: entry for entries in before.values() for entry in entries}
            yield from (remembered[seq] for seq in sorted(remembered))
        yield entry


_BEFORE = {"tagset", "config", "epoch"}


def _remember(before: dict[str, list[Entry]], entry: Entry) -> None:
    """Keep the newest tag table of each source, the newest configuration, and the epoch event."""
    if type_of(entry.payload) not in _BEFORE:
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
    names, gaps = verify.names_of(batch), _Gaps(batch)
    named: dict[int, tuple[int, int]] = {}
    cited: dict[int, set[tuple[int, int]]] = {}
    for entry in read_journal(journal):
        gaps.take(entry)
        if any(name in entry.payload for name in names) and not verify.is_named_later(entry.payload):
            first, _ = named.get(entry.epoch, (entry.seq, 0))
            before = max((epoch for epoch in named if epoch < entry.epoch), default=entry.epoch)
            named[entry.epoch] = first, entry.seq
            for interval in verify.rests_on(entry.payload, batch):
                cited.setdefault(entry.epoch if interval[1] < entry.seq else before, set()).add(interval)
    told = gaps.of_batch()
    return [_span(epoch, first, last, cited.get(epoch, set()), told.get(epoch, set())) for epoch, (first, last) in named.items()]


def _has_ended(journal: Path, batch: str) -> bool:
    """Whether the journal holds an end of the batch."""
    events = (json.loads(entry.payload)["event"] for entry in read_journal(journal) if type_of(entry.payload) == "batch")
    return any(event.get("transition") == "end" and event.get("batch") == batch for event in events)


def _span(epoch: int, first: int, last: int, cited: set[tuple[int, int]], gaps: set[int]) -> Span:
    begun = min([first, *(begin for begin, end in cited if begin != end)])
    single = frozenset(begin for begin, end in cited if begin == end and begin < begun)
    return Span(epoch, begun, last, single, frozenset(seq for seq in gaps if not begun <= seq <= last))


_TELLS_GAP = re.compile(rb'"event":\{"type":"gap","transition":"\w+","gap":("[^"\\]*")')


class _Gaps:
    """Where a journal tells of gaps, and which of them the newest end of a batch lists."""

    def __init__(self, batch: str) -> None:
        self._batch = batch
        self._told: dict[str, list[tuple[int, int]]] = {}
        self._listed: list[str] = []

    def take(self, entry: Entry) -> None:
        """Note what an entry says of a gap, or of the batch's end; an end may come in parts."""
        kind = type_of(entry.payload)
        if kind == "gap" and (tells := _TELLS_GAP.search(entry.payload)) is not None:
            self._told.setdefault(json.loads(tells[1]), []).append((entry.epoch, entry.seq))
        elif kind == "batch":
            event = json.loads(entry.payload)["event"]
            if event.get("transition") == "end" and event.get("batch") == self._batch:
                self._listed = [*(self._listed if (event.get("part") or 1) > 1 else ()), *event.get("gaps", ())]

    def of_batch(self) -> dict[int, set[int]]:
        """Return the entries that tell of the batch's gaps: epoch -> numbers."""
        found: dict[int, set[int]] = {}
        for epoch, seq in (place for gap in self._listed for place in self._told.get(gap, ())):
            found.setdefault(epoch, set()).add(seq)
        return found


def _beside(journal: Path, batch: str, held: list[_Held], trees: list[_Proved], keys: list[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the members beside the entries."""
    gateway, events = held[0].gateway, [event for epoch in held for event in epoch.events]
    entries = sum(epoch.count for epoch in held)
    manifest = {"format": FORMAT, "gateway": gateway, "batch": batch, "entries": entries, "made": rfc3339(now_ticks() // 10 * 10)}
    yield "README.txt", README.format(batch=batch, gateway=gateway, made=manifest["made"]).encode()
    shown = [_shown(epoch, proved.checkpoint.note, keys) for epoch, proved in zip(held, trees, strict=True)]
    yield from _pages(batch, gateway, events, shown, str(manifest["made"]))
    yield "manifest.json", _json(manifest)
    yield "keys.txt", "".join(f"{key}\n" for key in keys).encode()
    for name in (verify.ROTATIONS_BESIDE, verify.REVOCATION_BESIDE):
        if (about_keys := journal / name).exists():
            yield name, about_keys.read_bytes()
    for epoch, proved in zip(held, trees, strict=True):
        yield _checkpoint_of(epoch), proved.checkpoint.note.encode()
    yield "proofs.json", _json({"epochs": [_proof(epoch, proved) for epoch, proved in zip(held, trees, strict=True)]})
    yield "verify.py", Path(verify.__file__).read_bytes()
    for name, schema in formats.schemas():
        yield f"schemas/{name}", _json(schema)
    yield from files_of(events)


def _pages(batch: str, gateway: str, events: list[Entry], proofs: list[Proof], made: str) -> Iterator[tuple[str, bytes]]:
    """Yield the pages for people. Each says when it was made: with the same entries at the same time they are the same bytes."""
    record = Record(batch, gateway, events, proofs, made)
    blocks, title = list(record.blocks()), f"Batch record {batch}"
    footer = f"{record.number}; {record.environment}; made {record.made_at}; a copy for reading, the evidence is the entries"
    yield "record.html", html(title, blocks).encode()
    yield "record.pdf", pdf(title, footer, blocks, datetime.fromisoformat(made))


def _shown(held: _Held, note: str, keys: Iterable[str]) -> Proof:
    checkpoint = verify.Checkpoint.parse(note)
    signers = [key for key in keys if verify.Key.parse(key).signed(note)]
    return Proof(held.epoch, held.ranges, checkpoint.size, checkpoint.root.hex(), signers)


def _checkpoint_of(held: _Held) -> str:
    return f"checkpoints/{held.epoch}.txt"


def _proof(held: _Held, proved: _Proved) -> dict[str, Any]:
    return {
        "epoch": held.epoch,
        "checkpoint": _checkpoint_of(held),
        "ranges": held.ranges,
        "previous": held.previous,
        "digests": held.digests,
        "hashes": coded(proved.tree.others([seq - 1 for seq in held.sequences], proved.checkpoint.size)),
    }


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n"


README = """\
Archive of batch {batch}, gateway {gateway}, made {made}.

You need nothing of the gateway to read this. Everything but record.pdf is UTF-8 text.

record.pdf        the batch's record for people, to print: steps, parameters, limits, completeness, materials, gaps, alarms, findings,
record.html       corrections, audit trail, evidence. The same in both. Copies for reading; the evidence is in entries/.
entries/*.jsonl   the entries as the gateway stored them and sent them to the electronic batch record, one JSON object per line, byte for
                  byte. The file's name is the epoch. From where the batch and its steps began to the last entry that names it nothing is
                  left out, so entries of other equipment and other batches that ran meanwhile are among them. Before them stand the
                  tag tables ("tagset"), the configuration and the beginning of the epoch that a reader needs, and single entries that a
                  record of the batch cites: a set point that had been standing, for instance. Beside them stand the entries that tell of
                  gaps of the batch which opened before or closed after.
schemas/          JSON Schemas of all entries, each with an example and with the meaning of its members.
configuration/    each configuration of the line at that time, as files, in a folder named by its version.
proofs.json       what connects the entries with the checkpoint.
checkpoints/      for each epoch, the gateway's signed statement of its whole journal (C2SP tlog-checkpoint, Ed25519).
keys.txt          the gateway's public keys. Compare them with those that you got another way: a forger would put in his own.
key-rotations.txt if the key was ever changed: each change, signed by the old and by the new key. Who trusts one of them may trust both.
key-revocation.txt if the line was retired before this was made: after which entry the keys sign nothing any more.
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
