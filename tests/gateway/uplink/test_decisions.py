"""What an uplink decides without any I/O: receipts, outcomes, topics, statuses."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import Uplink
from gateway.uplink import Refused, Unreachable, base
from gateway.uplink.http_status import outcome, retry_after_s
from gateway.uplink.receipt import Receipt, parse
from gateway.uplink.records import Record, Reply, answered
from gateway.uplink.topics import level

GOOD = {"gateway": "a/b", "epoch": 7, "through": 3, "digest": "ab" * 32, "rejected": []}


# -- receipts


def test_a_receipt_is_read_as_it_stands() -> None:
    rejected = [{"seq": 2, "code": "unknown-parameter", "retry": "after-change", "reason": "who is that"}]
    receipt = parse(json.dumps({**GOOD, "rejected": rejected, "more": 1}).encode())
    assert receipt == Receipt("a/b", 7, 3, "ab" * 32, (receipt.rejected[0],))
    assert tuple(receipt.rejected[0]) == (2, "unknown-parameter", "after-change", "who is that")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"<html>Please log in</html>",
        b"[]",
        b"null",
        b'{"through":3}',
        json.dumps({**GOOD, "through": -1}).encode(),
        json.dumps({**GOOD, "through": True}).encode(),
        json.dumps({**GOOD, "through": 3.0}).encode(),
        json.dumps({**GOOD, "through": 2**63}).encode(),
        json.dumps({**GOOD, "through": 0}).encode(),
        json.dumps({**GOOD, "digest": "AB" * 32}).encode(),
        json.dumps({**GOOD, "digest": "ab" * 31}).encode(),
        json.dumps({**GOOD, "epoch": "7"}).encode(),
        json.dumps({**GOOD, "gateway": None}).encode(),
        json.dumps({**GOOD, "rejected": [{"seq": 4, "code": "x"}]}).encode(),
        json.dumps({**GOOD, "rejected": [{"seq": 0, "code": "x"}]}).encode(),
        json.dumps({**GOOD, "rejected": [{"seq": 1}]}).encode(),
        json.dumps({**GOOD, "rejected": [{"seq": 1, "code": "x\n"}]}).encode(),
        json.dumps({**GOOD, "rejected": [{"seq": 1, "code": "x", "retry": "perhaps"}]}).encode(),
        json.dumps({**GOOD, "rejected": [{"seq": 1, "code": "x"}] * 1_001}).encode(),
        json.dumps({**GOOD, "rejected": {}}).encode(),
        b"[" * 100_000,
        b"\xff\xfe",
        b" " * 2_000_000,
    ],
)
def test_what_is_no_receipt_is_told_apart(payload: bytes) -> None:
    with pytest.raises(ValueError):
        parse(payload)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s))


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_make_the_parser_raise_anything_else(payload: bytes) -> None:
    with pytest.raises(ValueError):
        parse(payload)


# -- HTTP outcomes


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 404])
def test_what_time_may_cure_is_unreachable(status: int) -> None:
    with pytest.raises(Unreachable) as raised:
        outcome(status, "7")
    assert raised.value.retry_after_s == 7


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (301, "address"),
        (307, "address"),
        (401, "credentials"),
        (403, "credentials"),
        (407, "address"),
        (409, "conflict"),
        (418, "protocol"),
    ],
)
def test_what_a_person_must_decide_is_refused(status: int, code: str) -> None:
    with pytest.raises(Refused) as raised:
        outcome(status)
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("status", "what"), [(200, "answer"), (201, "answer"), (400, "single"), (422, "single"), (413, "smaller"), (415, "plain")]
)
def test_what_goes_on(status: int, what: str) -> None:
    assert outcome(status) == what


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("0.5", 0.5),
        ("Sun, 22 Nov 2026 07:01:00 GMT", 60.0),
        ("999999", 900.0),
        ("-1", None),
        ("0", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("Sun, 22 Nov 2020 07:01:00 GMT", None),
    ],
)
def test_retry_after_is_a_number_or_a_date_and_never_absurd(text: str | None, seconds: float | None) -> None:
    assert retry_after_s(text, datetime(2026, 11, 22, 7, 0, tzinfo=UTC)) == seconds


# -- topics


@pytest.mark.bar("S07")
@pytest.mark.urs("URS-SEC-09")
@given(st.text())
def test_no_name_becomes_a_wildcard_a_separator_or_another_topic(name: str) -> None:
    try:
        text = level(name)
    except UnicodeEncodeError:
        assert any(0xD800 <= ord(char) <= 0xDFFF for char in name)
        return
    assert text.isascii()
    assert text
    assert not set(text) & set("+#/\0$")


@pytest.mark.bar("S07")
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_two_names_never_share_a_topic_level(one: str, other: str) -> None:
    assert (level(one) == level(other)) == (one == other)


def uplink(topic: str | None) -> Uplink:
    return Uplink(name="ebr", kind="mqtt", endpoint="mqtt://127.0.0.1", topic=topic)


def test_the_default_topic_is_site_and_line() -> None:
    assert base(uplink(None), "lyon/granulation-2") == "ebr/lyon/granulation-2"


@pytest.mark.bar("S07")
@pytest.mark.parametrize("topic", ["", "/a", "a/", "a/+/b", "a/#", "$SYS/a", "a\0b", "a\nb", "a" * 513])
def test_a_topic_that_can_not_be_published_to_is_refused(topic: str) -> None:
    with pytest.raises(ValueError):
        base(uplink(topic), "a/b")


# -- answers for single records


RECORD = Record("a/b/B1#1", "step", "mixer", None, b"{}")


@pytest.mark.parametrize("status", [200, 201, 203, 204, 205, 226, 299])
def test_what_is_done_is_stored(status: int) -> None:
    reply = answered(status, b"", "", RECORD)
    assert reply is not None
    assert reply.outcome == "stored"


@pytest.mark.urs("URS-UPL-03")
@pytest.mark.parametrize(
    "told",
    [
        b'{"outcome":"rejected"}',
        b'{"id":"another#1","outcome":"rejected","code":"limits"}',
        b'{"id":"another#1","outcome":"stored"}',
        b'{"id":"%s","outcome":"queued"}' % RECORD.id.encode(),
        b'{"id":"%s","outcome":null}' % RECORD.id.encode(),
    ],
)
def test_an_outcome_that_is_not_stored_is_not_made_one_by_the_status(told: bytes) -> None:
    with pytest.raises(Unreachable, match="outcome"):
        answered(200, told, "application/json", RECORD)


@pytest.mark.parametrize("told", [b"", b"ok", b'{"id": 4711}', b"[]", b'{"status":"created"}'])
def test_a_body_that_speaks_of_no_outcome_leaves_it_to_the_status(told: bytes) -> None:
    assert answered(201, told, "application/json", RECORD) == Reply("stored")


@pytest.mark.parametrize("status", [202, 206, 207])
def test_accepted_is_not_stored(status: int) -> None:
    with pytest.raises(Unreachable, match="does not say that it is stored"):
        answered(status, b"", "", RECORD)
