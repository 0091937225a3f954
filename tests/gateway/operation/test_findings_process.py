"""Alarms and findings of a running gateway: on the page, by `status`, in the metrics and in the log; ended, and over a restart."""

import csv
import http.client
import io
import json
import signal
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kit.commands import called
from kit.drop_line import drop_line, dropped, events
from kit.persons import options, people, says
from kit.processes import DEADLINE_S, command, free_port, running, until

from buffer.times import TICKS_PER_S, now_ticks, rfc3339
from gateway.operation.control import ask, tell


class Line:
    """A line with a drop folder, and how its gateway is asked."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder, self.data = drop_line(folder, f'[web]\nlisten = "127.0.0.1:{self.port}"\n'), folder / "data"
        self.log = folder.with_name(f"{folder.name}.log")

    def drop(self, name: str, text: str) -> None:
        part = self.folder / "drop" / f".{name}.part"
        part.write_text(text)
        part.rename(self.folder / "drop" / name)

    def page(self, target: str = "/") -> str:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)) as connection:
            connection.request("GET", target)
            return connection.getresponse().read().decode()

    def codes(self, kind: str) -> list[str]:
        return [row["code"] for row in ask(self.data)["findings"][kind]]

    def row(self, kind: str, code: str) -> dict[str, Any]:
        return next(row for row in ask(self.data)["findings"][kind] if row["code"] == code)


@pytest.mark.urs("URS-OBS-03")
def test_an_alarm_reaches_page_status_metrics_and_log_and_goes_when_its_end_is_told(tmp_path: Path) -> None:
    line = Line(tmp_path / "line")
    with running(line.folder):
        assert (line.codes("standing"), line.codes("recent")) == ([], [])
        line.drop("no-column.csv", "sample_id,water\nS1,1.2\n")
        line.drop("refused.csv", "sample_id;lod\nS2;1.2\n")
        until(lambda: line.codes("standing") == ["column-missing"] and "file-refused" in line.codes("recent"))
        stands = line.row("standing", "column-missing")
        assert (stands["severity"], stands["source"], stands["tags"], stands["attention"]) == ("alarm", "lims", ["lab.lod"], True)
        told = command("status", line.folder)
        assert told.returncode == 1
        page, screen = " ".join(line.page().split()), " ".join(told.stdout.split())
        for shown in (screen, page):
            assert "alarm column-missing: lims: " in shown, shown
            assert "source lims: not read: refused.csv (refused: " in shown
            assert "alarm file-refused: " not in shown, "the banner says once what the source itself shows"
        for text in ("Alarms and findings", stands["response"], stands["local"], "What to do"):
            assert text in page
        assert "Correct the address in tags.csv" in screen
        numbers = line.page("/metrics")
        assert 'ebr_gateway_findings_total{code="file-refused",line="lyon/test-1",severity="alarm",source="lims"} 1.0' in numbers
        assert 'ebr_gateway_alarms_open{line="lyon/test-1"} 1.0' in numbers
        assert [problem for problem in command("ready", line.folder).stdout.splitlines() if problem.startswith("alarm")] == []
        logged = [text for text in line.log.read_text().splitlines() if "file-refused" in text]
        assert [" WARNING " in text[:36] for text in logged] == [True], logged

        dropped(line.folder, "good.csv", S3="1.25")
        until(lambda: line.codes("standing") == [])
        numbers = line.page("/metrics")
        assert 'ebr_gateway_alarms_open{line="lyon/test-1"} 0.0' in numbers
        assert 'ebr_gateway_findings_open{code="column-missing",line="lyon/test-1",severity="alarm"} 1.0' in numbers, (
            "over, and nobody has acknowledged it"
        )
        assert 'ebr_gateway_alarms_unacknowledged{line="lyon/test-1"} 2.0' in numbers
        assert "over, not acknowledged" in " ".join(called("status", line.folder).stdout.split())


@pytest.mark.urs("URS-OBS-03")
def test_over_a_kill_what_stood_is_shown_as_not_known_and_what_happened_stays(tmp_path: Path) -> None:
    line = Line(tmp_path / "line")
    with running(line.folder) as gateway:
        line.drop("no-column.csv", "sample_id,water\nS1,1.2\n")
        line.drop("refused.csv", "sample_id;lod\nS2;1.2\n")
        until(lambda: line.codes("standing") == ["column-missing"] and "file-refused" in line.codes("recent"))
        before = line.row("standing", "column-missing")
        gateway.send_signal(signal.SIGKILL)
        gateway.wait()
    with running(line.folder):
        after = line.row("standing", "column-missing")
        assert (after["since"], after["text"], after["attention"]) == (before["since"], before["text"], True), "nobody has acknowledged it"
        assert after["not_said_since_start"] > after["since"]
        assert "alarm, stood before the start, not acknowledged" in " ".join(called("status", line.folder).stdout.split())
        assert "file-refused" in line.codes("recent")
        assert 'ebr_gateway_alarms_open{line="lyon/test-1"} 0.0' in line.page("/metrics")
        line.drop("again.csv", "sample_id,water\nS4,1.2\n")
        until(lambda: line.row("standing", "column-missing")["not_said_since_start"] is None)
        assert line.row("standing", "column-missing")["since"] == before["since"]


@pytest.mark.urs("URS-OBS-03", "URS-AUD-01", "URS-AUD-02")
def test_an_alarm_waits_for_a_person_over_a_kill_and_the_history_says_who_it_was(tmp_path: Path) -> None:
    line = Line(tmp_path / "line")
    people(line.data)
    with running(line.folder) as gateway:
        line.drop("refused.csv", "sample_id;lod\nS2;1.2\n")
        line.drop("no-column.csv", "sample_id,water\nS1,1.2\n")
        until(lambda: line.codes("recent") == ["file-refused"] and line.codes("standing") == ["column-missing"])
        refused, missing = line.row("recent", "file-refused")["id"], line.row("standing", "column-missing")["id"]
        assert tell(line.data, "alarm-ack", id=refused, **says("viewer"))["refused"] == "role"
        assert "a reason of at least 10" in tell(line.data, "alarm-ack", id=refused, **says("operator", "seen"))["error"]
        assert tell(line.data, "alarm-ack", id=refused, reason="the account said so")["refused"] == "nobody-named"
        assert "no alarm ffffffff" in tell(line.data, "alarm-ack", id="ffffffff", **says("operator"))["error"]
        his = options("operator", tmp_path)
        acked = called("alarms", "ack", line.folder, refused, "--comment", "sender was called, drops it again", *his)
        assert (acked.returncode, acked.stdout) == (0, f"{refused}: file-refused: acknowledged\n")
        assert "acknowledged by Otto Bediener before" in tell(line.data, "alarm-ack", id=refused, **says("qa"))["error"]
        hers = [*options("engineer", tmp_path), "--reason", "the LIMS is being changed, CC-17"]
        assert "72 h at most" in called("alarms", "shelve", line.folder, missing, "--until", "2099-01-01T00:00", *hers).stderr
        soon = rfc3339(now_ticks() + 3_600 * TICKS_PER_S)
        assert called("alarms", "shelve", line.folder, missing, "--until", soon, *hers).returncode == 0
        (line.folder / "drop" / "refused.csv").unlink()
        gateway.send_signal(signal.SIGKILL)
        gateway.wait()
    with running(line.folder):
        assert [(line.row("recent", "file-refused")["state"], line.row("standing", "column-missing")["state"])] == [
            ("acknowledged", "shelved")
        ]
        told = called("alarms", "list", line.folder)
        assert "happened, acknowledged by Otto Bediener" in told.stdout
        assert [text for text in ask(line.data)["problems"] if text.startswith("alarm column-missing")] == []
        assert "1 alarm shelved" in line.page()
        assert called("alarms", "unshelve", line.folder, missing, *hers).returncode == 0
        assert [text for text in ask(line.data)["problems"] if text.startswith("alarm column-missing")] != []
        line.drop("again.csv", "sample_id,water\nS4,1.2\n")  # who found it begins anew with a start: it must be found to be over
        until(lambda: line.row("standing", "column-missing")["not_said_since_start"] is None)
        dropped(line.folder, "good.csv", S3="1.25")
        until(lambda: line.codes("cleared") == ["column-missing"])
        assert called("alarms", "ack", line.folder, missing, "--comment", "column is back, see CC-17", *his).returncode == 0
        assert (line.codes("cleared"), line.codes("standing")) == ([], [])
    rows = json.loads(called("alarms", "history", line.folder, "--format", "json").stdout)
    by_code = {row["code"]: row for row in rows if row["code"] in ("file-refused", "column-missing")}
    assert by_code["file-refused"]["acknowledged_name"] == "Otto Bediener"
    assert (by_code["file-refused"]["comment"], by_code["file-refused"]["cleared"]) == ("sender was called, drops it again", None)
    assert by_code["column-missing"]["duration_s"] > 0
    assert by_code["column-missing"]["raised"] < by_code["column-missing"]["cleared"] < by_code["column-missing"]["acknowledged"]
    table = list(csv.DictReader(io.StringIO(called("alarms", "history", line.folder, "--format", "csv").stdout)))
    assert [row["id"] for row in table] == [row["id"] for row in rows]
    assert missing in called("alarms", "history", line.folder, "--from", by_code["column-missing"]["raised"]).stdout
    assert called("alarms", "history", line.folder, "--to", "2020-01-01T00:00").stdout == "0 alarms\n"
    assert "holds no batch B7" in called("alarms", "history", line.folder, "--batch", "B7").stderr
    acts = [event for event in events(line.folder, "audit") if event["action"].startswith("alarm-")]
    assert [(act["action"], act["who"]["name"], act["object"], act["old"]) for act in acts] == [
        ("alarm-acknowledged", "Otto Bediener", f"alarm {refused}", "raised"),
        ("alarm-shelved", "Edda Bauer", f"alarm {missing}", "shown"),
        ("alarm-unshelved", "Edda Bauer", f"alarm {missing}", "shelved"),
        ("alarm-acknowledged", "Otto Bediener", f"alarm {missing}", "cleared"),
    ]
