"""A process mask of 0, as some start scripts leave it: nothing that the gateway makes is open to others."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.drop_line import drop_line, dropped, stored
from kit.processes import command, running, until

from gateway.operation.control import ask

OPEN = "import os, sys; os.umask(0); os.execv(sys.argv[1], sys.argv[1:])"


@pytest.mark.bar("S15")
@pytest.mark.urs("URS-SEC-05")
def test_under_a_mask_of_0_everything_it_makes_is_for_its_owner(tmp_path: Path, figure: Callable[[str, object], None]) -> None:
    old = os.umask(0)
    try:
        folder = drop_line(tmp_path / "line", '[users]\nfrom = "local"\n')
        (tmp_path / "line").chmod(0o755)
        before = {folder, *folder.rglob("*")}
        with running(folder):
            dropped(folder, "a.csv", S1="1.25")
            until(lambda: ask(folder / "data")["sources"][0]["readings"])
        assert any(entry.get("readings") or entry.get("rows") or "tagset" in entry for entry in stored(folder))
        assert command("backup", folder, "--to", tmp_path / "by-hand").returncode == 0
        assert command("new", tmp_path / "made").returncode == 0
    finally:
        os.umask(old)
    made = [
        path for path in tmp_path.rglob("*") if path not in before and path.parent.name != "drop" and path != folder.with_name("line.log")
    ]
    modes = {path.relative_to(tmp_path).as_posix(): stat.S_IMODE(path.lstat().st_mode) for path in made}
    secret = {name: mode for name, mode in modes.items() if not name.startswith("made") and not name.endswith(".pub")}
    bad = {name: oct(mode) for name, mode in modes.items() if mode & (0o027 if name in secret else 0o022)}
    figure("made, open to others", f"{len(modes)}, {len(bad)}")
    assert len(modes) > 10
    assert bad == {}
