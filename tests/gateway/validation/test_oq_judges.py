"""What the cases of an operational qualification say of evidence that is right, spoiled, or not there: each must be able to fail."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import config
from config import Line, Parameter, Source
from gateway.access import ROLES, RULES
from gateway.demo.received import Gap, Got, Received, Row
from gateway.demo.truth import Item, Truth
from gateway.entries.ticks import TICKS_PER_S, rfc3339
from gateway.validation.oq import clock, devices, disk, limits, mes, persons, receiver, results, site_ebr
from gateway.validation.oq.case import Told
from gateway.validation.oq.from_logs import seconds_of, verdict_of

pytestmark = pytest.mark.urs("URS-VAL-04")
T0 = 1_795_330_000 * TICKS_PER_S
S = TICKS_PER_S


def verdicts(told: Told) -> list[str]:
    return [step.verdict for step in told.steps]


@pytest.fixture(scope="module")
def line() -> Line:
    return config.load(Path(config.__file__).parent / "examples" / "granulation-2")


def parameter(line: Line, name: str) -> Parameter:
    return next(row for row in line.parameters if row.parameter == name)


# ---- limits


def truth_of(tag: str, *values: tuple[float, float], status: int = 0) -> Truth:
    return Truth(made={tag: [Item(T0 + round(at_s * S), value, status) for at_s, value in values]})


def test_a_verdict_follows_from_the_log_only_where_it_tells(line: Line) -> None:
    row = parameter(line, "wm_temp_max")  # max of granulator.product_temp, high 45.0
    step = (T0 + 10 * S, T0 + 20 * S)
    assert verdict_of(line, row, truth_of(row.tag or "", (5, 20.0), (12, 50.0), (15, 21.0)), *step) == "above"
    assert verdict_of(line, row, truth_of(row.tag or "", (5, 20.0), (12, 40.0)), *step) == "within"
    assert verdict_of(line, row, truth_of(row.tag or "", (5, 20.0), (19.9, 50.0)), *step) is None, "at the edge nobody can say"
    assert verdict_of(line, row, truth_of(row.tag or "", (5, 20.0), (12, 45.05)), *step) is None, "the last digit decides"
    assert verdict_of(line, row, truth_of(row.tag or "", (5, 50.0), status=0x8000_0000), *step) is None
    assert verdict_of(line, row, Truth(), *step) is None


def test_seconds_beyond_a_threshold_follow_from_the_log(line: Line) -> None:
    row = parameter(line, "dry_inlet_above")
    found = seconds_of(line, row, truth_of(row.tag or "", (0, 60.0), (12, 80.0), (16, 60.0)), T0 + 10 * S, T0 + 20 * S)
    assert found is not None
    assert found[0] <= 4.0 <= found[1]


def record(row: Parameter, value: str, result: str, status: str = "present") -> dict[str, Any]:
    edges = {edge: {"time": rfc3339(T0 + at_s * S)} for edge, at_s in (("start", 10), ("end", 20))}
    said = [{"parameter": row.parameter, "value": value, "status": status, "result": result}]
    return {"equipment": row.equipment, "step": row.step, **edges, "parameters": said}


@pytest.mark.parametrize(
    ("value", "result", "status", "verdict"),
    [
        ("50.0", "above", "present", "passed"),
        ("50.0", "within", "present", "failed"),
        ("50.0", "below", "present", "failed"),
        ("50.0", "not-judged", "gap", "not checked"),
    ],
)
def test_a_limit_that_was_left_must_be_in_the_record(line: Line, value: str, result: str, status: str, verdict: str) -> None:
    row, told = parameter(line, "wm_temp_max"), Told()
    got = Received(steps={"r": record(row, value, result, status)})
    truths = {"granulator-plc": truth_of(row.tag or "", (5, 20.0), (11, 50.0), (25, 20.0))}
    limits.tell(line, told, row, list(limits.judgements(line, got, truths, [row])))
    assert verdicts(told) == [verdict]


def test_a_limit_that_no_device_left_is_not_checked(line: Line) -> None:
    row, told = parameter(line, "wm_temp_max"), Told()
    got = Received(steps={"r": record(row, "40.0", "within")})
    truths = {"granulator-plc": truth_of(row.tag or "", (5, 20.0), (11, 40.0))}
    limits.tell(line, told, row, list(limits.judgements(line, got, truths, [row])))
    assert verdicts(told) == ["not checked"]
    assert "not seen beyond high" in told.steps[0].actual


# ---- rows of the MES


@pytest.fixture(scope="module")
def query(line: Line) -> mes.Query:
    source = next(source for source in line.sources if source.name == "mes")
    return mes.Query(source, source.options["query"][0])


def told_of(query: mes.Query, key: str, *rows: tuple[str, dict[str, Any]], code: str | None = None) -> Received:
    findings = [] if code is None else [{"code": code, "source": query.source.name, "evidence": {"name": query.name, "key": key}}]
    return Received(rows={(query.source.name, query.name, key): [Row(*row) for row in rows]}, findings=findings)


@pytest.mark.parametrize(
    ("rows", "code", "verdict"),
    [
        ([("new", {"product": "A"}), ("changed", {"product": "B"})], "source-row-changed", "passed"),
        ([("new", {"product": "A"}), ("changed", {"product": "B"})], None, "failed"),
        ([("new", {"product": "A"}), ("changed", {"product": "A"})], "source-row-changed", "failed"),
        ([("new", {"product": "A"}), ("new", {"product": "B"})], "source-row-changed", "failed"),
        ([], None, "failed"),
    ],
)
def test_an_edited_row_must_be_told_as_changed_with_its_finding(query: mes.Query, rows: Any, code: str | None, verdict: str) -> None:
    told = Told()
    mes.judge_edit(told, "edit", told_of(query, "7", *rows, code=code), query, "7", ("product", "B"))
    assert verdicts(told) == [verdict]


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [(["late"], "passed"), (["new"], "failed"), (["late", "late"], "failed"), (["late", "changed"], "failed"), ([], "failed")],
)
def test_a_late_row_must_be_told_as_late_once(query: mes.Query, rows: list[str], verdict: str) -> None:
    told = Told()
    mes.judge_late(told, "late", told_of(query, "7", *((change, {}) for change in rows)), query, "7")
    assert verdicts(told) == [verdict]


@pytest.mark.parametrize(
    ("rows", "code", "verdict"),
    [
        (["new", "deleted"], "source-row-deleted", "passed"),
        (["new", "deleted"], "source-row-changed", "failed"),
        (["new"], "source-row-deleted", "failed"),
        (["deleted", "new"], "source-row-deleted", "failed"),
    ],
)
def test_a_deleted_row_must_be_told_as_deleted(query: mes.Query, rows: list[str], code: str, verdict: str) -> None:
    told = Told()
    mes.judge_delete(told, "delete", told_of(query, "7", *((change, {}) for change in rows), code=code), query, "7")
    assert verdicts(told) == [verdict]


def test_the_odd_nights_of_a_zone_are_found_and_a_zone_without_has_none() -> None:
    from zoneinfo import ZoneInfo

    found = {name: f"{local:%m-%d %H:%M}" for name, local in mes.odd_nights(ZoneInfo("Europe/Paris"), 2025)}
    assert found == {"time-nonexistent": "03-30 02:30", "time-ambiguous": "10-26 02:30"}
    assert list(mes.odd_nights(ZoneInfo("Asia/Tokyo"), 2025)) == []


# ---- replaced results


SAMPLE = {"type": "sample", "sampling": "drying", "sample": "S-1", "batch": "B1", "revision": 1, "reason": "result"}
OLD = {"key": "S-1", "values": {"lod": "2.91"}}
NEW = {"key": "S-1", "values": {"lod": "5.5"}, "replaced": [{"values": {"lod": "2.91"}}], "replaced_count": 1}


@pytest.mark.parametrize(
    ("again", "batch_reason", "verdict"),
    [
        ({"reason": "result-replaced", "revision": 2, "results": [NEW]}, "result-replaced", ["passed", "passed", "passed"]),
        ({"reason": "result", "revision": 2, "results": [NEW]}, "result-replaced", ["failed", "passed", "passed"]),
        (
            {"reason": "result-replaced", "revision": 2, "results": [{**NEW, "replaced": []}]},
            "result-replaced",
            ["failed", "passed", "passed"],
        ),
        ({"reason": "result-replaced", "revision": 2, "results": [OLD]}, "result-replaced", ["failed", "passed", "passed"]),
        ({"reason": "result-replaced", "revision": 1, "results": [NEW]}, "result-replaced", ["passed", "failed", "passed"]),
        ({"reason": "result-replaced", "revision": 2, "results": [NEW]}, "late-data", ["passed", "passed", "failed"]),
        (None, "result-replaced", ["failed"]),
    ],
)
def test_a_replaced_result_must_keep_what_stood_before(again: Any, batch_reason: str, verdict: list[str]) -> None:
    told, sample = Told(), {**SAMPLE, "results": [OLD]}
    got = Received(batches={"x": {"batch": "B1", "transition": "end", "reason": batch_reason}})
    results.judge(told, got, (sample, None if again is None else {**SAMPLE, **again}), "lod", 5.5)
    assert verdicts(told) == verdict


@pytest.mark.parametrize(
    ("value", "result", "verdict"),
    [("5.50", "above", "passed"), ("5.50", "within", "failed"), ("2.91", "within", "failed"), (None, None, "failed")],
)
def test_what_rests_on_a_replaced_result_must_be_judged_anew(line: Line, value: str | None, result: str | None, verdict: str) -> None:
    told, row = Told(), parameter(line, "dry_lod")
    said = {"equipment": "dryer", "batch": "B1", "parameters": [{"parameter": "dry_lod", "value": value, "result": result}]}
    results.judge_parameter(Received(steps={"r": said}), told, {**SAMPLE, "results": [OLD]}, row, 5.5)
    assert verdicts(told) == [verdict]


def test_a_parameter_of_a_replaced_result_that_no_record_has_is_not_checked(line: Line) -> None:
    told = Told()
    results.judge_parameter(Received(), told, {**SAMPLE, "results": [OLD]}, parameter(line, "dry_lod"), 5.5)
    assert verdicts(told) == ["not checked"]


# ---- persons


def tried() -> list[persons.Tried]:
    return [
        persons.Tried("own", command, role, role in rule.roles, None if role in rule.roles else "role", "done")
        for command, rule in RULES.items()
        for role in ROLES
    ]


def test_a_role_that_may_what_the_table_does_not_say_fails_its_own_step_alone() -> None:
    told = Told()
    persons.judge(told, "own", tried())
    assert set(verdicts(told)) == {"passed"}
    spoiled = [one._replace(refused=None) if (one.command, one.role) == ("users-add", "viewer") else one for one in tried()]
    told = Told()
    persons.judge(told, "own", spoiled)
    assert [step.action.split()[4] for step in told.steps if step.verdict == "failed"] == ["viewer"]
    assert "users-add" in told.steps[0].actual


def test_a_role_that_is_refused_what_it_may_or_refused_for_another_reason_fails() -> None:
    for cause in ("role", "wrong-password"):
        told = Told()
        persons.judge(
            told, "own", [one._replace(refused=cause) if (one.command, one.role) == ("rotate-key", "admin") else one for one in tried()]
        )
        assert verdicts(told).count("failed") == 1
    told = Told()
    persons.judge(told, "own", [one._replace(refused="no-password") if not one.allowed else one for one in tried()])
    assert "failed" in verdicts(told), "refused, but not for the role"
    told = Told()
    persons.judge(told, "own", [])
    assert set(verdicts(told)) == {"not checked", "failed"}


@pytest.mark.parametrize(
    ("answer", "verdict"), [({"refused": "nobody-named"}, "passed"), ({"public": "x"}, "failed"), ({"refused": "role"}, "failed")]
)
def test_a_command_that_nobody_gave_must_be_refused_for_that(answer: dict[str, Any], verdict: str) -> None:
    told = Told()
    persons.judge_nobody(told, "own", {"new-epoch": {"refused": "nobody-named"}, "rotate-key": answer})
    assert verdicts(told) == [verdict]


def test_refusals_are_counted_with_those_that_one_entry_tells() -> None:
    audits: list[dict[str, Any]] = [{"action": "refused"}, {"action": "start"}, {"action": "refused-more", "what": {"count": 40}}]
    assert persons.recorded(audits) == 41


# ---- clock


def entries(*steps: tuple[float, str]) -> list[dict[str, Any]]:
    """Entries of a clock that goes an hour forward and back, twice; each has readings."""
    found, offset_s = [], 0.0
    shifts = {10: 3600.0, 20: -3600.0, 30: -3600.0, 40: 3600.0}
    for number in range(50):
        offset_s += shifts.get(number, 0.0)
        wrong = offset_s != 0.0 or number in shifts
        time = rfc3339(T0 + round((number + offset_s) * S))
        status = "unsynchronised" if wrong else "synchronised"
        found.append({"epoch": 1, "seq": number + 1, "time": time, "status": status, "readings": True, "step_s": shifts.get(number)})
    return found


def test_a_clock_that_was_set_passes_as_it_is_recorded_and_fails_where_it_is_hidden() -> None:
    told = Told()
    clock.judge(told, entries())
    assert verdicts(told) == ["passed"] * 4
    for spoil, failed in (
        (lambda all_: [one for one in all_ if one["seq"] != 25], 0),
        (lambda all_: [{**one, "time": rfc3339(T0 + one["seq"] * S)} for one in all_], 1),
        (lambda all_: [{**one, "status": "synchronised"} for one in all_], 2),
        (lambda all_: [{**one, "readings": one["seq"] <= 10} for one in all_], 3),
    ):
        told = Told()
        clock.judge(told, spoil(entries()))
        assert verdicts(told)[failed] == "failed", failed
    told = Told()
    clock.judge(told, [{**one, "step_s": None} for one in entries()])
    assert verdicts(told)[1:] == ["not checked"] * 3, "without the steps nothing says where to look"


def test_a_step_of_another_size_is_not_the_one_that_was_made() -> None:
    assert clock.near([{"kind": "step", "step_s": 3600.4}], "step", "step_s", 3600.0) is not None
    assert clock.near([{"kind": "step", "step_s": -3600.0}, {"kind": "synchronised"}], "step", "step_s", 3600.0) is None


@pytest.mark.parametrize(("sources", "verdict"), [(["dryer"], "passed"), ([], "failed"), (["other"], "failed")])
def test_a_frozen_gateway_must_leave_a_gap_of_each_polled_source(sources: list[str], verdict: str) -> None:
    told = Told()
    gaps = {(1, source): Gap(source, "all", T0, "not-asked") for source in sources}
    clock.judge_frozen(told, {"dryer"}, Received(gaps=gaps))
    assert verdicts(told) == [verdict]


# ---- disk


@pytest.mark.parametrize(
    ("stored", "alive", "reached", "verdict"),
    [
        (0, True, (1, 12), ["passed", "passed", "passed"]),
        (3, True, (1, 12), ["failed", "passed", "passed"]),
        (0, False, (1, 12), ["passed", "failed", "passed"]),
        (0, True, (1, 13), ["passed", "passed", "failed"]),
    ],
)
def test_a_full_disk_must_store_and_acknowledge_nothing(stored: int, alive: bool, reached: tuple[int, int], verdict: list[str]) -> None:
    told = Told()
    disk.judge_stood(told, disk.Stood((1, 10), (1, 12), (1, 10), reached, alive=alive), stored)
    assert verdicts(told) == verdict


def test_a_gateway_that_does_not_answer_proves_nothing_of_a_full_disk() -> None:
    told = Told()
    disk.judge_stood(told, disk.Stood((1, 10), (0, 0), (1, 10), (0, 0), alive=True), 0)
    assert verdicts(told)[0] == "not checked"


def test_entries_of_readings_are_counted_between_two_entries() -> None:
    entries = [{"epoch": 1, "seq": seq, **({"readings": []} if seq % 2 else {"event": {}})} for seq in range(1, 11)]
    assert disk.readings_between(entries, (1, 2), (1, 5)) == 2


def test_a_full_disk_must_be_told_with_its_end_and_its_gaps() -> None:
    gap = {"event": {"type": "gap", "transition": "open", "source": "plc", "cause": "held-back"}}
    for codes, gaps, verdict in (
        (["disk-full", "journal-has-room"], [gap], ["passed", "passed"]),
        (["disk-full"], [gap], ["failed", "passed"]),
        (["journal-has-room"], [gap], ["failed", "passed"]),
        (["disk-full", "journal-has-room"], [], ["passed", "failed"]),
        (["disk-full", "journal-has-room"], [{"event": {**gap["event"], "cause": "gateway-stopped"}}], ["passed", "failed"]),
    ):
        told = Told()
        disk.judge(told, [{"code": code} for code in codes], gaps)
        assert verdicts(told) == verdict


# ---- receivers


def test_an_ebr_that_tricks_must_get_everything_in_the_end_and_be_told_of() -> None:
    silent, loud = receiver.Trick("lose", {}), receiver.Trick("lie", {}, "uplink-receipt-digest-mismatch")
    for trick, heard, came, reached, verdict in (
        (silent, True, True, ((1, 10), (1, 11)), "passed"),
        (silent, True, False, ((1, 10), (1, 9)), "failed"),
        (silent, True, True, ((1, 10), (1, 9)), "failed"),
        (silent, True, True, ((0, 0), (0, 0)), "failed"),
        (loud, True, True, ((1, 10), (1, 10)), "passed"),
        (loud, False, True, ((1, 10), (1, 10)), "failed"),
    ):
        told = Told()
        receiver.judge_trick(told, trick, heard=heard, came=came, reached=reached)
        assert verdicts(told) == [verdict]


@pytest.mark.parametrize(
    ("waiting", "went_on", "told_it", "verdict"),
    [
        ([7], True, True, "passed"),
        ([], True, True, "failed"),
        ([7, 8], True, True, "failed"),
        ([7], False, True, "failed"),
        ([7], True, False, "failed"),
    ],
)
def test_a_poisoned_entry_must_wait_alone(waiting: list[int], went_on: bool, told_it: bool, verdict: str) -> None:
    told = Told()
    receiver.judge_poisoned(told, "refuse", 7, waiting, went_on=went_on, told_it=told_it)
    assert verdicts(told) == [verdict]


@pytest.mark.urs("URS-UPL-07")
@pytest.mark.parametrize(
    ("waiting", "held", "stored_on", "stood", "told_it", "verdict"),
    [
        ([], True, True, True, True, "passed"),
        ([7], True, True, True, True, "failed"),
        ([], False, True, True, True, "failed"),
        ([], True, False, True, True, "failed"),
        ([], True, True, False, True, "failed"),
        ([], True, True, True, False, "failed"),
    ],
)
def test_an_uplink_whose_version_is_not_accepted_must_hold_as_a_whole(
    waiting: list[int], held: bool, stored_on: bool, stood: bool, told_it: bool, verdict: str
) -> None:
    told = Told()
    receiver.judge_held(told, waiting, held=held, stored_on=stored_on, stood=stood, told_it=told_it)
    assert verdicts(told) == [verdict]


NOW = {
    "journal": {"epoch": 1, "seq": 20},
    "uplinks": [{"state": "forwarding", "entries": 0, "receipts": 3, "rejected": 0, "receipts_refused": 0}],
}


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, ["passed", "passed", "passed"]),
        ({"state": "refused"}, ["failed", "passed", "passed"]),
        ({"entries": 9}, ["passed", "failed", "passed"]),
        ({"rejected": 1}, ["passed", "passed", "failed"]),
        ({"receipts_refused": 1}, ["passed", "passed", "failed"]),
        ({"receipts": 0}, ["passed", "failed", "not checked"]),
    ],
)
def test_the_sites_ebr_must_have_proved_that_it_holds_every_entry(change: dict[str, Any], verdict: list[str]) -> None:
    told, now = Told(), {**NOW, "uplinks": [{**NOW["uplinks"][0], **change}]}  # type: ignore[index]
    site_ebr.judge(told, now, (1, 18), "https://user@test.example/x")
    assert verdicts(told) == verdict
    assert "user" not in told.steps[0].action
    told = Told()
    site_ebr.judge(told, None, (1, 18), "https://test.example/x")
    assert "passed" not in verdicts(told)


# ---- devices


def got(line: Line, status: int, value: Any, code: str | None = None) -> tuple[Received, Any]:
    tag = line.tags_of("granulator-plc")[0]
    reading = Got(value, status, "change", T0, None, T0, 1, 1)
    findings = [] if code is None else [{"code": code}]
    return Received(readings={"granulator-plc": {tag.tag: [reading]}}, findings=findings), tag


def test_what_is_wrong_must_be_marked_and_hold_no_value(line: Line) -> None:
    assert devices.bad(*got(line, 0x8000_0000, None))
    assert not devices.bad(*got(line, 0x8000_0000, 4.5)), "a value beside Bad"
    assert not devices.bad(*got(line, 0, 4.5))
    assert devices.uncertain(*got(line, 0x4000_0000, 99, "code-unlisted"))
    assert not devices.uncertain(*got(line, 0x4000_0000, 99))
    assert not devices.uncertain(*got(line, 0, 99, "code-unlisted"))
    assert not devices.gone(*got(line, 0, 4.5))
    received, tag = got(line, 0, 4.5)
    received.gaps[1, "g"] = Gap(tag.source, frozenset({tag.tag}), T0, "node-unusable")
    assert devices.gone(received, tag)
    assert devices.later(*got(line, 0x8000_0000, None), 1).readings[tag.source][tag.tag] == [], "what was there before proves nothing"


@pytest.mark.parametrize(
    ("ends", "verdict"), [([T0 + S, T0 + S], "passed"), ([T0 + S], "failed"), ([T0 + S, None], "failed"), ([], "failed")]
)
def test_a_link_that_was_away_twice_must_leave_two_gaps_that_ended(ends: list[int | None], verdict: str) -> None:
    told = Told()
    gaps = {(1, str(number)): replace(Gap("plc", "all", T0, "link-lost"), end=end) for number, end in enumerate(ends)}
    devices.judge_gaps(told, Received(gaps=gaps), ["plc"])
    assert verdicts(told) == [verdict]


def test_a_line_without_a_mes_or_a_laboratory_is_no_lack() -> None:
    assert (
        mes.Query(Source(name="m", driver="mes_sql", endpoint="x"), {"name": "q", "key": ["a", "b"], "watermark": {}}).key(
            {"a": 1, "b": "x/y"}
        )
        == "1/x%2Fy"
    )
