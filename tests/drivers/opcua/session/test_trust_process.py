"""Who is believed, and as whom we come: chains, revocation lists, user certificates, each policy and mode, and no way down."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from cryptography.hazmat.primitives import serialization
from kit.nearly_full import nearly_full
from kit.opcua_authority import NOW, Authority
from kit.opcua_bench import Bench, secured
from kit.processes import DEADLINE_S, eventually

from drivers.opcua.session import certs, trust
from drivers.opcua.session.certs import load

URI = "urn:example:simulated-plc"


@pytest.fixture(scope="module")
def authorities() -> tuple[Authority, Authority]:
    root = Authority("Root")
    return root, Authority("Plant", root)


def issued(path: Path, by: Authority, days: float = 365, **settings: Any) -> Bench:
    """A bench whose server's certificate an authority has signed."""
    certs.make(path / "certs")
    return Bench(
        path,
        count=5,
        certificate=by.issue(path / "server", "server", URI, days),
        settings={"security": {"policy": "Basic256Sha256"}, **settings},
    )


@pytest.mark.bar("S06")
@pytest.mark.urs("URS-SEC-03")
async def test_a_chain_is_accepted_and_a_revoked_certificate_is_refused_and_says_why(
    tmp_path: Path, authorities: tuple[Authority, Authority]
) -> None:
    root, plant = authorities
    root.put(tmp_path / "certs" / "trusted" / "certs")
    plant.put(tmp_path / "certs" / "issuers" / "certs")
    root.revoke(tmp_path / "certs" / "trusted" / "crl")
    plant.revoke(tmp_path / "certs" / "issuers" / "crl")
    async with issued(tmp_path, plant, days=20) as bench:
        await bench.make()
        bench.run()
        await eventually(lambda: bench.disk.connections or bench.failures)
        assert not bench.failures
        await bench.caught_up()
        await eventually(lambda: "certificate-expires" in bench.disk.codes())
        (told,) = [one for one in bench.disk.findings if one.code == "certificate-expires"]
        assert "the server's OPC UA certificate expires within 30 days" in told.text
        plant.revoke(tmp_path / "certs" / "issuers" / "crl", load(tmp_path / "server" / "server.der"))
        bench.cable.reset()
        await eventually(lambda: any("was revoked" in one for one in bench.failures))
        (why,) = {one.partition(": ")[2] for one in bench.failures if "was revoked" in one}
        assert why.startswith(f"the server's certificate was revoked on {NOW - timedelta(days=1):%Y-%m-%d} by CN=Plant")
        assert "certs trust" not in why, "nobody is led to trust what was revoked"
        assert bench.disk.connections == 1


@pytest.mark.bar("S06")
def test_judgements(tmp_path: Path, authorities: tuple[Authority, Authority]) -> None:
    root, plant = authorities
    server = load(plant.issue(tmp_path / "server", "server", URI)[0])
    refusal = trust.judge(tmp_path, server).refusal or ""
    assert refusal.startswith(trust.NOT_TRUSTED)
    assert f"its chain ends before {server.issuer.rfc4514_string()}, whose certificate is not in" in refusal, "a person is told what lacks"
    plant.put(tmp_path / "issuers" / "certs")
    assert "ends before CN=Root" in str(trust.judge(tmp_path, server).refusal), "an issuer alone is not trusted"
    root.put(tmp_path / "trusted" / "certs")
    judged = trust.judge(tmp_path, server)
    assert judged.refusal is None
    assert judged.doubts == ["there is no revocation list of CN=Plant", "there is no revocation list of CN=Root"]
    Authority("Plant").revoke(tmp_path / "issuers" / "crl", server)
    assert trust.judge(tmp_path, server).doubts == judged.doubts, "a list that somebody else signed is not believed"
    plant.revoke(tmp_path / "issuers" / "crl", until=timedelta(days=-1))
    assert "should have been renewed" in trust.judge(tmp_path, server).doubts[0]
    root.revoke(tmp_path / "trusted" / "crl", plant.certificate)
    assert str(trust.judge(tmp_path, server).refusal).startswith("the authority CN=Plant was revoked")
    (tmp_path / "trusted" / "crl" / "Root.crl").write_bytes(b"rubbish")
    with pytest.raises(trust.UnreadableFile, match="is no revocation list"):
        trust.judge(tmp_path, server)


@pytest.mark.bar("S06")
def test_the_chain_that_the_server_sends_is_used_but_never_trusted(tmp_path: Path, authorities: tuple[Authority, Authority]) -> None:
    root, plant = authorities
    server = load(plant.issue(tmp_path / "server", "server", URI)[0])
    assert trust.judge(tmp_path, server, sent=[plant.certificate, root.certificate]).refusal == trust.NOT_TRUSTED
    root.put(tmp_path / "trusted")
    assert trust.judge(tmp_path, server, sent=[plant.certificate]).refusal is None
    assert "valid from" in str(trust.judge(tmp_path, server, now=NOW + timedelta(days=400), sent=[plant.certificate]).refusal)
    leaf = load(certs_file := root.issue(tmp_path / "leaf", "leaf")[0])
    assert certs_file.is_file()
    forged = Authority("Plant")
    assert trust.judge(tmp_path, load(forged.issue(tmp_path / "forged", "x")[0]), sent=[forged.certificate]).refusal == trust.NOT_TRUSTED
    assert trust.judge(tmp_path, leaf).refusal is None


async def test_a_missing_revocation_list_is_told_or_refused(tmp_path: Path, authorities: tuple[Authority, Authority]) -> None:
    root, _ = authorities
    root.put(tmp_path / "certs" / "trusted" / "certs")
    async with issued(tmp_path, root, revocation="required") as bench:
        bench.run()
        await eventually(lambda: bench.failures)
        assert 'there is no revocation list of CN=Root, and revocation = "required"' in bench.failures[0]
        root.revoke(tmp_path / "certs" / "trusted" / "crl")
        await bench.make()
        await bench.caught_up()


def user(path: Path, identity: str, authority: Authority) -> tuple[dict[str, Any], dict[str, str], bytes]:
    """(settings, users, certificate of the user)."""
    if identity == "certificate":
        file, _ = authority.issue(path, "user")
        return {"user_certificate": "user.der"}, {}, file.read_bytes()
    if identity == "name":
        (path / "credentials").mkdir()
        (path / "credentials" / "plc").write_text("right")
        (path / "credentials" / "plc").chmod(0o600)
        return {"user": "ebr", "password": {"credential": "plc"}}, {"ebr": "right"}, b""
    return {}, {}, b""


TABLE = [
    pytest.param(policy, mode, identity, marks=() if number in {0, 4, 11, 17} else pytest.mark.faults)
    for number, (policy, mode, identity) in enumerate(
        (policy, mode, identity)
        for policy in ("Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss")
        for mode in ("Sign", "SignAndEncrypt")
        for identity in ("anonymous", "name", "certificate")
    )
]


@pytest.mark.urs("URS-SEC-03")
@pytest.mark.parametrize(("policy", "mode", "identity"), TABLE)
async def test_each_policy_mode_and_identity(
    tmp_path: Path, policy: str, mode: str, identity: str, authorities: tuple[Authority, Authority], figures: Any
) -> None:
    settings, users, certificate = user(tmp_path, identity, authorities[0])
    async with secured(tmp_path, policy, mode, settings=settings, users=users, count=5) as bench:
        bench.plc.user_certificates |= {certificate} - {b""}
        certs.trust(tmp_path / "certs", str(tmp_path / "server" / "own" / "cert.der"))
        await bench.make()
        bench.run()
        await eventually(lambda: bench.disk.connections)
        await bench.make(3)
        bench.cable.reset()
        await bench.make(3)
        await bench.caught_up()
        assert not [one for one in bench.failures if "Bad" in one]
        assert not bench.missing()
        assert bench.doubled() == 0
        figures("link cut", f"{policy} {mode} {identity}: values over a cut link, lost 0, doubled 0")


async def test_a_users_certificate_that_the_server_does_not_know_is_refused(
    tmp_path: Path, authorities: tuple[Authority, Authority]
) -> None:
    settings, _, _ = user(tmp_path, "certificate", authorities[0])
    async with secured(tmp_path, settings=settings, count=2) as bench:
        bench.plc.user_certificates.add(b"another one")
        certs.trust(tmp_path / "certs", str(tmp_path / "server" / "own" / "cert.der"))
        bench.run()
        await eventually(lambda: bench.failures)
        assert "BadUserAccessDenied" in bench.failures[0]
        assert bench.disk.connections == 0


@pytest.mark.bar("S06")
@pytest.mark.parametrize("mode", ["Sign", "SignAndEncrypt"])
async def test_a_password_is_never_sent_where_the_wire_would_show_it(
    tmp_path: Path, mode: str, authorities: tuple[Authority, Authority], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that asks for the password without encryption of its own: in mode Sign it is not given."""
    settings, users, _ = user(tmp_path, "name", authorities[0])
    async with secured(tmp_path, "Basic256Sha256", mode, settings=settings, users=users, count=2) as bench:
        for endpoint in bench.plc._server.iserver.endpoints:
            for token in endpoint.UserIdentityTokens:
                if token.TokenType == ua.UserTokenType.UserName:
                    token.SecurityPolicyUri = "http://opcfoundation.org/UA/SecurityPolicy#None"
        certs.trust(tmp_path / "certs", str(tmp_path / "server" / "own" / "cert.der"))
        await bench.make()
        bench.run()
        await eventually(lambda: bench.failures or bench.disk.connections)
        if mode == "Sign":
            assert "UserName with None only: that would not protect it in mode Sign" in bench.failures[0]
            assert bench.disk.connections == 0
        else:
            assert bench.disk.connections


@pytest.mark.bar("S06")
@pytest.mark.parametrize("offered", ["Basic256Sha256_Sign", "NoSecurity", "Aes128Sha256RsaOaep_SignAndEncrypt"])
async def test_nothing_but_the_configured_policy_and_mode_is_used(tmp_path: Path, offered: str) -> None:
    async with secured(tmp_path, "Basic256Sha256", "SignAndEncrypt", count=2) as bench:
        await bench.plc.stop()
        bench.plc.policies = [getattr(ua.SecurityPolicyType, offered)]
        await bench.plc.start()
        certs.trust(tmp_path / "certs", str(tmp_path / "server" / "own" / "cert.der"))
        bench.run()
        await eventually(lambda: bench.failures)
        assert "does not offer Basic256Sha256/SignAndEncrypt, only " in bench.failures[0]
        assert bench.disk.connections == 0


async def test_a_server_stops_although_somebody_connects_all_the_time(tmp_path: Path) -> None:
    """What once made a secured test hang: a connection that came while the simulated server was ending the others was waited for."""
    writers: list[asyncio.StreamWriter] = []

    async def connects(port: int) -> None:
        while True:
            with contextlib.suppress(OSError):
                writers.append((await asyncio.open_connection("127.0.0.1", port))[1])
            await asyncio.sleep(0)

    async with Bench(tmp_path, count=1) as bench:
        tasks = [asyncio.create_task(connects(bench.plc.port)) for _ in range(4)]
        for _ in range(4):
            await eventually(lambda: writers)
            async with asyncio.timeout(DEADLINE_S):
                await bench.plc.stop()
            for writer in writers:
                writer.close()
            writers.clear()
            await bench.plc.start()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.close()


@pytest.mark.bar("S12")
@pytest.mark.urs("URS-SEC-09")
async def test_nobody_is_sent_elsewhere_by_the_addresses_that_a_server_lists(tmp_path: Path) -> None:
    came: list[object] = []
    elsewhere = await asyncio.start_server(lambda *ends: came.append(ends), "127.0.0.1", 0)
    url = f"opc.tcp://127.0.0.1:{elsewhere.sockets[0].getsockname()[1]}"
    async with secured(tmp_path, count=2) as bench:
        for endpoint in bench.plc._server.iserver.endpoints:
            endpoint.EndpointUrl = url
            endpoint.Server.DiscoveryUrls = [url]
        certs.trust(tmp_path / "certs", str(tmp_path / "server" / "own" / "cert.der"))
        await bench.make()
        bench.run()
        await eventually(lambda: bench.disk.connections or bench.failures)
        assert bench.failures == []
        await bench.caught_up()
        bench.cable.reset()
        await eventually(lambda: bench.disk.connections == 2)
    elsewhere.close()
    assert came == []


@pytest.mark.urs("URS-SEC-03")
def test_a_certificate_of_which_half_could_be_written_is_not_in_the_folder_and_is_written_the_next_time(
    tmp_path: Path, authorities: tuple[Authority, Authority]
) -> None:
    """Half of one in rejected/ kept every certificate there from being trusted, for ever."""
    server, empty = authorities[1].certificate, tmp_path / "empty"
    empty.touch()
    with nearly_full(empty, 100):
        for act in (lambda: certs.reject(tmp_path, server), lambda: certs.make(tmp_path)):
            with pytest.raises(OSError, match="File too large"):
                act()
    assert certs.show(tmp_path) == []
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [empty]
    digest = certs.reject(tmp_path, server)
    assert certs.trust(tmp_path, digest[:16]).sha256 == certs.show(tmp_path)[0].sha256 == digest
    certs.make(tmp_path)
    with pytest.raises(FileExistsError):
        certs.make(tmp_path)


@pytest.mark.urs("URS-SEC-03")
def test_of_two_who_make_a_certificate_at_once_one_does_and_what_it_made_belongs_together(tmp_path: Path) -> None:
    def made(_: int) -> bool:
        with contextlib.suppress(FileExistsError):
            certs.make(tmp_path)
            return True
        return False

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(made, range(3))) == 1
    own = tmp_path / "own"
    key = serialization.load_pem_private_key((own / "key.pem").read_bytes(), password=None)
    assert key.public_key() == load(own / "cert.der").public_key()
    assert sorted(one.name for one in own.iterdir()) == ["cert.der", "key.pem"], "and nothing is left of the others"
    assert own.joinpath("key.pem").stat().st_mode & 0o777 == 0o600
