"""Tells a journal from an older copy of itself, and from a copy on another machine: by what is kept outside of it, and by the machine's id.

A copy holds everything that the journal held when it was made, so nothing inside can tell. Outside, in a file of its own, stands the newest
entry that was ever committed (`Seen`); inside stands on which machine it was committed. What neither shows (a machine that was set back
whole, with its disk) is found by the first receipt that contradicts the journal.
"""

import contextlib
import hashlib
import hmac
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

MACHINE_ID = Path("/etc/machine-id")
APPLICATION = b"ebr-gateway/journal/1"


class Seen(NamedTuple):
    """The newest entry known to have been committed. digest: hex, "" for an epoch without an entry."""

    epoch: int
    seq: int
    digest: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a journal lives. seen: the file outside of it, None for none. machine: this machine, as `machine` tells it; "" if unknown."""

    seen: Path | None = None
    machine: str = ""

    @classmethod
    def of(cls, directory: Path) -> "Origin":
        """Return the origin of a journal that this machine keeps in `directory`."""
        return cls(place(directory), machine())

    def newest(self, gateway: str) -> Seen | None:
        """Read the newest entry seen of this gateway's journal; None if nothing usable stands there."""
        try:
            item = json.loads(self.seen.read_bytes()) if self.seen else {}
            seen = Seen(item["epoch"], item["seq"], item["digest"]) if item.get("gateway") == gateway else None
        except (OSError, ValueError, KeyError, AttributeError):
            return None
        return seen if seen and type(seen.epoch) is type(seen.seq) is int and isinstance(seen.digest, str) else None

    def note(self, gateway: str, seen: Seen) -> None:
        """Write what has been committed. Not synced: an older one that a power cut brings back only tells less."""
        if self.seen is None:
            return
        new = self.seen.with_name(f"{self.seen.name}.new")
        with contextlib.suppress(OSError):  # where it can not be written it can not help; the journal is what counts
            # For its owner alone, whatever the process's mask: who writes it has the next start take its journal for an older one.
            with os.fdopen(os.open(new, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), "w") as file:
                file.write(json.dumps({"gateway": gateway, **seen._asdict()}) + "\n")
            new.replace(self.seen)


def place(directory: Path) -> Path:
    """Return the file outside a journal's directory that belongs to it: in EBR_GATEWAY_SEEN if that is set, else beside the directory."""
    folder = os.environ.get("EBR_GATEWAY_SEEN")
    name = f"{directory.name}.seen"
    return Path(folder, name) if folder else directory.with_name(f".{name}")


def machine(path: Path = MACHINE_ID) -> str:
    """Return an id of this machine that tells nothing else: keyed with the application, as machine-id(5) asks; "" if there is none."""
    try:
        raw = path.read_bytes().strip()
    except OSError:
        return ""
    return hmac.digest(raw, APPLICATION, hashlib.sha256).hex()[:32] if raw else ""
