"""Folders that somebody has made to do harm: each is refused as a whole, in bounded time, and tells what is wrong."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

import config
from config import examples

Damage = Callable[[Path], None]
MIB = 1 << 20


def appended(name: str, text: bytes) -> Damage:
    def damage(folder: Path) -> None:
        with (folder / name).open("ab") as file:
            file.write(text)

    return damage


def replaced(name: str, old: bytes, new: bytes) -> Damage:
    def damage(folder: Path) -> None:
        data = (folder / name).read_bytes()
        assert old in data
        (folder / name).write_bytes(data.replace(old, new, 1))

    return damage


def linked(name: str, to: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(to)

    return damage


ROW = b'x.y,granulator-plc,"plc:s=""A""",float64'
CORPUS: dict[str, Damage] = {
    "a hundred thousand rows that are nonsense": appended("tags.csv", b"a b,nowhere,,x\n" * 100_000),
    "a table larger than it may be": appended("tags.csv", b"\n" * 65 * MIB),
    "a column named twice": replaced("tags.csv", b"tag,", b"tag,tag,"),
    "a tag named twice": lambda folder: appended("tags.csv", (folder / "tags.csv").read_bytes().splitlines()[1] + b"\n")(folder),
    "a scale that is no number": replaced("tags.csv", b",0.1,", b",NaN,"),
    "a scale of 1e400": replaced("tags.csv", b",0.1,", b",1e400,"),
    "a scale with a million digits": replaced("tags.csv", b",0.1,", b"," + b"9" * 1_000_000 + b","),
    "a megabyte in a cell": appended("tags.csv", b"x" * MIB + b",granulator-plc,a,float64\n"),
    "NUL bytes": replaced("tags.csv", b"granulator", b"gran\0lator"),
    "another encoding in the middle": replaced("tags.csv", b"granulator", b"gran\xff\xfelator"),
    "a formula for a tag": appended("tags.csv", b"=cmd|' /C calc'!A0,granulator-plc,a,float64\n"),
    "a line break in a tag": appended("tags.csv", b'"x\ny",granulator-plc,a,float64\n'),
    "a quote that never ends": appended("tags.csv", b'"' + b"x" * 100_000),
    "deep TOML": appended("line.toml", b"\nx = " + b"[" * 5_000 + b"]" * 5_000),
    "a key of 20,000 parts": appended("line.toml", b"\n" + b"a." * 20_000 + b"a = 1\n"),
    "a number of a million digits": appended("line.toml", b"\nx = " + b"9" * 1_000_000 + b"\n"),
    "a key twice": appended("line.toml", b'\n[line]\nsite = "other"\n'),
    "an expression that never ends": appended("line.toml", b'\n[[equipment]]\nname = "e"\nbatch = { tag = "x", pattern = "(a+)+$" }\n'),
    "a file of somewhere else": replaced("line.toml", b"[line]", b'tags = ["../../../etc/passwd"]\n[line]'),
    "a device in place of a table": linked("tags.csv", "/dev/zero"),
}


@pytest.mark.bar("S01")
@pytest.mark.urs("URS-SEC-09")
@pytest.mark.parametrize("what", CORPUS)
def test_a_hostile_folder_is_refused_whole_with_its_reason(tmp_path: Path, what: str, figure: Callable[[str, object], None]) -> None:
    folder = tmp_path / "line"
    examples.copy("granulation-2", folder)
    assert config.read(folder)[0] is not None
    CORPUS[what](folder)
    began_s = time.thread_time()
    line, problems = config.read(folder)
    took_s = time.thread_time() - began_s
    figure(f"refused, {what}", f"{line is None}, {len(problems)} problems, {took_s:.2f} s of a core")
    assert line is None
    errors = [str(problem) for problem in problems if problem.severity == "error"]
    assert errors
    assert all(len(error) < 1_500 for error in errors)
    assert len(errors) < 5_000
