"""What is overdue stands as an alarm in a running line, is said again by the next start, and ends with the document that shows it done."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from kit.commands import called
from kit.drop_line import drop_line, events
from kit.persons import options, people
from kit.processes import running, until

from buffer.times import TICKS_PER_S
from config.sections import Periodic
from gateway.alarms import Found
from gateway.alarms.periodic import DAY_TICKS, Kept
from gateway.runtime.periodic_watch import PeriodicWatch

AT_ONCE = "[periodic]\nverification_days = 0.000001\nrestore_test_days = 0\naudit_review_days = 0\n"


def overdue(line: Path) -> list[tuple[str, str]]:
    return [(event["code"], event["severity"]) for event in events(line, "finding") if event["code"].endswith("-overdue")]


@pytest.mark.urs("URS-AUD-06", "URS-OBS-03")
def test_an_overdue_verification_stands_in_status_list_and_metrics_until_one_that_counts_is_recorded(tmp_path: Path) -> None:
    line = drop_line(tmp_path / "line", AT_ONCE)
    people(line / "data")
    with running(line):
        until(lambda: overdue(line))
    with running(line):
        until(lambda: len(overdue(line)) == 2)
        status = called("status", line)
        assert (status.returncode, "verification-overdue" in status.stdout) == (1, True), status.stdout
        assert "no verification that passed within 1e-06 days" in called("alarms", "list", line).stdout
    toml = line / "line.toml"
    toml.write_text(toml.read_text().replace("verification_days = 0.000001", "verification_days = 7"))
    made = called("verification", "run", line, "--to", tmp_path / "v", *options("engineer", tmp_path))
    assert (made.returncode, "1. not checked: backup" in made.stdout) == (1, True), made.stdout
    accepted = ["--no", "1", "--disposition", "accept", "--impact", "the copies are verified by the site", "--reason", "see procedure 12"]
    assert called("qualify", "dispose", line, tmp_path / "v", *accepted, *options("qa", tmp_path)).returncode == 0
    with running(line):
        until(lambda: overdue(line)[-1] == ("verification-overdue", "info"))
        shown = called("status", line, "--json").stdout
        assert '"verification-overdue"' not in shown.partition('"recent"')[0].partition('"standing"')[2].partition('"cleared"')[0]
    assert overdue(line) == [("verification-overdue", "alarm")] * 2 + [("verification-overdue", "info")]


def test_it_is_told_once_while_it_says_the_same_and_once_when_it_is_over() -> None:
    kept, told = Kept(began=1), list[Mapping[str, Any]]()
    found = Found()
    watch = PeriodicWatch(Periodic(verification_days=1, periodic_review_days=1), lambda: kept, lambda: found, told.append)
    for ticks in (DAY_TICKS, DAY_TICKS + 2, DAY_TICKS + 60 * TICKS_PER_S):
        watch.look(ticks)
    assert [(one["code"], one["evidence"]["name"]) for one in told] == [
        ("verification-overdue", "verification"),
        ("review-overdue", "periodic-review"),
    ]
    kept.done["verification"] = DAY_TICKS
    for _ in range(2):
        watch.look(DAY_TICKS + 60 * TICKS_PER_S)
    assert [(one["code"], one["severity"]) for one in told[2:]] == [("verification-overdue", "info")]
