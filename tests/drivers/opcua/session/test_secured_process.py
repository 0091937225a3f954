"""Sessions that are secured: policies, users, certificates that change."""

from pathlib import Path
from typing import Any

import pytest
from kit.opcua_bench import Bench, secured
from kit.processes import eventually

from drivers.opcua.session import certs

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
