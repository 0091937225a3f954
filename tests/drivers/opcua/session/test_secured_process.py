"""Sessions that are secured: policies, users, certificates that change."""

from pathlib import Path
from typing import Any

import pytest
from asyncua import ua as _ua
from asyncua.server.internal_server import InternalServer
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from kit.opcua_bench import Bench, secured
from kit.processes import eventually

from drivers.opcua.asyncua_types import Client
from drivers.opcua.session import certs, security

ua: Any = _ua

SECURED = [
    ("Basic256Sha256", "SignAndEncrypt"),
    pytest.param("Basic256Sha256", "Sign", marks=pytest.mark.faults),
    pytest.param("Aes128_Sha256_RsaOaep", "SignAndEncrypt", marks=pytest.mark.faults),
    pytest.param("Aes256_Sha256_RsaPss", "Sign", marks=pytest.mark.faults),
    ("Aes256_Sha256_RsaPss", "SignAndEncrypt"),
]


@pytest.mark.urs("URS-SEC-03")
@pytest.mark.parametrize(("policy", "mode"), SECURED)
async def test_each_policy_carries_values_once_the_server_is_trusted(tmp_path: Path, policy: str, mode: str) -> None:
    async with secured(tmp_path, policy, mode) as bench:
        await bench.make()
        bench.run()
        await eventually(lambda: bench.failures)
        assert "is not trusted" in bench.failures[0]
        (refused,) = [one for one in certs.show(tmp_path / "certs") if one.kind == "rejected"]
        assert refused.sha256[:16] in bench.failures[0], "the message names what to type"
        certs.trust(tmp_path / "certs", refused.sha256[:16])
        await eventually(lambda: bench.disk.connections)
        await bench.make(3)
        bench.cable.reset()
        await bench.make(3)
        await bench.kill()
        await bench.make(3)
        bench.run()
        await bench.make(3)
        await bench.caught_up()
        assert not bench.missing()
        assert bench.doubled() == 0


@pytest.mark.bar("S06")
async def test_a_server_without_the_configured_policy_is_refused(tmp_path: Path) -> None:
    certs.make(tmp_path / "certs")
    async with Bench(tmp_path, settings={"security": {"policy": "Aes256_Sha256_RsaPss"}}) as bench:
        bench.run()
        await eventually(lambda: bench.failures)
        assert "does not offer Aes256_Sha256_RsaPss/SignAndEncrypt, only None/None" in bench.failures[0]
        assert bench.disk.connections == 0


@pytest.mark.parametrize(("password", "works"), [("right", True), ("wrong", False)])
async def test_user_name_and_password(tmp_path: Path, password: str, works: bool) -> None:
    (tmp_path / "credentials").mkdir()
    secret = tmp_path / "credentials" / "plc"
    secret.write_text(password)
    secret.chmod(0o600)
    users: dict[str, Any] = {"settings": {"user": "ebr", "password": {"credential": "plc"}}, "users": {"ebr": "right"}}
    async with secured(tmp_path, **users) as bench:
        certs.trust(tmp_path / "certs", str(tmp_path / "server" / "own" / "cert.der"))
        await bench.make()
        bench.run()
        await eventually(lambda: bench.disk.connections or bench.failures)
        assert bool(bench.disk.connections) is works
        assert works or "BadUserAccessDenied" in bench.failures[0]


def unsecured(path: Path, **more: Any) -> Bench:
    """A server with a certificate, read over policy None with a user name."""
    (path / "credentials").mkdir()
    (path / "credentials" / "plc").write_text("right")
    (path / "credentials" / "plc").chmod(0o600)
    server = certs.make(path / "server", "urn:example:simulated-plc")
    settings = {"security": {"policy": "None"}, "user": "ebr", "password": {"credential": "plc"}}
    return Bench(
        path, settings=settings, users={"ebr": "right"}, certificate=(Path(server.file), path / "server" / "own" / "key.pem"), **more
    )


@pytest.mark.urs("URS-SEC-03")
async def test_a_password_over_policy_none_is_hidden_with_the_trusted_servers_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens: list[Any] = []
    unpack = InternalServer.decrypt_user_token

    def looked_at(self: Any, session: Any, token: Any) -> Any:
        tokens.append(token)
        return unpack(self, session, token)

    monkeypatch.setattr(InternalServer, "decrypt_user_token", looked_at)
    async with unsecured(tmp_path) as bench:
        await bench.make()
        bench.run()
        await eventually(lambda: bench.failures)
        assert "is not trusted" in bench.failures[0]
        assert not tokens, "nothing is shown to a server that nobody knows"
        certs.trust(tmp_path / "certs", str(tmp_path / "server" / "own" / "cert.der"))
        await bench.caught_up()
        bench.cable.reset()
        await bench.make(3)
        await bench.caught_up()
        assert not bench.missing()
        assert len(tokens) >= 2
        assert all(token.EncryptionAlgorithm and b"right" not in token.Password for token in tokens)


async def test_a_password_is_not_given_in_the_clear_over_policy_none(tmp_path: Path) -> None:
    """The server has a certificate, and no policy that would hide a password."""
    async with unsecured(tmp_path) as bench:
        certs.trust(tmp_path / "certs", str(tmp_path / "server" / "own" / "cert.der"))
        bench.plc.policies = [ua.SecurityPolicyType.NoSecurity]
        await bench.plc.stop()
        await bench.plc.start()
        bench.run()
        await eventually(lambda: any("that would not protect it with security policy None" in failure for failure in bench.failures))
        assert bench.disk.connections == 0


@pytest.mark.parametrize("policy", ["Basic256Sha256", "Aes256_Sha256_RsaPss"])
def test_a_secret_longer_than_a_block_is_encrypted_in_blocks(tmp_path: Path, policy: str) -> None:
    """Tokens that serve as passwords: Part 4, 7.41.2.2."""
    certs.make(tmp_path)
    own = certs.own(tmp_path)
    assert own is not None
    client = Client("opc.tcp://127.0.0.1:1")
    client._server_nonce, client.security_policy.peer_certificate = b"n" * 32, own.certificate.public_bytes(serialization.Encoding.DER)
    hidden, uri = security._hidden_password(client, "token " * 100, security.POLICIES[policy].URI)
    digest = hashes.SHA1() if uri.endswith("rsa-oaep") else hashes.SHA256()
    layout = padding.OAEP(padding.MGF1(digest), digest, None)
    key = certs.load_key(own.key_file)
    plain = b"".join(key.decrypt(hidden[at : at + 256], layout) for at in range(0, len(hidden), 256))
    assert plain == (632).to_bytes(4, "little") + b"token " * 100 + b"n" * 32


@pytest.mark.bar("F38", "S06")
@pytest.mark.faults
async def test_a_swapped_certificate_is_refused_at_reconnect(tmp_path: Path) -> None:
    async with secured(tmp_path) as bench:
        certs.trust(tmp_path / "certs", str(tmp_path / "server" / "own" / "cert.der"))
        await bench.make()
        bench.run()
        await eventually(lambda: bench.disk.connections)
        await bench.plc.stop()
        other = certs.make(tmp_path / "other", "urn:example:simulated-plc")
        bench.plc._certificate = (Path(other.file), tmp_path / "other" / "own" / "key.pem")
        await bench.plc.start()
        await eventually(lambda: any("is not trusted" in one for one in bench.failures))
        assert bench.disk.connections == 1
