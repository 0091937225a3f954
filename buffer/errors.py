"""What can go wrong with the journal, grouped by what the caller must do."""


class JournalError(Exception):
    """Base of all of them."""


class StorageError(JournalError):
    """The disk or a file failed: the journal has stopped, the process must end and be started again. Never retried in place."""


class JournalInUse(JournalError):
    """Another gateway holds this journal: do not start."""


class JournalMismatch(JournalError):
    """The directory holds the journal of another line: do not start."""


class JournalClosed(JournalError):
    """`close` was called before."""


class JournalBusy(JournalError):
    """More waits for the disk than memory may hold: the caller appended without waiting for earlier appends."""


class EntryTooLarge(JournalError, ValueError):
    """A body does not fit into one entry: cut it into numbered parts."""


class ReceiptRefused(JournalError):
    """A receipt that proves nothing: nothing moves, somebody must look.

    code: unknown-epoch, beyond-last, digest-mismatch, earlier-epoch-open, unknown-uplink.
    """

    def __init__(self, code: str, reason: str) -> None:
        """code: for programs; reason: one sentence for people."""
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason
