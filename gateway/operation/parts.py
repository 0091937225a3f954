"""Groups the objects of a running line, for the rooms that show it or act on it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from buffer import Journal
from config import Line
from gateway.access import Access
from gateway.alarms import Tally
from gateway.changes import Register
from gateway.clock import Clock
from gateway.context import Fold
from gateway.entries.registered import Registered
from gateway.evidence.audit import AuditTrail
from gateway.evidence.backups import Backups
from gateway.evidence.checkpoints import Checkpoints
from gateway.evidence.holds import Holds
from gateway.evidence.keyring import Keyring
from gateway.evidence.reconciled import Reconciled
from gateway.intake import Intake
from gateway.notify import Notifier
from gateway.operation.folder import Folder
from gateway.uplink import Forwarder


@dataclass(frozen=True, slots=True)
class Parts:
    """The objects of one running line. The runtime makes them and keeps them running; status and commands only use them.

    folder: what was found of the line folder on disk. broken: parts that failed and are started again, with the reason.
    reconciled: what was found equal at the receivers that are to be compared with.
    """

    line: Line
    journal: Journal
    clock: Clock
    fold: Fold
    tally: Tally
    intake: Intake
    uplinks: Sequence[Forwarder]
    audit: AuditTrail
    access: Access
    keyring: Keyring
    checkpoints: Checkpoints
    holds: Holds
    backups: Backups | None
    changes: Register
    registered: Registered
    folder: Folder
    notifiers: list[Notifier] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    reconciled: Reconciled = field(default_factory=Reconciled)
