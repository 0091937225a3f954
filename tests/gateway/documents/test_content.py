"""One form for every document: what its head says, what is signed, and that the pages show nothing but what stands in the JSON."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from buffer import entry as formats
from buffer.pages.blocks import Block, Form, Heading, NamedValues, Table, Text
from gateway.access.signatures import digest
from gateway.documents import NotADocument, content_of, draft, event_of, head, read, unsigned, written

NOW = 17_953_308_000_000_000  # 2026-11-22T07:00:00Z
CLOCK = {"status": "unknown"}
WHO = {"user": "engineer", "name": "Edda Bauer", "role": "engineer", "kind": "person"}
BLOCKS: list[Block] = [
    Heading(1, "Checks"),
    Text("Look at this <b>", marked=True),
    NamedValues([("Name", "value")]),
    Table(("A", "B"), (0.5, 2), [["1", "x"], ["2", "y"]], frozenset({1})),
    Form(("Meaning", "Name"), (1.6, 3), ("Witness",)),
]


def made(**told: Any) -> dict[str, Any]:
    facts = {"environment": "validation", "configuration": {"version": None, "sha256": "a" * 64, "state": None}, "journal": []}
    clock = {"status": "synchronised", "bound_s": 0.00810004}
    place = {"line": "test-1", "gateway": "lyon/test-1", "zone": "Europe/Paris", "who": WHO, "station": "panel-2"}
    software = {"version": "0.1.0", "sha256": "b" * 64}
    drafted = draft("a-report", "A report", BLOCKS, {"n": 1}, result="finding")
    return unsigned(head(drafted, ticks=NOW, clock=clock, software=software, **{**facts, **place, **told}))


@pytest.mark.urs("URS-VAL-07")
def test_a_document_is_what_its_schema_says_and_its_head_tells_who_when_and_by_what() -> None:
    document = made()
    formats.Document.model_validate(document)
    jsonschema.validate(document, dict(formats.schemas())["document.json"])
    assert document["made_at"] == {
        "time": "2026-11-22T07:00:00.000000Z",
        "local": "2026-11-22T08:00:00.000+01:00",
        "zone": "Europe/Paris",
        "clock": "synchronised",
        "bound_s": "0.0081",
    }
    assert document["made_by"] == {**WHO, "station": "panel-2"}
    assert document["software"] == {"version": "0.1.0", "sha256": "b" * 64}
    assert document["sha256"] == digest(content_of(document))


def test_what_stands_in_the_journal_is_the_head_and_the_digest_and_not_the_body() -> None:
    told = {**event_of(made()), "who": {**WHO, "auth": "password"}, "where": {"station": "p", "address": None, "interface": "cli"}}
    jsonschema.validate({**told, "site_zone": "Europe/Paris"}, dict(formats.schemas())["event-document.json"])
    assert not {"body", "facts"} & set(told)


def test_a_file_that_was_changed_in_one_sign_is_no_document(tmp_path: Path) -> None:
    (file,) = written(made(), tmp_path, ["json"], NOW)
    assert read(file)["document"] == "a-report"
    text = file.read_text()
    for old, new in (
        ('"value"', '"valve"'),
        ('"finding"', '"passed"'),
        ('"Edda Bauer"', '"Anna Berg"'),
        ('"marked": true', '"marked": false'),
    ):
        assert text.count(old) >= 1
        file.write_text(text.replace(old, new, 1))
        with pytest.raises(NotADocument, match="was changed"):
            read(file)
    for damaged in (
        text[:-20],
        "[]",
        "{}",
        text.replace("ebr-gateway/document/1", "ebr-gateway/document/2"),
        '{"schema": "ebr-gateway/document/1"}',
    ):
        file.write_text(damaged)
        with pytest.raises(NotADocument, match="is no document"):
            read(file)


def test_a_draft_with_a_fraction_or_an_unknown_result_is_refused() -> None:
    with pytest.raises(ValueError, match="can not be signed"):
        unsigned(head(draft("a", "A", [], {"x": 0.5}), **_head()))
    with pytest.raises(ValueError, match="no result"):
        draft("a", "A", [], result="good")


def _head() -> dict[str, Any]:
    names = ("environment", "configuration", "journal", "line", "gateway", "software")
    return {
        **{name: made()[name] for name in names},
        "zone": "UTC",
        "who": WHO,
        "station": "p",
        "clock": {"status": "unknown"},
        "ticks": NOW,
    }


def test_html_and_pdf_show_head_body_signatures_and_when_they_were_printed(tmp_path: Path) -> None:
    document = made()
    paths = written(document, tmp_path, ["json", "html", "pdf"], NOW + 36_000_000_000)
    assert [path.name for path in paths] == [f"a-report-20261122T070000Z-{document['id'][:8]}.{form}" for form in ("json", "html", "pdf")]
    page = paths[1].read_text()
    for said in (
        *("a-report (ebr-gateway/document/1)", document["id"], "ebr-gateway 0.1.0; SHA-256 of the installed files " + "b" * 64),
        *("no version, SHA-256 " + "a" * 64, "synchronised, within 0.0081 s", "Edda Bauer (engineer, engineer), at panel-2"),
        *("Result: finding", "Look at this &lt;b&gt;", "Nobody has signed this document.", document["sha256"]),
        *("printed at 2026-11-22T09:00:00.000+01:00", "none was read"),
    ):
        assert said in page, said
    assert json.loads(paths[0].read_text()) == document
    assert b"/CreationDate(D:20261122070000Z)" in paths[2].read_bytes()
    with pytest.raises(FileExistsError):
        written(document, tmp_path, ["json"], NOW)


def test_who_is_no_person_and_a_clock_that_nobody_knows_are_said_to_be_that(tmp_path: Path) -> None:
    account = {"user": "os:root", "name": None, "role": None, "kind": "system"}
    (file,) = written(made(who=account, configuration=None, environment=None), tmp_path, ["html"], NOW)
    assert "os:root, an account: no person was named" in file.read_text()
    assert "<th>Configuration</th><td>not known</td>" in file.read_text()
