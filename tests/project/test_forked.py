"""The gateways of tests are forked from a process that has imported what they need: how they fail, end and are buried as others do."""

import importlib
import signal
from pathlib import Path

import pytest
from kit.drop_line import drop_line
from kit.forked import IMPORTED, Forked
from kit.processes import DEADLINE_S, running, until


@pytest.mark.parametrize("name", IMPORTED)
def test_what_is_imported_for_them_is_there(name: str) -> None:
    """A name that is gone would be left out in silence."""
    importlib.import_module(name)


def fails() -> None:
    raise ZeroDivisionError("before the command")


def test_the_traceback_of_one_that_fails_is_what_the_reader_of_the_test_sees(tmp_path: Path) -> None:
    told = r"(?s)Traceback.*in fails.*ZeroDivisionError: before the command"
    with pytest.raises(AssertionError, match=told), running(drop_line(tmp_path / "line"), before=fails):
        pass


def test_one_that_has_ended_or_was_killed_says_how_and_leaves_no_process(tmp_path: Path) -> None:
    log = tmp_path / "log"
    wrong = Forked(["check", str(tmp_path / "nowhere")], log, {}, None)
    assert wrong.wait(DEADLINE_S) == 2
    assert "nowhere" in log.read_text()
    with running(drop_line(tmp_path / "line")) as gateway:
        gateway.kill()
        assert gateway.wait(DEADLINE_S) == -signal.SIGKILL
    until(lambda: not any(Path(f"/proc/{child.pid}").exists() for child in (wrong, gateway)))
