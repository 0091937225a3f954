"""A line with a part of every kind, and the neighbours of each: they run in a thread of their own, apart from the gateway's loop."""

import asyncio
import contextlib
import http.client
import json
import sqlite3
import threading
from collections.abc import Coroutine
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from kit.processes import forked, free_port, listens, until
from kit.twelve_sources import Balance, Drop, ModbusTcp, OpcUa, Sqlite

from simulators.broker import Broker

MOVED_EVERY_S = 0.2
FILES_STAY = 600
"""Two minutes of them: taken away before it was read, a file is no reading, and a busy machine reads late."""
LINE = """
[line]
site = "lyon"
name = "every-part"
timezone = "Europe/Paris"
[web]
listen = "127.0.0.1:{web}"
[push]
listen = "127.0.0.1:{push}"
[[push.client]]
name = "mes"
token = {{ credential = "mes-token" }}
[users]
socket = "people.sock"
group = "root"
[[equipment]]
name = "dryer"
settle_ms = 0
batch = {{ push = true }}
[[witness]]
name = "qa"
endpoint = "{share}"
[[witness]]
name = "web"
endpoint = "http://127.0.0.1:{hooks}/witness"
[[notify]]
name = "chat"
endpoint = "http://127.0.0.1:{hooks}/notify"
[backup]
folder = "backups"
every_h = {backup_every_h}
keep = 1
[[uplink]]
name = "ebr"
kind = "https"
endpoint = "http://127.0.0.1:{http}"
resend_after_s = 0.3
[[uplink]]
name = "broker"
kind = "mqtt"
endpoint = "mqtt://127.0.0.1:{mqtt}"
resend_after_s = 0.3
[[uplink]]
name = "records"
kind = "https"
profile = "records"
endpoint = "http://127.0.0.1:{http}"
resend_after_s = 0.3
"""


class Neighbours:
    """Five devices that move all the time, an EBR by HTTP and one by MQTT, a web server for witness and messages, and who asks."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder.parent
        self.ports = {name: free_port() for name in ("web", "push", "hooks", "http", "mqtt")}
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._stack = ExitStack()
        self._asked = self._swept = 0
        self._hooks = ThreadingHTTPServer(("127.0.0.1", self.ports["hooks"]), _Taken)

    def __enter__(self) -> Self:
        for name in ("credentials", "backups"):
            (self.folder / name).mkdir(parents=True)
        share = self.root / "share"
        share.mkdir()
        token = self.folder / "credentials" / "mes-token"
        token.write_text("0123456789abcdef0123456789abcdef\n")
        token.chmod(0o600)
        self._thread.start()
        threading.Thread(target=self._hooks.serve_forever, daemon=True).start()
        self.stands = [
            OpcUa("opcua", self.folder),
            ModbusTcp("modbus", self.folder, "tcp"),
            Balance("scale", self.folder, "mt-sics"),
            Sqlite("mes", self.folder),
            Drop("drop", self.folder),
        ]
        self.broker = Broker(self.ports["mqtt"])
        self.call(self._start())
        sections = "".join(stand.toml() for stand in self.stands).replace("rate_ms = 1000", "rate_ms = 100")
        text = LINE.format(share=share.as_uri(), backup_every_h=0.0002, **self.ports)
        (self.folder / "line.toml").write_text(text + sections)
        tags = [stand.tag() for stand in self.stands]
        cells = "".join(
            f'{tag.tag},{tag.source},"{tag.address.replace(chr(34), 2 * chr(34))}",{tag.type},{tag.unit or ""}\n' for tag in tags
        )
        (self.folder / "tags.csv").write_text(f"tag,source,address,type,unit\n{cells}")
        (self.folder / "steps.csv").write_text("step,equipment,level,signal,active\n")
        (self.folder / "parameters.csv").write_text("parameter,equipment,step,statistic\n")
        for name, to in (("ebr", ("--http", str(self.ports["http"]))), ("ebr-mqtt", ("--mqtt", self.broker.url))):
            words = ("ebr", "--store", str(self.root / name), *to)
            self._stack.enter_context(forked(*words, log=self.root / f"{name}.log"))
        until(lambda: listens(self.ports["http"]))
        return self

    def __exit__(self, *_: object) -> None:
        self._hooks.shutdown()
        self._stack.close()
        self._moving.cancel()
        self.call(self._stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something in the neighbours' loop, to its end."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def disturb(self, number: int) -> None:
        """Reset the connections of a device, by turns."""
        cables = [stand.cable for stand in self.stands if isinstance(stand, OpcUa | ModbusTcp)]
        self.loop.call_soon_threadsafe(cables[number % len(cables)].reset)

    def ask(self) -> None:
        """Do what people and the MES do: look at the page and its figures, give an order."""
        self._asked += 1
        with contextlib.suppress(OSError, http.client.HTTPException):
            for path in ("/", "/metrics"):
                _asked(self.ports["web"], "GET", path)
            order = json.dumps({"batch": f"B{self._asked // 50}"}).encode()
            _asked(self.ports["push"], "PUT", "/equipment/dryer/context", order, Authorization="Bearer 0123456789abcdef0123456789abcdef")

    async def _start(self) -> None:
        await self.broker.start()
        for stand in self.stands:
            await stand.start()
        self._moving = asyncio.run_coroutine_threadsafe(self._move(), self.loop)

    async def _move(self) -> None:
        while True:
            for stand in self.stands:
                with contextlib.suppress(sqlite3.OperationalError):  # locked: whoever locks it is seen by that nothing new is read of it
                    await stand.move()
            for number in range(self._swept, self.stands[-1].number - FILES_STAY):  # somebody takes away what was read long ago
                (self.folder / "drop" / f"{number + 1}.csv").unlink(missing_ok=True)
                self._swept = number + 1
            await asyncio.sleep(MOVED_EVERY_S)

    async def _stop(self) -> None:
        for stand in self.stands:
            await stand.stop()
        await self.broker.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


class _Taken(BaseHTTPRequestHandler):
    """Takes whatever is put or posted."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_PUT  # noqa: N815 - the library's name

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _asked(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body, headers)
        connection.getresponse().read()
    finally:
        connection.close()
