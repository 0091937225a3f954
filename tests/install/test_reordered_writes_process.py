"""The power is cut in a switch, and the file system had kept no order but what the installer had flushed.

Here are a few of the states that may be left; more, and those of the other commands, are in test_reordered_writes_faults.py.
"""

import random
from pathlib import Path

import pytest
from kit.cut_installer import Recorded, staged
from kit.in_charge import NEW, OLD

pytestmark = pytest.mark.urs("URS-OPS-04")


def test_a_switch_whose_writes_came_in_any_order_starts_nothing_half_and_is_completed(tmp_path: Path) -> None:
    with staged(tmp_path, OLD, NEW) as (stage, releases, install):
        assert stage.run(f"{install} switch {OLD}").returncode == 0
        switch = Recorded.of(stage, releases, f"{install} switch {NEW}")
        states = list(switch.judged(switch.disk.states(seed=1, drawn=20)))
        assert {releases.in_charge(state.tree) for state in states} == {OLD, NEW}
        for state in random.Random(1).sample(states, 3):
            switch.is_completed(state)
