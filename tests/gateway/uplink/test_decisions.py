"""What an uplink decides without any I/O: receipts, outcomes, topics, window, pace, live copies."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer import Entry
from config import Uplink
from gateway.uplink import Refused, Unreachable, base
from gateway.uplink.http_status import outcome, retry_after_s
from gateway.uplink.live_copies import AT_LEAST_EVERY_S, Live
from gateway.uplink.patience import Patience, Standstill
from gateway.uplink.pubacks import Pubacks
from gateway.uplink.rate_limit import Pace
from gateway.uplink.receipt import Receipt, parse
from gateway.uplink.records import Record, Reply, answered
from gateway.uplink.topics import level
from gateway.uplink.transport import Delivered
from gateway.uplink.window import Window

GOOD = {"gateway": "a/b", "epoch": 7, "through": 3, "digest": "ab" * 32, "rejected": []}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def entries(*seqs: int, epoch: int = 1, size: int = 100) -> list[Entry]:
    return [Entry(epoch, seq, f"{seq:064x}", b"x" * size) for seq in seqs]


# -- receipts


def test_a_receipt_is_read_as_it_stands() -> None:
    rejected = [{"seq": 2, "code": "unknown-parameter", "retry": "after-change", "reason": "who is that"}]
    receipt = parse(json.dumps({**GOOD, "rejected": rejected, "more": 1}).encode())
    assert receipt == Receipt("a/b", 7, 3, "ab" * 32, (receipt.rejected[0],))
    assert tuple(receipt.rejected[0]) == (2, "unknown-parameter", "after-change", "who is that")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"<html>Please log in</html>",
        b"[]",
        b"null",
        b'{"through":3}',
        json.dumps({**GOOD, "through": -1}).encode(),
        json.dumps({**GOOD, "through": True}).encode(),
        json.dumps({**GOOD, "through": 3.0}).encode(),
        json.dumps({**GOOD, "through": 2**63}).encode(),
        json.dumps({**GOOD, "through": 0}).encode(),
        json.dumps({**GOOD, "digest": "AB" * 32}).encode(),
        json.dumps({**GOOD, "digest": "ab" * 31}).encode(),
        json.dumps({**GOOD, "epoch": "7"}).encode(),
        json.dumps({**GOOD, "gateway": None}).encode(),
        json.dumps({**GOOD, "rejected": [{"seq": 4, "code": "x"}]}).encode(),
        json.dumps({**GOOD, "rejected": [{"seq": 0, "code": "x"}]}).encode(),
        json.dumps({**GOOD, "rejected": [{"seq": 1}]}).encode(),
        json.dumps({**GOOD, "rejected": [{"seq": 1, "code": "x\n"}]}).encode(),
        json.dumps({**GOOD, "rejected": [{"seq": 1, "code": "x", "retry": "perhaps"}]}).encode(),
        json.dumps({**GOOD, "rejected": [{"seq": 1, "code": "x"}] * 1_001}).encode(),
        json.dumps({**GOOD, "rejected": {}}).encode(),
        b"[" * 100_000,
        b"\xff\xfe",
        b" " * 2_000_000,
    ],
)
def test_what_is_no_receipt_is_told_apart(payload: bytes) -> None:
    with pytest.raises(ValueError):
        parse(payload)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s))


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_make_the_parser_raise_anything_else(payload: bytes) -> None:
    with pytest.raises(ValueError):
        parse(payload)


# -- HTTP outcomes


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 404])
def test_what_time_may_cure_is_unreachable(status: int) -> None:
    with pytest.raises(Unreachable) as raised:
        outcome(status, "7")
    assert raised.value.retry_after_s == 7


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (301, "address"),
        (307, "address"),
        (401, "credentials"),
        (403, "credentials"),
        (407, "address"),
        (409, "conflict"),
        (418, "protocol"),
    ],
)
def test_what_a_person_must_decide_is_refused(status: int, code: str) -> None:
    with pytest.raises(Refused) as raised:
        outcome(status)
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("status", "what"), [(200, "answer"), (201, "answer"), (400, "single"), (422, "single"), (413, "smaller"), (415, "plain")]
)
def test_what_goes_on(status: int, what: str) -> None:
    assert outcome(status) == what


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("0.5", 0.5),
        ("Sun, 22 Nov 2026 07:01:00 GMT", 60.0),
        ("999999", 900.0),
        ("-1", None),
        ("0", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("Sun, 22 Nov 2020 07:01:00 GMT", None),
    ],
)
def test_retry_after_is_a_number_or_a_date_and_never_absurd(text: str | None, seconds: float | None) -> None:
    assert retry_after_s(text, datetime(2026, 11, 22, 7, 0, tzinfo=UTC)) == seconds


# -- topics


@pytest.mark.bar("S07")
@pytest.mark.urs("URS-SEC-09")
@given(st.text())
def test_no_name_becomes_a_wildcard_a_separator_or_another_topic(name: str) -> None:
    try:
        text = level(name)
    except UnicodeEncodeError:
        assert any(0xD800 <= ord(char) <= 0xDFFF for char in name)
        return
    assert text.isascii()
    assert text
    assert not set(text) & set("+#/\0$")


@pytest.mark.bar("S07")
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_two_names_never_share_a_topic_level(one: str, other: str) -> None:
    assert (level(one) == level(other)) == (one == other)


def uplink(topic: str | None) -> Uplink:
    return Uplink(name="ebr", kind="mqtt", endpoint="mqtt://127.0.0.1", topic=topic)


def test_the_default_topic_is_site_and_line() -> None:
    assert base(uplink(None), "lyon/granulation-2") == "ebr/lyon/granulation-2"


@pytest.mark.bar("S07")
@pytest.mark.parametrize("topic", ["", "/a", "a/", "a/+/b", "a/#", "$SYS/a", "a\0b", "a\nb", "a" * 513])
def test_a_topic_that_can_not_be_published_to_is_refused(topic: str) -> None:
    with pytest.raises(ValueError):
        base(uplink(topic), "a/b")


# -- the window


def test_the_window_counts_what_has_no_receipt() -> None:
    window = Window((1, 0), (1, 0), 1_000)
    window.note_sent(entries(1, 2, 3))
    assert (window.unreceipted_bytes, window.room_bytes, window.sent) == (300, 700, (1, 3))
    window.confirm((1, 2))
    assert (window.unreceipted_bytes, window.cursor) == (100, (1, 2))


@pytest.mark.bar("F35")
def test_a_receipt_for_what_was_sent_before_a_restart_is_no_surprise_but_one_for_the_future_is() -> None:
    window = Window((1, 10), (1, 50), 1_000)
    assert window.standing((1, 50)) == "forward"
    assert window.standing((1, 51)) == "beyond"
    assert window.standing((2, 1)) == "beyond"
    window.confirm((1, 50))
    assert window.sent == (1, 50)


def test_after_the_receiver_went_back_the_cursor_stays_and_the_sending_starts_there() -> None:
    window = Window((1, 0), (1, 0), 1_000)
    window.note_sent(entries(*range(1, 6)))
    window.confirm((1, 5))
    window.go_back((1, 2))
    assert (window.cursor, window.confirmed, window.sent) == ((1, 5), (1, 2), (1, 2))
    window.note_sent(entries(3, 4, 5))
    window.confirm((1, 4))
    assert (window.cursor, window.confirmed) == ((1, 5), (1, 4))
    assert window.standing((1, 3)) == "behind"


@given(st.lists(st.tuples(st.sampled_from(["send", "confirm", "again"]), st.integers(1, 9))))
def test_the_cursor_never_falls_and_bytes_always_add_up(steps: list[tuple[str, int]]) -> None:
    window, cursor = Window((1, 0), (1, 0), 10_000), (1, 0)
    flying: list[int] = []
    for what, count in steps:
        if what == "send":
            first = window.sent[1] + 1
            window.note_sent(entries(*range(first, first + count)))
            flying += range(first, first + count)
        elif what == "again":
            window.again()
            flying = []
        elif window.standing((1, window.confirmed[1] + count)) == "forward":
            window.confirm((1, window.confirmed[1] + count))
            flying = [seq for seq in flying if seq > window.confirmed[1]]
        assert window.unreceipted_bytes == 100 * len(flying)
        assert window.cursor >= cursor
        cursor = window.cursor
        assert window.cursor <= window.sent <= window.highest


# -- what is owed


def test_the_oldest_entry_is_owed_its_receipt_whatever_later_ones_do() -> None:
    clock, window = Clock(), Window((1, 0), (1, 0), 10_000)
    patience = Patience(window, 10.0, clock)
    window.note_sent(entries(1))
    assert patience.left_s() is None, "not delivered yet"
    window.note_delivered((1, 1))
    assert patience.left_s() == 10.0
    for seq in range(2, 12):
        clock.now += 1
        window.note_sent(entries(seq))
        window.note_delivered((1, seq))
        assert patience.left_s() == 10.0 - (seq - 1)
    window.confirm((1, 5))
    assert patience.left_s() == 10.0, "a receipt that reaches farther is progress"
    clock.now += 11
    assert patience.left_s() == -1.0
    window.again()
    patience.sent_again()
    assert (patience.left_s(), patience.stalls) == (None, 1)


@pytest.mark.urs("URS-UPL-03")
def test_a_receiver_that_speaks_and_lacks_what_was_delivered_gets_it_soon_and_once() -> None:
    clock, window = Clock(), Window((1, 0), (1, 0), 10_000)
    patience = Patience(window, 10.0, clock)
    patience.connected()
    patience.speaks()  # before anything was delivered: it can not lack anything yet
    window.note_sent(entries(1, 2))
    window.note_delivered((1, 2))
    assert (patience.left_s(), patience.hurries) == (10.0, False)
    clock.now += 0.25
    patience.speaks()
    assert (patience.left_s(), patience.hurries) == (0.25, True)
    clock.now += 0.5
    assert patience.left_s() == -0.25
    patience.sent_again()
    window.again()
    assert patience.stalls == 0, "it says nothing about the receiver"
    for _ in range(3):  # whatever it says from now on: it is waited for as long as a silent one
        window.note_sent(entries(1, 2))
        window.note_delivered((1, 2))
        assert patience.left_s() == 10.0
        patience.speaks()
        assert (patience.left_s(), patience.hurries) == (10.0, False)
    clock.now += 10.0
    assert patience.left_s() == 0.0
    patience.sent_again()
    assert patience.stalls == 1
    assert patience.left_s() == 10.0
    patience.speaks()
    assert patience.left_s() == 0.5, "after a long wait once more"


def test_a_receiver_that_gets_on_is_never_sent_to_in_a_hurry() -> None:
    clock, window = Clock(), Window((1, 0), (1, 0), 10_000)
    patience = Patience(window, 10.0, clock)
    window.note_sent(entries(1, 2))
    window.note_delivered((1, 2))
    patience.left_s()
    patience.speaks()
    window.confirm((1, 1))
    assert (patience.left_s(), patience.hurries) == (10.0, False)


def test_after_the_receiver_went_back_all_that_it_takes_is_progress() -> None:
    clock, window = Clock(), Window((1, 9), (1, 9), 10_000)
    patience = Patience(window, 10.0, clock)
    patience.sent_again()
    window.go_back((1, 2))
    window.note_sent(entries(3, 4))
    window.note_delivered((1, 4))
    assert (patience.left_s(), patience.stalls) == (10.0, 1)
    clock.now += 5
    window.confirm((1, 3))
    assert (patience.left_s(), patience.stalls) == (10.0, 0)


def test_nothing_confirmed_is_measured_over_everything_else() -> None:
    clock = Clock()
    standstill = Standstill(clock)
    assert standstill.seconds(5, waiting=False) == 0
    clock.now += 100
    assert standstill.seconds(5, waiting=True) == 100, "what waits now may have waited all the time"
    assert standstill.seconds(6, waiting=True) == 0
    clock.now += 40
    standstill.excuse()
    clock.now += 3
    assert standstill.seconds(6, waiting=True) == 3


@pytest.mark.urs("URS-UPL-03")
def test_going_back_is_no_progress_and_what_is_regained_counts_once() -> None:
    clock, window = Clock(), Window((1, 9), (1, 12), 10_000)
    standstill = Standstill(clock)
    standstill.seconds(window.advances, waiting=True)
    for turn in range(5):  # somebody says that the receiver holds nothing, and the receiver that it holds what it held
        window.go_back((0, 0))
        clock.now += 10
        assert standstill.seconds(window.advances, waiting=True) == 10 * turn + 10, "no word moves the clock"
        window.confirm((1, 5))
        window.confirm((1, 9))
        if turn == 0:
            assert standstill.seconds(window.advances, waiting=True) == 0, "a receiver that was set back gets on"
            clock.now += 10
    assert standstill.seconds(window.advances, waiting=True) == 50
    window.confirm((1, 10))
    assert standstill.seconds(window.advances, waiting=True) == 0
    window.go_back((0, 0))
    window.confirm((1, 2))
    assert window.advances == 4


def test_a_puback_out_of_turn_gives_the_oldest_no_more_time() -> None:
    pubacks = Pubacks()
    for mid in (7, 8, 9):
        pubacks.sent(mid, (1, mid), "", 100.0)
    assert pubacks.came(8, 130.0) is None
    assert pubacks.silent_s(161.0) == 61.0
    assert pubacks.came(7, 162.0) == Delivered((1, 8), "")
    assert (len(pubacks), pubacks.silent_s(163.0)) == (1, 1.0)
    assert pubacks.came(9, 164.0) == Delivered((1, 9), "")
    assert pubacks.silent_s(999.0) == 0


# -- pace and live copies


def test_a_pace_keeps_its_rate_over_time_and_never_cuts_an_entry() -> None:
    clock = Clock()
    pace = Pace(1_000, clock)
    sent = 0
    while clock.now < 200.0:
        if pace.wait_s() == 0:
            pace.spend(700)
            sent += 700
        clock.now += 0.1
    assert sent <= 101 * 1_000 + 700
    assert sent >= 95 * 1_000


def test_live_copies_take_a_fifth_and_are_always_the_newest() -> None:
    clock = Clock()
    live = Live(clock)
    live.behind(5.0, (1, 100))
    assert live.start((1, 200)) is None
    live.behind(11.0, (1, 200))
    assert live.start((1, 200)) is None
    live.earn(4_000)
    assert live.start((1, 900)) == (1, 850)
    live.spend(1_100, (1, 900))
    assert live.start((1, 901)) is None
    clock.now += AT_LEAST_EVERY_S
    assert live.start((1, 950)) == (1, 949)
    live.behind(None, (1, 951))
    assert live.start((1, 952)) is None


# -- answers for single records


RECORD = Record("a/b/B1#1", "step", "mixer", None, b"{}")


@pytest.mark.parametrize("status", [200, 201, 203, 204, 205, 226, 299])
def test_what_is_done_is_stored(status: int) -> None:
    reply = answered(status, b"", "", RECORD)
    assert reply is not None
    assert reply.outcome == "stored"


@pytest.mark.urs("URS-UPL-03")
@pytest.mark.parametrize(
    "told",
    [
        b'{"outcome":"rejected"}',
        b'{"id":"another#1","outcome":"rejected","code":"limits"}',
        b'{"id":"another#1","outcome":"stored"}',
        b'{"id":"%s","outcome":"queued"}' % RECORD.id.encode(),
        b'{"id":"%s","outcome":null}' % RECORD.id.encode(),
    ],
)
def test_an_outcome_that_is_not_stored_is_not_made_one_by_the_status(told: bytes) -> None:
    with pytest.raises(Unreachable, match="outcome"):
        answered(200, told, "application/json", RECORD)


@pytest.mark.parametrize("told", [b"", b"ok", b'{"id": 4711}', b"[]", b'{"status":"created"}'])
def test_a_body_that_speaks_of_no_outcome_leaves_it_to_the_status(told: bytes) -> None:
    assert answered(201, told, "application/json", RECORD) == Reply("stored")


@pytest.mark.parametrize("status", [202, 206, 207])
def test_accepted_is_not_stored(status: int) -> None:
    with pytest.raises(Unreachable, match="does not say that it is stored"):
        answered(status, b"", "", RECORD)
