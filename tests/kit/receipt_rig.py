"""What judges receipts, with a real journal and without a transport: bytes go in, and the cursor and the quarantine show what they did."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from buffer import Body, Journal, Quarantined
from config import Uplink
from gateway.entries.findings import Announcer, finding
from gateway.entries.stamps import Instant, Stamps
from gateway.uplink.judge import Judge
from gateway.uplink.status import Status
from gateway.uplink.transport import Answer, Arrival
from gateway.uplink.unaccepted import Unaccepted
from gateway.uplink.window import Window

GATEWAY = "lyon/granulation-2"


def bodies(count: int) -> list[Body]:
    """So many small entries; each one has its own bytes by its place."""
    event = {"time": "2026-11-22T07:15:02.512345Z", "event": {"type": "finding", "code": "x"}}
    return [Body("ebr-gateway/event/1", orjson.dumps(event)[1:])] * count


class ReceiptRig:
    """A judge whose uplink has sent a part of what the journal holds. findings: what it has reported."""

    def __init__(self, journal: Journal, *, sent: int | None = None) -> None:
        self.stamps = Stamps(lambda at_ns: Instant(at_ns // 100, None), journal.last)
        self.journal, self.findings = journal, list[dict[str, Any]]()
        uplink = Uplink(name="ebr", kind="mqtt", endpoint="mqtt://127.0.0.1")
        journal.uplink("ebr", True)
        self.status = Status("ebr")
        epoch, last = journal.last
        self.window = Window(journal.cursor("ebr"), (epoch, last if sent is None else sent), uplink.window_bytes)
        announcer = Announcer(self.findings.append, finding)
        self.judge = Judge(journal, GATEWAY, uplink, self.window, self.status, announcer, Unaccepted(time.monotonic), self.stamps)

    @classmethod
    @contextlib.contextmanager
    def open(cls, folder: Path, entries: int = 20, *, sent: int | None = None) -> Iterator["ReceiptRig"]:
        journal = Journal.open(folder, GATEWAY, retain_s=0.0, max_bytes=2_000_000_000)
        try:
            if journal.last[1] == 0:
                journal.append(bodies(entries), urgent=True).result()
            yield cls(journal, sent=sent)
        finally:
            journal.close()

    def digest(self, seq: int, epoch: int | None = None) -> str:
        """The digest of an entry that the journal holds."""
        return self.journal.read((epoch or self.journal.last[0], seq - 1), max_bytes=1, max_entries=1)[0].digest

    def receipt(self, through: int, **other: Any) -> dict[str, Any]:
        """The receipt of a receiver that holds everything through an entry, and what is another in it."""
        digest = {"digest": self.digest(through) if "digest" not in other and through else "0" * 64}
        return {"gateway": GATEWAY, "epoch": self.journal.last[0], "through": through, **digest, "rejected": [], **other}

    def take(self, *payloads: bytes | dict[str, Any], loop: asyncio.Runner | None = None) -> None:
        """Have answers judged that came in together."""
        inbox: deque[Arrival] = deque(
            Answer(item if isinstance(item, bytes) else orjson.dumps(item), "a message on the receipts topic") for item in payloads
        )
        if loop is not None:
            loop.run(self.judge.take(inbox))
            return
        with asyncio.Runner() as runner:
            runner.run(self.judge.take(inbox))

    @property
    def state(self) -> tuple[tuple[int, int], tuple[int, int], list[Quarantined]]:
        """What only a proof may change: the cursor, what the window takes for confirmed, the quarantine."""
        return self.journal.cursor("ebr"), self.window.confirmed, self.journal.receipts.quarantined("ebr")

    def codes(self) -> list[str]:
        return [one["code"] for one in self.findings]
