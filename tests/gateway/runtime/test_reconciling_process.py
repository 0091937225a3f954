"""A running line compares with its receiver by itself: each day, after each batch; what differs, what is overdue, and when it is over."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

import pytest
from kit.brokers import broker_at
from kit.commands import called
from kit.drop_line import events
from kit.mixing_line import BATCH, mixed, mixing_line
from kit.processes import free_port, process, running, until
from kit.reconciled import damage

from gateway.evidence.reconciled import Reconciled
from gateway.runtime import reconciling

UPLINK = '\n[[uplink]]\nname = "ebr"\nkind = "https"\nendpoint = "http://127.0.0.1:{}"\nreconcile = true\n'
BY_MQTT = '\n[[uplink]]\nname = "ebr"\nkind = "mqtt"\nendpoint = "mqtt://127.0.0.1:{}"\nreconcile = true\n'
EBR = {UPLINK: "--http", BY_MQTT: "--mqtt"}


def quick() -> None:
    """Look all the time; a day is two seconds, and nothing settles."""
    reconciling.LOOK_EVERY_S, reconciling.EVERY_S, reconciling.SETTLES_S, reconciling.AGAIN_S = 0.3, 2.0, 0.0, 0.5


def hurried() -> None:
    """As `quick`, and all is overdue at once."""
    quick()
    reconciling.WITHIN_S = 0.0


def later() -> None:
    """As `quick`, but batches alone after the first comparison of all, a while after their end."""
    quick()
    reconciling.EVERY_S, reconciling.SETTLES_S = 1e6, 5.0


def found(line: Path, code: str) -> list[str]:
    return [event["severity"] for event in events(line, "finding") if event["code"] == code]


@contextmanager
def receiver(way: str, port: int, folder: Path) -> Iterator[Path]:
    """The EBR that an uplink names, behind a broker where there is one; its store."""
    where = str(port) if way == UPLINK else f"mqtt://127.0.0.1:{port}"
    broker = broker_at(port) if way == BY_MQTT else nullcontext()
    with broker, process("ebr", "--store", folder / "store", EBR[way], where, log=folder / "ebr.log"):
        yield folder / "store"


@pytest.mark.urs("URS-UPL-05", "URS-BUF-06")
@pytest.mark.parametrize("way", [UPLINK, BY_MQTT], ids=["https", "mqtt"])
def test_a_running_line_compares_each_day_and_each_batch_and_says_what_differs_until_it_is_mended(way: str, tmp_path: Path) -> None:
    port = free_port()
    line = mixing_line(tmp_path / "line", way.format(port))
    with receiver(way, port, tmp_path) as store:
        with running(line, before=quick):
            mixed(line)
            documents = until(lambda: [one for one in events(line, "document") if one["batch"] == BATCH], every_s=0.5)
            assert (documents[0]["document"], documents[0]["result"]) == ("reconciliation-of-batch", "passed")
            until(lambda: any(one["batch"] is None and one["result"] == "passed" for one in events(line, "document")), every_s=0.5)
            assert found(line, "reconcile-differs") == []
            asked = called("reconcile", line)
            assert (asked.returncode, asked.stdout.endswith("equal\n")) == (0, True), (
                f"a person asks beside it: {asked.stdout}{asked.stderr}"
            )
            with closing(sqlite3.connect(store / "ebr.db")) as db:
                kept = db.execute("SELECT * FROM entries WHERE seq = 3").fetchone()
            damage(store, "DELETE FROM entries WHERE seq = 3")
            until(lambda: found(line, "reconcile-differs"), every_s=0.5)
        with running(line, before=quick):
            status = called("status", line).stdout
            assert "reconcile-differs" in status, "a restart does not forget it"
            with closing(sqlite3.connect(store / "ebr.db")) as db:
                db.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", kept)
                db.commit()
            until(lambda: found(line, "reconcile-differs")[-1] == "info", every_s=0.5)
    batches = [one for one in events(line, "document") if one["batch"] == BATCH]
    assert len(batches) == len({one["id"] for one in batches})
    (name, *_) = sorted((line / "data" / "reconciliations").glob("*.json"))
    assert ", as it was made;" in called("document", "verify", name).stdout
    assert called("verify", line).returncode == 0, "what lies beside the journal does not concern it"


@pytest.mark.urs("URS-UPL-05")
def test_a_receiver_that_does_not_answer_the_question_is_an_alarm_and_no_equality(tmp_path: Path) -> None:
    line = mixing_line(tmp_path / "line", UPLINK.format(free_port()))
    with running(line, before=hurried):
        until(lambda: found(line, "reconcile-overdue"), every_s=0.5)
    (told,) = {event["text"] for event in events(line, "finding") if event["code"] == "reconcile-overdue"} - {""}
    assert told.startswith("ebr: not compared since this start")
    assert events(line, "document") == []


@pytest.mark.urs("URS-UPL-05")
def test_a_batch_of_which_the_receiver_does_not_hold_all_and_says_why_is_an_alarm_and_not_compared(tmp_path: Path) -> None:
    port, store = free_port(), tmp_path / "store"
    line = mixing_line(tmp_path / "line", UPLINK.format(port))
    with process("ebr", "--store", store, "--http", str(port), log=tmp_path / "ebr.log"), running(line, before=later):
        until(lambda: any(one["batch"] is None for one in events(line, "document")), every_s=0.5)
        mixed(line)
        last = "SELECT gateway, epoch, max(seq) - 6 AS seq FROM entries"
        damage(store, f"INSERT INTO missing (gateway, epoch, first, last) SELECT gateway, epoch, seq, seq FROM ({last})",
               "DELETE FROM entries WHERE seq = (SELECT max(last) FROM missing)")  # fmt: skip
        (document,) = until(lambda: [one for one in events(line, "document") if one["batch"] == BATCH], every_s=0.5)
        assert document["result"] == "not-complete"
        until(lambda: found(line, "reconcile-overdue"), every_s=0.5)
    told = [event["text"] for event in events(line, "finding") if event["code"] == "reconcile-overdue"]
    assert told == [f"ebr: batch {BATCH}: not all could be compared: document {document['id']} says what, and why"]


def test_what_was_found_equal_outlives_a_restart_and_nothing_else_does() -> None:
    known = Reconciled(["ebr", "second"])
    assert known.holds is not None
    known.of["ebr"].segments = {(1, 1), (1, 4_097), (1, 12_289), (2, 1)}
    known.of["second"].segments = {(1, 1), (2, 1)}
    mark = known.mark()
    assert mark["ebr"]["segments"] == [[1, 1, 4_097], [1, 12_289, 12_289], [2, 1, 1]]
    again = Reconciled(["ebr", "second"], mark)
    assert again.of == known.of
    assert again.holds is not None
    assert [again.holds(*place) for place in ((1, 1), (1, 4_097), (2, 1), (2, 4_097))] == [True, False, True, False]
    assert Reconciled([], mark).holds is None, "nobody is to be compared with"
    assert Reconciled(["ebr"], {"ebr": {"segments": "?"}}).of["ebr"].segments == set()
