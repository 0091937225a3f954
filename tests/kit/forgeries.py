"""Forges receipts and outcomes by the thousand, and holds what the gateway does with them against what they prove.

The oracle reads a payload by itself, with the standard library: it is a proof if it names this gateway and an entry of the journal, with
the SHA-256 of that entry's bytes. Without one among what came in together, neither cursor nor quarantine may change.
"""

import asyncio
import hashlib
import json
import random
from collections import Counter
from typing import Any

from kit import journals
from kit.receipt_rig import GATEWAY, ReceiptRig

from buffer.receipts import UNPROVED
from gateway.uplink.errors import Refused, Unreachable
from gateway.uplink.records import Record, answered, reply_of

ZEROS = "0" * 64
JUNK: tuple[Any, ...] = (None, True, False, -1, 0, 1, 2**53, 2**63, 2**200, 1.0, 1e308, "", "x", "\x00", [], {}, [[]], {"seq": 1}, ZEROS)
BYTES = (b"", b"\0", b"null", b"[]", b"{}", b'"', b"[" * 5_000, b"\xff\xfe{", b"<html>", b"1" * 400, b'{"gateway":"\xed\xa0\x80"}')
CODES = ("x", "busy", "unknown-order", "x\u001b[31m", "", "é", "a" * 65, None, 7)


class Forger:
    """Makes payloads from what a receiver would say, by changes that somebody might make who does not hold the entries, or holds others."""

    def __init__(self, rig: ReceiptRig, seed: int) -> None:
        self.random = random.Random(seed)
        entries = journals.entries(rig.journal)
        self.digests = {(entry.epoch, entry.seq): hashlib.sha256(entry.payload).hexdigest() for entry in entries}
        self.places = sorted(self.digests)
        self.epochs = sorted({epoch for epoch, _ in self.places})

    def receipts(self) -> list[bytes]:
        """One to three that come in together."""
        return [self._receipt() for _ in range(self.random.choice((1, 1, 1, 2, 3)))]

    def proves(self, payload: bytes) -> bool:
        """True if somebody who says this holds the entry that it names."""
        try:
            item = json.loads(payload)
            place = (item["epoch"], item["through"])
            right = all(type(number) is int for number in place) and item["gateway"] == GATEWAY
            return bool(right and item["digest"] == self.digests[place])
        except (ValueError, KeyError, TypeError, RecursionError):
            return False

    def _receipt(self) -> bytes:
        pick = self.random
        if pick.random() < 0.05:
            return pick.choice(BYTES)
        epoch, seq = pick.choice(self.places)
        item: dict[str, Any] = {
            "gateway": GATEWAY,
            "epoch": epoch,
            "through": seq,
            "digest": self.digests[epoch, seq],
            "rejected": self._list(),
        }
        for _ in range(pick.choice((0, 1, 1, 1, 1, 2, 3))):
            self._change(item)
        payload = json.dumps(item).encode()
        return self._break(payload) if pick.random() < 0.15 else payload

    def _change(self, item: dict[str, Any]) -> None:
        pick = self.random
        match pick.randrange(9):
            case 0:
                item["digest"] = ZEROS
            case 1:
                item["digest"] = self.digests[pick.choice(self.places)]
            case 2:
                item["digest"] = f"{pick.getrandbits(256):064x}"
            case 3:
                item["through"] = pick.choice(
                    (0, 1, item["through"] if isinstance(item["through"], int) else 1, 10**6, 1 << 61)
                ) + pick.randrange(-2, 3)
            case 4:
                item["epoch"] = pick.choice((*self.epochs, 0, self.epochs[0] - 1, self.epochs[-1] + 1, self.epochs[-1] + 10**6))
            case 5:
                item["gateway"] = pick.choice((f"{GATEWAY}-2", "lyon", GATEWAY.upper(), f"{GATEWAY}\0"))
            case 6:
                item["rejected"] = pick.choice((self._list(), *JUNK))
            case 7:
                item[pick.choice((*item, "more"))] = pick.choice(JUNK)
            case _:
                item.pop(pick.choice(tuple(item)), None)
                item.setdefault("through", 0)

    def _list(self) -> list[Any]:
        pick = self.random
        return [
            {"seq": pick.randrange(-1, 45), "code": pick.choice(CODES), "retry": pick.choice(("later", "never", "after-change", "soon"))}
            for _ in range(pick.choice((0, 0, 0, 1, 2, 5)))
        ]

    def _break(self, payload: bytes) -> bytes:
        pick, at = self.random, self.random.randrange(len(payload))
        flipped = payload[:at] + bytes([payload[at] ^ 1 << pick.randrange(8)]) + payload[at + 1 :]
        return pick.choice((payload[:at], flipped, payload + payload, payload[at:], payload + b"}", b"\xef\xbb\xbf" + payload))

    def outcome(self, record: Record) -> bytes:
        """What might stand where a receiver's outcome for a record is waited for."""
        pick = self.random
        item = {"id": record.id, "outcome": pick.choice(("stored", "duplicate", "rejected")), "code": pick.choice(CODES), "reason": "no"}
        for _ in range(pick.choice((0, 1, 1, 2))):
            name = pick.choice(("id", "outcome"))
            others = {"id": (record.id[:-1], record.id.upper(), f"{record.id}0", ""), "outcome": ("Stored", "ok", "accepted")}
            item[name] = pick.choice((*others[name], *JUNK))
        payload = json.dumps(item).encode()
        return pick.choice(BYTES) if pick.random() < 0.05 else self._break(payload) if pick.random() < 0.2 else payload


def attack(rig: ReceiptRig, forger: Forger, loop: asyncio.Runner, counts: Counter[str]) -> None:
    """One round of receipts. Raises AssertionError if something moved without a proof, or further than the proof goes."""
    payloads, before = forger.receipts(), rig.state
    rig.take(*payloads, loop=loop)
    proved = [json.loads(payload) for payload in payloads if forger.proves(payload)]
    after, what = rig.state, b"\n".join(payloads)[:2_000]
    counts["receipts"] += len(payloads)
    counts["proofs"] += len(proved)
    counts["moved"] += after != before
    if not proved:
        assert after == before, what
        return
    farthest = max((item["epoch"], item["through"]) for item in proved)
    assert before[0] <= after[0] <= max(before[0], farthest), what
    listed = {(item["epoch"], seq) for item in proved for seq in _seqs(item.get("rejected"))}
    held = {(one.epoch, one.seq) for one in before[2]}
    passed = {(one.epoch, one.seq) for one in after[2] if one.code == UNPROVED and before[0] < (one.epoch, one.seq) < after[0]}
    assert {(one.epoch, one.seq) for one in after[2]} - held - passed <= listed, what
    # What a proof of a later epoch has passed is proved, or lies in quarantine.
    end = max((place for place in forger.places if place[0] < after[0][0]), default=before[0])
    assert before[0] >= end or end in {(item["epoch"], item["through"]) for item in proved} or passed, what


def _seqs(rejected: Any) -> set[int]:
    """The entries that a list names; what is no list names none."""
    items = rejected if isinstance(rejected, list) else []
    return {one["seq"] for one in items if isinstance(one, dict) and isinstance(one.get("seq"), int)}


def attack_outcome(forger: Forger, record: Record, counts: Counter[str]) -> None:
    """One answer for a record. Raises AssertionError if it counts for another record, or as another outcome than it says."""
    payload = forger.outcome(record)
    try:
        item = json.loads(payload)
    except (ValueError, RecursionError):
        item = None
    says = item.get("outcome") if isinstance(item, dict) and item.get("id") == record.id else None
    reply = reply_of(payload, record.id)
    counts["outcomes"] += 1
    counts["counted"] += reply is not None
    assert (reply and reply.outcome) in (None, says), payload
    status = forger.random.choice((200, 201, 202, 204, 206, 400, 404, 409, 422, 429, 500, 503))
    try:
        taken = answered(status, payload, "application/json", record)
    except Unreachable:
        speaks = isinstance(item, dict) and "outcome" in item  # of another record, or in a word that nobody knows
        assert status == 202 or (reply is None and (status == 206 or speaks)), (status, payload)  # the record comes again
        return
    except Refused:
        assert status == 409, (status, payload)  # another content is there: a person decides
        assert (reply and says) != "duplicate", payload
        return
    assert (taken and taken.outcome) == _by_status(status, says if reply else None), (status, payload)


def _by_status(status: int, says: Any) -> Any:
    """What an HTTP answer means: what it says of this record, else what its status says of the request; None: it comes again."""
    if status == 409:
        return says if says == "duplicate" else "refused"
    if status == 206:  # what it says by itself counts, the status says nothing
        return says
    default = {200: "stored", 201: "stored", 204: "stored", 400: "rejected", 422: "rejected"}.get(status)
    return default and (says or default)
