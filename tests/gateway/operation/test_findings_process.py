"""Alarms and findings of a running gateway: on the page, by `status`, in the metrics and in the log; ended, and over a restart."""

import http.client
import signal
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kit.commands import called
from kit.drop_line import drop_line, dropped
from kit.processes import DEADLINE_S, command, free_port, running, until

from gateway.operation.control import ask


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
        assert 'ebr_gateway_findings_total{code="file-refused",severity="alarm",source="lims"} 1.0' in numbers
        assert "ebr_gateway_alarms_open 1.0" in numbers
        assert [problem for problem in command("ready", line.folder).stdout.splitlines() if problem.startswith("alarm")] == []
        logged = [text for text in line.log.read_text().splitlines() if "file-refused" in text]
        assert [text.startswith("WARNING ") for text in logged] == [True], logged

        dropped(line.folder, "good.csv", S3="1.25")
        until(lambda: line.codes("standing") == [])
        assert "ebr_gateway_alarms_open 0.0" in line.page("/metrics")
        assert "alarm column-missing" not in called("status", line.folder).stdout


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
        assert (after["since"], after["text"], after["attention"]) == (before["since"], before["text"], False)
        assert after["not_said_since_start"] > after["since"]
        assert "alarm, stood before the start" in " ".join(called("status", line.folder).stdout.split())
        assert "file-refused" in line.codes("recent")
        assert "ebr_gateway_alarms_open 0.0" in line.page("/metrics")
        line.drop("again.csv", "sample_id,water\nS4,1.2\n")
        until(lambda: line.row("standing", "column-missing")["attention"])
        assert line.row("standing", "column-missing")["since"] == before["since"]
