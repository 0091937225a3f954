"""What the page and the command say of states no test can wait for: refused signatures, contradictions, overdue copies, a full disk."""

from typing import Any

import pytest
from kit.rendered import rendered
from kit.snapshots import finding, snapshot, source, uplink

from gateway.operation import wording
from gateway.operation.ages import age_s
from gateway.operation.status import problems


def facts(now: dict[str, Any]) -> dict[str, wording.StatusLine]:
    return {fact.label: fact for fact in (*wording.journal(now), *wording.evidence(now))}


def test_a_line_in_order_says_so_in_few_words() -> None:
    now = snapshot()
    said = {label: f"{fact.state} {fact.text}".strip() for label, fact in facts(now).items()}
    assert problems(now) == []
    assert said["Space used"] == "1.0% of 4.00 GB (max_bytes): 41.2 MB; alarms at 70% and 85%"
    assert said["Full in"] == "about 30 d, at the rate since this start 24 h ago, if nothing may go"
    assert said["Must stay"] == "of 120 closed segments: 3 for 2 holds (B1, B2), 2 for an open batch, 0 not confirmed yet"
    assert said["Newest checkpoint"] == "over 12,345 entries, signed 100 s ago (in turn), 655 entries since"
    assert said["Receiver ebr"] == "has confirmed the one over 12,000 entries, signed 12 min ago"
    assert said["Witness qa"] == "has the one over 12,345 entries, signed 100 s ago"
    assert said["Closed segments"] == "read again 60 min ago: all 120 were as they had been closed; next within a day"
    assert said["Backup"] == "the newest verified one is 3 h old, one is due every 24 h"


@pytest.mark.parametrize(
    ("room", "given", "label", "state", "text", "problem"),
    [
        ("evidence", {"refused": "two trees"}, "Newest checkpoint", "none is signed any more:", "two trees; the newest: over", "two trees"),
        ("backup", {"age_h": 60.0, "overdue": True}, "Backup", "overdue:", "is 2 d old, one is due every 24 h", "the newest is 60.0 h old"),
        ("backup", {"age_h": None, "failing": "no room"}, "Backup", "fails:", "no room; there is none yet", "no room; there is none yet"),
        ("backup", {"age_h": None, "making": True}, "Backup", "", "the first is being made; one is due every 24 h", None),
        (
            "journal",
            {"used": 0.72, "alarm": 0.7},
            "Space used",
            "72.0%",
            "above the alarm at 70%",
            "above the alarm at 70%; full in about 30 d",
        ),
        (
            "journal",
            {"bounded_by": "disk", "bound_bytes": 2 * 10**9},
            "Space used",
            "1.0%",
            "all that the disk has for it; max_bytes is",
            None,
        ),
        ("journal", {"hindered": "a reader"}, "Other programs", "in the way:", "a reader", "journal: a reader"),
        ("journal", {"waiting_s": 12.0}, "Back-pressure", "slow:", "waiting for 12 s to be on disk", None),
        ("journal", {"days_to_full": None}, "Full in", "", "nothing has grown since this start", None),
        ("journal", {"days_to_full": 5_000.0}, "Full in", "", "more than 10 years", None),
    ],
)
def test_each_bad_state_is_told_in_its_line_and_as_a_problem(
    room: str, given: dict[str, Any], label: str, state: str, text: str, problem: str | None
) -> None:
    now = snapshot()
    now[room].update(given)
    fact = facts(now)[label]
    assert (fact.state, text in fact.text) == (state, True), fact
    assert [problem is not None and problem in one for one in problems(now)] == ([True] if problem else [])


@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize(
    ("late", "shown", "problem"),
    [
        ({"count": 0, "longest_s": 0.0, "last_s": 0.0, "ended": None, "ago_s": None}, "0", None),
        ({"count": 12, "longest_s": 30.2, "last_s": 0.7, "ended": "2026-11-22T06:59:00Z", "ago_s": 60.0}, "12 (longest 30.2 s)", None),
        ({"count": 1, "longest_s": 30.2, "last_s": 30.2, "ended": "2026-11-22T06:40:00Z", "ago_s": 1200.0}, "1 (longest 30.2 s)", None),
        (
            {"count": 2, "longest_s": 30.2, "last_s": 30.2, "ended": "2026-11-22T06:59:00Z", "ago_s": 60.0},
            "2 (longest 30.2 s)",
            "source plc: not asked for 30.2 s until 06:59:00 UTC (2 times since the start)",
        ),
    ],
)
def test_polls_that_came_late_are_counted_and_a_standstill_needs_attention_for_a_while(
    late: dict[str, Any], shown: str, problem: str | None
) -> None:
    now = snapshot()
    now["sources"] = [source("plc", "modbus", late=late)]
    assert [one.startswith(str(problem)) for one in problems(now)] == ([True] if problem else [])
    assert shown in rendered(now, "/")


def test_what_a_source_has_and_is_not_read_needs_attention_by_name() -> None:
    now = snapshot()
    now["sources"] = [source("lims", detail="/srv/drop", unread="<REPORT>.CSV (no pattern takes it)")]
    assert problems(now) == ["source lims: not read: <REPORT>.CSV (no pattern takes it)"]
    assert "not read: &lt;REPORT&gt;.CSV" in rendered(now, "/")


def test_a_witness_that_contradicts_is_the_gravest_there_is() -> None:
    now = snapshot()
    now["evidence"]["witnesses"][0].update({"contradicts": "<another tree>", "waiting": 2})
    fact = facts(now)["Witness qa"]
    assert (fact.state, fact.text.startswith("<another tree>; has the one over"), fact.text.endswith("2 wait")) == (
        "contradicts the journal:",
        True,
        True,
    )
    assert problems(now) == ["witness qa: contradicts the journal (<another tree>)"]


def test_what_is_not_known_is_not_made_up() -> None:
    now = snapshot()
    now["uptime_s"] = 20.0
    now["evidence"].update({"last": {"epoch": 16, "size": 5, "root": "00", "cause": "earlier-run"}, "age_s": None})
    now["evidence"]["accepted"][0].update({"size": None, "age_s": None})
    now["journal"]["patrol"] = {"last": {"begun": now["time"], "ended": None, "segments": 120, "whole": 40}, "complete": None}
    said = facts(now)
    assert said["Full in"].text == "not told before 10 min have been measured"
    told_of = "over 5 entries, signed at a time that the clock does not tell (before this start) of an earlier epoch"
    assert said["Newest checkpoint"].text == told_of
    assert said["Receiver ebr"].text == "has confirmed none of this run yet"
    assert said["Closed segments"].text == "being read again, begun 0 s ago: 40 of 120 read, all as they were closed"


@pytest.mark.urs("URS-TIME-07")
def test_what_bears_a_time_to_come_has_no_age() -> None:
    now = snapshot()
    now["time"] = "2026-11-22T05:30:00.000000Z"
    said = facts(now)["Closed segments"].text
    assert said.startswith("read again at a time that the clock does not tell (it was set back since): all 120 were")
    assert age_s(None, 10**16) is None
    assert age_s(10**16 + 1, 10**16) is None
    assert age_s(10**16 - 25_000_000, 10**16) == 2.5


def test_what_a_batch_lacks_is_named_and_what_it_never_called_for_has_its_reason() -> None:
    step = {"equipment": "mixer", "step": "HOLD", "run": 2, "parameter": "torque_max", "status": "missing"}
    booking = {"equipment": "mixer", "step": None, "run": None, "parameter": None, "material": "starch", "status": "missing"}
    ended = {"missing": 12, "missing_items": [step, booking], "not_applicable": 3, "not_applicable_because": {"of another recipe": 3}}
    assert wording.missing(ended) == ["mixer HOLD/2 torque_max: missing", "mixer booking of starch: missing", "and 10 more"]
    assert wording.not_applicable(ended) == "3: of another recipe"
    assert wording.not_applicable({**ended, "not_applicable_because": {"a": 1, "b": 2}}) == "3: 1 a, 2 b"


@pytest.mark.bar("S09")
def test_what_comes_from_outside_is_escaped_on_the_page() -> None:
    now = snapshot()
    evil = "<script>alert(1)</script>"
    now["evidence"]["witnesses"][0]["away"] = now["backup"]["failing"] = now["journal"]["hindered"] = evil
    now["journal"]["kept"]["held"] = [evil]
    item = {"equipment": evil, "step": evil, "run": 1, "parameter": evil, "status": "missing"}
    batch = {"batch": evil, "status": evil, "revision": 1, "required": 1, "present": 0, "missing": 1, "missing_items": [item]}
    told: dict[str, Any] = dict.fromkeys(("source", "text", "local", "response", "code", "last"), evil)
    told |= {"severity": "alarm", "count": 2, "not_said_since_start": None, "attention": True, "is_standing": True}
    told |= dict.fromkeys(("cause", "whom", "priority", "subject"), evil)
    told |= {"id": evil, "cleared": None, "shelved": None, "acknowledged": {"user": evil, "name": None}}
    now["findings"]["standing"] = [told]
    now["batches_ended"] = [{**batch, "ended": now["time"], "not_applicable": 1, "not_applicable_because": {evil: 1}}]
    made = rendered(now, "/", "/journal")
    assert "<script" not in made
    assert made.count("&lt;script&gt;") >= 9


@pytest.mark.urs("URS-OBS-03")
def test_what_stood_before_the_start_is_not_told_as_if_it_stood() -> None:
    """Nobody has said it since: the query that failed may be mended, or be in the map no more."""
    now = snapshot()
    now["findings"]["standing"] = [finding("query-failed", "query b can not be read", "mes", not_said_since_start=f"{now['time']}")]
    (problem,) = problems(now)
    assert problem.endswith(" 07:00, stood before the start)")


def test_an_answer_that_proves_nothing_is_a_problem_on_the_page() -> None:
    now = snapshot()
    now["uplinks"] = [uplink()]
    assert problems(now) == []
    why = "receipt refused: receipt for 3 has digest <abc>"
    now["uplinks"] = [uplink(receipts_refused=2, refusal=why, refused_at="2026-11-22T06:59:00.000000Z", refused_lately=True)]
    (problem,) = problems(now)
    assert problem == f"uplink ebr: 2 answers refused since the start, the last at 06:59:00 UTC ({why})"
    assert "digest &lt;abc&gt;" in rendered(now, "/")


def test_two_histories_are_red() -> None:
    now = snapshot()
    now["uplinks"] = [uplink(state="two-histories", detail="two histories: another entry 27")]
    assert problems(now) == ["uplink ebr: two-histories (two histories: another entry 27)"]
    assert '<section class="state bad"' in rendered(now, "/")


@pytest.mark.urs("URS-OBS-03")
def test_what_the_snapshot_shows_as_it_is_now_is_not_said_twice_and_what_it_does_not_show_is_said() -> None:
    now = snapshot()
    now["findings"]["standing"] = [
        finding("file-refused", "a.csv: refused, nothing of it was read: empty", "lims"),
        finding("uplink-certificate", "uplink ebr: client.pem: not valid now", subject="ebr"),
        finding("part-failed", "page: in use", subject="page"),
    ]
    now["sources"] = [source(unread="a.csv (refused: empty)")]
    now["uplinks"] = [uplink(state="refused", detail="certificate has expired")]
    now["broken"] = {"page": "in use"}
    assert problems(now) == [
        "source lims: not read: a.csv (refused: empty)",
        "uplink ebr: refused (certificate has expired)",
        "page: in use",
    ]
    now["sources"], now["uplinks"], now["broken"] = [source()], [uplink()], {}
    since = "(since 2026-11-22 07:00)"
    assert problems(now) == [
        f"alarm file-refused: lims: a.csv: refused, nothing of it was read: empty {since}",
        f"alarm uplink-certificate: uplink ebr: client.pem: not valid now {since}",
        f"alarm part-failed: page: in use {since}",
    ], "the file is gone, the receiver takes the certificate all the same: nobody else says it"


@pytest.mark.urs("URS-CFG-01", "URS-CFG-02")
def test_the_page_says_which_version_runs_and_who_approved_it() -> None:
    now = snapshot()
    assert wording.configuration(now) == "configuration 4, approved by Jeanne Durand (jdurand, qa), 2026-11-22"
    now["configuration"]["approved_by"] = None
    assert wording.configuration(now) == "configuration 4, approved by nobody"
    now["configuration"].update(state=None)
    assert wording.configuration(now) == "configuration 4"


@pytest.mark.parametrize(
    ("readings", "rows", "told"), [(8_123, 0, "8,123"), (0, 1, "1 row"), (0, 1_035, "1,035 rows"), (70, 2, "70 + 2 rows"), (0, 0, "0")]
)
def test_what_a_source_has_given_counts_its_rows(readings: int, rows: int, told: str) -> None:
    assert wording.taken({"readings": readings, "rows": rows, "unmapped": {"count": 0}}) == told


@pytest.mark.urs("URS-MAP-04")
def test_what_no_part_of_the_map_uses_stands_beside_the_rows() -> None:
    assert wording.taken({"readings": 0, "rows": 12, "unmapped": {"count": 3}}) == "12 rows, 3 of no use in the map"
    assert wording.taken({"readings": 70, "rows": 0, "unmapped": {"count": 1_200}}) == "70, 1,200 of no use in the map"
