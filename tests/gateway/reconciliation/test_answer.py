"""What is an answer to a question, and what is none: nothing of a bad one is used."""

from typing import Any

import orjson
import pytest

from gateway.reconciliation.answer import MOST_SPANS, NotAnswered, Question, parse_spans, parse_streams

ROOT = "ab" * 32
ASKED = Question(7, 4_000, 8_200, 4_096)
GOOD: dict[str, Any] = {
    "gateway": "lyon/g",
    "epoch": 7,
    "from": 4_000,
    "to": 8_200,
    "width": 4_096,
    "spans": [[97, ROOT], [4_096, ROOT], [8, ROOT]],
    "rejected": [{"seq": 4_001, "code": "unknown-batch"}],
    "absent": [{"first": 4_010, "last": 4_020, "why": "pruned"}],
}


def test_an_answer_is_cut_at_multiples_of_the_width() -> None:
    answer = parse_spans(orjson.dumps(GOOD), "lyon/g", ASKED)
    assert [(one.first, one.last, one.entries) for one in answer.spans] == [(4_000, 4_096, 97), (4_097, 8_192, 4_096), (8_193, 8_200, 8)]
    assert (answer.rejected, answer.all_rejected) == ({4_001: "unknown-batch"}, True)
    assert (answer.why_absent(4_010, 4_011), answer.why_absent(4_009, 4_011)) == ("pruned", None)


@pytest.mark.urs("URS-UPL-05")
@pytest.mark.parametrize(
    ("member", "value"),
    [
        *[("gateway", "lyon/h"), ("epoch", 8), ("from", 1), ("to", 8_201), ("width", 64), ("epoch", "7"), ("from", True)],
        *[("spans", []), ("spans", GOOD["spans"][:2]), ("spans", [[97, ROOT]] * 4), ("spans", "x"), ("spans", [[97, ROOT], 5, [8, ROOT]])],
        *[("spans", [[-1, ROOT]] * 3), ("spans", [[True, ROOT]] * 3), ("spans", [[1.5, ROOT]] * 3), ("spans", [[1 << 60, ROOT]] * 3)],
        *[("spans", [[1, ROOT[:-1]]] * 3), ("spans", [[1, ROOT.upper()]] * 3), ("spans", [[1, None]] * 3)],
        *[("rejected", {}), ("rejected", [{"seq": 1}]), ("rejected", [{"seq": "1", "code": "x"}]), ("rejected", [1] * 1_001)],
        *[("absent", [{"first": 1, "last": 2, "why": "lost"}]), ("absent", [[1, 2]]), ("absent", None)],
    ],
)
def test_what_is_no_answer_is_none_as_a_whole(member: str, value: object) -> None:
    with pytest.raises(NotAnswered):
        parse_spans(orjson.dumps({**GOOD, member: value}), "lyon/g", ASKED)


@pytest.mark.parametrize(
    "payload", [b"", b"<html>", b"[]", b'"x"', b"{}", b'{"gateway": "lyon/g"}', b'{"gateway": "lyon/g", "streams": {}}']
)
def test_streams_that_are_none_are_no_answer(payload: bytes) -> None:
    with pytest.raises(NotAnswered):
        parse_streams(payload, "lyon/g")


def test_a_question_never_asks_for_more_than_an_answer_may_hold() -> None:
    assert len(list(Question(1, 1, 4_096 * MOST_SPANS, 4_096).spans())) == MOST_SPANS
    with pytest.raises(NotAnswered, match="twice"):
        parse_streams(orjson.dumps({"gateway": "g", "streams": [{"epoch": 1, "first": 1, "last": 1, "entries": 1}] * 2}), "g")
