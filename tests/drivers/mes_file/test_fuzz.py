"""Generated files and folders, a few seconds of them: an oracle for each knows what a file says (kit.file_fuzz, kit.growth_fuzz)."""

from collections import Counter

import pytest
from kit import file_fuzz, growth_fuzz

FILES = 300
STORIES = 60


@pytest.mark.bar("F42")
@pytest.mark.urs("URS-DAQ-05", "URS-SEC-09")
def test_no_good_value_that_the_file_did_not_say_and_no_cut_file_is_whole(figures):
    seen: Counter[str] = Counter()
    for seed in range(FILES):
        file_fuzz.fuzz(seed, seen)
    figures("files", file_fuzz.told(seen))
    assert min(seen[what] for what in ("whole", "good", "bad", "cut between records", "damaged, read")) > 0


@pytest.mark.bar("F42")
async def test_a_file_that_grows_and_is_written_anew_says_each_record_once(figures):
    seen: Counter[str] = Counter()
    for seed in range(STORIES):
        await growth_fuzz.fuzz(seed, seen)
    figures("files", growth_fuzz.told(seen))
    assert min(seen[what] for what in ("crashes", "changed", "deleted")) > 0
