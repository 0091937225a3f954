"""Documents with a running gateway and without one: recorded, signed by persons, checked by whoever has the key."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.commands import called
from kit.drop_line import drop_line, events
from kit.persons import options, people
from kit.processes import running, until

from buffer import entry as formats
from buffer.pages.blocks import Text
from gateway.cli.documents import publish
from gateway.documents import draft


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = drop_line(tmp_path_factory.mktemp("documents") / "line")
    people(folder / "data")
    with running(folder):
        yield folder


def recorded(line: Path, sha256: str) -> list[dict[str, Any]]:
    return [event for event in events(line, "document") if event["sha256"] == sha256]


def made(line: Path, folder: Path, user: str | None = "engineer") -> tuple[dict[str, Any], Path]:
    named = options(user, folder) if user else [None, None, None, None]
    document, (file,) = publish(
        line, draft("a-report", "A report", [Text("x")]), folder / "out", ["json"], user, Path(named[3]) if named[3] else None
    )
    assert json.loads(file.read_text()) == document
    return document, file


@pytest.mark.urs("URS-VAL-07", "URS-AUD-01")
def test_a_document_of_a_running_gateway_has_its_head_from_it_and_stands_in_the_journal(line: Path, tmp_path: Path) -> None:
    document, _ = made(line, tmp_path)
    (event,) = recorded(line, document["sha256"])
    formats.MadeEvent.model_validate(event)
    assert event["who"]["name"] == document["made_by"]["name"] == "Edda Bauer"
    assert document["configuration"]["version"] == 1
    (covered,) = document["journal"]
    assert covered["first"] == 1 <= covered["last"]
    assert event["signatures"] == []


@pytest.mark.urs("URS-VAL-07")
def test_two_persons_sign_and_whoever_has_the_key_can_tell(line: Path, tmp_path: Path) -> None:
    document, file = made(line, tmp_path)
    key = line / "data" / "checkpoint-key.pub"
    assert called("document", "verify", file, "--key", key).returncode == 1, "nobody has signed yet"
    for user, meaning in (("engineer", "executed"), ("qa", "reviewed and approved")):
        told = called("document", "sign", line, file, "--meaning", meaning, *options(user, tmp_path))
        assert told.returncode == 0, told.stderr
    good = called("document", "verify", file, "--key", key)
    assert good.returncode == 0, good.stdout
    assert "signed by Quentin Abel (qa, qa): reviewed and approved" in good.stdout
    assert called("document", "verify", file).returncode == 1, "without the key nothing is proved"
    assert [len(event["signatures"]) for event in recorded(line, document["sha256"])] == [0, 1, 2]
    again = called("document", "sign", line, file, "--meaning", "executed", *options("engineer", tmp_path))
    assert "has signed it before" in again.stderr
    printed = called("document", "print", file, "--to", tmp_path / "printed")
    assert printed.returncode == 0, printed.stderr
    page = (tmp_path / "printed" / f"{file.stem}.html").read_text()
    assert "Quentin Abel" in page
    assert "Nobody has signed" not in page


@pytest.mark.urs("URS-VAL-07")
def test_a_signature_that_was_changed_or_moved_to_another_document_does_not_hold(line: Path, tmp_path: Path) -> None:
    key = line / "data" / "checkpoint-key.pub"
    _, one = made(line, tmp_path)
    other, file = made(line, tmp_path)
    assert called("document", "sign", line, one, "--meaning", "executed", *options("engineer", tmp_path)).returncode == 0
    signature = json.loads(one.read_text())["signatures"][0]
    moved = [{**signature, "name": "Quentin Abel"}, signature, {**signature, "over": other["sha256"]}]
    for forged in moved:
        file.write_text(json.dumps({**other, "signatures": [forged]}))
        told = called("document", "verify", file, "--key", key)
        assert told.returncode == 1, told.stdout
        assert "does not hold" in told.stdout
        refused = called("document", "sign", line, file, "--meaning", "reviewed", *options("qa", tmp_path))
        assert refused.returncode == 2
        assert "does not hold" in refused.stderr
    file.write_text(json.dumps({**other, "signatures": [{}]}))
    assert "what stands under it is no signature" in called("document", "verify", file, "--key", key).stderr


@pytest.mark.urs("URS-VAL-02")
def test_the_matrix_is_a_document_whose_signature_accepts_what_is_open_in_it(line: Path, tmp_path: Path) -> None:
    told = called("rtm", "document", line, "--to", tmp_path, "--form", "json", *options("engineer", tmp_path))
    assert told.returncode == 1, "something of it is open"
    file = Path(told.stdout.strip())
    document = json.loads(file.read_text())
    assert (document["document"], document["result"], document["facts"]["counts"]["requirements"]) == (
        "traceability-matrix",
        "not-complete",
        110,
    )
    (justified,) = [block["rows"] for block in document["body"] if "What is open, or remark" in block.get("titles", ())]
    open_ = {row[0] for row in justified if row[2] in {"planned", "in part"}}
    assert open_ == {urs for urs, result in document["facts"]["results"].items() if result == "planned"} | {
        row[0] for row in justified if row[2] == "in part"
    }
    assert all(row[3] for row in justified)
    signed = called("document", "sign", line, file, "--meaning", "justifications accepted", *options("qa", tmp_path))
    assert signed.returncode == 0, signed.stderr
    assert called("document", "verify", file, "--key", line / "data" / "checkpoint-key.pub").returncode == 0


def test_without_a_person_it_is_made_and_who_may_records_it_later(line: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document, file = made(line, tmp_path, None)
    assert "not recorded in the journal: document record needs a person" in capsys.readouterr().err
    assert document["made_by"]["kind"] == "system"
    assert recorded(line, document["sha256"]) == []
    told = called("document", "record", line, file, *options("operator", tmp_path))
    assert told.returncode == 0, told.stderr
    (event,) = recorded(line, document["sha256"])
    assert (event["made_by"]["kind"], event["who"]["user"]) == ("system", "operator")


def test_a_document_of_another_gateway_is_neither_recorded_nor_signed(line: Path, tmp_path: Path) -> None:
    elsewhere = drop_line(tmp_path / "elsewhere")
    (elsewhere / "line.toml").write_text((elsewhere / "line.toml").read_text().replace('"test-1"', '"test-2"'))
    _, file = made(elsewhere, tmp_path, None)
    for words in (("record",), ("sign", "--meaning", "reviewed")):
        told = called("document", words[0], line, file, *words[1:], *options("qa", tmp_path))
        assert told.returncode == 2
        assert "of lyon/test-2, not of lyon/test-1" in told.stderr


@pytest.mark.urs("URS-VAL-07")
def test_what_was_made_while_no_gateway_ran_waits_for_the_next_start(tmp_path: Path) -> None:
    folder = drop_line(tmp_path / "line")
    people(folder / "data")
    document, file = made(folder, tmp_path)
    assert document["made_at"]["clock"] == "unknown"
    assert document["journal"] == []
    told = called("document", "sign", folder, file, "--meaning", "executed", *options("engineer", tmp_path))
    assert told.returncode == 0, told.stderr
    with running(folder):
        found = until(lambda: recorded(folder, document["sha256"]))
    assert [len(event["signatures"]) for event in found] == [0, 1]
    assert called("document", "verify", file, "--key", folder / "data" / "checkpoint-key.pub").returncode == 0
