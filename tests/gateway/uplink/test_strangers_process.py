"""Whoever may publish on the receipts topic stops no uplink, moves none, and hides nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from kit.processes import eventually
from kit.receipt_strangers import receipt, stranger
from kit.uplink_bench import GATEWAY, Bench, Hands


async def grow(bench: Bench, state: Callable[[], Any]) -> None:
    def look() -> Any:
        bench.append(1)
        return state()

    await eventually(look)


@pytest.mark.bar("S08")
@pytest.mark.urs("URS-UPL-03")
async def test_an_uplink_without_receipts_takes_none_from_anybody(bench: Bench) -> None:
    await bench.start("mqtt")
    forward = bench.forward(bench.uplink("mqtt", receipts=False, required=False))
    bench.run(forward)
    bench.append(5)
    await eventually(lambda: bench.delivered("mqtt"))
    async with stranger(
        bench,
        lambda: receipt(GATEWAY, bench.journal.last[0], 3),
        lambda: receipt(GATEWAY, bench.journal.last[0], 1_000),
        lambda: b"nonsense",
    ) as published:
        start = bench.journal.cursor("mqtt")[1]
        await grow(bench, lambda: published() > 20 and bench.journal.cursor("mqtt")[1] > start + 20)
        assert forward.status.state == "forwarding"
    await eventually(lambda: bench.delivered("mqtt"))
    assert bench.codes() == set()
    assert forward.status.receipts_refused == 0


@pytest.mark.urs("URS-UPL-03", "URS-UPL-04")
async def test_receipts_that_contradict_stop_nothing_while_the_receiver_answers(bench: Bench) -> None:
    """One now and then, while nothing was under way, held up all that came after it for a resend time."""
    await bench.start("mqtt")
    forward = bench.forward(bench.uplink("mqtt", resend_after_s=3_600.0))
    bench.run(forward)
    for _ in range(5):
        bench.append(3)
        await eventually(lambda: bench.delivered("mqtt"))
        refused = forward.status.receipts_refused
        async with stranger(bench, lambda: receipt(GATEWAY, bench.journal.last[0], 3)):
            await eventually(lambda: forward.status.receipts_refused > refused)  # noqa: B023 - within this turn
    assert bench.stored_alike()
    assert "uplink-receipt-digest-mismatch" in bench.codes(), "it is told all the same"
    assert "uplink-two-histories" not in bench.codes()


@pytest.mark.urs("URS-UPL-03", "URS-BUF-06")
@pytest.mark.parametrize("receiver", ["stands", "is silent"])
async def test_a_word_that_the_receiver_holds_nothing_hides_no_standstill(bench: Bench, receiver: str) -> None:
    """Each one had everything sent again, and what was confirmed anew counted as progress: no alarm ever came."""
    await bench.start("mqtt")
    clock = Hands()
    forward = bench.forward(bench.uplink("mqtt"), clock)
    bench.run(forward)
    bench.append(5)
    await eventually(lambda: bench.delivered("mqtt"))
    bench.script.keep_through, bench.script.silent = 5, receiver == "is silent"
    async with stranger(bench, lambda: receipt(GATEWAY, bench.journal.last[0], 0, "0" * 64)):

        def look() -> bool:
            if receiver == "is silent" or forward._judge.here:  # a receiver that answers does so within a resend time
                clock.now_s += 0.05
            forward.check_standstill()
            return forward.status.resends > 10 and "uplink-no-receipts" in bench.codes()

        await grow(bench, look)
    if receiver == "stands":
        assert "uplink-receiver-went-back" not in bench.codes(), "it has proved where it stands"
    bench.script.keep_through, bench.script.silent = None, False
    clock.step_s = 0.01
    await grow(bench, lambda: "uplink-no-receipts-over" in bench.codes())
    await eventually(lambda: bench.delivered("mqtt"))
    assert bench.stored_alike()
