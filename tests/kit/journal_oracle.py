"""A run of the journal that says what it promises, and the oracle that looks whether it was kept.

The run has phases, each a process: it creates, appends, turns segments, acknowledges, holds, signs, prunes, is killed (1, 4), finds a
damaged closed segment (3), salvages it (4), salvages a damaged log (5), and goes on.
"""

import json
from pathlib import Path

import buffer.segment
import buffer.verify
from buffer import Body, Journal

GATEWAY = "lyon/granulation-2"
PHASES = 6

RUN = r"""
import json, os, random, re, sys
from pathlib import Path
import buffer.segment, buffer.verify
from buffer import Body, Journal, keys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
folder, entries, phase, appends = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
buffer.segment.ENTRIES = buffer.verify.SEGMENT = entries
generator = random.Random(phase)
signer = keys.Signer("lyon/granulation-2", Ed25519PrivateKey.from_private_bytes(bytes(32)))
def say(text):
    os.write(1, (text + "\n").encode())
def flip(path, which):
    # a bit in each of several compressed entries
    places = [found.start() + 30 for found in re.finditer(re.escape(bytes.fromhex("28b52ffd")), path.read_bytes())][which]
    mode = path.stat().st_mode
    path.chmod(0o600)
    fd = os.open(path, os.O_RDWR)
    say(f"damage {len(places)}")
    for at in places:
        (byte,) = os.pread(fd, 1, at)
        os.pwrite(fd, bytes([byte ^ 4]), at)
    os.fsync(fd)
    os.close(fd)
    path.chmod(mode)
segments = folder / "segments"
if phase == 3:
    closed = sorted(path for path in segments.glob("*.db") if path.stat().st_mode & 0o777 == 0o440)
    flip(closed[0], slice(5, None, 9))
if phase == 5:
    log = max(segments.glob("*.db-wal"), key=lambda path: path.stat().st_size)
    flip(log, slice(-12, None))
journal = Journal.open(folder, "lyon/granulation-2", commit_interval_s=0.001, retain_s=0, max_bytes=1 << 40)
epoch = journal.opened.epoch
say(f"epoch {epoch}")
journal.uplink("ebr", True)
if phase == 3:
    assert not journal.scrub.check()
    journal.close()
    sys.exit()
number = journal.watermark("mes").get("n", 0)
def append(*counts, event=None):
    # several lists in one commit; an epoch's first entry is its event
    global number
    futures, before = [], journal.next_seq
    say(f"offer {epoch} {before} {before + sum(counts) - 1} {number + 1}")
    for count in counts:
        bodies = [b'"time":"2026-11-22T07:15:02.5Z","n":%d}' % (number + 1 + i) for i in range(count)]
        number += count
        made = [Body("ebr-gateway/readings/1", body) for body in bodies]
        futures.append(journal.append(made, watermark=("mes", {"n": number}), state=b"s", urgent=True))
    futures[-1].result()
    say(f"promise {epoch} {before} {before + sum(counts) - 1} {number - sum(counts) + 1}")
if journal.opened.epoch_event is not None:
    say(f"lost {json.dumps(journal.opened.epoch_event['lost'])}")
    if journal.opened.epoch_event.get("tail") == "unknown":
        say(f"tail {journal.opened.epoch_event['follows']} {journal.opened.epoch_event['last_seq']}")
    body = b'"time":"2026-11-22T07:15:02.5Z","n":0,"event":%s}' % json.dumps(journal.opened.epoch_event).encode()
    say(f"offer {epoch} 1 1 0")
    journal.append([Body("ebr-gateway/event/1", body)], urgent=True).result()
    say(f"promise {epoch} 1 1 0")
while (page := journal.read(journal.cursor("ebr"), max_bytes=1 << 24)) and page[-1].epoch < epoch:
    say(f"confirm {page[-1].epoch} {page[-1].seq}")
    journal.acknowledge("ebr", page[-1].epoch, page[-1].seq, page[-1].digest)
if entries > 1000 and phase == 1:
    append(entries - 60)
for turn in range(appends):
    append(*[generator.choice([1, 1, 2, 3, 7, 11]) for _ in range(generator.choice([1, 1, 1, 3]))])
    if turn % 5 == 2:
        (entry,) = journal.read((epoch, max(1, journal.last[1] - generator.choice([1, 30, 90])) - 1), max_bytes=1, max_entries=1)
        say(f"confirm {entry.epoch} {entry.seq}")
        journal.acknowledge("ebr", entry.epoch, entry.seq, entry.digest)
    if turn % 13 == 6:
        event = journal.checkpoint(signer)
        if event:
            say(f"signed {epoch} {event['size']} {event['root']}")
    if turn % 17 == 9:
        journal.holds.keep(f"B{phase}-{turn}", journal.last[1])
        say(f"held B{phase}-{turn}")
    if turn % 17 == 15:
        for name in list(journal.holds.all())[:-1]:
            say(f"release {name}")
            journal.holds.release(name)
    if turn % 11 == 10:
        pruned = journal.prune(journal.last[1] - 20 if turn % 2 else None)
        if pruned:
            what = {"type": "audit", "action": "prune", "what": pruned.audit()}
            body = b'"time":"2026-11-22T07:15:02.5Z","n":0,"event":%s}' % json.dumps(what).encode()
            seq = journal.next_seq
            say(f"offer {epoch} {seq} {seq} 0")
            journal.append([Body("ebr-gateway/event/1", body)], urgent=True).result()
            say(f"promise {epoch} {seq} {seq} 0")
if phase in (1, 4):
    os._exit(137)
journal.close()
say("closed")
"""


class Word:
    """What the program had said up to an instant: what it wanted to write, and what it promised."""

    def __init__(self) -> None:
        self.offered: dict[tuple[int, int], int] = {}
        self.promised: dict[tuple[int, int], int] = {}
        self.signed: dict[tuple[int, int], str] = {}
        self.held: set[str] = set()
        self.confirmed = (0, 0)
        self.epoch = self.number = self.damages = self.flips = 0

    def hear(self, text: str) -> None:
        for line in text.splitlines():
            kind, _, rest = line.partition(" ")
            words = rest.split()
            match kind:
                case "epoch":
                    self.epoch = int(words[0])
                case "offer" | "promise":
                    epoch, first, last, number = map(int, words)
                    said = {(epoch, seq): (number + seq - first if number else 0) for seq in range(first, last + 1)}
                    (self.offered if kind == "offer" else self.promised).update(said)
                    self.number = max(said.values()) if kind == "promise" and number else self.number
                case "confirm":
                    self.confirmed = max(self.confirmed, (int(words[0]), int(words[1])))
                case "signed":
                    self.signed[int(words[0]), int(words[1])] = words[2]
                case "held":
                    self.held.add(words[0])
                case "release":
                    self.held.discard(words[0])
                case "damage":
                    self.damages, self.flips, self.number = self.damages + 1, self.flips + int(words[0]), 0


def opened(folder: Path) -> Journal:
    return Journal.open(folder, GATEWAY, commit_interval_s=0.001, retain_s=0, max_bytes=1 << 20)


def started(folder: Path) -> tuple[Journal, set[tuple[int, int]]]:
    """Start, have the closed segments looked at, start again if one is damaged; what all starts declared lost."""
    declared: set[tuple[int, int]] = set()
    for _ in range(4):
        journal = opened(folder)
        if journal.scrub.check():
            for event in journal._writer.do(journal._store.catalogue.epochs).result().values():
                spans = {str(event["follows"]): event["lost"], **event.get("lost_before", {})}
                if event.get("tail") == "unknown":  # more may have stood there: a segment at most
                    spans[str(event["follows"])] = [*event["lost"], (event["last_seq"] + 1, event["last_seq"] + buffer.segment.ENTRIES)]
                declared |= {(int(epoch), seq) for epoch, lost in spans.items() for low, high in lost for seq in range(low, high + 1)}
            return journal, declared
        journal.close()
    raise AssertionError("it does not come to rest")


def held_by(journal: Journal) -> dict[tuple[int, int], int]:
    after = (0, 0)
    found: dict[tuple[int, int], int] = {}
    while page := journal.read(after, max_bytes=1 << 24, max_entries=5000):
        found |= {(entry.epoch, entry.seq): json.loads(entry.payload)["n"] for entry in page}
        after = page[-1].epoch, page[-1].seq
    assert list(found) == sorted(found)
    return found


def survived(folder: Path, word: Word, may_be_lost: set[tuple[int, int]] | None) -> str:
    """Start on that disk: everything promised is there, whole, under its identity, and nothing else ever gets one that was used.

    may_be_lost: what flipped bits took, and must be declared; None: at most as many entries as bits were flipped.
    """
    journal, declared = started(folder)
    try:
        held = held_by(journal)
        rows = journal._writer.do(journal._store.catalogue.segments).result()
        pruned = {(row.epoch, seq) for row in rows if row.state == "pruned" for seq in range(row.first, (row.last or 0) + 1)}
        lost = word.promised.keys() - held.keys() - pruned
        allowed = declared if may_be_lost is None and len(lost) <= word.flips else (may_be_lost or set()) & declared
        assert lost <= allowed, f"promised and lost: {sorted(lost - allowed)[:5]}"
        assert max(pruned, default=(0, 0)) <= word.confirmed, "pruned before it was confirmed"
        assert all(word.offered.get(at) == number for at, number in held.items()), "an entry that nobody wrote"
        epoch, seq = journal.opened.epoch, journal.next_seq
        assert epoch >= word.epoch or not word.promised
        assert (epoch, seq) > max(word.promised, default=(0, 0)), "an identity would be used twice"
        assert journal.watermark("mes").get("n", 0) >= word.number
        assert word.held <= journal.holds.all().keys()
        stated = journal._writer.do(lambda: list(journal._store.catalogue.db.execute("SELECT epoch, size, root FROM checkpoints"))).result()
        assert word.signed.items() <= {(one, size): root.hex() for one, size, root in stated}.items()
        event = journal.opened.epoch_event
        body = b'"time":"2026-11-22T07:15:02.5Z","n":1,"event":%s}' % json.dumps(event or {}).encode()
        journal.append([Body("ebr-gateway/event/1", body)], urgent=True).result()
    finally:
        journal.close()
    report = buffer.verify.verify(folder)
    assert report.exit_code != 1, list(report.lines())
    return "new epoch" if word.promised and epoch > word.epoch else "same epoch"
