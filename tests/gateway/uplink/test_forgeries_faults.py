"""Forged receipts and outcomes for a minute (EBR_FUZZ_S seconds), from another seed each time, with the figures."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.forgeries import Forger, attack, attack_outcome
from kit.how_long import FUZZ_S
from kit.receipt_rig import GATEWAY, ReceiptRig, bodies

from gateway.uplink.records import Record

ROUND = 2_000
RECORD = Record(f"{GATEWAY}/B1/granulator/MIX/1#1", "step", "granulator", "4500", b"{}")


@pytest.mark.bar("S08")
@pytest.mark.urs("URS-UPL-03", "URS-UPL-04")
def test_forged_receipts_and_outcomes_move_nothing(tmp_path: Path, figures: Callable[[str, str], None]) -> None:
    counts: Counter[str] = Counter()
    seed = first_seed = random.SystemRandom().randrange(1 << 30)
    with ReceiptRig.open(tmp_path, 40) as held, asyncio.Runner() as loop:
        end_s = time.monotonic() + FUZZ_S
        while time.monotonic() < end_s:
            held.journal.append(bodies(5), urgent=True).result()
            rig, forger = ReceiptRig(held.journal, sent=held.journal.last[1] - seed % 3), Forger(held, seed)
            for _ in range(ROUND):
                attack(rig, forger, loop, counts)
                attack_outcome(forger, RECORD, counts)
            seed += 1
    forged, others = counts["receipts"] - counts["proofs"], counts["outcomes"] - counts["counted"]
    figures(
        "forged receipts",
        f"{FUZZ_S:.0f} s, seeds {first_seed}..{seed - 1}: {forged:,} forged receipts, {others:,} forged outcomes: 0 moved cursor or"
        f" quarantine; {counts['proofs']:,} receipts among them were true, {counts['moved']:,} of these moved something",
    )
    assert forged > 1_000
