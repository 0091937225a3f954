"""Alarms & Conditions: every transition once, over cut links, kills and restarts; what stands is known after each; losses are told."""

from pathlib import Path
from typing import Any

import pytest
from kit.opcua_bench import Bench
from kit.processes import eventually

from drivers.opcua.subscription import upkeep


def alarmed(path: Path, count: int = 3, **more: Any) -> Bench:
    settings = {"alarms": [{"notifier": "i=2253", "equipment": "granulator"}], **more}
    return Bench(path, count=count, settings=settings)


def rows(bench: Bench) -> list[dict[str, Any]]:
    return [dict(message.row) for _, told in bench.disk.committed for message in told.get("messages", ())]


def keys(bench: Bench) -> list[str]:
    return [message.key for _, told in bench.disk.committed for message in told.get("messages", ())]


def conditions(bench: Bench) -> list[tuple[str, bool, bool]]:
    return [(row["condition"], row["active"], row["acked"]) for row in rows(bench) if "condition" in row]


def refreshes(bench: Bench) -> int:
    return sum(row.get("refresh") == "end" for row in rows(bench))


@pytest.mark.urs("URS-DAQ-01")
async def test_a_condition_is_handed_over_with_all_that_the_server_tells(tmp_path: Path) -> None:
    async with alarmed(tmp_path) as bench:
        await bench.make()
        bench.plc.conditions.raised("Standing", 400)
        bench.run()
        await eventually(lambda: refreshes(bench) == 1)
        bench.plc.conditions.raised("Overload", 900, "Motor overload")
        bench.plc.conditions.acknowledged("Overload", "jdupont")
        bench.plc.conditions.cleared("Overload")
        await eventually(lambda: len(conditions(bench)) == 4)
        assert conditions(bench) == [
            ("Impeller/Standing", True, False),
            ("Impeller/Overload", True, False),
            ("Impeller/Overload", True, True),
            ("Impeller/Overload", False, True),
        ]
        assert [row.get("refresh") for row in rows(bench)[:3]] == ["start", None, "end"]
        last = rows(bench)[-1]
        assert (last["message"], last["severity"], last["weight"], last["user"]) == ("Motor overload", 900, "alarm", "jdupont")
        assert rows(bench)[1]["weight"] == "warning"
        assert last["equipment"] == ["granulator"]
        (at,) = [m.ticks for _, told in bench.disk.committed for m in told.get("messages", ()) if m.key == keys(bench)[-1]]
        assert at == bench.plc.conditions.all["Overload"].at
        await bench.make(3)
        await bench.caught_up()
        assert not bench.missing()
        assert set(bench.disk.codes()) == {"server-identity"}


async def test_cuts_and_kills_lose_and_double_no_event(tmp_path: Path) -> None:
    async with alarmed(tmp_path) as bench:
        await bench.make()
        bench.run()
        await eventually(lambda: refreshes(bench) == 1)
        for number in range(3):
            bench.plc.conditions.raised(f"A{number}")
            bench.cable.cut()
            bench.plc.conditions.cleared(f"A{number}")
            bench.cable.mend()
            await eventually(lambda known=number: bench.disk.connections > known + 1)
        bench.disk.stalled = True
        bench.plc.conditions.raised("Killed")
        await bench.make(2)
        await bench.kill()
        bench.plc.conditions.cleared("Killed")
        bench.run()
        await eventually(lambda: len(conditions(bench)) == 8)
        assert [(name, active) for name, active, _ in conditions(bench)] == [
            (f"Impeller/{name}", active) for name in ("A0", "A1", "A2", "Killed") for active in (True, False)
        ]
        assert len(set(keys(bench))) == len(keys(bench))
        assert refreshes(bench) == 1, "what was resumed without loss need not be asked for again"


async def test_after_a_server_restart_what_stands_is_asked_for(tmp_path: Path) -> None:
    async with alarmed(tmp_path) as bench:
        await bench.make()
        bench.run()
        await eventually(lambda: refreshes(bench) == 1)
        bench.plc.conditions.raised("Before")
        await eventually(lambda: len(conditions(bench)) == 1)
        await bench.plc.stop()
        bench.plc.conditions.cleared("Before")
        bench.plc.conditions.raised("Meanwhile")
        await bench.plc.start()
        await eventually(lambda: refreshes(bench) == 2)
        assert conditions(bench)[-2:] == [("Impeller/Before", False, False), ("Impeller/Meanwhile", True, False)]


async def test_a_queue_that_runs_over_is_told_and_what_stands_is_asked_for(tmp_path: Path) -> None:
    async with alarmed(tmp_path) as bench:
        bench.plc.switches.most_queue = 5
        await bench.make()
        bench.run()
        await eventually(lambda: refreshes(bench) == 1)
        assert "queue-revised" in bench.disk.codes()
        for number in range(20):
            bench.plc.conditions.raised("Flicker", message=str(number))
        await eventually(lambda: "alarms-lost" in bench.disk.codes())
        await eventually(lambda: refreshes(bench) == 2)
        (told,) = [one for one in bench.disk.findings if one.code == "alarms-lost"]
        assert (told.severity, told.evidence["cause"]) == ("alarm", "events-lost")


async def test_an_unreadable_message_and_a_refused_refresh_are_told(tmp_path: Path) -> None:
    async with alarmed(tmp_path, 1) as bench:
        bench.plc.switches.condition_refresh = False
        bench.plc.switches.garble_messages = {2}
        await bench.make()
        bench.run()
        await eventually(lambda: "alarms-not-refreshed" in bench.disk.codes())
        bench.plc.conditions.raised("One")
        await eventually(lambda: conditions(bench))
        bench.plc.conditions.raised("Two")
        await eventually(lambda: "alarms-lost" in bench.disk.codes() or len(conditions(bench)) > 1)
        assert "alarms-lost" in bench.disk.codes()


async def test_a_notifier_that_is_not_there_is_told_and_values_go_on(tmp_path: Path) -> None:
    async with alarmed(tmp_path, alarms=[{"notifier": "plc:s=Nobody", "equipment": "line"}]) as bench:
        await bench.make()
        bench.run()
        await eventually(lambda: "alarms-not-heard" in bench.disk.codes())
        await bench.make(3)
        await bench.caught_up()
        assert not bench.missing()


async def test_branches_and_fields_without_a_value_are_handed_over_as_what_they_are(tmp_path: Path) -> None:
    async with alarmed(tmp_path) as bench:
        await bench.make()
        bench.run()
        await eventually(lambda: refreshes(bench) == 1)
        bench.plc.conditions.raised("Level")
        branch = bench.plc.conditions.ended_in_a_branch("Level")
        bench.plc.conditions.branch_acknowledged("Level", branch, "jdupont")
        bench.plc.conditions.disabled("Level")
        await eventually(lambda: len(conditions(bench)) == 6)
        told = [(row["branch"] is not None, row["active"], row["acked"], row["retain"], row["enabled"]) for row in rows(bench)[2:]]
        assert told == [
            (False, True, False, True, True),
            (True, True, False, True, True),
            (False, False, True, True, True),
            (True, True, True, False, True),
            (False, False, True, False, True),
            (False, None, None, False, False),
        ]
        assert rows(bench)[-1]["severity"] == 0
        assert bench.failures == []


def events(bench: Bench) -> list[dict[str, Any]]:
    return [dict(message.row) for _, told in bench.disk.committed for message in told.get("messages", ()) if message.name == "events"]


@pytest.mark.urs("URS-DAQ-01")
async def test_an_event_that_is_no_condition_is_kept_too(tmp_path: Path) -> None:
    async with alarmed(tmp_path) as bench:
        await bench.make()
        bench.run()
        await eventually(lambda: refreshes(bench) == 1)
        bench.plc.conditions.happened("Recipe R7 loaded by jdupont", 400)
        await eventually(lambda: events(bench))
        (event,) = events(bench)
        assert (event["message"], event["severity"], event["weight"]) == ("Recipe R7 loaded by jdupont", 400, "warning")
        assert (event["event_type"], event["source"], event["equipment"]) == ("i=2041", "Server", ["granulator"])
        assert conditions(bench) == []


async def test_events_of_a_server_without_conditions_are_heard(tmp_path: Path) -> None:
    """It refuses a filter that names types which it does not have."""
    async with alarmed(tmp_path) as bench:
        bench.plc.switches.condition_types = bench.plc.switches.condition_refresh = False
        await bench.make()
        bench.run()
        await eventually(lambda: "alarms-not-refreshed" in bench.disk.codes())
        bench.plc.conditions.happened("Batch report printed")
        await eventually(lambda: events(bench))
        assert events(bench)[0]["message"] == "Batch report printed"
        assert bench.failures == []


async def test_a_server_that_will_not_tell_what_an_alarm_needs_is_told_of(tmp_path: Path) -> None:
    """It takes the item, and sends null for ever in place of a field that it does not know (Part 4, 7.22.3)."""
    async with alarmed(tmp_path) as bench:
        bench.plc.switches.clauses_refused = {"ActiveState", "Comment"}
        await bench.make()
        bench.run()
        await eventually(lambda: "alarms-not-heard" in bench.disk.codes())
        (finding,) = [one for one in bench.disk.findings if one.code == "alarms-not-heard"]
        assert (finding.severity, "does not tell active of them" in finding.text) == ("alarm", True)


async def test_a_refresh_that_comes_while_another_runs_is_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "REFRESH_EVERY_S", 0.2)
    async with alarmed(tmp_path) as bench:
        bench.plc.switches.refreshes_in_progress = 2
        bench.plc.conditions.raised("Standing", 400)
        await bench.make()
        bench.run()
        await eventually(lambda: refreshes(bench) == 1)
        assert conditions(bench) == [("Impeller/Standing", True, False)]
        assert "alarms-not-refreshed" not in bench.disk.codes()


async def test_a_condition_whose_input_is_in_doubt_says_so(tmp_path: Path) -> None:
    async with alarmed(tmp_path) as bench:
        await bench.make()
        bench.run()
        await eventually(lambda: refreshes(bench) == 1)
        bench.plc.conditions.raised("Overload", 900)
        bench.plc.conditions.doubted("Overload", 0x80310000)
        await eventually(lambda: len(conditions(bench)) == 2)
        assert [row.get("quality") for row in rows(bench) if "condition" in row] == [None, "BadNoCommunication"]


async def test_a_server_that_wants_a_refresh_is_asked_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "REFRESH_EVERY_S", 0.2)
    async with alarmed(tmp_path) as bench:
        await bench.make()
        bench.run()
        await eventually(lambda: refreshes(bench) == 1)
        bench.plc.conditions.refresh_required()
        await eventually(lambda: refreshes(bench) == 2)
        assert events(bench) == []
