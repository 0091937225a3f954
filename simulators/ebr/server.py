"""The reference EBR as a program: its listeners, its builder, and its end."""

import asyncio
import signal
import ssl
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from simulators.ebr.builder import Builder
from simulators.ebr.receive.http_in import application, serve_http
from simulators.ebr.receive.injected_faults import InjectedFaults
from simulators.ebr.receive.mqtt_in import MqttIn
from simulators.ebr.receive.receiver import Receiver
from simulators.ebr.signatures import Key, given
from simulators.ebr.store import Store

BROKER_WITHIN_S = 3.0
"""How long a broker may take before a person is told that it is not there."""


class Ebr:
    """One EBR on one store; `run` until cancelled."""

    def __init__(
        self,
        folder: Path,
        *,
        http: int | None = None,
        mqtt: str | None = None,
        host: str = "127.0.0.1",
        script: InjectedFaults | None = None,
        topics: str = "ebr/+/+",
        server_tls: ssl.SSLContext | None = None,
        client_tls: ssl.SSLContext | None = None,
        page: int | None = None,
        keys: Sequence[Key] = (),
        session_s: int = 0,
    ) -> None:
        self.folder, self.script = folder, script or InjectedFaults()
        self.store = Store(folder)
        for key in keys:
            self.store.trust(key.name, key)
        self.receiver = Receiver(self.store, self.script)
        self.builder = Builder(folder, self.receiver)
        self.ready = asyncio.Event()
        self._http, self._host, self._tls, self._page = http, host, server_tls, page
        self._mqtt = None if mqtt is None else MqttIn(mqtt, self.receiver, topics=topics, tls=client_tls, session_s=session_s)

    async def run(self, say: Callable[[str], None] = lambda _: None) -> None:
        """Receive, answer and build until cancelled. say: is told of a broker that is not there yet. Raises OSError for a port taken."""
        runners = []
        site = partial(application, self.receiver, self.folder, self.builder.index)
        try:
            if self._http is not None:
                runners.append(await serve_http(site(), self._host, self._http, self._tls))
            if self._page is not None:
                runners.append(await serve_http(site(receives=False), "127.0.0.1", self._page, None))
            async with asyncio.TaskGroup() as group:
                group.create_task(self.builder.run())
                if self._mqtt is not None:
                    group.create_task(self._mqtt.run())
                    await self._connected(self._mqtt, say)
                self.ready.set()
        finally:
            for runner in runners:
                await runner.cleanup()
            await asyncio.to_thread(self.store.close)

    async def _connected(self, mqtt: MqttIn, say: Callable[[str], None]) -> None:
        """Wait for the broker, and say so where it is not there at once."""
        ready = asyncio.ensure_future(mqtt.ready())
        try:
            if not (await asyncio.wait({ready}, timeout=BROKER_WITHIN_S))[0]:
                say("ebr: no broker has answered yet; it is tried again until one does")
                await ready
                say("ebr: the broker has answered")
        finally:
            ready.cancel()


async def serve(
    store: Path,
    http: int | None,
    mqtt: str | None,
    *,
    host: str = "127.0.0.1",
    script: InjectedFaults | None = None,
    topics: str = "ebr/+/+",
    server_tls: ssl.SSLContext | None = None,
    client_tls: ssl.SSLContext | None = None,
    page: int | None = None,
    keys: Sequence[Key] = (),
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Run the EBR on folder `store` until cancelled. http: port; mqtt: broker URL (mqtt:// or mqtts://, user:password@ if needed).

    page: a port on loopback for the pages alone, without TLS, for a browser on this machine. keys: of gateways, given by a person.
    """
    ebr = Ebr(
        store, http=http, mqtt=mqtt, host=host, script=script, topics=topics, server_tls=server_tls, client_tls=client_tls, page=page,
        keys=keys,
    )  # fmt: skip
    await ebr.run(say)


def main(
    store: Path,
    http: int | None,
    mqtt: str | None,
    tls: Path | None = None,
    page: int | None = None,
    keys: Sequence[Path] = (),
    obeys: Callable[[InjectedFaults], Coroutine[Any, Any, None]] | None = None,
    accepts: Sequence[str] = (),
) -> int:
    """Run the command `ebr-gateway ebr` until SIGINT or SIGTERM. 0: ended as asked; 2: a key or certificate is no use; 3: port taken.

    tls: a folder with ca.crt, server.crt, server.key, client.crt, client.key: HTTPS that wants client certificates, MQTT with one.
    page: see `serve`. keys: files with the public keys of gateways (`checkpoint-key.pub`).
    obeys: runs beside it, and may change its faults. accepts: schemas with their versions; all that it reads if none is given.
    """
    try:
        trusted = [key for path in keys for key in given(path)]
    except OSError as error:
        print(f"ebr: {error.filename}: {error.strerror}", file=sys.stderr)  # noqa: T201 - the command's own output
        return 2
    except ValueError as error:
        print(f"ebr: {error}", file=sys.stderr)  # noqa: T201
        return 2
    try:
        server, client = (None, None) if tls is None else (_server_context(tls), _client_context(tls))
    except OSError as error:
        print(f"ebr: {_unusable(tls, error)}", file=sys.stderr)  # noqa: T201
        return 2

    async def until_signal() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        for line in _told(store, http, mqtt, page, secure=tls is not None):
            print(line, flush=True)  # noqa: T201 - the command's own output
        script = InjectedFaults(accepts=accepts or None)
        listening = None if obeys is None else asyncio.create_task(obeys(script))
        said: dict[str, Any] = {"say": partial(print, flush=True)}
        try:
            await serve(store, http, mqtt, script=script, server_tls=server, client_tls=client, page=page, keys=trusted, **said)
        finally:
            if listening is not None:
                listening.cancel()

    try:
        asyncio.run(until_signal())
    except asyncio.CancelledError:
        return 0
    except OSError as error:
        print(f"ebr: {error.strerror or error}", file=sys.stderr)  # noqa: T201 - the command's own output
        return 3
    return 0


def _told(store: Path, http: int | None, mqtt: str | None, page: int | None, *, secure: bool) -> list[str]:
    """Say what the command is about to do, for the person who started it."""
    lines = []
    if http is not None:
        address = f"{'https' if secure else 'http'}://127.0.0.1:{http}"
        lines.append(f"ebr: receives at {address} (`endpoint` of an uplink of kind https){'' if secure else '; the same in a browser'}")
    if mqtt is not None:
        lines.append(f"ebr: receives from the broker {without_login(mqtt)}")
    if page is not None:
        lines.append(f"ebr: page http://127.0.0.1:{page}/")
    return [*lines, f"ebr: keeps all in {store}; batch records in {store / 'batches'}; Ctrl-C ends it"]


def without_login(url: str) -> str:
    """Return a URL without user and password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


TLS_FILES = ("ca.crt", "server.crt", "server.key", "client.crt", "client.key")


def _unusable(folder: Path | None, error: OSError) -> str:
    """Say what is wrong with a folder of certificates; OpenSSL names no file."""
    missing = [name for name in TLS_FILES if folder is not None and not (folder / name).is_file()]
    if missing:
        return f"--tls {folder}: {', '.join(missing)}: not there; docs/ebr.md says how to make them"
    return f"--tls {folder}: a certificate or key can not be used: {error.strerror or error}"


def _server_context(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.crt")
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _client_context(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=folder / "ca.crt")
    context.load_cert_chain(folder / "client.crt", folder / "client.key")
    return context
