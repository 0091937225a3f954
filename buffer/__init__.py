"""The journal: durable, tamper-evident store and forward. Knows nothing of the gateway around it."""

from buffer.errors import (
    EntryTooLarge,
    JournalBusy,
    JournalClosed,
    JournalError,
    JournalInUse,
    JournalMismatch,
    ReceiptRefused,
    StorageError,
)
from buffer.journal import Depth, Journal, Usage
from buffer.opening import Opened
from buffer.reader import read_journal
from buffer.receipts import Quarantined, Rejected
from buffer.retention import Pruned, Retained
from buffer.scrub import ScrubRound
from buffer.segment import Entry
from buffer.store import Pressure
from buffer.writer import Body

__all__ = [
    "Body",
    "Depth",
    "Entry",
    "EntryTooLarge",
    "Journal",
    "JournalBusy",
    "JournalClosed",
    "JournalError",
    "JournalInUse",
    "JournalMismatch",
    "Opened",
    "Pressure",
    "Pruned",
    "Quarantined",
    "ReceiptRefused",
    "Rejected",
    "Retained",
    "ScrubRound",
    "StorageError",
    "Usage",
    "read_journal",
]
