"""The line's journal: durable, tamper-evident store and forward. It knows nothing of the gateway around it.

An append-only sequence of entries, each one JSON object of at most 64 KiB. docs/journal.md describes the journal for those who operate and
audit it, and says how each promise is tested; this header is for those who change the code.

Constraints
-----------
1. An append is all or nothing, and durable when its future is done: the promise is given after the commit, never before it.
2. The sequence numbers of an epoch begin at 1 and rise by one. A failed transaction has used none.
3. An entry is named by (gateway, epoch, seq). A name that a receiver may know is never given to another entry: after any doubt about the
   end of an epoch a new epoch begins.
4. An entry is never changed, and never removed by itself: whole segments go. A closed segment is never written again.
5. Whatever is read from disk is compared with its SHA-256 before it is handed out.
6. Nothing that a required receiver has not confirmed is removed, however little space is left.
7. One connection per file writes and checkpoints it, and all of them belong to one thread (see `sqlite.writer`).
8. An error that waiting can not cure stops the journal for good; the process ends and the next start repairs. A failed write or fsync
   is never tried again, because the kernel may have dropped pages that it calls clean. A full disk and a foreign lock are waited for.
9. A start checks the growing segment entry by entry; everything else is known from journal.db. So its time does not depend on the size
   of the journal.

Layout
------
    journal.db                   `catalogue`: epochs, segments, cursors, quarantine, checkpoints, holds
    segments/{epoch}-{first}.db  `segment`: up to 4,096 consecutive entries, and the facts that hold after them
    damaged/                     `repair.salvage`: files that were found damaged, unchanged
    ballast                      space that is given up when the disk is full, so that what waits can still be written
    lock                         held (flock) by the process that writes
    SHA256SUMS                   written by a clean stop, removed at the next start

An entry is a head (schema, gateway, epoch, seq, previous), which the writer puts before the body, and the body (from `"time"` on), which
the caller appends. `previous` is the SHA-256 of the entry before: the chain. The same bytes are the leaves of an RFC 6962 tree per epoch;
4,096 is a power of two and segments are aligned, so a full segment is one subtree and its 32-byte root can stand for it.

Writing
-------
`Journal.append` queues a list of bodies; `next_seq` is known before, because the order of the calls is the order of the entries. The
writer thread (`writer`) takes what waits, puts heads before it, hashes it, and commits it to the growing segment in one transaction
(`store`, `segment`). Then it shows the entries to readers (`committed`), completes the futures and calls `on_commit`. A full segment is
closed between commits: its log is emptied into it, it becomes one read-only file, and journal.db gets its digest, root and SHA-256.

Reading
-------
Any thread reads through `CommittedView`: the newest 16 MB from memory, older entries from the segments' files. Other processes read with
`read_journal`, without a lock. `scrub` reads every closed segment again each day and compares it with its SHA-256.

Deleting
--------
`retention` names whole closed segments that may go; the caller appends an audit event; the next call removes the files, once an entry has
been committed in between. Last digest and root of a removed segment stay in journal.db, so the rest of the tree can still be proved.

Opening
-------
`opening` locks the directory, checks journal.db and the growing segment, and compares the end with what receivers confirmed and what was
signed. `repair` sets damage aside and writes anew what its own digest proves. If anything may be missing at the end, a new epoch begins,
and its first entry declares what was lost.

Doors: this module; `buffer.verify` (one file, shares no code with the rest); `buffer.chain` (digests and trees), `buffer.keys`,
`buffer.durable` (files that a power cut leaves whole), `buffer.times`; the sub-rooms `entry` (formats), `archive` and `restore`.
Everything else is imported within the buffer only.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from buffer.catalogue import End
    from buffer.errors import (
        CheckpointRefused,
        EntryTooLarge,
        JournalBusy,
        JournalClosed,
        JournalError,
        JournalInUse,
        JournalMismatch,
        JournalNewer,
        ReceiptRefused,
        StorageError,
    )
    from buffer.journal import Journal, Usage
    from buffer.newer import newer_than_this
    from buffer.opening import Opened
    from buffer.origin import Origin
    from buffer.pieces import Piece, Pieces, Roots
    from buffer.reader import TOLD, held_segments, read_journal, segment_firsts
    from buffer.receipts import Cursor, Depth, Quarantined, Rejected, read_cursors, read_quarantine
    from buffer.retention import Pruned, Retained
    from buffer.scrub import ScrubRound
    from buffer.segment import Entry
    from buffer.segment import first_of as segment_of
    from buffer.segment import last_of as segment_end
    from buffer.segment import type_of as event_type
    from buffer.space import Pressure
    from buffer.watermarks import read_state, read_watermark
    from buffer.writer import Body

__all__ = [
    "TOLD",
    "Body",
    "CheckpointRefused",
    "Cursor",
    "Depth",
    "End",
    "Entry",
    "EntryTooLarge",
    "Journal",
    "JournalBusy",
    "JournalClosed",
    "JournalError",
    "JournalInUse",
    "JournalMismatch",
    "JournalNewer",
    "Opened",
    "Origin",
    "Piece",
    "Pieces",
    "Pressure",
    "Pruned",
    "Quarantined",
    "ReceiptRefused",
    "Rejected",
    "Retained",
    "Roots",
    "ScrubRound",
    "StorageError",
    "Usage",
    "event_type",
    "held_segments",
    "newer_than_this",
    "read_cursors",
    "read_journal",
    "read_quarantine",
    "read_state",
    "read_watermark",
    "segment_end",
    "segment_firsts",
    "segment_of",
]

_HOMES = {
    "errors": (
        *("CheckpointRefused", "EntryTooLarge", "JournalBusy", "JournalClosed", "JournalError", "JournalInUse", "JournalMismatch"),
        *("JournalNewer", "ReceiptRefused", "StorageError"),
    ),
    "reader": ("TOLD", "held_segments", "read_journal", "segment_firsts"),
    "newer": ("newer_than_this",),
    "segment": ("Entry",),
    "catalogue": ("End",),
    "watermarks": ("read_state", "read_watermark"),
    "origin": ("Origin",),
    "pieces": ("Piece", "Pieces", "Roots"),
    "receipts": ("Cursor", "Depth", "Quarantined", "Rejected", "read_cursors", "read_quarantine"),
    "retention": ("Pruned", "Retained"),
    "scrub": ("ScrubRound",),
    "space": ("Pressure",),
    "writer": ("Body",),
    "opening": ("Opened",),
    "journal": ("Journal", "Usage"),
}
_CALLED = {"segment_of": ("segment", "first_of"), "segment_end": ("segment", "last_of"), "event_type": ("segment", "type_of")}
_HOME = {name: (home, name) for home, names in _HOMES.items() for name in names} | _CALLED


def __getattr__(name: str) -> Any:
    """Import a name of this package at its first use (PEP 562): who reads a time or an error pays for no journal.

    Raises AttributeError, or ImportError if its home is broken.
    """
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home, its = _HOME[name]
    try:
        module = import_module(f"buffer.{home}")
    except AttributeError as error:  # else Python would say that there is no such name, and not why
        raise ImportError(f"buffer.{home} can not be imported: {error}") from error
    return globals().setdefault(name, getattr(module, its))
