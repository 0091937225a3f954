"""Whose word a checkpoint is: keys that were given, that came with the stream, that were handed over; and how a refusal is heard."""

import asyncio
import contextlib
import random
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from kit import journals
from kit.processes import DEADLINE_S

from buffer import Body, Journal, Origin, chain, keys
from buffer.origin import Seen
from config import Line, Uplink
from gateway.uplink import Forwarder
from simulators.ebr import Ebr, Store
from simulators.ebr.entry import Refusal
from simulators.ebr.record.queries import record_queries
from simulators.ebr.signatures import Key, given

GATEWAY = "lyon/granulation-2"
Event = dict[str, Any]


class Gateway:
    """A journal that signs with any key, and keeps what was sent."""

    def __init__(self, folder: Path, epoch_after: int = 0) -> None:
        """epoch_after: its epoch is a later one, as that of a gateway that was started later."""
        self.folder, seen = folder, folder / "seen"
        Origin(seen).note(GATEWAY, Seen(epoch_after, 0, ""))
        self.journal = Journal.open(folder / "journal", GATEWAY, retain_s=86_400, max_bytes=2_000_000_000, origin=Origin(seen))
        self.signer = self.new_key("first")

    def new_key(self, name: str) -> keys.Signer:
        return keys.create(self.folder / name, GATEWAY)

    def append(self, *events: Event) -> None:
        bodies = [
            Body("ebr-gateway/event/1", orjson.dumps({"time": "2026-11-22T07:15:02.512345Z", "event": event})[1:]) for event in events
        ]
        self.journal.append(bodies, urgent=True).result()

    def created(self) -> None:
        self.append({"type": "audit", "action": "key-created", "who": "system:x", "what": {"public": self.signer.public}})

    def filler(self, count: int = 5) -> None:
        self.append(*({"type": "finding", "code": "x", "number": number} for number in range(count)))

    def checkpoint(self, signer: keys.Signer | None = None, *, wrong: bool = False) -> int:
        """Append a checkpoint over everything so far; returns its seq."""
        held = self.payloads()
        root = bytes(32) if wrong else chain.root([chain.leaf(payload) for payload in held])
        text = keys.checkpoint_text(f"{GATEWAY}/{self.journal.last[0]}", len(held), root)
        note = (signer or self.signer).note(text)
        self.append({"type": "checkpoint", "size": len(held), "root": root.hex(), "note": note})
        return len(held) + 1

    def payloads(self) -> list[bytes]:
        return [entry.payload for entry in journals.entries(self.journal)]

    @property
    def stream(self) -> tuple[str, int]:
        return GATEWAY, self.journal.last[0]


@pytest.fixture
def gateway(tmp_path: Path) -> Any:
    made = Gateway(tmp_path)
    yield made
    made.journal.close()


def refused(store: Store, gateway: Gateway) -> list[tuple[int, str, str]]:
    listed: Any = store.receipt(gateway.stream)["rejected"]
    return [(one["seq"], one["code"], one["retry"]) for one in listed]


def latest(store: Store, gateway: Gateway) -> Any:
    with record_queries(store.path) as books:
        return books.streams([GATEWAY])[gateway.stream]["checkpoint"]


@pytest.mark.urs("URS-AUD-04")
@pytest.mark.parametrize("seed", range(4))
def test_the_first_key_of_a_stream_is_taken_and_the_record_says_where_it_came_from(gateway: Gateway, seed: int) -> None:
    gateway.created()
    gateway.filler()
    gateway.checkpoint()
    store, pages = Store(gateway.folder / "ebr"), gateway.payloads()
    random.Random(seed).shuffle(pages)
    for payload in pages:
        store.take([payload])
    assert refused(store, gateway) == []
    told = latest(store, gateway)
    assert (told["signer"], told["key"]) == (Key.parse(gateway.signer.public).short, "stream")
    store.close()


def test_a_key_is_shown_by_its_name_and_id_though_its_base64_has_a_plus(gateway: Gateway) -> None:
    others = (gateway.new_key(f"other-{number}") for number in range(1_000))
    gateway.signer = next(key for key in others if key.public.count("+") > 2)
    gateway.created()
    gateway.filler()
    gateway.checkpoint()
    store = Store(gateway.folder / "ebr")
    store.take(gateway.payloads())
    name, own, _ = gateway.signer.public.split("+", 2)
    assert latest(store, gateway)["signer"] == f"{name}+{own}"
    store.close()


@pytest.mark.urs("URS-AUD-04")
def test_a_checkpoint_of_another_key_is_refused_until_that_key_is_given(gateway: Gateway) -> None:
    stranger = gateway.new_key("stranger")
    gateway.created()
    gateway.filler()
    seq = gateway.checkpoint(stranger)
    gateway.filler()
    store = Store(gateway.folder / "ebr")
    store.take(gateway.payloads())
    assert refused(store, gateway) == [(seq, "checkpoint-unsigned", "later")]
    assert (store.counts()["suspects"], latest(store, gateway)) == (1, None)
    store.take(gateway.payloads())
    assert refused(store, gateway) == [(seq, "checkpoint-unsigned", "later")], "to be offered again makes it no better"
    store.trust(GATEWAY, Key.parse(stranger.public))
    store.take([gateway.payloads()[seq - 1]])
    assert refused(store, gateway) == []
    assert latest(store, gateway)["key"] == "given"
    store.close()


@pytest.mark.urs("URS-AUD-04")
def test_a_key_that_a_person_gave_counts_before_the_first_of_the_stream(gateway: Gateway) -> None:
    real = gateway.new_key("real")
    path = gateway.folder / "keys.txt"
    path.write_text(f"{real.public}\n\n")
    (key,) = given(path)
    gateway.created()
    seq = gateway.checkpoint()
    store = Store(gateway.folder / "ebr")
    store.trust(GATEWAY, key)
    store.take(gateway.payloads())
    assert refused(store, gateway) == [(seq, "checkpoint-unsigned", "later")]
    store.close()


@pytest.mark.urs("URS-AUD-04")
def test_a_second_gateway_under_one_name_is_refused_until_its_key_is_given(gateway: Gateway, tmp_path: Path) -> None:
    """Two lines made alike: their steps went into one batch record."""
    gateway.created()
    gateway.filler()
    gateway.checkpoint()
    store = Store(gateway.folder / "ebr")
    store.take(gateway.payloads())
    (tmp_path / "other").mkdir()
    other = Gateway(tmp_path / "other", epoch_after=gateway.journal.last[0])
    other.filler(2)
    other.created()
    other.filler(3)
    store.take(other.payloads())
    assert refused(store, gateway) == []
    assert refused(store, other) == [(seq, "not-authorised", "later") for seq in (3, 4, 5, 6)], "all from the key on"
    other.filler(1)
    store.take(other.payloads())
    assert refused(store, other)[-1] == (7, "not-authorised", "later")
    reason: Any = store.receipt(other.stream)["rejected"]
    assert "another gateway runs under this name" in reason[0]["reason"]
    store.trust(GATEWAY, Key.parse(other.signer.public))
    store.take(other.payloads())
    assert refused(store, other) == []
    other.journal.close()
    store.close()


@pytest.mark.urs("URS-AUD-04")
@pytest.mark.parametrize(("by_old", "by_new", "trusted"), [(True, True, True), (True, False, False), (False, True, False)])
def test_a_new_key_counts_if_the_old_and_the_new_one_have_signed_the_change(
    gateway: Gateway, by_old: bool, by_new: bool, trusted: bool
) -> None:
    new, stranger = gateway.new_key("new"), gateway.new_key("stranger")
    rotation = keys.rotation(gateway.signer, new)
    text, _, _ = rotation["what"]["note"].rpartition("\n\n")
    lines = [signer.signature(f"{text}\n") for signer in (gateway.signer if by_old else stranger, new if by_new else stranger)]
    rotation["what"]["note"] = f"{text}\n\n{''.join(lines)}"
    gateway.created()
    gateway.checkpoint()
    gateway.append({"type": "audit", "who": "system:x", **rotation})
    seq = gateway.checkpoint(new)
    store = Store(gateway.folder / "ebr")
    store.take(gateway.payloads())
    assert refused(store, gateway) == ([] if trusted else [(seq, "checkpoint-unsigned", "later")])
    store.close()


@pytest.mark.parametrize("damage", ["", "x", "a+b", "lyon/granulation-2+00000000+AAAA"])
def test_a_key_file_with_something_else_names_its_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "keys.txt"
    signer = keys.create(tmp_path / "key", GATEWAY)
    path.write_text(f"{signer.public}\n{damage}\n")
    if damage:
        with pytest.raises(ValueError, match=r"keys\.txt:2: "):
            given(path)
    else:
        assert [key.text for key in given(path)] == [signer.public]


@pytest.mark.urs("URS-AUD-04")
@pytest.mark.parametrize("kind", ["root", "key"])
async def test_the_gateway_hears_of_a_refused_checkpoint_as_an_alarm(gateway: Gateway, kind: str) -> None:
    gateway.created()
    gateway.filler()
    stranger = gateway.new_key("stranger")
    seq = gateway.checkpoint(wrong=True) if kind == "root" else gateway.checkpoint(stranger)
    gateway.filler()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ebr = Ebr(gateway.folder / "ebr", http=port)
    findings: list[Event] = []
    uplink = Uplink(name="ebr", kind="https", endpoint=f"http://127.0.0.1:{port}", resend_after_s=0.5)
    line = cast("Line", SimpleNamespace(gateway=GATEWAY, folder=gateway.folder))
    async with asyncio.timeout(DEADLINE_S):
        running = [asyncio.create_task(ebr.run())]
        await ebr.ready.wait()
        forward = Forwarder(gateway.journal, line, uplink, findings.append)
        running.append(asyncio.create_task(forward.run()))
        while gateway.journal.cursor("ebr") != gateway.journal.last or not findings:  # noqa: ASYNC110 - the state of another thread
            await asyncio.sleep(0.02)
    for task in reversed(running):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    (alarm,) = [finding for finding in findings if finding["code"] == "uplink-rejected"]
    code = {"root": "checkpoint-inconsistent", "key": "checkpoint-unsigned"}[kind]
    assert alarm["severity"] == "alarm"
    assert f"first {seq}: {code}" in alarm["text"]
    assert [(one.seq, one.code) for one in gateway.journal.receipts.quarantined("ebr")] == [(seq, code)]


# -- what is refused or comes early


def test_in_the_place_of_a_refused_entry_only_that_very_one_is_taken(gateway: Gateway) -> None:
    gateway.filler(6)
    payloads = gateway.payloads()
    store = Store(gateway.folder / "ebr")
    store.take(payloads, lambda entry: Refusal("busy", "later") if entry.seq == 3 else None)
    taken = store.take([payloads[2].replace(b'"number":2', b'"number":9')])
    assert (taken.suspects, taken.stored) == (1, 0)
    assert [seq for seq, *_ in refused(store, gateway)] == [3]
    store.take([payloads[2]])
    assert refused(store, gateway) == []
    store.close()


@pytest.mark.urs("URS-UPL-03")
@pytest.mark.parametrize("bound", [{"ahead_entries": 10}, {"ahead_bytes": 4_000}])
def test_what_comes_too_far_ahead_is_not_kept_and_comes_again(gateway: Gateway, bound: dict[str, int]) -> None:
    gateway.filler(60)
    payloads, rng = gateway.payloads(), random.Random(1)
    store = Store(gateway.folder / "ebr", **bound)
    rounds = most = 0
    while (through := int(str(store.receipt(gateway.stream)["through"]))) < len(payloads):
        left = rng.sample(payloads[through:], len(payloads) - through)
        for first in range(0, len(left), 6):
            store.take(left[first : first + 6])
            held = store.counts()["stored"] - int(str(store.receipt(gateway.stream)["through"]))
            most = max(most, held)
        rounds += 1
    assert 0 < most <= 16
    assert rounds > 2
    assert store.counts()["ahead"] > 0
    store.close()
