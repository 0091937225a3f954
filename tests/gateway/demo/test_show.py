"""What the demo tells a newcomer to type works where he stands."""

from pathlib import Path

import pytest

from gateway.demo.show import typed


def test_a_command_is_shown_as_it_can_be_typed_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `make demo` the program is in .venv/bin, which is on nobody's PATH."""
    program = tmp_path / ".venv/bin/ebr-gateway"
    program.parent.mkdir(parents=True)
    program.touch(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin")
    assert typed(str(program)) == ".venv/bin/ebr-gateway"
    monkeypatch.setenv("PATH", str(program.parent))
    assert typed(str(program)) == "ebr-gateway"
