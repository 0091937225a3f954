"""Dropped files and exports that unpack to far more than they are: refused within a limit; nothing is written by a name from inside."""

import ast
import gzip
import io
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.collector import Journal, running
from kit.mes_file import TAGS, put, source
from kit.repository import ROOT

from drivers.mes_file import MesFileDriver
from drivers.tag_lists.text import text_of

MIB = 1 << 20
LIMIT = 4 * MIB
PATTERN: dict[str, Any] = {"name": "results", "glob": "*", "format": "csv", "key": "sample_id"}
SHEET = "xl/worksheets/sheet1.xml"


def packed(mib: int) -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=9) as file:
        for _ in range(mib):
            file.write(bytes(MIB))
    return buffer.getvalue()


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def understated(archive: bytes, real: int) -> bytes:
    """The same archive, whose directory says that its member is small."""
    return archive.replace(real.to_bytes(4, "little"), (1000).to_bytes(4, "little"))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def bombs() -> dict[str, bytes]:
    gz = packed(256)
    return {
        "a.csv.gz": gz,
        "b.csv.gz": gzip.compress(gz, 9),
        "c.csv.gz": gz + gz,  # a second member behind the first
        "d.csv": zipped(("a.csv", bytes(64 * MIB))),
        "e.csv": zipped(("inner.zip", zipped(("a.csv", bytes(64 * MIB))))),
        "f.csv.gz": zipped(("../../../tmp/escaped.csv", b"sample_id,lod\nS1,1\n")),
        "g.csv": b"\x28\xb5\x2f\xfd" + bytes(100),
    }


@pytest.mark.bar("S04")
@pytest.mark.urs("URS-SEC-09")
async def test_a_dropped_bomb_is_refused_within_the_files_limit(tmp_path: Path, figure: Callable[[str, object], None]) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    for name, data in (corpus := bombs()).items():
        put(drop, name, data)
    put(drop, "z.csv", b"sample_id,lod\nS9,1\n")
    journal, began_s = Journal(), time.thread_time()
    tracemalloc.start()
    async with running(MesFileDriver(source(tmp_path, PATTERN, max_file_bytes=LIMIT), TAGS), journal):
        await journal.until(lambda: journal.codes.count("file-refused") == len(corpus) and journal.messages)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    figure("bombs", f"{len(corpus)} of {len(corpus)} refused, {sum(map(len, corpus.values())):,} bytes, peak {peak_bytes / MIB:.1f} MiB")
    figure("bombs, seconds of a core in the loop", f"{time.thread_time() - began_s:.1f}")
    assert [message.key for message in journal.messages] == ["S9"]
    assert peak_bytes < 4 * LIMIT
    assert names(tmp_path) == {"drop"}
    assert names(drop) == {*corpus, "z.csv"}, "nothing was unpacked beside them"


ENDLESS = {
    "a line of 10 MB": b"sample_id,lod\n" + b"x" * 10_000_000,
    "a million columns": b"sample_id," + b",".join(b"c%d" % number for number in range(1_000_000)) + b"\nS1" + b",1" * 1_000_000 + b"\n",
    "a million quotes": b"sample_id,lod\n" + b'"' * 1_000_000 + b"\n",
    "no line end at all": bytes(3 * MIB),
}


@pytest.mark.bar("S03")
@pytest.mark.urs("URS-SEC-09")
async def test_files_without_end_are_refused_and_the_next_one_is_read(tmp_path: Path, figure: Callable[[str, object], None]) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    for number, data in enumerate(ENDLESS.values()):
        put(drop, f"{number}.csv", data)
    put(drop, "z.csv", b"sample_id,lod\nS9,1\n")
    journal = Journal()
    tracemalloc.start()
    async with running(MesFileDriver(source(tmp_path, PATTERN), TAGS), journal):
        await journal.until(lambda: journal.codes.count("file-refused") == len(ENDLESS) and journal.messages)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    figure(
        "endless files",
        f"{len(ENDLESS)} of {len(ENDLESS)} refused, largest {max(map(len, ENDLESS.values())):,} bytes, peak {peak_bytes / MIB:.1f} MiB",
    )
    assert [message.key for message in journal.messages] == ["S9"]
    assert peak_bytes < 64 * MIB


@pytest.mark.bar("S04")
@pytest.mark.parametrize(
    "workbook",
    [
        zipped((SHEET, bytes(64 * MIB))),
        understated(zipped((SHEET, bytes(64 * MIB))), 64 * MIB),
        zipped(("xl/sharedStrings.xml", bytes(64 * MIB)), (SHEET, b"<x/>")),
        zipped(("inner.zip", zipped((SHEET, bytes(64 * MIB)))), (SHEET, b"<worksheet/>" + bytes(64 * MIB))),
    ],
    ids=["large", "says that it is small", "large shared texts", "nested"],
)
def test_a_workbook_that_is_a_bomb_is_no_export(workbook: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(ValueError, match="workbook"):
        text_of(workbook, LIMIT)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 4 * LIMIT


def unpacking(tree: ast.AST) -> Iterator[str]:
    """What writes the members of an archive to disk under the names that they bear."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
            if name in {"extract", "extractall", "unpack_archive"}:
                yield ast.unparse(node)


@pytest.mark.bar("S04")
def test_nothing_in_the_product_unpacks_an_archive_by_the_names_in_it() -> None:
    assert list(unpacking(ast.parse("zipfile.ZipFile(p).extractall()"))) != [], "else nothing would be found"
    files = [path for package in ("gateway", "drivers", "buffer", "config") for path in (ROOT / package).rglob("*.py")]
    found = {path.name: list(unpacking(ast.parse(path.read_text("utf-8")))) for path in files}
    assert len(files) > 300
    assert {name: calls for name, calls in found.items() if calls} == {}
