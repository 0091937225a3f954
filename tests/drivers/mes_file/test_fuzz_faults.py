"""The generated files and folders of test_fuzz for a minute (EBR_FUZZ_S seconds), from another seed each time."""

import os
import time
from collections import Counter

import pytest
from kit import file_fuzz, growth_fuzz
from kit.how_long import FUZZ_S

pytestmark = pytest.mark.faults


@pytest.fixture
def first_seed() -> int:
    """What FILE_FUZZ_SEED says, else one that nobody has had: it is printed, and a failure names the seed."""
    return int(os.environ.get("FILE_FUZZ_SEED") or time.time_ns() // 1_000_000)


@pytest.mark.urs("URS-DAQ-05", "URS-SEC-09")
def test_no_good_value_that_the_file_did_not_say_and_no_cut_file_is_whole_for_long(first_seed, figures):
    seen: Counter[str] = Counter()
    ends_s, seed = time.monotonic() + FUZZ_S / 2, first_seed
    while time.monotonic() < ends_s:
        file_fuzz.fuzz(seed, seen)
        seed += 1
    figures("files", f"seeds {first_seed} to {seed - 1}: {file_fuzz.told(seen)}")


async def test_a_file_that_grows_and_is_written_anew_says_each_record_once_for_long(first_seed, figures):
    seen: Counter[str] = Counter()
    ends_s, seed = time.monotonic() + FUZZ_S / 2, first_seed
    while time.monotonic() < ends_s:
        await growth_fuzz.fuzz(seed, seen)
        seed += 1
    figures("files", f"seeds {first_seed} to {seed - 1}: {growth_fuzz.told(seen)}")
