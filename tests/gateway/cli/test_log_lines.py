"""What a device says reaches log, terminal, page and findings as text, and does nothing there."""

import asyncio
import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kit.faulty_drivers import Faulty, alive, faulty, seen, source_of, written
from kit.rendered import rendered

import config
from buffer import read_journal
from drivers import Emit, LinkLost
from drivers.contract import Finding
from gateway.cli.base import shown
from gateway.cli.log_lines import JOURNAL, LONGEST_LINE, handler, in_zone
from gateway.entries.printable import printable

ACTING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
HOSTILE = [
    "a\r\nERROR gateway.buffer: journal deleted",
    "\x1b[2J\x1b[31mred\x1b]0;title\x07",
    "%s %n %(message)s {0} {self.__class__}",
    "x" * 1_000_000,
    "\u202etxt.exe",
    "\x00\x9b31m\u2028",
    "<script>alert(1)</script>",
]


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    stream = io.StringIO()
    logger = logging.getLogger("hostile")
    to = handler(stream)
    logger.addHandler(to)
    logger.propagate = False
    yield logger, stream
    logger.removeHandler(to)


HEAD = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}[+-]\d{2}:\d{2} (WARNING hostile: |ERROR )")


def test_a_line_has_its_time_but_where_systemd_writes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = []
    for systemd in (False, True):
        monkeypatch.setenv(JOURNAL, "8:1234") if systemd else monkeypatch.delenv(JOURNAL, raising=False)
        record = logging.LogRecord("hostile", logging.WARNING, __file__, 1, "text", None, None)
        lines.append(handler(io.StringIO()).format(record))
    assert lines[1] == "WARNING hostile: text"
    assert HEAD.match(lines[0])
    assert lines[0].endswith(lines[1])


def test_a_time_is_that_of_the_people_at_the_line_with_its_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(JOURNAL, raising=False)
    root = logging.getLogger()
    to = handler(io.StringIO())
    root.addHandler(to)
    try:
        for zone, shown in (("Europe/Paris", "2026-11-22 08:03:11+01:00"), ("America/New_York", "2026-11-22 02:03:11-05:00")):
            in_zone(zone)
            record = logging.LogRecord("hostile", logging.WARNING, __file__, 1, "text", None, None)
            record.created = 1_795_330_991.25
            assert to.format(record) == f"{shown} WARNING hostile: text"
    finally:
        root.removeHandler(to)


@pytest.mark.bar("S09")
@pytest.mark.urs("URS-SEC-09")
def test_a_message_is_one_line_whatever_it_quotes(log: tuple[logging.Logger, io.StringIO], figure: Callable[[str, object], None]) -> None:
    logger, stream = log
    for text in HOSTILE:
        logger.warning("a device says %s", text)
        logger.warning(text)  # noqa: G004, RUF100 - as a library might
        try:
            raise ValueError(text)
        except ValueError:
            logger.exception("failed: %s", text)
    told = stream.getvalue()
    heads = [line for line in told.split("\n") if HEAD.match(line)]
    figure("raw control characters in the log", len(ACTING.findall(told)))
    assert not ACTING.search(told)
    assert len(heads) == 3 * len(HOSTILE), "no line was forged"
    assert max(map(len, told.split("\n"))) < LONGEST_LINE + 100


@pytest.mark.bar("S09")
@given(st.text(alphabet=st.characters(), max_size=60))
@example("\ud800")
@example("grün 5 µm² – ok")
def test_a_printable_text_has_nothing_that_acts_and_stays_as_it_is_if_it_never_had(text: str) -> None:
    clean = printable(text)
    assert not ACTING.search(clean)
    assert "\n" not in clean
    clean.encode("utf-8")
    assert printable(clean) == clean
    assert clean == text or not text.isprintable() or re.search("[\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]", text)


class Hostile(Faulty):
    """Says hostile things in each way that a driver has, and is connected until it is told to go on."""

    go_on: ClassVar[asyncio.Event]

    async def run(self, emit: Emit) -> None:
        for number, text in enumerate(HOSTILE):
            await emit.found(Finding(f"said-{number}", text[:20_000], evidence={"text": text[:5_000]}))
        emit.connected(HOSTILE[1], HOSTILE[0])
        await self.go_on.wait()
        raise LinkLost(HOSTILE[0] + HOSTILE[1])


@pytest.mark.bar("S09")
@pytest.mark.urs("URS-SEC-09")
async def test_state_findings_page_and_status_show_what_a_device_says_and_do_not_do_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figure: Callable[[str, object], None]
) -> None:
    faulty(monkeypatch, Hostile)
    monkeypatch.setattr(Hostile, "go_on", asyncio.Event(), raising=False)
    folder = written(tmp_path / "line", "bad")
    async with alive(folder) as now:
        told = web = ""
        for name in ("connected", "lost"):
            state = await seen(now, lambda state: source_of(state, "bad")["state"] == name and state["findings"] and state)  # noqa: B023 - within this turn
            told += json.dumps(shown(state), ensure_ascii=False)
            web += rendered(state)
            Hostile.go_on.set()
    findings = [
        event for raw in read_journal(config.load(folder).data) if (event := json.loads(raw.payload).get("event", {}))["type"] == "finding"
    ]
    said = [event["text"] for event in findings if event["code"].startswith("said-")]
    figure("raw control characters on page, status and in findings", sum(len(ACTING.findall(text)) for text in (told, web, *said)))
    assert len(said) == len(HOSTILE)
    for text in (told, web, *said):
        assert not ACTING.search(text)
    assert "<script>alert" not in web
    assert "\\x1b[31m" in source_of(state, "bad")["detail"], "it is shown"
