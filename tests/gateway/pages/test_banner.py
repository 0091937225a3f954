"""The banner: what is wrong, whether data are safe, what to do; red, amber or green, and never green while something is wrong."""

from collections.abc import Callable
from typing import Any

import pytest
from kit.line_states import STATES, good, lose
from kit.rendered import rendered
from kit.snapshots import finding, item, snapshot, source, unit, uplink

from gateway.operation.status import problems
from gateway.pages.banner import banner

Break = Callable[[dict[str, Any]], object]


@pytest.mark.urs("URS-OBS-02")
@pytest.mark.parametrize("name", STATES)
def test_each_state_answers_what_is_wrong_whether_data_are_safe_and_what_to_do(name: str) -> None:
    kind, made = STATES[name]
    now = made()
    told = banner(now)
    assert told.kind == kind
    for one in told.concerns:
        assert len(one.what) > 10
        assert len(one.data) > 10
        assert len(one.do) > 10
        assert one.call
        for text in (one.what, one.data, one.do):
            assert not text.endswith("."), "the page ends each sentence"
    assert [bool(told.concerns), told.title == "in order"] == [kind != "good", kind == "good"]


@pytest.mark.urs("URS-OBS-02", "URS-OBS-03")
@pytest.mark.parametrize("name", STATES)
def test_what_status_says_is_on_the_page_as_it_is_said(name: str) -> None:
    now = STATES[name][1]()
    page = rendered(now, "/").replace("&#39;", "'")
    for problem in problems(now):
        assert f"<li>{problem}</li>" in page


def in_journal(**told: Any) -> Break:
    return lambda now: now["journal"].update(told)


def in_evidence(**told: Any) -> Break:
    return lambda now: now["evidence"].update(told)


def witness(**told: Any) -> Break:
    return lambda now: now["evidence"]["witnesses"][0].update(told)


LATE = {"count": 2, "longest_s": 30.2, "last_s": 30.2, "ended": "2026-11-22T06:59:00Z", "ago_s": 60.0}


@pytest.mark.urs("URS-OBS-02")
@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        (lambda now: lose(now, "granulator-plc"), "bad"),
        (lambda now: now["sources"][0].update(state="misconfigured", detail="credential plc is not there"), "bad"),
        (lambda now: now["sources"][0].update(state="lost", detail="crashed: KeyError"), "bad"),
        (lambda now: now["sources"][0].update(state="starting", for_s=2.0), "warn"),
        (lambda now: now["sources"][0].update(state="starting", for_s=200.0), "bad"),
        (lambda now: now["sources"][0].update(tags_hidden=3, open_gaps=1), "bad"),
        (lambda now: lose(now, "mes"), "warn"),
        (lambda now: lose(now, "lims"), "warn"),
        (lambda now: now["sources"].append(source("own", "a_driver_of_the_plant", state="lost", detail="gone")), "bad"),
        (lambda now: now["sources"][1].update(late=LATE), "warn"),
        (lambda now: now["sources"][3].update(unread="x.csv (no pattern takes it)"), "warn"),
        (in_journal(pressure="full", pressure_cause="journal-full"), "bad"),
        (in_journal(alarm=0.7, used=0.71), "warn"),
        (in_journal(alarm=0.85, used=0.9, days_to_full=None), "warn"),
        (in_journal(hindered="a reader"), "warn"),
        *((lambda now, state=state: now["uplinks"][0].update(state=state, detail="x"), "warn") for state in ("unreachable", "stalled")),
        *((lambda now, state=state: now["uplinks"][0].update(state=state, detail="x"), "warn") for state in ("refused", "crashed")),
        *((lambda now, state=state: now["uplinks"][0].update(state=state, detail="x"), "warn") for state in ("connecting", "stopped")),
        (lambda now: now["uplinks"][0].update(state="two-histories"), "bad"),
        (lambda now: now["uplinks"][0].update(rejected=3), "warn"),
        (lambda now: now.update(uplinks=[uplink(receipts_refused=1, refused_lately=True, refused_at=now["time"], refusal="x")]), "warn"),
        (lambda now: now["uplinks_gone"].append("old"), "warn"),
        (in_evidence(refused="a gap"), "bad"),
        (witness(away="/qa: No such file"), "warn"),
        (witness(contradicts="another tree"), "bad"),
        (lambda now: now["backup"].update(overdue=True), "warn"),
        (lambda now: now["backup"].update(failing="no room", age_h=None), "warn"),
        (lambda now: now["broken"].update(push="in use"), "warn"),
        (lambda now: now["clock"].update(status="holdover"), "warn"),
        (lambda now: now["findings"]["standing"].append(finding("not-subscribed", "no room for 3 items", "granulator-plc")), "warn"),
        (lambda now: now["findings"]["cleared"].append(finding("a-code-to-come", "?", whom="somebody", cleared=now["time"])), "warn"),
        (lambda now: now["findings"].update(unacknowledged=2), "warn"),
    ],
)
def test_whatever_is_wrong_is_told_once_in_plain_words_and_by_status(broken: Break, kind: str) -> None:
    now = good()
    broken(now)
    told = banner(now)
    assert told.kind == kind
    assert len(told.concerns) == len(problems(now)) == 1
    rendered(now)


@pytest.mark.urs("URS-OBS-02")
@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        (lambda now: now["equipment"].update(granulator=unit("B1", gaps=1)), "warn"),
        (lambda now: now["equipment"].update(granulator=unit("B1", gaps=1, missing=1, missing_items=[item("mix_mean")])), "bad"),
        (
            lambda now: now["findings"]["recent"].append(finding("batch-incomplete", "batch B0 ...", severity="warning", attention=False)),
            "warn",
        ),
    ],
)
def test_a_batch_that_lacks_something_is_told_though_the_gateway_is_in_order(broken: Break, kind: str) -> None:
    now = good()
    broken(now)
    assert problems(now) == []
    assert banner(now).kind == kind


def test_the_gravest_comes_first_and_nothing_is_left_out() -> None:
    now = good()
    now["clock"]["status"] = "unsynchronised"
    now["uplinks"] = [uplink(state="unreachable", detail="x")]
    lose(now, "dryer-plc")
    told = banner(now)
    assert told.headline == "Not recorded: dryer-plc; it does not answer"
    assert [one.kind for one in told.concerns] == ["bad", "warn", "warn"]
    page = rendered(now, "/")
    assert all(one.what in page and one.do.partition("'")[0] in page for one in told.concerns)


@pytest.mark.urs("URS-OBS-02")
def test_tags_that_are_not_observed_say_since_when_and_what_was_found_since_then() -> None:
    now = good()
    now["sources"][0].update(tags_hidden=1, open_gaps=1, hidden_since="2026-11-22T06:30:00.000000Z")
    name = now["sources"][0]["name"]
    found = finding("not-subscribed", "an older one", name, severity="warning", attention=False, last="2026-11-22T06:29:59.000000Z")
    now["findings"]["recent"] = [found]
    (told,) = banner(now).concerns
    assert (told.when, told.detail) == ("since 07:30:00", "")
    assert "Alarms and findings" in told.do
    now["findings"]["recent"].append({**found, "text": "the line can not be read", "last": "2026-11-22T06:30:00.500000Z"})
    (told,) = banner(now).concerns
    assert told.detail == "the line can not be read"
    assert told.do.startswith("See the reason")


def test_a_line_that_reads_nothing_yet_claims_nothing() -> None:
    told = banner(snapshot())
    assert (told.kind, told.headline) == ("good", "In order: nothing is to be read")
    assert told.notes == ["There is room for about 30 d (3.96 GB)"]


def test_a_rate_that_means_nothing_yet_is_no_time_and_a_shelved_alarm_is_counted() -> None:
    now = good()
    now["uptime_s"] = 60.0
    now["findings"]["standing"] = [
        finding("not-subscribed", "x", "mes", shelved={"until": "", "local": "", "user": "eb", "name": None}, attention=False)
    ]
    told = banner(now)
    assert told.kind == "good"
    assert told.notes == ["ebr has confirmed everything", "There is room for 3.96 GB more", "1 alarm shelved"]
