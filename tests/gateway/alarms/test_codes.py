"""The table of findings against the program: each code that can be given is described, and none that nobody gives."""

import ast
import csv
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from kit.repository import DOCS, ROOT

from buffer.entry.examples import EVENTS
from gateway.alarms import CODES
from gateway.alarms.codes import ENDED_BY, REMEMBERED, code_of
from gateway.alarms.reference import page

PLACES = [path for room in ("gateway", "drivers", "buffer") for path in sorted((ROOT / room).rglob("*.py"))]
ROOMS = {"gateway/cli", "gateway/demo", "gateway/alarms", "gateway/operation"}
"""Rooms that find nothing, though they may call something of one of these names."""

MAKERS = {"finding", "Finding", "_finding"}
TELLERS = {
    ("gateway/uplink", "say"): ("uplink-", ""),
    ("gateway/uplink/replay.py", "say_anew"): ("uplink-", ""),
    ("gateway/uplink", "over"): ("uplink-", "-over"),
    ("gateway/uplink", "alarm"): ("uplink-", ""),
    ("gateway/uplink", "Refused"): ("uplink-", ""),
    ("gateway/uplink", "Remark"): ("uplink-", ""),
    ("gateway/uplink", "_refuse"): ("uplink-receipt-", ""),
    ("buffer/receipts.py", "ReceiptRefused"): ("uplink-receipt-", ""),
    ("gateway/context/signals/steps_from_rows.py", "_say"): ("", ""),
    ("drivers/mes_file/reader.py", "_report"): ("", ""),
    ("drivers/serial/session.py", "_tell"): ("", ""),
    ("drivers/modbus/unit_findings.py", "_found"): ("", ""),
    ("drivers/opcua/decoding/convert.py", "_report_once"): ("", ""),
}
"""(where, function) -> what is put before and behind the code that it is given."""
CODE_IS_SECOND = ("gateway/context/signals/steps_from_rows.py", "_say")
FOLDS = ("time-earlier", "time-later", "time-ambiguous", "time-nonexistent")
COMPUTED = {
    "drivers/mes_file/reader.py": FOLDS,
    "drivers/mes_sql/findings.py": FOLDS,
    "drivers/opcua/decoding/convert.py": ("structure-unknown", "structure-unreadable", "field-missing"),
    "drivers/opcua/subscription/misfits.py": ("source-type-differs", "field-missing"),
    "drivers/opcua/subscription/semantics.py": ("semantics-changed-over", "semantics-changed"),
    "gateway/context/materials/bookings.py": ("material-unmapped", "sample-unmapped"),
    "gateway/context/source_rows.py": ("source-row-changed", "source-row-deleted"),
    "gateway/intake/findings.py": (
        "type-differs",
        "value-outside-type",
        "value-unusable",
        "not-a-number",
        "text-too-long",
        "code-unlisted",
    ),
    "gateway/intake/flow.py": ("journal-full", "disk-full", "journal-locked", "journal-unlocked", "journal-has-room"),
    "gateway/intake/detectors/detectors.py": tuple(
        f"{code}{end}"
        for code in (
            *("flat-line", "counter-stuck", "zero-fill", "stamp-frozen", "rate-exceeded", "unit-jump"),
            *("late-share", "duplicate-share", "quality-share"),
        )
        for end in ("", "-over")
    ),
    "gateway/intake/range_watch.py": ("outside-range", "outside-range-over"),
    "gateway/runtime/periodic_watch.py": ("verification-overdue", "restore-test-overdue", "review-overdue"),
    "gateway/uplink/http_status.py": ("uplink-credentials", "uplink-address", "uplink-conflict", "uplink-protocol"),
    "gateway/uplink/forward.py": (),  # what a transport refused with
    "gateway/uplink/unconfirmed.py": ("uplink-unreachable", "uplink-no-receipts"),
    "gateway/uplink/told.py": (
        *(f"uplink-{code}-over" for code in ("unreachable", "no-receipts", "credentials", "certificate", "too-small", "too-large")),
        *(
            f"uplink-{code}-over"
            for code in (
                "address",
                "conflict",
                "protocol",
                "not-taken",
                "crashed",
                "certificate-ends",
                "not-retained",
                "schema-unsupported",
            )
        ),
        "uplink-certificate-ends",
    ),
    "gateway/uplink/quarantine.py": ("uplink-rejected-over", "uplink-passed-over"),
    "gateway/uplink/judge.py": (),
    "gateway/evidence/backups.py": (),
    "gateway/evidence/witness.py": (),
    "drivers/serial/session.py": (),
    "drivers/modbus/unit_findings.py": (),
    "drivers/mes_file/value_findings.py": (),
    "gateway/context/signals/steps_from_rows.py": ("mes-step-unreadable", "late-correction"),
}
"""Where a code is computed, and what can come of it; empty where a function of that file hands on what it is given."""
NO_FINDING = {"uplink-receipt-earlier-epoch-open", "uplink-receipt-unprovable"}
"""Refusals of the journal during the rest of a start, which nobody is told of (gateway/uplink/judge.py, DURING_THE_REST)."""
BY_RECORDS = {"batch-incomplete", "batch-complete", "step-without-batch", "clock-verified", "tag-heard"}


@cache
def nodes(path: Path) -> list[ast.AST]:
    """All of a file's program, parsed once for all tests."""
    return list(ast.walk(ast.parse(path.read_text("utf-8"))))


def calls(path: Path) -> Iterator[tuple[str, ast.expr]]:
    """Each call whose first argument is, or becomes, a code: the function's name and the argument."""
    place = str(path.relative_to(ROOT))
    if any(place.startswith(room) for room in ROOMS):
        return
    tellers = {name for where, name in TELLERS if place.startswith(where)}
    for node in nodes(path):
        if isinstance(node, ast.Call) and node.args:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in MAKERS | tellers:
                yield name, node.args[(place, name) == CODE_IS_SECOND]


def literals(code: ast.expr) -> list[str]:
    """The texts that an argument can be; none if it is computed."""
    if isinstance(code, ast.IfExp):
        return [*literals(code.body), *literals(code.orelse)]
    return [code.value] if isinstance(code, ast.Constant) and isinstance(code.value, str) else []


def given() -> tuple[set[str], set[str]]:
    """Codes that the program gives, and files in which one is computed."""
    codes, computing = set(BY_RECORDS), set()
    for path in PLACES:
        place = str(path.relative_to(ROOT))
        for name, code in calls(path):
            before, behind = next(
                (ends for (where, teller), ends in TELLERS.items() if place.startswith(where) and teller == name), ("", "")
            )
            texts = literals(code)
            codes |= {f"{before}{text}{behind}" for text in texts}
            if not texts:
                computing.add(place)
                codes |= set(COMPUTED.get(place, ()))
    return codes - NO_FINDING, computing


@pytest.mark.urs("URS-OBS-03")
def test_each_code_that_the_program_gives_is_described_and_no_other() -> None:
    codes, _ = given()
    described = set(CODES) | {end for code in CODES.values() for end in code.ends if end not in ("info", "start")}
    assert codes - described == set(), "given, and not described in gateway/alarms/codes.csv"
    assert described - codes == set(), "described, and given by nobody"


def test_where_a_code_is_computed_this_test_knows_what_can_come_of_it() -> None:
    _, computing = given()
    assert computing == set(COMPUTED)


def test_what_can_come_of_a_computed_code_stands_in_the_program_whole_or_in_two_pieces() -> None:
    pieces = {text for path in PLACES if not str(path.relative_to(ROOT)).startswith(tuple(ROOMS)) for text in strings(path)}
    for place, codes in COMPUTED.items():
        for code in codes:
            bare = code.removeprefix("uplink-").removesuffix("-over")
            cuts = [(bare[:at], bare[at:]) for at, letter in enumerate(bare) if letter == "-"]
            whole = [bare in pieces, *(bool({a, f"{a}-"} & pieces and {b, b[1:]} & pieces) for a, b in cuts)]
            assert any(whole), f"{place}: {code}"


def strings(path: Path) -> Iterator[str]:
    for node in nodes(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_every_code_has_a_cause_a_response_a_priority_and_stands_once() -> None:
    rows = list(csv.DictReader((ROOT / "gateway/alarms/codes.csv").read_text("utf-8").splitlines()))
    assert [row["code"] for row in rows] == sorted({row["code"] for row in rows}), "sorted, and each once"
    for row in rows:
        assert all(row[column] and row[column] == row[column].strip() for column in row), row
        assert row["priority"] in {"high", "medium", "low"}, row
        assert not row["response"].endswith("."), row


@pytest.mark.urs("URS-OBS-03")
def test_whom_a_code_is_for_is_a_role_and_stands_once() -> None:
    rows = list(csv.DictReader((ROOT / "gateway/alarms/whom.csv").read_text("utf-8").splitlines()))
    assert {row["code"] for row in rows} <= set(CODES)
    assert len({row["code"] for row in rows}) == len(rows)
    assert {code.whom for code in CODES.values()} == {"operator", "engineer", "qa", "admin"}


def test_what_stands_can_end() -> None:
    assert [code.code for code in CODES.values() if code.is_standing and not code.ends] == []
    assert {*REMEMBERED} <= {code.code for code in CODES.values() if code.is_standing}
    assert ENDED_BY["source-clock-off"] == ("source-clock-off",)
    assert set(ENDED_BY["journal-has-room"]) == {"disk-full", "journal-full", "journal-locked"}


def test_the_example_of_a_finding_in_the_schema_is_one_that_the_program_gives() -> None:
    assert EVENTS["finding"]["code"] in CODES


def test_a_code_of_another_version_is_shown_and_says_that_it_is_not_described() -> None:
    assert (code_of("made-up").code, code_of("made-up").is_standing) == ("made-up", False)


def test_the_page_is_what_the_table_says() -> None:
    assert (DOCS / "findings.md").read_text("utf-8") == page(), "python -m gateway.alarms.reference > docs/findings.md"
