"""Polls that come too late: each tag by its own period, whatever kept the process, and no gap where nothing was missed."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from kit.asking_stage import ENERGY, NS, STEP, T0, TEMP, Stage, seconds, staged

from drivers import Loss
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339
from gateway.operation.status import answered_slowly


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path / "line") as made:
        yield made


@pytest.mark.urs("URS-DAQ-11")
async def test_a_poll_that_comes_late_has_a_gap_of_exactly_its_tags_from_the_last_observation_to_the_new_one(stage: Stage) -> None:
    await stage.poll(0.0, {STEP: 1, TEMP: 650})
    await stage.poll(0.0, {ENERGY: 7})
    await stage.poll(0.2, {STEP: 1, TEMP: 651})
    await stage.poll(4.2, {STEP: 2, TEMP: 655})
    await stage.poll(4.21, {ENERGY: 8})

    assert stage.gaps() == [(("plc.step", "plc.temp"), 0.201, 4.201, "lost"), (("plc.energy",), 0.001, 4.211, "lost")]
    assert (stage.plc.late.count, round(stage.plc.late.longest_s, 3), round(stage.plc.late.last_s, 3)) == (2, 4.209, 4.209)
    assert stage.opened() == ["not-asked", "not-asked"]


@pytest.mark.urs("URS-DAQ-11")
async def test_a_busy_machine_below_two_periods_has_none_and_each_tag_has_its_own_period(stage: Stage) -> None:
    for second in (0.0, 0.35, 0.4, 0.79, 0.8, 1.2, 1.39, 1.78):
        await stage.poll(second, {STEP: 1}, [TEMP])
    for second in (2.0, 5.9, 6.0):
        await stage.poll(second, {ENERGY: round(second * 10)})

    assert stage.opened() == []
    assert stage.plc.late.count == 0


@pytest.mark.urs("URS-DAQ-11")
async def test_unchanged_polls_leave_nothing_in_the_journal_and_are_no_silence(stage: Stage) -> None:
    for tenth in range(0, 700, 2):
        await stage.poll(tenth / 10, {STEP: 1, TEMP: 650} if tenth % 100 == 0 else {}, [STEP, TEMP])

    assert stage.opened() == []
    assert [kind for _, _, kind in stage.stored(TEMP)] == ["initial"]


@pytest.mark.urs("URS-DAQ-11", "URS-CTX-08")
async def test_what_the_late_poll_found_unchanged_is_stored_anew_and_ends_the_gap(stage: Stage) -> None:
    await stage.poll(0.0, {STEP: 1, TEMP: 650})
    await stage.poll(0.2, {STEP: 1, TEMP: 650})
    await stage.poll(5.0, {STEP: 1}, [STEP, TEMP])
    await stage.poll(5.2, {}, [STEP, TEMP])

    assert stage.gaps() == [(("plc.step", "plc.temp"), 0.201, 5.001, "lost")]
    assert stage.stored(TEMP) == [(65.0, 650, "initial"), (65.0, 650, "initial")]
    assert stage.stored(STEP) == [(1, None, "initial"), (1, None, "initial")]


@pytest.mark.urs("URS-DAQ-11")
async def test_a_silence_within_an_open_gap_is_that_gap(stage: Stage) -> None:
    await stage.poll(0.0, {STEP: 1, TEMP: 650})
    await stage.plc.lost(Loss("timeout", (TEMP,)))
    await stage.poll(3.0, {STEP: 1, TEMP: 650})
    await stage.plc.failed("the cable was pulled")
    await stage.poll(9.0, {STEP: 1, TEMP: 650})

    assert stage.opened()[:2] == ["timeout", "not-asked"]
    assert set(stage.opened()[2:]) == {"link-lost"}
    assert stage.gaps() == [(("plc.step",), 0.001, 3.001, "lost")]


@pytest.mark.urs("URS-DAQ-11", "URS-TIME-07")
async def test_a_suspended_machine_was_silent_though_its_monotonic_clock_stood(stage: Stage) -> None:
    await stage.poll(0.0, {STEP: 1, TEMP: 650})
    stage.machine.asleep_ns += 30 * NS
    await stage.poll(0.2, {STEP: 1, TEMP: 650})
    await stage.poll(0.4, {STEP: 1, TEMP: 651})

    assert stage.gaps() == [(("plc.step", "plc.temp"), 0.001, 30.201, "lost")]
    assert [event["kind"] for event in stage.events("clock")][:1] == ["suspend"]
    assert round(stage.plc.late.longest_s, 1) == 30.2


@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize("step_s", [-3600, 3600])
async def test_a_clock_that_is_set_is_no_silence(stage: Stage, step_s: int) -> None:
    await stage.poll(0.0, {STEP: 1, TEMP: 650})
    stage.machine.set_ns += step_s * NS
    stage.clock.look()
    await stage.poll(0.2, {STEP: 1, TEMP: 651})

    assert stage.opened() == []
    assert [event["kind"] for event in stage.events("clock")][:1] == ["step"]


@pytest.mark.urs("URS-DAQ-11")
async def test_after_a_standstill_that_the_clock_reports_the_next_poll_of_every_tag_is_late_whatever_its_period(stage: Stage) -> None:
    await stage.poll(0.0, {ENERGY: 7})
    stage.clock._watched = True
    stage.clock.look()
    stage.at(3.5)
    await stage.poll(3.5, {STEP: 1})
    stage.at(3.6)
    await stage.intake.happened({"type": "clock", "kind": "suspend", "of": "process", "duration_s": 3.4})
    await stage.poll(3.7, {STEP: 1, ENERGY: 7})
    await stage.poll(3.9, {STEP: 1, ENERGY: 8})

    assert stage.gaps() == [(("plc.energy",), 0.001, 3.701, "lost")]


@pytest.mark.urs("URS-DAQ-11", "URS-TIME-02")
async def test_an_answer_that_lay_in_a_buffer_while_the_process_stood_proves_its_question_alone(stage: Stage) -> None:
    await stage.poll(0.0, {STEP: 1, TEMP: 650})
    await stage.poll(0.2, {STEP: 2, TEMP: 651}, took_s=30.0)
    await stage.poll(30.4, {STEP: 2, TEMP: 651})

    (first, *_), (second, *_) = stage.gaps(), stage.gaps()[1:]
    assert (first[1], second[1], second[2]) == (0.001, 0.2, 30.401)
    assert first[2] >= second[1]


@pytest.mark.urs("URS-DAQ-11")
async def test_a_source_of_rows_has_a_gap_that_is_filled_where_it_goes_on_where_it_ended(stage: Stage) -> None:
    for second in (0.0, 0.5):
        await stage.poll(second, {}, [0, 1], source="drop")
    await stage.poll(9.0, {}, [0], source="drop", kept=[0])
    await stage.poll(9.01, {}, [0, 1], source="drop")
    await stage.poll(9.5, {}, [0, 1], source="drop")

    assert stage.gaps() == [(("drop.lod",), 0.501, 9.001, "filled"), (("drop.ph",), 0.501, 9.011, "lost")]
    assert stage.opened() == ["not-asked", "not-asked"]


@pytest.mark.urs("URS-DAQ-11")
async def test_a_source_of_rows_without_tags_has_one_gap_for_all_of_it(stage: Stage) -> None:
    for second in (0.0, 0.5, 9.0, 9.5):
        await stage.poll(second, {}, source="orders")

    assert stage.gaps() == [("all", 0.501, 9.001, "lost")]


@pytest.mark.urs("URS-DAQ-03", "URS-DAQ-11")
async def test_what_waited_unasked_while_nobody_listened_has_no_gap_and_says_between_which_instants_it_came(stage: Stage) -> None:
    """A ticket that lay in a serial port's buffer for 30 s: nobody had to ask for it, and it was not lost."""
    for second, since in ((1.0, None), (41.0, 11.0), (42.0, None)):
        readings: list[Any] = [(TEMP, round(second), 0, None, None)]
        since_ns = None if since is None else stage.at(since)
        await stage.plc(readings, received_ns=stage.at(second), waited_since_ns=since_ns, kind="change")
    assert stage.opened() == []
    instants = []
    for entry in stage.entries():
        if "readings" in entry:
            base, told = from_rfc3339(entry["time_base"]) / TICKS_PER_S - T0, entry["constant"]
            names = ("requested_ticks", "received_ticks")
            instants.append(tuple(round(base + told[name] / TICKS_PER_S) if name in told else None for name in names))
    assert instants == [(None, 1), (11, 41), (None, 42)]


# ---------------------------------------------------------------------- nobody asks any more


async def look(stage: Stage, *seconds: float) -> None:
    """Let the gateway look after its sources at these seconds, and have on disk what it says."""
    for second in seconds:
        stage.at(second)
        stage.intake.look_after()
    await stage.intake.happened({"type": "heartbeat", "observed": {}})


def each(first: int, last: int) -> list[float]:
    return [second + 0.5 for second in range(first, last)]


@pytest.mark.urs("URS-DAQ-11")
async def test_a_tag_that_nobody_asks_for_any_more_is_in_a_gap_while_that_lasts(stage: Stage) -> None:
    """Its neighbours are asked on; a tag that is polled each 2 s is none of it."""
    stage.plc.connected("unit 1 answers")
    await stage.poll(0.0, {STEP: 1, TEMP: 650, ENERGY: 7})
    for second in range(1, 16):
        await stage.poll(second, {STEP: 1}, [STEP, ENERGY] if second % 2 else [STEP])
        await look(stage, second + 0.5)
    (gap,) = [event for event in stage.events("gap") if event["transition"] == "open" and event["tags"] == ["plc.temp"]]
    assert (gap["cause"], seconds(gap["start"])) == ("not-asked", 0.001)
    assert 10 < seconds(gap["detected"]) < 12
    assert [(event["severity"], event["tags"]) for event in stage.events("finding")] == [("alarm", ["plc.temp"])]

    await stage.poll(16.0, {STEP: 1, TEMP: 651})
    await look(stage, 16.5)
    assert (("plc.temp",), 0.001, 16.001, "lost") in stage.gaps()
    assert [event["severity"] for event in stage.events("finding") if event["code"] == "source-not-asked"] == ["alarm", "info"]
    assert stage.plc.late.longest_s == pytest.approx(15.999)


@pytest.mark.urs("URS-DAQ-11")
async def test_what_was_asked_for_again_and_found_unchanged_ends_its_gap_with_what_stands(stage: Stage) -> None:
    stage.plc.connected("unit 1 answers")
    await stage.poll(0.0, {STEP: 1, TEMP: 650})
    await look(stage, *each(0, 13))
    await stage.poll(13.0, {}, [STEP, TEMP])
    assert stage.gaps() == [(("plc.step", "plc.temp"), 0.001, 13.001, "lost")]
    assert [kind for _, _, kind in stage.stored(TEMP)] == ["initial", "initial"]


@pytest.mark.urs("URS-DAQ-11")
async def test_who_keeps_what_nobody_asks_for_has_it_filled(stage: Stage) -> None:
    port = stage.intake.ports["drop"]
    port.connected()
    await stage.poll(0.0, {}, [0, 1], source="drop", kept=[0])
    await look(stage, *each(0, 13))
    await stage.poll(13.0, {}, [0, 1], source="drop", kept=[0])
    assert sorted(stage.gaps()) == [(("drop.lod",), 0.001, 13.001, "filled"), (("drop.ph",), 0.001, 13.001, "lost")]
    await look(stage, *each(13, 100))
    assert not port.is_hung(), "one question to a database may take minutes"


@pytest.mark.urs("URS-DAQ-11")
async def test_nobody_is_blamed_for_a_standstill_of_the_gateway_itself_for_a_lost_source_or_for_a_gap_that_is_known(stage: Stage) -> None:
    stage.plc.connected("unit 1 answers")
    await stage.poll(0.0, {STEP: 1, TEMP: 650, ENERGY: 7})
    await look(stage, 0.5, 60.0, 61.0)  # it stood still, and so did whoever asks
    assert stage.opened() == []
    await stage.poll(61.1, {STEP: 1, TEMP: 650, ENERGY: 7})
    await stage.plc.lost(Loss("refused", (TEMP,)))
    await look(stage, *each(62, 75))
    assert "plc.temp" not in {tag for event in stage.events("finding") for tag in event["tags"]}
    await stage.plc.failed("the cable was pulled")
    told = len(stage.events("gap"))
    await look(stage, *each(75, 200))
    assert len(stage.events("gap")) == told
    assert not stage.plc.is_hung(), "the supervisor starts it again as it is"


@pytest.mark.urs("URS-DAQ-11")
async def test_a_driver_that_asks_no_more_is_hung_after_a_minute_and_has_a_minute_when_it_begins_anew(stage: Stage) -> None:
    stage.plc.connected("unit 1 answers")
    await stage.poll(0.0, {STEP: 1})
    await look(stage, *each(0, 70))
    assert not stage.plc.is_hung()
    await look(stage, *each(70, 73))
    assert stage.plc.is_hung()
    stage.plc.begins()
    await look(stage, *each(73, 130))
    assert not stage.plc.is_hung()
    await stage.poll(130.0, {STEP: 2})
    await look(stage, *each(130, 139))
    assert not stage.plc.is_hung()


@pytest.mark.urs("URS-DAQ-11")
async def test_a_driver_whose_round_takes_longer_than_a_minute_comes_to_the_tags_at_its_end(stage: Stage) -> None:
    """Each start begins with the first tag, each second another one: were it started again each minute, the last would never be asked."""
    stage.plc.connected("unit 1 answers")
    await stage.poll(0.0, {STEP: 1, TEMP: 650})
    starts, second = [0.0], 0.0
    while second - starts[-1] < 95 and len(starts) < 4:
        second += 1
        await stage.poll(second, {}, [STEP])
        await look(stage, second + 0.5)
        if stage.plc.is_hung():
            stage.plc.begins()
            starts.append(second)
    assert len(starts) == 2, "the second start has two minutes"
    await stage.poll(second + 1, {TEMP: 651})
    await look(stage, *each(int(second) + 2, int(second) + 80))
    assert stage.plc.is_hung(), "all was asked for: who asks no more has a minute again"


@pytest.mark.urs("URS-DAQ-11")
async def test_tags_that_fall_behind_in_turn_are_said_once_a_minute_and_their_gaps_at_once(stage: Stage) -> None:
    """A bus that is asked too much: each tag is asked each 36 s, in turn, and there is always one that nobody asked for in time."""
    stage.plc.connected("unit 1 answers")
    await stage.poll(0.0, {STEP: 1, TEMP: 650, ENERGY: 7})
    for second in range(1, 150):
        if second % 12 == 0:
            await stage.poll(second, {second // 12 % 3: second})
        await look(stage, second + 0.5)
    told = [(event["severity"], event["tags"]) for event in stage.events("finding") if event["code"] == "source-not-asked"]
    assert len([event for event in stage.events("gap") if event["transition"] == "open"]) >= 9
    assert [severity for severity, _ in told] == ["alarm", "alarm", "alarm"]
    assert {tag for _, tags in told for tag in tags} == {"plc.step", "plc.temp", "plc.energy"}


@pytest.mark.urs("URS-DAQ-11")
async def test_the_gap_of_rows_ends_with_the_first_look_after_a_loss_though_there_is_no_new_row(stage: Stage) -> None:
    port = stage.intake.ports["drop"]
    await stage.poll(0.0, {}, [0, 1], source="drop")
    await stage.poll(0.5, {}, [0, 1], source="drop")
    await port.failed("the folder is gone")
    await stage.poll(9.0, {}, [0], source="drop")
    await stage.poll(9.5, {0: 3}, [0], source="drop")
    await stage.poll(10.0, {}, [0, 1], source="drop")

    assert stage.gaps("link-lost") == [(("drop.lod",), 0.501, 9.001, "lost"), (("drop.ph",), 0.501, 10.001, "lost")]
    assert port.source.tells_rows
    assert stage.opened() == ["link-lost"]


@pytest.mark.urs("URS-DAQ-11")
async def test_the_gap_of_rows_ends_with_the_first_look_after_a_stop(stage: Stage) -> None:
    await stage.poll(0.0, {0: 3}, [0, 1], source="drop")
    await stage.restart()
    port = stage.intake.ports["drop"]
    stage.at(4.0)
    await port.stopped("gateway-stopped", "the gateway was not running")
    await stage.poll(5.0, {}, [0, 1], source="drop")

    assert [(tags, end, outcome) for tags, _, end, outcome in stage.gaps("gateway-stopped")] == [(("drop.lod", "drop.ph"), 5.001, "lost")]
    assert stage.intake.fold.open_gaps("drop") == []


@pytest.mark.urs("URS-DAQ-11")
async def test_a_source_that_goes_on_where_it_stopped_loses_nothing_of_a_time_in_which_it_was_not_asked(stage: Stage) -> None:
    await stage.poll(0.0, {}, [0, 1], source="drop")
    stage.look(0.1)
    for second in range(1, 13):
        stage.look(float(second))
    await stage.poll(13.0, {}, [0, 1], source="drop", resumed=True)

    assert stage.opened() == ["not-asked"]
    assert stage.gaps() == [("all", 0.001, 13.002, "filled")]


@pytest.mark.urs("URS-DAQ-11")
async def test_a_database_that_answers_late_is_not_said_to_have_been_forgotten(stage: Stage) -> None:
    port = stage.intake.ports["drop"]
    await stage.poll(0.0, {}, [0, 1], source="drop", kept=[0, 1])
    port.connected()
    for second in range(1, 13):
        stage.look(float(second))
    await stage.poll(1.0, {}, [0, 1], took_s=29.0, source="drop", kept=[0, 1])

    (told,) = [event for event in stage.events("finding") if event["code"] == "source-not-asked"]
    assert "no answer about 2 tags" in told["text"]
    assert "nobody asks" not in told["text"]
    (gap,) = [event for event in stage.events("gap") if event["transition"] == "open"]
    assert gap["detail"].startswith("nothing was answered or refused for")
    assert (port.late.took_s, answered_slowly({"last_s": port.late.last_s, "took_s": port.late.took_s})) == (29.0, True)


@pytest.mark.urs("URS-DAQ-11")
async def test_the_gap_of_a_slow_answer_says_that_it_was_slow_and_that_of_a_late_question_that_it_was_late(stage: Stage) -> None:
    await stage.poll(0.0, {STEP: 1})
    await stage.poll(0.2, {STEP: 2}, took_s=3.0)
    await stage.poll(9.0, {STEP: 3})

    details = [event["detail"] for event in stage.events("gap") if event["transition"] == "open"]
    assert details[0].startswith("answered 3.000 s after it was asked")
    assert details[1].startswith("asked again ")
