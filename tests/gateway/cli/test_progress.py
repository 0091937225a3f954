"""A command that reads a whole journal says on a terminal how far it is, and nowhere else."""

import io
import os
import pty
import sys
from pathlib import Path

import pytest
from kit import journals

from buffer import TOLD, read_journal
from gateway.cli import progress
from gateway.cli.progress import AFTER_S, Progress


class Clock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


def test_nothing_is_said_before_two_seconds_and_the_line_is_gone_in_the_end() -> None:
    out, clock = io.StringIO(), Clock()
    told = Progress(out, clock)
    told(1, 10)
    assert out.getvalue() == ""
    clock.s = AFTER_S
    told(4, 10)
    told(5, 10)
    assert out.getvalue() == "\r\x1b[Kreading the journal: 40% after 2 s", "not at each segment"
    clock.s += 1
    told(9, 10)
    told(10, 10)
    assert out.getvalue().endswith("reading the journal: 90% after 3 s\r\x1b[K")


def test_a_journal_that_is_read_tells_how_many_of_its_segments(tmp_path: Path) -> None:
    journal = journals.filled(tmp_path)
    journal.close()
    told: list[tuple[int, int]] = []
    before = TOLD.set(lambda done, total: told.append((done, total)))
    try:
        assert sum(1 for _ in read_journal(tmp_path / "journal")) > 9_000
    finally:
        TOLD.reset(before)
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("words", "on_terminal", "is_shown"),
    [
        (["recompute", "line"], True, True),
        (["recompute", "line"], False, False),
        (["status", "line"], True, False),
        (["log", "line"], True, False),
        ([], True, False),
    ],
)
def test_only_who_sits_at_a_terminal_is_told(monkeypatch: pytest.MonkeyPatch, words: list[str], on_terminal: bool, is_shown: bool) -> None:
    near, far = pty.openpty()
    try:
        with open(far, "w", closefd=False) as terminal, io.StringIO() as file:
            monkeypatch.setattr(sys, "stderr", terminal if on_terminal else file)
            monkeypatch.setattr(sys, "stdout", terminal if on_terminal else file)
            with progress.shown(words):
                assert (TOLD.get() is not None) is is_shown
            assert TOLD.get() is None
    finally:
        os.close(near)
        os.close(far)
