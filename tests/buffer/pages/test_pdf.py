"""Prints: tagged, whole, in any script of which a font is there, the same bytes each time."""

import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from buffer.pages.blocks import Block, Form, Heading, NamedValues, Table, Text
from buffer.pages.fonts import fonts_for
from buffer.pages.pdf import LACKING, UNKNOWN, pdf

MONO = Path("/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf")
TURNSTILE = "⌓"  # DejaVu Sans Mono has it, DejaVu Sans has not
HAN = "日"
DIGEST = "0123456789abcdef" * 4
needs_poppler = pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler-utils is not installed")


def words(content: bytes, folder: Path) -> str:
    (folder / "a.pdf").write_bytes(content)
    return subprocess.run(["pdftotext", "-layout", folder / "a.pdf", "-"], capture_output=True, text=True, check=True).stdout


def flat(text: str) -> str:
    return re.sub(r"\s", "", text)


def table(*rows: list[str]) -> list[Block]:
    return [Heading(1, "A table"), Table(("A", "B"), (1, 1), rows, frozenset({0}))]


def test_a_print_is_tagged_and_says_what_it_is() -> None:
    content = pdf("Batch record", "footer", [*table(["a", "b"]), NamedValues([("Name", "value")]), Form(("M", "N"), (1, 2), ("Printed",))])
    for said in (b"/MarkInfo<</Marked true", b"/StructTreeRoot", b"/Lang(en)", b"<pdfuaid:part>1</pdfuaid:part>", b"/DisplayDocTitle true"):
        assert said in content, said
    assert b"/S/TH" in content
    assert b"/S/TD" in content


def test_headings_that_leave_out_a_level_are_printed_without_the_promise_of_pdf_ua() -> None:
    content = pdf("Batch", "footer", [Heading(2, "Part of no chapter")])
    assert content.startswith(b"%PDF-")
    assert b"/StructTreeRoot" in content
    assert b"pdfuaid" not in content


def test_equal_blocks_and_dates_are_equal_bytes_and_another_date_is_another_print() -> None:
    at = datetime(2026, 11, 22, 8, tzinfo=UTC)
    assert pdf("Batch", "footer", table(["a", "b"]), at) == pdf("Batch", "footer", table(["a", "b"]), at)
    assert pdf("Batch", "footer", table(["a", "b"]), at) != pdf("Batch", "footer", table(["a", "b"]), at.replace(hour=9))


@needs_poppler
def test_long_tables_and_rows_longer_than_a_page_are_printed_whole(tmp_path: Path) -> None:
    worst = ["W" * 20_000, " ".join(f"tag.{n}" for n in range(4_000))]
    text = words(pdf("Batch", "footer", table(*([f"row{number}", "x"] for number in range(700)), worst)), tmp_path)
    assert all(f"row{number} " in text for number in range(700))
    assert flat(text).count("W") == 20_000
    assert all(f"tag.{number}" in flat(text) for number in range(4_000))
    pages = re.findall(r"page (\d+) of (\d+)", text)
    assert [int(number) for number, _ in pages] == [*range(1, len(pages) + 1)]
    assert {int(count) for _, count in pages} == {len(pages)}
    assert len(pages) > 10


@needs_poppler
def test_a_digest_stays_inside_its_column_and_is_copied_without_a_sign_more(tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.html"
    (tmp_path / "a.pdf").write_bytes(pdf("Batch", "footer", [Table(("A", "B", "C"), (1, 1, 8), [[DIGEST, DIGEST, "end"]])]))
    subprocess.run(["pdftotext", "-bbox", tmp_path / "a.pdf", boxes], check=True)
    placed = re.findall(r'xMin="([\d.]+)" yMin="[\d.]+" xMax="([\d.]+)" yMax="[\d.]+">([0-9a-f]+)<', boxes.read_text())
    hexes = [(float(left), float(right), text) for left, right, text in placed if set(text) <= set("0123456789abcdef")]
    columns = [[text for left, right, text in hexes if first <= left and right <= last] for first, last in ((39, 117), (115, 193))]
    assert ["".join(column) for column in columns] == [DIGEST, DIGEST]


@needs_poppler
def test_no_text_of_a_document_is_markup_or_turns_others_around(tmp_path: Path) -> None:
    text = words(pdf("#panic()", "$x$ #footer", [Text('#read("/etc/passwd") *no* ]#pagebreak()[ "quoted" \\ \u202eturned')]), tmp_path)
    for said in ("#panic()", "$x$ #footer", '#read("/etc/passwd") *no* ]#pagebreak()[ "quoted" \\', f"{UNKNOWN}turned"):
        assert said in text, said


@needs_poppler
def test_scripts_of_any_plant_are_printed_and_what_no_font_has_is_said(tmp_path: Path) -> None:
    said = ("Привет, Ωμέγα", "Größe µg/m² ≤ ±0,1 °C", "e\u0301", HAN)
    text = words(pdf("Batch", "footer", [Text(one) for one in said], fonts=()), tmp_path)
    assert all(one in text for one in said[:3])
    assert HAN not in text
    assert LACKING in text
    assert LACKING not in words(pdf("Batch", "footer", [Text(one) for one in said[:3]], fonts=()), tmp_path)
    assert "مرحبا" in words(pdf("Batch", "footer", [Text("مرحبا")], fonts=()), tmp_path)


@needs_poppler
@pytest.mark.skipif(not MONO.exists(), reason="fonts-dejavu-core is not installed")
def test_a_sign_that_our_fonts_lack_is_taken_from_a_font_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "fonts").mkdir()
    shutil.copy(MONO, tmp_path / "fonts")
    assert fonts_for(frozenset({ord(TURNSTILE)}), ()).missing == {ord(TURNSTILE)}
    found = fonts_for(frozenset({ord(TURNSTILE), ord(HAN)}), [tmp_path / "fonts"])
    assert list(found.families) == ["DejaVu Sans", "DejaVu Sans Mono"]
    assert found.missing == {ord(HAN)}
    text = words(pdf("Batch", "footer", [Text(f"a {TURNSTILE} b")], fonts=[tmp_path / "fonts"]), tmp_path)
    assert f"a{TURNSTILE}b" in flat(text)
    assert LACKING not in text


def test_a_damaged_font_of_the_machine_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "bad.ttf").write_bytes(b"\0\1\0\0\0\x10" + b"x" * 200)
    assert fonts_for(frozenset({ord(HAN)}), [tmp_path]).missing == {ord(HAN)}
