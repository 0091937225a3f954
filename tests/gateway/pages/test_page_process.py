"""The status page, `ebr-gateway status` and the metrics of a running gateway: journal, evidence, copies; good states and bad ones."""

import http.client
import json
import os
import sqlite3
from contextlib import closing
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from kit.commands import called
from kit.drop_line import GATEWAY, drop_line
from kit.processes import DEADLINE_S, free_port, running, until
from kit.strict_schemas import wrong

from buffer import Body, Journal
from gateway.operation.control import ask, tell
from gateway.pages.views import PAGES


class Line:
    """A line folder, its page's port, and how the running gateway is asked."""

    def __init__(self, folder: Path, more: str) -> None:
        self.folder, self.data, self.port = folder, folder / "data", free_port()
        drop_line(folder, f'[web]\nlisten = "127.0.0.1:{self.port}"\n{more}')

    def now(self) -> dict[str, Any]:
        now = ask(self.data)
        assert wrong("status.json", now) == [], "what is shown stands in its schema, member by member"
        return now

    def page(self, target: str = "/") -> str:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)) as connection:
            connection.request("GET", target)
            answer = connection.getresponse()
            assert answer.status == 200
            return answer.read().decode()

    def told(self) -> str:
        """The text of the pages, and that of the command: what one says the other says too."""
        page, screen = Seen.of(self.page() + self.page("/journal")).text, " ".join(called("status", self.folder).stdout.split())
        return f"{page}\n{screen}"


class Seen(HTMLParser):
    """What a reader of the page meets: its text, its elements in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    @classmethod
    def of(cls, page: str) -> "Seen":
        seen = cls()
        seen.feed(page)
        return seen

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)


def both(line: Line, *texts: str) -> None:
    """The page says it, and so does the command."""
    page, screen = line.told().split("\n")
    for text in texts:
        assert text in page, f"not on the page: {text}\n{page}"
        assert text in screen, f"not by the command: {text}\n{screen}"


@pytest.mark.urs("URS-AUD-05", "URS-OPS-01")
def test_checkpoints_witnesses_patrol_and_backups_are_told_when_good_and_when_bad(tmp_path: Path) -> None:
    shares = {name: tmp_path / name for name in ("near", "gone")}
    shares["near"].mkdir()
    witnesses = "".join(f'[[witness]]\nname = "{name}"\nendpoint = "{path.as_uri()}"\n' for name, path in shares.items())
    line = Line(tmp_path / "line", f'{witnesses}[backup]\nfolder = "{tmp_path / "copies"}"\nevery_h = 12\n')
    with running(line.folder):
        first = line.now()["evidence"]
        assert (first["last"], [one["size"] for one in first["witnesses"]]) == (None, [None, None])
        key = tell(line.data, "rotate-key", reason="each is signed at once")["public"]
        now = until(lambda: (now := line.now())["evidence"]["witnesses"][1]["away"] and now["backup"]["failing"] and handed_on(now) and now)
        near, gone = now["evidence"]["witnesses"]
        assert (near["size"], near["epoch"], near["away"]) == (now["evidence"]["last"]["size"], now["journal"]["epoch"], None)
        assert (gone["size"], gone["age_s"], gone["waiting"] >= 1) == (None, None, True)
        assert key.startswith(now["evidence"]["key_name"] + "+")
        assert now["evidence"]["key_name"].startswith(f"{GATEWAY}+")
        assert now["backup"]["age_h"] is None
        both(
            line,
            f"over {near['size']} entries, signed",
            f"away: {shares['gone']}: No such file or directory; has taken none of this run yet",
            f"fails: {tmp_path / 'copies'}: No such file or directory; there is none yet, one is due every 12 h",
            f"Signed by {now['evidence']['key_name']}",
            "there was none then; next within a day",
        )
        assert f"backup: {tmp_path / 'copies'}: No such file or directory; there is none yet" in now["problems"]
        numbers = line.page("/metrics")
        assert 'ebr_gateway_witness_away{line="lyon/test-1",witness="gone"} 1.0' in numbers
        assert 'ebr_gateway_witness_away{line="lyon/test-1",witness="near"} 0.0' in numbers
        assert 'ebr_gateway_backup_failing{line="lyon/test-1"} 1.0' in numbers

    shares["gone"].mkdir()
    (tmp_path / "copies").mkdir()
    with running(line.folder):
        now = until(lambda: (now := line.now())["backup"]["age_h"] is not None and now["evidence"]["witnesses"][1]["size"] and now)
        last = now["evidence"]["last"]
        assert last["cause"] == "earlier-run", "what the run before signed is known to this one"
        assert {one["size"] for one in now["evidence"]["witnesses"]} == {last["size"]}
        assert all(one["age_s"] == pytest.approx(now["evidence"]["age_s"], abs=1) for one in now["evidence"]["witnesses"])
        both(line, "(before this start)", "the newest verified one is", "one is due every 12 h", "after a clean stop")
        waits = [problem.partition(":")[0] for problem in now["problems"] if "witness" in problem or "backup" in problem]
        assert waits == ["alarm witness-away", "alarm backup-failed"], "what is over waits for a person, and is nothing else any more"


def handed_on(now: dict[str, Any]) -> bool:
    return bool(now["evidence"]["last"]) and now["evidence"]["witnesses"][0]["size"] == now["evidence"]["last"]["size"]


def filled(line: Line, entries: int, each_bytes: int) -> int:
    """A journal with findings of random text, which does not compress; how many bytes it uses."""
    line.data.mkdir()
    journal = Journal.open(line.data, GATEWAY, commit_interval_s=0.001, retain_s=1e9, max_bytes=1 << 40)
    journal.append([Body("ebr-gateway/event/1", json.dumps(entry(journal.opened.epoch_event)).encode()[1:])])
    made: dict[str, Any] = {"type": "finding", "code": "filled", "severity": "info", "source": None, "tags": [], "evidence": {}}
    for _ in range(entries // 100):
        texts = [made | {"text": os.urandom(each_bytes).hex()} for _ in range(100)]
        journal.append([Body("ebr-gateway/event/1", json.dumps(entry(one)).encode()[1:]) for one in texts], urgent=True).result()
    journal.holds.keep("B2026-0417", 1)
    until(lambda: journal.retained(None).closed == entries // 4096)
    used = journal.usage().used_bytes
    journal.close()
    return used


def entry(event: Any) -> dict[str, Any]:
    clock = {"status": "unknown", "bound_s": None, "boot": "b", "monotonic_s": 1.0}
    return {"time": "2026-11-22T07:15:02.500000Z", "clock": clock, "event": event}


@pytest.mark.urs("URS-BUF-05", "URS-BUF-06")
def test_a_journal_that_fills_and_a_lock_of_another_program_are_told_with_their_cause(tmp_path: Path) -> None:
    uplink = f'[[uplink]]\nname = "ebr"\nkind = "mqtt"\nendpoint = "mqtt://127.0.0.1:{free_port()}"\n'
    line = Line(tmp_path / "line", uplink)
    bound = int(filled(line, 4_200, 2_000) / 0.9)
    with (line.folder / "line.toml").open("a") as file:
        file.write(f"[buffer]\nmax_bytes = {bound}\n")
    with running(line.folder):
        now = until(lambda: (now := line.now())["journal"]["patrol"]["complete"] and now)
        journal = now["journal"]
        assert (journal["bounded_by"], journal["bound_bytes"]) == ("max_bytes", bound)
        assert (journal["alarm"], 0.85 <= journal["used"] < 1) == (0.85, True), journal
        assert [journal["kept"][name] for name in ("closed", "holds", "open_batch", "unconfirmed", "held")] == [1, 1, 0, 1, ["B2026-0417"]]
        assert any("above the alarm at 85%" in problem for problem in now["problems"])
        both(
            line,
            f"of {bound / 1e6:.1f} MB (max_bytes)",
            "above the alarm at 85%",
            "of 1 closed segment: 1 for 1 hold (B2026-0417), 0 for an open batch, 1 not confirmed yet",
            "all 1 were as they had been closed",
            "Back-pressure none",
            "Other programs none in the way",
        )
        growing = max((line.data / "segments").glob("*.db"), key=lambda path: int(path.stem.rpartition("-")[2]))
        with closing(sqlite3.connect(growing, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            now = until(lambda: (now := line.now())["journal"]["pressure"] and now)
            assert now["journal"]["pressure_cause"] == "journal-locked"
            both(line, "sources are held back: another program has locked", "in the way: another program has locked")
            assert '<section class="state bad"' in line.page()
            assert 'ebr_gateway_journal_pressure{line="lyon/test-1"} 1.0' in line.page("/metrics")
            other.execute("ROLLBACK")
        until(lambda: line.now()["journal"]["pressure"] is None)
        assert '<section class="state bad"' not in line.page()


def test_each_page_holds_no_script_or_style_loads_nothing_from_elsewhere_and_reads_well_aloud(tmp_path: Path) -> None:
    line = Line(tmp_path / "line", "")
    with running(line.folder):
        for address in PAGES:
            page = line.page(address)
            seen = Seen.of(page)
            names = [tag for tag, _ in seen.tags]
            assert not {"style", "img", "iframe", "object"} & set(names)
            assert not [attributes for _, attributes in seen.tags if {"style", "onclick", "onload"} & set(attributes)]
            loaded = {attributes.get("src") or attributes.get("href") for tag, attributes in seen.tags if tag in ("script", "link")}
            assert {str(one).partition("/")[0] for one in loaded} == {"", "data:,"}, "files of this port, and no icon"
            for one in loaded - {"data:,"}:
                assert len(line.page(str(one))) > 100
            assert "http://" not in page
            assert "https://" not in page
            headings = [int(name[1]) for name in names if name in ("h1", "h2", "h3")]
            assert headings[0] == 1
            assert headings.count(1) == 1
            assert all(after - before <= 1 for before, after in pairwise(headings)), headings
            assert {attributes.get("scope") for tag, attributes in seen.tags if tag == "th"} <= {"col"}
            assert ("html", {"lang": "en"}) in seen.tags
            assert [attributes["href"] for tag, attributes in seen.tags if "aria-current" in attributes] == [address]
        page = line.page()
        seen, still = Seen.of(page), Seen.of(line.page("/?still"))
        assert page.count("<title>lyon/test-1: needs attention</title>") == 1
        assert "Europe/Paris" in seen.text
        assert [tag for tag, attributes in still.tags if attributes.get("http-equiv")] == [], "held still, it is not loaded again"
        assert [attributes["content"] for tag, attributes in seen.tags if attributes.get("http-equiv")] == ["2"]
        assert [attributes["href"] for tag, attributes in still.tags if tag == "a"][-1] == "/", "and the link by which it goes on"
