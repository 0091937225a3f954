"""The journal's errors, grouped by what the caller must do."""


class JournalError(Exception):
    """Base of all errors of the journal."""


class StorageError(JournalError):
    """The disk or a file failed and the journal has stopped: end the process and start it again. Never retried in place."""


class JournalInUse(JournalError):
    """Another process holds this journal: do not start."""


class JournalMismatch(JournalError):
    """The directory holds the journal of another line: do not start."""


class JournalNewer(JournalMismatch):
    """The directory holds a journal that a newer release wrote: do not start, and touch nothing of it."""


class JournalClosed(JournalError):
    """The journal was closed before this call."""


class JournalBusy(JournalError):
    """More bytes wait for the disk than memory may hold, because the caller appended without waiting for earlier appends."""


class EntryTooLarge(JournalError, ValueError):
    """A body does not fit into one entry (64 KiB), or an append holds more bodies than a segment: cut it into numbered parts."""


class ReceiptRefused(JournalError):
    """A receipt does not prove what it claims: no cursor moves, and a person must find out why.

    code: unknown-epoch, beyond-last, digest-mismatch, earlier-epoch-open, unknown-uplink; unprovable where nothing is wrong, and nothing
    can be compared.
    """

    def __init__(self, code: str, reason: str) -> None:
        """Keep the code, for programs, and the reason, one sentence for people."""
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class CheckpointRefused(JournalError):
    """A signature would contradict one that was given before: nothing is signed, and a person must find out why.

    It is a bug, or somebody has tampered with the journal.
    """
