"""Comparisons of real batches as evidence of a performance qualification: signed, of this line, each by its own result."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kit.commands import called
from kit.drop_line import drop_line
from kit.persons import NAMES

import config
from buffer import keys
from gateway.access import Actor
from gateway.access.signatures import sign
from gateway.documents import content_of, draft, head, read, signed, unsigned
from gateway.operation.document_commands import signature_problems
from gateway.validation import pq, pq_cases
from gateway.validation import run as runs
from gateway.validation.bundle import Bundle
from gateway.validation.pq_cases import Asked
from gateway.validation.pq_limits import Limits
from gateway.validation.pq_parallel import Comparison, NoEvidence, accepted, case
from gateway.validation.pq_profile import from_map

pytestmark = [pytest.mark.urs("URS-VAL-05"), pytest.mark.urs("URS-OBS-05")]
GATEWAY, NOW = "lyon/test-1", 17_953_317_000_000_000
SIGNER = keys.Signer(GATEWAY, Ed25519PrivateKey.generate())
MEMBERS = {"line": "test-1", "gateway": GATEWAY, "environment": "production", "zone": "Europe/Paris", "journal": [], "station": "panel"}


def by(role: str) -> Actor:
    who = {"user": role, "name": NAMES[role], "role": role, "kind": "person", "auth": "password"}
    return Actor(who, {}, user=role, password_now=True)


def document(batch: str, *, signer: keys.Signer = SIGNER, roles: tuple[str, ...] = ("engineer", "qa"), **more: Any) -> dict[str, Any]:
    """A comparison of a batch, signed with the line's key."""
    open_, result = more.pop("open", 0), more.pop("result", "passed")
    facts = {
        "batch": batch,
        "counts": {"rows": 4, "match": 4 - open_, "explained": 0, "open": open_},
        "rules": {"declared_before": more.pop("declared", "yes")},
    }
    drafted = draft(more.pop("kind", "parallel-run-comparison"), f"Comparison of batch {batch}", [], facts, result=result, batch=batch)
    software, clock = {"version": "1", "sha256": "a" * 64}, {"status": "synchronised", "bound_s": 0.01}
    content = head(drafted, software=software, configuration=None, clock=clock, ticks=NOW, who=by("engineer").who, **{**MEMBERS, **more})
    made = unsigned(content)
    for role in roles:
        made = signed(made, sign(content_of(made), by(role), f"reviewed as {role}", signer, now=NOW, site_zone="Europe/Paris"))
    return made


def given(*documents: dict[str, Any]) -> list[Comparison]:
    return [Comparison(f"{one['batch']}.json", json.dumps(one).encode(), one) for one in documents]


def taken(*documents: dict[str, Any]) -> list[Comparison]:
    return accepted(GATEWAY, given(*documents), lambda one: signature_problems(one, [SIGNER.public]))


def test_three_signed_comparisons_of_this_line_pass_each_with_its_result() -> None:
    one = case(taken(*map(document, ("A", "B", "C"))), "Three real batches", ("URS-OBS-05",))
    assert (one.verdict, [step.verdict for step in one.steps]) == ("passed", ["passed"] * 4)
    assert one.steps[0].actual.startswith("passed: 4 rows, 4 match, 0 explained, 0 open; declared before the batch: yes")
    assert "Quentin Abel (qa, qa): reviewed as qa" in one.steps[0].actual
    assert list(one.files) == ["01-A.json", "02-B.json", "03-C.json"]


@pytest.mark.parametrize(
    ("more", "verdict"),
    [
        ({"result": "passed-with-dispositions"}, "passed"),
        ({"result": "finding", "open": 1}, "failed"),
        ({"open": 1}, "failed"),
        ({"result": "not-complete"}, "not checked"),
        ({"declared": "no"}, "not checked"),
        ({"declared": "not-known"}, "not checked"),
        ({"environment": "validation"}, "not checked"),
        ({"environment": None}, "not checked"),
    ],
)
def test_a_batch_counts_by_what_its_comparison_says(more: dict[str, Any], verdict: str) -> None:
    one = case(taken(document("A"), document("B"), document("C", **more)), "Three real batches", ())
    assert [one.verdict, one.steps[2].verdict] == [verdict, verdict]
    assert {one.steps[0].verdict, one.steps[1].verdict, one.steps[3].verdict} == {"passed"}, "one bad thing stops itself alone"


def test_two_batches_are_not_three() -> None:
    one = case(taken(document("A"), document("B")), "Three real batches", ())
    assert (one.verdict, one.steps[-1].actual, one.steps[-1].verdict) == ("not checked", "2: A, B", "not checked")


THIEF = keys.Signer(GATEWAY, Ed25519PrivateKey.generate())


@pytest.mark.parametrize(
    ("documents", "says"),
    [
        ([document("A", kind="reconciliation")], "A.json: is no comparison of a batch but a reconciliation"),
        ([document("A", gateway="lyon/other")], "A.json: is of lyon/other, and this line is lyon/test-1"),
        ([document("A", signer=THIEF)], "A.json: a signature under it does not hold: Edda Bauer: was not made by this gateway's key"),
        ([document("A", roles=())], "A.json: nobody of role qa has signed it"),
        ([document("A", roles=("engineer",))], "A.json: nobody of role qa has signed it"),
        ([document("A"), document("A", open=1, result="finding")], "A.json: is of batch A, and so is A.json: give the one that counts"),
    ],
)
def test_what_can_be_no_evidence_is_refused_before_anything_is_played(documents: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(NoEvidence) as refused:
        taken(*documents)
    assert str(refused.value).startswith(says)


async def good(*given_: Any) -> None:
    next(one for one in given_ if hasattr(one, "steps")).step("one", "x", "x", True)


def qualified(monkeypatch: pytest.MonkeyPatch, folder: Path, comparisons: list[Comparison]) -> dict[str, Any]:
    for name in ("load", "drill", "outage"):
        monkeypatch.setattr(pq_cases, name, good)
    site = config.load(drop_line(folder / "line"))
    limits = Limits({"stored_p99_s": 1}, "pq.toml", "00" * 32, "2026-11-01T00:00:00Z", b"[limits]\n")
    asked = Asked(20.0, (1.0,), 5.0, limits, from_map(site), None, lambda _: None, comparisons)
    return pq.qualified(site, Bundle(folder / "to"), asked, runs.Run(tester="ebauer", witness="jdurand"))


def test_the_case_is_executed_with_evidence_and_not_without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without = qualified(monkeypatch, tmp_path / "a", [])
    assert [one["id"] for one in without["facts"]["not_executed"]] == ["parallel-run", "spare-machine", "real-ebr"]
    (tmp_path / "b").mkdir()
    told = qualified(monkeypatch, tmp_path / "b", taken(*map(document, ("A", "B", "C"))))
    assert [one["id"] for one in told["facts"]["not_executed"]] == ["spare-machine", "real-ebr"]
    assert {one["id"]: one["verdict"] for one in told["facts"]["cases"]}["parallel-run"] == "passed"
    assert [(one["batch"], one["result"]) for one in told["facts"]["comparisons"]] == [("A", "passed"), ("B", "passed"), ("C", "passed")]
    assert "evidence/parallel-run/01-A.json" in told["facts"]["evidence"]
    assert read(tmp_path / "b" / "to" / "evidence" / "parallel-run" / "02-B.json")["batch"] == "B"


def test_the_command_ends_in_one_line_before_it_plays(tmp_path: Path) -> None:
    line = drop_line(tmp_path / "line")
    toml = (line / "line.toml").read_text()
    (line / "line.toml").write_text(f'{toml}\n[[uplink]]\nname = "ebr"\nkind = "https"\nendpoint = "http://127.0.0.1:9"\n')
    name = config.load(line).gateway
    (tmp_path / "A.json").write_text(json.dumps(document("A", gateway=name, signer=keys.Signer(name, SIGNER.private))))
    (tmp_path / "none.json").write_text("{}")
    cases = {
        "A.json": "a signature under it does not hold: Edda Bauer: no public key",
        "none.json": "is no document",
        "gone.json": "No such file",
    }
    for file, says in cases.items():
        ran = called("qualify", "pq", line, "--to", tmp_path / "to", "--comparison", tmp_path / file)
        assert (ran.returncode, file in ran.stderr, says in ran.stderr) == (2, True, True), ran.stderr
    assert not (tmp_path / "to").exists()
