"""The power is cut in each command of the installer, and the file system had kept no order but what the installer had flushed.

Each command is recorded once, call by call. Of that the states are made that a cut may leave (kit.disk_states): each operation missing,
each there alone, bytes that are missing or half, and many more by seed. In each one release is in charge and whole, or none was yet; what
was stored is the same bytes. Some are laid on a disk: it boots, and the same command, or the one that goes back, ends as if no power had
been cut.
"""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.cut_installer import INSTALLER, Recorded, staged
from kit.disk_states import State
from kit.in_charge import CURRENT, NEW, OLD, Releases, beneath
from kit.tiny_bundle import tiny_bundle

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3_600), pytest.mark.urs("URS-OPS-04")]

DRAWN, LAID = 400, 25
SEEDS = (1, 2)
Figures = Callable[[str, str], None]


def all_judged(recorded: Recorded, seed: int) -> list[State]:
    return list(recorded.judged(recorded.disk.states(seed, DRAWN)))


def some(states: list[State], seed: int) -> list[State]:
    return random.Random(seed).sample(states, min(LAID, len(states)))


def count(recorded: Recorded, states: list[State], laid: list[State]) -> str:
    of = f"{len(recorded.disk.steps)} operations and flushes"
    return f"{of}, {len(states)} states that a cut may leave, {len(laid)} of them laid on a disk and completed"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("was", "to"), [(OLD, NEW), (NEW, OLD)])
def test_a_switch_ends_either_way_whatever_a_power_cut_left(tmp_path: Path, figures: Figures, was: str, to: str, seed: int) -> None:
    with staged(tmp_path, OLD, NEW) as (stage, releases, install):
        stage.run(f"{install} switch {was}")
        switch = Recorded.of(stage, releases, f"{install} switch {to}")
        states = all_judged(switch, seed)
        laid = some(states, seed)
        for turn, state in enumerate(laid):
            if turn % 3:
                switch.is_completed(state)
            else:
                switch.is_completed(state, f"{install} switch {was}", switch.before)
        figures("installer", f"switch from {was} to {to}: {count(switch, states, laid)} or taken back")


def test_a_switch_to_a_release_on_which_no_line_comes_up_goes_back_whatever_a_power_cut_left(tmp_path: Path, figures: Figures) -> None:
    with staged(tmp_path, OLD, NEW) as (stage, releases, install):
        stage.run(f"{install} switch {OLD}")
        switch = Recorded.of(stage, releases, f"{install} switch {NEW}", fails=NEW)
        assert f"all run on {OLD} again\nrc=1" in switch.said
        states = all_judged(switch, 1)
        laid = some(states, 1)
        for state in laid:
            switch.is_completed(state)
        figures("installer", f"switch to {NEW}, on which the line does not come up, and back: {count(switch, states, laid)}")


@pytest.mark.parametrize("words", [f"remove {NEW}", "uninstall"])
def test_what_is_removed_by_half_is_no_version_and_the_same_command_removes_it(tmp_path: Path, figures: Figures, words: str) -> None:
    with staged(tmp_path, OLD, NEW) as (stage, releases, install):
        stage.run(f"{install} switch {OLD}")
        removal = Recorded.of(stage, releases, f"{install} {words}")
        states = all_judged(removal, 1)
        laid = some(states, 1)
        for state in laid:
            removal.is_completed(state)
        figures("installer", f"{words}: {count(removal, states, laid)}")


def test_what_was_installed_by_hand_is_taken_over_whatever_a_power_cut_left(tmp_path: Path, figures: Figures) -> None:
    """The new version lies there whole already: the making of one is cut off below."""
    with staged(tmp_path, OLD, NEW, by_hand=OLD) as (stage, releases, _):
        bundle = tiny_bundle(stage.folder / "bundle", NEW)
        taking = Recorded.of(stage, releases, f"sh {bundle}/install.sh")
        assert taking.done[CURRENT].content == f"{CURRENT}-{OLD}".encode()
        states = all_judged(taking, 1)
        laid = some(states, 1)
        for state in laid:
            taking.is_completed(state)
        figures("installer", f"taking over what was installed by hand: {count(taking, states, laid)}")


def test_a_first_installation_is_completed_whatever_a_power_cut_left(tmp_path: Path, figures: Figures) -> None:
    """A virtual environment and what pip installs are thousands of operations before one `sync`: not each is left out by itself."""
    with staged(tmp_path) as (stage, _, _):
        bundle = tiny_bundle(stage.folder / "bundle", NEW)
        none = Releases({NEW: {}})
        first = Recorded.of(stage, none, f"sh {bundle}/install.sh")
        none.trees = {NEW: beneath(first.done, NEW)}
        assert none.in_charge(first.done) == NEW
        states = list(first.judged(first.disk.states(1, 40, one_by_one_below=200)))
        after = [state for state in states if none.counted(state.tree)]
        laid = random.Random(1).sample(after, 5)
        for state in laid:
            first.is_completed(state)
        figures("installer", f"a first installation: {count(first, states, laid)}")


WITHOUT = {
    "the bytes of unit and account": (' && sync "$2.new" && mv -T', " && mv -T", "is not whole"),
    "the folder of a link": (' && sync "$(dirname "$2")" && mv', " && mv", "in charge is none|the command leads elsewhere"),
}


@pytest.mark.parametrize("what", WITHOUT)
def test_an_installer_that_does_not_flush_is_found(tmp_path: Path, what: str) -> None:
    """What is looked at here can fail: each flush that is left out shows as the state that it is there for."""
    flush, none, says = WITHOUT[what]
    text = INSTALLER.read_text()
    assert text.count(flush) == 1
    with staged(tmp_path, OLD, NEW, installer=text.replace(flush, none)) as (stage, releases, install):
        stage.run(f"{install} switch {OLD}")
        switch = Recorded.of(stage, releases, f"{install} switch {NEW}")
        with pytest.raises(AssertionError, match=says):
            all_judged(switch, 1)
