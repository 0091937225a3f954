"""A single fault of a server's certificate that a person has accepted: it is let pass, and nothing else."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from kit.opcua_authority import NOW, Authority
from kit.opcua_bench import Bench
from kit.processes import eventually

from drivers.opcua.session import certs, trust
from drivers.opcua.session.certs import load
from drivers.opcua.settings import OpcUaSettings

URI = "urn:example:simulated-plc"
OTHER = "0" * 64
FAULTY = [
    ("dates", {"days": -1, "uri": URI}),
    ("uri", {"uri": "urn:example:another"}),
    ("uri", {"uri": None}),
    ("key", {"bits": 1024, "uri": URI}),
]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("Root")


@pytest.mark.urs("URS-SEC-03")
@pytest.mark.parametrize(("fault", "issued"), FAULTY)
def test_a_fault_is_let_pass_of_that_certificate_alone(tmp_path: Path, authority: Authority, fault: str, issued: dict[str, Any]) -> None:
    server = load(authority.issue(tmp_path / "server", "server", **issued)[0])
    digest = trust.fingerprint(server)
    every = {"dates", "uri", "key"}
    assert str(trust.judge(tmp_path, server, URI, accepted={digest: every}).refusal).startswith(trust.NOT_TRUSTED)
    authority.put(tmp_path / "trusted" / "certs")

    refused = trust.judge(tmp_path, server, URI)
    assert refused.fault == (digest, fault)
    assert trust.judge(tmp_path, server, URI, accepted={digest: {fault}}).refusal is None
    assert trust.judge(tmp_path, server, URI, accepted={digest: every - {fault}}).refusal == refused.refusal
    assert trust.judge(tmp_path, server, URI, accepted={OTHER: every}).refusal == refused.refusal

    authority.revoke(tmp_path / "trusted" / "crl", server)
    assert "was revoked" in str(trust.judge(tmp_path, server, URI, accepted={digest: every}).refusal)


@pytest.mark.urs("URS-SEC-03")
def test_of_two_faults_both_have_to_be_accepted_and_of_an_authority_its_own(tmp_path: Path, authority: Authority) -> None:
    authority.put(tmp_path / "trusted" / "certs")
    server = load(authority.issue(tmp_path / "server", "server", None, days=-1)[0])
    digest, root = trust.fingerprint(server), trust.fingerprint(authority.certificate)
    assert trust.judge(tmp_path, server, URI, accepted={digest: {"dates"}}).fault == (digest, "uri")
    assert trust.judge(tmp_path, server, URI, accepted={digest: {"dates", "uri"}}).refusal is None

    later = NOW + timedelta(days=400)
    assert trust.judge(tmp_path, server, URI, later, accepted={digest: {"dates", "uri"}}).fault == (root, "dates")
    assert trust.judge(tmp_path, server, URI, later, accepted={digest: {"dates", "uri"}, root: {"dates"}}).refusal is None


def test_a_key_that_anybody_can_break_is_accepted_by_nobody(tmp_path: Path, authority: Authority) -> None:
    authority.put(tmp_path / "trusted" / "certs")
    certificate = authority.issue(tmp_path / "server", "server", URI, bits=1024)[0]
    server = load(certificate)
    weaker = pytest.MonkeyPatch()
    weaker.setattr(trust, "ACCEPTED_KEY_BITS", 1025)  # no library makes shorter keys any more
    judged = trust.judge(tmp_path, server, URI, accepted={trust.fingerprint(server): {"key"}})
    weaker.undo()
    assert (judged.refusal, judged.fault) == ("the server's key is not RSA with at least 2048 bits", None)


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"accepted_certificates": [{"sha256": "9f86", "faults": ["dates"]}]}, "pattern"),
        ({"accepted_certificates": [{"sha256": OTHER, "faults": ["revoked"]}]}, "faults"),
        ({"accepted_certificates": [{"sha256": OTHER, "faults": []}]}, "faults"),
        ({"accepted_certificates": [{"sha256": OTHER, "faults": ["uri"]}, {"sha256": OTHER, "faults": ["key"]}]}, "stands twice"),
        ({"accepted_certificates": [{"sha256": OTHER, "faults": ["uri"]}], "security": {"policy": "None"}}, "no certificate is looked at"),
    ],
)
def test_an_acceptance_that_means_nothing_is_refused(keys: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        OpcUaSettings.model_validate(keys)


@pytest.mark.urs("URS-SEC-03")
@pytest.mark.parametrize("issued", [{"days": -1, "uri": URI}, {"bits": 1024, "uri": None}], ids=["expired", "short key of no application"])
async def test_a_server_is_read_once_its_faults_are_accepted(tmp_path: Path, authority: Authority, issued: dict[str, Any]) -> None:
    certs.make(tmp_path / "certs")
    authority.put(tmp_path / "certs" / "trusted" / "certs")
    certificate = authority.issue(tmp_path / "server", "server", **issued)
    settings: dict[str, Any] = {"security": {"policy": "Basic256Sha256"}}
    async with Bench(tmp_path, count=5, certificate=certificate, settings=settings) as bench:
        bench.run()
        await eventually(lambda: bench.failures)
        row = f'accepted_certificates = [{{ sha256 = "{trust.fingerprint(load(certificate[0]))}", faults = ["'
        assert row in bench.failures[0], "the line to write is told"
        faults = ["dates"] if "days" in issued else ["uri", "key"]
        accepted = [{"sha256": trust.fingerprint(load(certificate[0])), "faults": faults}]
        options: dict[str, Any] = {**bench.source.options, "accepted_certificates": accepted}
        bench.source = bench.source.model_copy(update={"options": options})
        await bench.kill()
        bench.run()
        await bench.make(3)
        await bench.caught_up()
        if "days" in issued:
            await eventually(lambda: "certificate-expires" in bench.disk.codes())
            (told,) = {(one.severity, one.text) for one in bench.disk.findings if one.code == "certificate-expires"}
            assert told[0] == "warning"
            assert "which is accepted in line.toml" in told[1]
