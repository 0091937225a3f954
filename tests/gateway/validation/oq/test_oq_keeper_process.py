"""Somebody really stands between a program and its files: the kernel hands its writes over, by an ordinary account too."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.validation.oq.kernel_calls import NotPossible, handed_over
from gateway.validation.oq.storage import KEEPER, WATCHED, why_not

pytestmark = [pytest.mark.urs("URS-VAL-04"), pytest.mark.skipif(why_not() is not None, reason="needs a kernel that hands calls over")]
WRITER = """
import os, sys
folder = sys.argv[1]
file = os.open(folder + "/file", os.O_CREAT | os.O_RDWR)
os.fsync(os.open(folder, os.O_RDONLY))
for number in range(10_000):
    os.pwrite(file, b"%06d" % number, 6 * number)
    if number % 10 == 9:
        os.fsync(file)
        print(number, flush=True)
"""


FLUSHES_TWICE = """
import os, sys
file = os.open(sys.argv[1] + "/file", os.O_CREAT | os.O_RDWR)
try:
    os.fsync(file)
except OSError as error:
    print(error.errno)
os.fsync(file)
print("good")
"""


class Kept:
    """A keeper, and programs that it keeps from their disk."""

    def __init__(self, folder: Path) -> None:
        (folder / "disk").mkdir()
        self.disk, self._door = folder / "disk", f"{folder}/door"
        command = [sys.executable, "-P", "-m", KEEPER, self._door, str(self.disk)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.answer() == "keeping"

    def say(self, **order: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def run(self, code: str = WRITER) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-P", "-m", WATCHED, self._door, sys.executable, "-c", code, str(self.disk)]
        return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.fixture
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    made = Kept(tmp_path_factory.mktemp("k"))  # the path of a socket is short
    yield made
    made.process.kill()
    made.process.communicate()


def promised(done: subprocess.CompletedProcess[str]) -> int:
    """How many bytes the program was told are on the disk."""
    return 6 * (int(done.stdout.split()[-1]) + 1) if done.stdout else 0


@pytest.mark.parametrize("torn", [False, True])
def test_after_a_power_cut_what_was_flushed_is_there_and_the_rest_is_not_sure(kept: Kept, torn: bool) -> None:
    kept.say(id=1, do="cut", seed=3, after=60, torn=torn)
    done = kept.run()
    cut = json.loads(kept.answer())
    content = (kept.disk / "file").read_bytes()
    assert done.returncode == -9
    assert (cut["id"], promised(done)) == (1, 300)
    assert content[:300] == b"".join(b"%06d" % number for number in range(50))
    assert torn or len(content) == 300, "of what was written since, nothing is there"


def test_a_disk_that_lies_answers_every_flush_and_has_nothing_of_it_when_its_power_is_cut(kept: Kept) -> None:
    assert kept.run(WRITER.replace("10_000", "100")).returncode == 0
    before = (kept.disk / "file").read_bytes()
    kept.say(id=1, do="lie")
    assert json.loads(kept.answer())["lied"] == 0
    kept.say(id=2, do="cut", seed=3, after=60)
    done = kept.run(WRITER.replace("%06d", "%06x"))
    assert json.loads(kept.answer())["id"] == 2
    assert promised(done) > 0, "the program was told that it is there"
    assert (kept.disk / "file").read_bytes() == before
    kept.say(id=3, do="mend")
    assert json.loads(kept.answer())["lied"] > 0


def test_a_disk_that_is_read_only_refuses_names_and_writes_until_it_is_mended(kept: Kept) -> None:
    kept.say(id=1, do="fail", error="EROFS")
    assert json.loads(kept.answer()) == {"id": 1, "failed": 0, "lied": 0}
    done = kept.run()
    assert "Read-only file system" in done.stderr
    assert list(kept.disk.iterdir()) == []
    kept.say(id=2, do="mend")
    assert json.loads(kept.answer())["failed"] >= 1
    assert kept.run(WRITER.replace("10_000", "100")).returncode == 0
    assert (kept.disk / "file").stat().st_size == 600


def test_one_flush_that_fails_is_the_only_one(kept: Kept) -> None:
    kept.say(id=1, do="fail", error="EIO", times=1)
    kept.answer()
    done = kept.run(FLUSHES_TWICE)
    assert done.stdout.split() == ["5", "good"], done.stderr


def test_what_is_written_elsewhere_goes_on(kept: Kept, tmp_path: Path) -> None:
    kept.say(id=1, do="fail", error="EROFS")
    kept.answer()
    assert kept.run(f"open({str(tmp_path / 'x')!r}, 'w').write('x')").returncode == 0
    assert (tmp_path / "x").read_text() == "x"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become an ordinary account")
def test_an_ordinary_account_may_have_its_own_writes_handed_over() -> None:
    child = os.fork()
    if child == 0:
        os.setgid(65_534)
        os.setuid(65_534)
        try:
            handed_over()
        except NotPossible:
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
