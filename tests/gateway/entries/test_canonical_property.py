"""Canonical JSON after RFC 8785, judged by another implementation, and what of a number survives it."""

import json
import math
import struct
from collections.abc import Callable, Mapping
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st
from kit.audited_journal import BEGAN, STORY, audited_line, body, opened
from kit.commands import called

from buffer import read_journal
from buffer.entry.examples import EVENTS, READINGS_ENTRY
from gateway.cli.base import data_of
from gateway.entries.canonical import NotCanonical, canonical, canonical_entry

whole = st.integers(-(2**53) + 1, 2**53 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(codec="utf-8"))
scalars = st.none() | st.booleans() | whole | floats | texts
documents = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=20)


def example_each(values: list[Any]) -> Callable[[Any], Any]:
    def decorated(test: Any) -> Any:
        for value in values:
            test = example(value)(test)
        return test

    return decorated


EXTREMES = [
    *(
        0.0,
        -0.0,
        5e-324,
        -5e-324,
        2.2250738585072014e-308,
        1.7976931348623157e308,
        9007199254740991.0,
        9007199254740992.0,
        1e20,
        1e21,
        1e22,
    ),
    *(1e-6, 1e-7, 9.999999999999999e22, 1.0000000000000001e21, 333333333.33333329, 4.35, 0.000001, 123e-20, 0.1 + 0.2, 1 / 3, 1e-5, 2.5e-7),
]


@pytest.mark.urs("URS-UPL-06")
@given(floats)
@example_each(EXTREMES)
def test_a_float64_is_written_as_ecmascript_does_and_comes_back_to_the_bit(number: float) -> None:
    written = canonical(number)
    assert written == rfc8785.dumps(number)
    back = float(written)
    assert back == number
    assert struct.pack(">d", back) == struct.pack(">d", number) or number == 0, "of a zero the sign is lost, as RFC 8785 has it"


@pytest.mark.urs("URS-UPL-06")
@given(documents)
@example({"\U0001f600": 1, "\ufb33": 2, "€": 3, "\r": 4, "1": 5, "\x80": 6, "ö": 7, "</script>": 8})
@example('\x00\x1f\x7f\b\t\n\f\r"\\/\u2028\u2029\ufeff')
def test_every_document_is_written_as_another_implementation_writes_it_and_once_more_alike(document: Any) -> None:
    written = canonical(document)
    assert written == rfc8785.dumps(document)
    assert canonical(json.loads(written)) == written


@pytest.mark.urs("URS-UPL-06")
@given(documents, st.booleans())
def test_how_an_entry_was_written_does_not_change_its_canonical_form(document: Any, escaped: bool) -> None:
    entry = {"event": document, "seq": 1}
    spaced = json.dumps(dict(reversed(entry.items())), ensure_ascii=escaped, indent=1).encode()
    digest, form = canonical_entry(spaced)
    assert (digest, form) == canonical_entry(orjson.dumps(entry))
    assert digest == sha256(form).hexdigest()


@pytest.mark.urs("URS-UPL-06")
@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1, 10**30, 2**64 - 1, math.nan, math.inf, "\ud800", {"\udfff": 1}])
def test_what_another_reader_could_take_for_something_else_has_no_canonical_form(value: Any) -> None:
    with pytest.raises(NotCanonical):
        canonical({"value": [value]})


@pytest.mark.urs("URS-UPL-06")
def test_a_name_that_stands_twice_is_refused() -> None:
    with pytest.raises(NotCanonical, match="twice"):
        canonical_entry(b'{"seq":1,"seq":2}')


@pytest.mark.urs("URS-UPL-06")
@given(st.decimals(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**64 - 1))
def test_decimals_and_64_bits_are_texts_so_that_no_digit_of_them_is_touched(number: Decimal | int) -> None:
    digits = str(number)
    (written,) = json.loads(canonical([digits]))
    assert written == digits
    assert type(number)(written) == number


@pytest.mark.urs("URS-UPL-06")
@pytest.mark.parametrize("document", [READINGS_ENTRY, *EVENTS.values()], ids=["readings", *EVENTS])
def test_each_form_of_an_entry_that_is_published_has_a_canonical_form(document: Mapping[str, Any]) -> None:
    assert canonical(document) == rfc8785.dumps(document)


@pytest.mark.urs("URS-UPL-06")
def test_log_gives_each_entry_in_canonical_form_with_its_hash_and_that_of_its_bytes(tmp_path: Path) -> None:
    line = audited_line(tmp_path / "line", STORY, readings=True)
    journal = opened(line)
    odd = {"type": "audit", "action": "note", "what": {"z": 1.50, "a": [1e21, -0.0, "\u00e9\u2028\x1f"]}}
    journal.append([body(odd, BEGAN)]).result()
    journal.close()
    stored = [entry.payload for entry in read_journal(data_of(line), (0, 0))]
    done = called("log", line, "--format", "canonical")
    assert done.returncode == 0, done.stderr
    lines = [each.split("  ", 2) for each in done.stdout.split("\n")[:-1]]
    assert len(lines) == len(stored) > 1
    for (digest, of_bytes, form), payload in zip(lines, stored, strict=True):
        assert form.encode() == rfc8785.dumps(json.loads(payload))
        assert digest == sha256(form.encode()).hexdigest()
        assert of_bytes == sha256(payload).hexdigest()
