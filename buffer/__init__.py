"""The journal: durable, tamper-evident store and forward. Knows nothing of the gateway around it."""

from .errors import (
    EntryTooLarge,
    JournalBusy,
    JournalClosed,
    JournalError,
    JournalInUse,
    JournalMismatch,
    ReceiptRefused,
    StorageError,
)
from .journal import Depth, Journal, Usage
from .patrol import Round
from .reader import read_journal
from .receipts import Quarantined, Rejected
from .recovery import Opened
from .retention import Kept, Pruned
from .segment import Entry
from .store import Pressure
from .writer import Body

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
    "Kept",
    "Opened",
    "Pressure",
    "Pruned",
    "Quarantined",
    "ReceiptRefused",
    "Rejected",
    "Round",
    "StorageError",
    "Usage",
    "read_journal",
]
