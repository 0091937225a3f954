"""Order parameters sent to a running gateway: taken, answered when on disk, refused with a reason."""

import asyncio
import http.client
import json
import secrets
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from kit.drop_line import events, stored
from kit.processes import DEADLINE_S, free_port, listens, running, until
from kit.strict_schemas import wrong

import config
from gateway.intake import push_tokens
from gateway.intake.push import PushServer
from gateway.intake.push_tokens import PushTokens
from gateway.operation.control import ask
from simulators import pki

ORDER = {"batch": "B2026-0417", "order": "0004500123456", "recipe": "MBR-88"}


class Pushing:
    """A line folder whose two units wait for pushed orders, its process, and a client of its own."""

    def __init__(self, folder: Path, *, tls: str = "") -> None:
        self.folder, self.port = folder, free_port()
        self.tokens = {name: secrets.token_hex(16) for name in ("mes", "scheduler")}
        self.context: ssl.SSLContext | None = None
        (folder / "credentials").mkdir(parents=True)
        for name, token in self.tokens.items():
            (folder / "credentials" / f"{name}-token").write_text(token + "\n")
            (folder / "credentials" / f"{name}-token").chmod(0o600)
        (folder / "drop").mkdir()
        (folder / "tags.csv").write_text("tag,source,address,type\nlab.lod,lims,results.lod,decimal\n")
        for name in ("steps", "parameters"):
            (folder / f"{name}.csv").write_text(
                {"steps": "step,equipment,level,signal,active\n", "parameters": "parameter,equipment,step,statistic\n"}[name]
            )
        (folder / "line.toml").write_text(self.toml(tls))

    def toml(self, tls: str) -> str:
        identities = "".join(f"{name} = {{ push = true }}\n" for name in ORDER)
        clients = '[[push.client]]\nname = "mes"\ntoken = { credential = "mes-token" }\n'
        clients += '[[push.client]]\nname = "scheduler"\ntoken = { credential = "scheduler-token" }\nequipment = ["dryer"]\n'
        return (
            '[line]\nsite = "lyon"\nname = "push-1"\ntimezone = "Europe/Paris"\n'
            f'[push]\nlisten = "127.0.0.1:{self.port}"\n{tls}{clients}'
            '[[source]]\nname = "lims"\ndriver = "mes_file"\nendpoint = "file://drop"\n'
            '[[source.pattern]]\nname = "results"\nglob = "*.csv"\nformat = "csv"\nkey = "sample_id"\n'
            f'[[equipment]]\nname = "granulator"\nsettle_ms = 0\n{identities}[[equipment]]\nname = "dryer"\nsettle_ms = 0\n{identities}'
            f'[[uplink]]\nname = "ebr"\nkind = "mqtt"\nendpoint = "mqtt://127.0.0.1:{free_port()}"\n'
        )

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run its gateway; the block begins when orders are heard."""
        with running(self.folder) as gateway:
            until(lambda: listens(self.port))
            yield gateway

    def put(self, equipment: str, body: Any, token: str | None = None) -> tuple[int, dict[str, Any]]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        if self.context is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        else:
            connection = http.client.HTTPSConnection("localhost", self.port, timeout=DEADLINE_S, context=self.context)
        try:
            headers = {"Authorization": f"Bearer {token or self.tokens['mes']}"}
            connection.request("PUT", f"/equipment/{equipment}/context", raw, headers)
            answer = connection.getresponse()
            text = answer.read()
            said = json.loads(text) if text.startswith(b"{") else {}
            assert wrong("push-answer.json" if answer.status == 200 else "error.json", said) == [], "as the schema has it, member by member"
            return answer.status, said
        finally:
            connection.close()


@pytest.fixture
def pushing(tmp_path: Path) -> Iterator[Pushing]:
    line = Pushing(tmp_path / "line")
    with line.running():
        yield line


@pytest.mark.urs("URS-CTX-01", "URS-CTX-10", "URS-AUD-02")
def test_an_order_is_answered_with_the_place_where_it_stands_on_disk(pushing: Pushing) -> None:
    status, answer = pushing.put("granulator", ORDER)
    assert (status, answer["equipment"], answer["values"]) == (200, "granulator", ORDER)

    entry = next(e for e in stored(pushing.folder) if (e["epoch"], e["seq"]) == (answer["epoch"], answer["seq"]))
    assert entry["event"]["type"] == "context"
    assert (entry["event"]["values"], entry["event"]["who"], entry["event"]["peer"]) == (ORDER, "push:mes", "127.0.0.1")
    begun = until(lambda: events(pushing.folder, "batch"))
    assert [(e["transition"], e["equipment"], e["batch"], e["order"]) for e in begun] == [
        ("start", "granulator", "B2026-0417", "0004500123456")
    ]


@pytest.mark.bar("S10")
@pytest.mark.urs("URS-SEC-09", "URS-CTX-03")
def test_what_is_not_an_order_of_a_known_client_is_refused_with_a_reason_and_stands_in_the_journal(pushing: Pushing) -> None:
    short = {name: value for name, value in ORDER.items() if name != "recipe"}
    scheduler = pushing.tokens["scheduler"]
    refused = [
        (pushing.put("granulator", short), 422, "batch, order, recipe"),
        (pushing.put("granulator", ORDER | {"order": 4500123456}), 422, "order: a text"),
        (pushing.put("granulator", ORDER | {"operator": "x"}), 422, "exactly these members"),
        (pushing.put("granulator", ORDER | {"batch": "B\n1"}), 422, "batch: a text"),
        (pushing.put("granulator", ORDER | {"batch": " "}), 422, "batch: a text"),
        (pushing.put("granulator", [ORDER]), 422, "exactly these members"),
        (pushing.put("granulator", b"{batch"), 400, "no JSON"),
        (pushing.put("granulator", b" " * 20_000), 413, "at most"),
        (pushing.put("press", ORDER), 404, "no equipment `press`"),
        (pushing.put("granulator", ORDER, scheduler), 403, "scheduler may not send"),
        (pushing.put("dryer", ORDER, secrets.token_hex(16)), 401, "Bearer TOKEN"),
    ]
    assert [(status, reason in answer["error"]) for (status, answer), _, reason in refused] == [(status, True) for _, status, _ in refused]
    assert pushing.put("dryer", ORDER, scheduler)[0] == 200

    assert [event["equipment"] for event in events(pushing.folder, "context")] == ["dryer"]
    told = [event["text"] for event in events(pushing.folder, "finding") if event["code"] == "push-refused"]
    firsts = ("exactly these members", "no JSON", "no equipment `press`", "Bearer TOKEN")
    assert [sum(word in text for text in told) for word in firsts] == [1, 1, 1, 1]


@pytest.mark.bar("S10")
@pytest.mark.urs("URS-SEC-09")
def test_five_wrong_tokens_lock_wrong_ones_out_and_never_a_right_one(pushing: Pushing) -> None:
    assert [pushing.put("dryer", ORDER, secrets.token_hex(16))[0] for _ in range(6)] == [401] * 5 + [429]
    assert pushing.put("dryer", ORDER)[0] == 200
    assert pushing.put("dryer", ORDER, secrets.token_hex(16))[0] == 429


@pytest.mark.urs("URS-CTX-01", "URS-BUF-01")
def test_a_pushed_order_stands_after_a_kill(tmp_path: Path) -> None:
    line = Pushing(tmp_path / "line")
    with line.running() as gateway:
        assert line.put("dryer", ORDER)[0] == 200
        until(lambda: events(line.folder, "batch"))
        gateway.kill()
        gateway.wait()
    with line.running():
        assert line.put("dryer", ORDER | {"batch": "B2026-0418"})[0] == 200
        batches = until(lambda: found if len(found := _batches(line.folder)) >= 4 else None)
    assert sorted(batches) == [("end", "B2026-0417"), ("leave", "B2026-0417"), ("start", "B2026-0417"), ("start", "B2026-0418")]


def _batches(folder: Path) -> list[tuple[str, str]]:
    return [(event["transition"], event["batch"]) for event in events(folder, "batch")]


@pytest.mark.urs("URS-SEC-04")
def test_with_a_certificate_authority_only_its_clients_are_heard(tmp_path: Path) -> None:
    pki.make(tmp_path / "pki")
    line = Pushing(tmp_path / "line", tls='tls = { cert = "server.crt", key = "server.key", ca = "ca.crt" }\n')
    for name in ("server.crt", "server.key", "ca.crt"):
        (line.folder / name).write_bytes((tmp_path / "pki" / name).read_bytes())
    with line.running():
        line.context = ssl.create_default_context(cafile=tmp_path / "pki" / "ca.crt")
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
            line.put("dryer", ORDER)
        line.context.load_cert_chain(tmp_path / "pki" / "client.crt", tmp_path / "pki" / "client.key")
        assert line.put("dryer", ORDER)[0] == 200


@pytest.mark.urs("URS-SEC-05", "URS-SEC-09")
@pytest.mark.parametrize("bad", ["mes", "scheduler"])
def test_a_token_that_is_missing_or_short_keeps_its_own_client_out_alone_until_it_is_there(tmp_path: Path, bad: str) -> None:
    """It closed the port for all clients."""
    line = Pushing(tmp_path / "line")
    file = line.folder / "credentials" / f"{bad}-token"
    if bad == "mes":
        file.write_text("short\n")
    else:
        file.unlink()
    (good,) = line.tokens.keys() - {bad}
    with line.running() as gateway:
        why = until(lambda: ask(line.folder / "data")["broken"].get(f"push client {bad}"))
        assert why.startswith("misconfigured: line.toml:")
        assert ("shorter than 20 characters" if bad == "mes" else "scheduler-token") in why
        assert "push" not in ask(line.folder / "data")["broken"]
        until(lambda: line.put("dryer", ORDER, line.tokens[good])[0] == 200)
        assert line.put("dryer", ORDER, line.tokens[bad])[0] == 401
        file.write_text(line.tokens[bad])
        file.chmod(0o600)
        until(lambda: line.put("dryer", ORDER, line.tokens[bad])[0] in (200, 429) and line.put("dryer", ORDER, line.tokens[bad])[0] == 200)
        assert line.put("dryer", ORDER, line.tokens[good])[0] == 200
        assert gateway.poll() is None


@pytest.mark.urs("URS-SEC-05")
def test_a_token_that_is_changed_counts_without_a_restart_and_the_old_one_no_more(pushing: Pushing) -> None:
    old, new = pushing.tokens["mes"], secrets.token_hex(16)
    file = pushing.folder / "credentials" / "mes-token"
    fresh = file.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(new)
    fresh.rename(file)
    until(lambda: pushing.put("dryer", ORDER, new)[0] == 200)
    assert pushing.put("dryer", ORDER, old)[0] in (401, 429)
    assert pushing.put("dryer", ORDER, pushing.tokens["scheduler"])[0] == 200


@pytest.mark.bar("S10")
def test_a_body_that_does_not_come_is_given_up(pushing: Pushing) -> None:
    head = (
        f"PUT /equipment/dryer/context HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {pushing.tokens['mes']}\r\nContent-Length: 90\r\n\r\n{{"
    )
    with socket.create_connection(("127.0.0.1", pushing.port), timeout=DEADLINE_S) as slow:
        slow.sendall(head.encode())
        assert slow.recv(4096).startswith(b"HTTP/1.1 408")
    assert pushing.put("dryer", ORDER)[0] == 200


@pytest.mark.urs("URS-CTX-01", "URS-SEC-02")
async def test_a_right_token_that_is_not_read_yet_is_no_wrong_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here its file is read when the test says so, as one on a share that hangs; the port does not wait for it for ever."""
    monkeypatch.setattr(push_tokens, "FIRST_LOOK_S", 0.01)
    site = Pushing(tmp_path / "line")
    line = config.load(site.folder)
    assert line.push is not None
    tokens, taken, opened = PushTokens(line), [], asyncio.Event()

    async def happened(event: Mapping[str, Any]) -> None:
        taken.append(event)

    def told(event: Mapping[str, Any]) -> asyncio.Task[None]:
        return asyncio.create_task(happened(event))

    serving = asyncio.create_task(PushServer(line, line.push, tokens).serve(told, lambda: (1, 1), lambda: True, opened.set))
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        await opened.wait()

        async def put() -> tuple[int, str | None]:
            headers = {"Authorization": f"Bearer {site.tokens['mes']}"}
            async with session.put(f"http://127.0.0.1:{site.port}/equipment/dryer/context", json=ORDER, headers=headers) as answer:
                return answer.status, answer.headers.get("Retry-After")

        assert await put() == (503, "1")
        known = asyncio.Event()
        keeping = [asyncio.create_task(tokens.keep(client, known.set)) for client in line.push.client[:1]]
        await known.wait()
        assert await put() == (200, None)
        keeping += [asyncio.create_task(tokens.keep(client)) for client in line.push.client[1:]]
        while tokens.are_unread:  # each look at them waits a hundredth of a second here
            await tokens.looked_at()
    for task in (serving, *keeping):
        task.cancel()
    await asyncio.wait([serving, *keeping])
    assert [event["type"] for event in taken] == ["finding", "context"]
