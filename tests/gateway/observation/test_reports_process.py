"""A gateway that starts makes the reports of days that are over, once, and says on page and status that nobody has ended the period."""

import http.client
import json
import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kit.commands import called
from kit.drop_line import events
from kit.observed_line import observed_line
from kit.observed_story import Story
from kit.pages_read import tables
from kit.persons import options, people
from kit.processes import DEADLINE_S, free_port, running, until

from gateway.operation.control import ask


def made(folder: Path) -> list[str]:
    """The days that the folder beside the journal has reports of."""
    files = (folder / "data" / "observations").glob("observation-day-*.json")
    return sorted(json.loads(path.read_text())["facts"]["observation"]["day"] for path in files)


def own(folder: Path) -> list[dict[str, Any]]:
    """The entries of the reports as the gateway made them, not those of who signed one."""
    return [one for one in events(folder, "document") if one["document"] == "observation-day" and one["who"]["user"].startswith("system:")]


def _asked(port: int, target: str) -> tuple[int, str, dict[str, str]]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)) as connection:
        connection.request("GET", target)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), dict(answer.headers.items())


def _listed(port: int) -> dict[str, dict[str, str]]:
    status, text, _ = _asked(port, "/observation")
    assert status == 200, text
    (table,) = tables(f"</style>{text}")
    return {row["Day"]: row for row in table.rows}


def _reports_are_listed(folder: Path, port: int, days: list[str], tmp: Path) -> None:
    """The page lists each day with verdict, signatures and its documents, and gives out these and nothing else."""
    assert 'href="/observation"' in _asked(port, "/journal")[1]
    until(lambda: set(days) <= _listed(port).keys() and "not written" not in _asked(port, "/observation")[1], every_s=0.5)
    rows = _listed(port)
    assert (rows[days[0]]["Verdict"], rows[days[0]]["Signed"]) == ("not all is known", "nobody has signed it")
    assert rows[days[1]]["Verdict"] == "a limit was exceeded"
    addresses = re.findall(r'href="(/observation/[^"]+)"', _asked(port, "/observation")[1])
    reported = [row for row in rows.values() if row["Verdict"] != "no report"]
    assert len(addresses) == 2 * len(reported) >= 4, "of a day without a report there is nothing to be opened"
    for address in addresses[:2]:
        status, text, headers = _asked(port, address)
        name = address.rpartition("/")[2]
        assert (status, text) == (200, (folder / "data" / "observations" / name).read_text())
        assert "sandbox" in headers["Content-Security-Policy"]
    for other in ("..%2Fcheckpoint-key", "%2e%2e%2fjournal.db", "observation-day-20260101T000000Z-aaaaaaaa.json", ""):
        assert _asked(port, f"/observation/{other}")[0] == 404, other
    file = next(path for path in (folder / "data" / "observations").glob("*.json") if days[0] in path.read_text()[:400])
    mine = tmp / file.name
    mine.write_bytes(file.read_bytes())
    done = called("document", "sign", folder, mine, "--meaning", "reviewed", *options("qa", tmp))
    assert done.returncode == 0, done.stdout + done.stderr
    until(lambda: _listed(port)[days[0]]["Signed"].startswith("Quentin Abel (qa): reviewed, 20"))
    assert _listed(port)[days[1]]["Signed"] == "nobody has signed it"


@pytest.mark.urs("URS-OBS-04")
def test_a_start_reports_the_days_that_are_over_once_and_the_period_stays_open(tmp_path: Path) -> None:
    begin = datetime.now(UTC).date() - timedelta(days=40)
    port = free_port()
    web = f'[web]\nlisten = "127.0.0.1:{port}"\n'
    folder = observed_line(tmp_path / "line", begin, begin + timedelta(days=35), other=web)
    people(folder / "data")
    story = Story(folder)
    story.status, story.bound_s = "unknown", None  # as on a machine whose clock nobody keeps: so these days are reported by any clock
    days = [str(begin + timedelta(days=at)) for at in range(2)]
    story.day(begin)
    story.day(begin + timedelta(days=1))
    story.journal.close()
    with running(folder):
        until(lambda: made(folder)[:2] == days)
        told = ask(folder / "data")["observation"]
        assert (told["state"], told["ended"], told["days"]) == ("over", None, 36)
        assert days[0] in told["not_complete"], "nobody knows how far the clock was off"
        assert days[1] in told["exceeded"], "and from its last half hour on nobody looked"
        until(lambda: "observation-open" in [one["code"] for one in ask(folder / "data")["findings"]["standing"]])
        status = " ".join(called("status", folder).stdout.split())
        assert "it goes on until QA signs its summary" in status
        _reports_are_listed(folder, port, days, tmp_path)
    first = own(folder)
    assert [one["observation"]["day"] for one in first][:2] == days
    assert {one["made_by"]["user"] for one in first} == {"system:lyon/test-1"}
    with running(folder):
        until(lambda: ask(folder / "data")["observation"]["reported"] == len(first))
        until(lambda: len([one for one in events(folder, "finding") if one["code"] == "observation-open"]) == 2)
    assert own(folder) == first, "a day is reported once"
    by_hand = called("observation", "report", folder, "--day", days[0], "--json")
    report = next(path for path in (folder / "data" / "observations").glob("*.json") if days[0] in path.read_text()[:400])
    assert json.loads(by_hand.stdout)["limits"] == json.loads(report.read_text())["facts"]["limits"]
    was = json.loads(report.read_text())
    report.unlink()
    with running(folder):
        until(report.exists)
    assert json.loads(report.read_text()) == was, "made again, and the same to the byte"
    assert [one for one in events(folder, "finding") if one["code"] == "observation-not-written"] == []
