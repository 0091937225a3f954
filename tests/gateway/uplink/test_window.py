"""What a forwarder keeps of what it sent: the window, what is owed a receipt, the pace, live copies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer import Entry
from gateway.uplink.live_copies import AT_LEAST_EVERY_S, Live
from gateway.uplink.patience import Patience, Standstill
from gateway.uplink.pubacks import Pubacks
from gateway.uplink.rate_limit import Pace
from gateway.uplink.transport import Delivered
from gateway.uplink.window import Window


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def entries(*seqs: int, epoch: int = 1, size: int = 100) -> list[Entry]:
    return [Entry(epoch, seq, f"{seq:064x}", b"x" * size) for seq in seqs]


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
