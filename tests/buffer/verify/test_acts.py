"""Signatures on configurations in a journal: of another content, version, person, line or key, or repeated."""

import json
from pathlib import Path
from typing import Any

import pytest
from kit.journals import GATEWAY, event, opened

from buffer import keys
from buffer.entry.examples import EVENTS
from buffer.verify import ACT, verify

SHA = EVENTS["config"]["sha256"]
WHO = {"user": "qa", "name": "Quentin Abel", "role": "qa", "kind": "person", "auth": "password"}


def note(signer: keys.Signer, **changes: Any) -> str:
    act = {"act": "approve", "gateway": GATEWAY, "version": 4, "sha256": SHA, "previous": None, "by": {"user": "qa"}, **changes}
    return signer.note(f"{ACT}\n{json.dumps(act)}\n")


def approved(signed: Any, **changes: Any) -> dict[str, Any]:
    what = {"version": 4, "sha256": SHA, "note": signed}
    return {"type": "audit", "action": "config-approve", "who": WHO, "what": what, **changes}


def told(folder: Path, signer: keys.Signer, *events: dict[str, Any]) -> list[str]:
    journal = opened(folder)
    assert journal.opened.epoch_event is not None
    journal.append([event(journal.opened.epoch_event), *(event(each) for each in events)], urgent=True).result()
    signed = journal.checkpoint(signer, "stop")
    assert signed is not None
    journal.append([event(signed)], urgent=True).result()
    journal.close()
    return [str(problem) for problem in verify(folder, signer.public).lines() if "signature on a configuration" in str(problem)]


@pytest.fixture
def signer(tmp_path: Path) -> keys.Signer:
    return keys.create(tmp_path / "key.pem", GATEWAY)


@pytest.mark.urs("URS-CFG-02", "URS-AUD-06")
def test_a_signature_that_stands_with_what_it_signed_is_good(signer: keys.Signer, tmp_path: Path) -> None:
    signed = note(signer)
    begun = {**EVENTS["config"], "version": 4, "signatures": [signed]}
    assert told(tmp_path / "journal", signer, approved(signed), begun, begun) == []
    assert verify(tmp_path / "journal", signer.public).exit_code == 0


@pytest.mark.urs("URS-CFG-02", "URS-AUD-06")
@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"sha256": "ab" * 32}, "another act, version, content or person"),
        ({"version": 5}, "another act, version, content or person"),
        ({"act": "propose"}, "another act, version, content or person"),
        ({"by": {"user": "engineer"}}, "another act, version, content or person"),
        ({"gateway": "lyon/other"}, "another line, lyon/other"),
    ],
)
def test_a_signature_that_was_moved_to_something_else_is_found(
    signer: keys.Signer, tmp_path: Path, changes: dict[str, Any], word: str
) -> None:
    (found,) = told(tmp_path / "journal", signer, approved(note(signer, **changes)))
    assert word in found
    assert verify(tmp_path / "journal", signer.public).exit_code == 1


@pytest.mark.urs("URS-CFG-02")
def test_one_that_is_repeated_or_of_another_key_or_of_another_configuration_is_found(signer: keys.Signer, tmp_path: Path) -> None:
    signed = note(signer)
    (found,) = told(tmp_path / "repeated", signer, approved(signed), approved(signed))
    assert "it was repeated" in found
    other = keys.create(tmp_path / "other.pem", GATEWAY)
    (found,) = told(tmp_path / "key", signer, approved(note(other)))
    assert "is not of the key" in found
    (found,) = told(tmp_path / "content", signer, {**EVENTS["config"], "sha256": "cd" * 32, "signatures": [signed]})
    assert "another content" in found
    (found,) = told(tmp_path / "proposal", signer, {**EVENTS["config"], "signatures": [note(signer, act="propose")]})
    assert "no approval" in found


@pytest.mark.parametrize("broken", ["", "ebr-gateway/configuration-act/1", f"{ACT}\n7\n\n", f"{ACT}\n[]\n\nx", 7, None, f"{ACT}\n{{}}\n\n"])
def test_a_note_that_is_none_is_found_and_stops_nothing(signer: keys.Signer, tmp_path: Path, broken: object) -> None:
    folder = tmp_path / "journal"
    told(folder, signer, approved(broken, what={"version": 4, "sha256": SHA, "note": broken}))
    report = verify(folder, signer.public)
    assert report.exit_code == 1
    assert any("can not be read as what it says it is" in str(line) for line in report.lines())
