"""Signatures of persons: bound to the content, to the person and to the gateway's key; made with the password of that moment alone."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.drop_line import drop_line
from kit.persons import NAMES, password, people, says

import config
from buffer import keys
from buffer.entry import Signature
from gateway.access import Access, Actor, Peer, account, myself
from gateway.access.actor import person
from gateway.access.signatures import NotSigned, canonical, digest, problem, sign

NOW = 17_953_321_890_000_000  # 2026-11-22T07:23:09Z
CONTENT = {"document": "review", "items": [{"seq": 4711, "comment": "Kühlung geprüft", "old": None, "done": True}]}
QA = replace(person("qa", NAMES["qa"], "qa", "password", {"station": "pc"}, None), password_now=True)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> keys.Signer:
    return keys.create(tmp_path_factory.mktemp("key") / "key", "lyon/granulation-2")


def made(signer: keys.Signer, content: dict[str, Any] = CONTENT, by: Actor = QA, meaning: str = "reviewed") -> dict[str, Any]:
    return sign(content, by, meaning, signer, now=NOW, site_zone="Europe/Paris")


@pytest.mark.urs("URS-AUD-07")
def test_a_signature_says_who_what_it_means_and_when_in_utc_and_beside_the_line(signer: keys.Signer) -> None:
    signature = made(signer)
    assert Signature.model_validate_json(json.dumps(signature)).name == "Quentin Abel"
    assert [signature[name] for name in ("user", "role", "auth", "meaning")] == ["qa", "qa", "password", "reviewed"]
    assert (signature["time"], signature["local"]) == ("2026-11-22T07:23:09.000000Z", "2026-11-22T08:23:09.000+01:00")
    assert signature["over"] == digest(CONTENT)
    assert problem(signature, CONTENT, signer.public) is None


@pytest.mark.urs("URS-AUD-07")
@pytest.mark.parametrize("member", ["user", "name", "role", "meaning", "time", "local", "over", "note"])
def test_whatever_is_changed_of_a_signature_shows(signer: keys.Signer, member: str) -> None:
    signature = made(signer)
    assert problem({**signature, member: made(signer, {"other": 1})["over"]}, CONTENT, signer.public) is not None
    assert problem({name: value for name, value in signature.items() if name != member}, CONTENT, signer.public) is not None


@pytest.mark.urs("URS-AUD-07")
def test_a_signature_can_not_be_put_under_something_else_nor_be_made_by_another_key(signer: keys.Signer, tmp_path: Path) -> None:
    signature, other = made(signer), {"document": "review", "items": []}
    assert "over something else" in str(problem(signature, other, signer.public))
    assert "not made by this gateway's key" in str(problem({**signature, "over": digest(other)}, other, signer.public))
    stranger = keys.create(tmp_path / "key", "lyon/granulation-2")
    assert "not made by this gateway's key" in str(problem(made(stranger), CONTENT, signer.public))
    moved = made(signer, other)
    assert problem({**signature, "note": moved["note"]}, CONTENT, signer.public) is not None, "a note of another signature"


@pytest.mark.urs("URS-AUD-07")
@pytest.mark.parametrize(
    "by",
    [
        replace(QA, password_now=False),
        account(myself()),
        replace(person("qa", NAMES["qa"], "qa", "os", {}, None), password_now=False),
    ],
)
def test_who_gave_no_password_with_this_command_signs_nothing(signer: keys.Signer, by: Actor) -> None:
    with pytest.raises(NotSigned, match=r"password with this very command|is an account and no person"):
        made(signer, by=by)


@pytest.mark.parametrize("meaning", ["", "ok", " approved", "approved\nand more", "a" * 101])
def test_a_signature_has_a_meaning_of_one_line(signer: keys.Signer, meaning: str) -> None:
    with pytest.raises(NotSigned, match="meaning"):
        made(signer, meaning=meaning)


@pytest.mark.urs("URS-AUD-07")
async def test_the_actor_of_a_command_may_sign_and_that_of_a_session_may_not(signer: keys.Signer, tmp_path: Path) -> None:
    line = config.identity(drop_line(tmp_path / "line"))
    people(line.data)

    async def nothing(*_: Any, **__: Any) -> None: ...

    access = Access(line, nothing, lambda _: None)
    commanded = await access.admitted("release-hold", says("qa"), Peer(4_242, "shared"))
    assert problem(made(signer, by=commanded), CONTENT, signer.public) is None
    session = await access.entered("qa", password("qa"), {"station": "pc"})
    with pytest.raises(NotSigned):
        made(signer, by=session)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abäß𝄞", max_size=3), PLAIN, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_members_is_no_part_of_what_is_signed(content: dict[str, Any], order: Any) -> None:
    shuffled = list(content.items())
    order.shuffle(shuffled)
    assert canonical(dict(shuffled)) == canonical(content)
    assert json.loads(canonical(content)) == content


@pytest.mark.parametrize("value", [0.1, float("nan"), {1: "a"}, b"bytes", {"a": [{"b": 1.5}]}, "\ud800"])
def test_what_two_programs_could_write_differently_is_not_signed(value: Any) -> None:
    with pytest.raises(ValueError):  # half a surrogate pair is an UnicodeEncodeError, which is one
        canonical({"value": value})
