"""A line with a part of every kind."""

import contextlib
import http.client
import json
from collections.abc import Iterator
from typing import Any, Self

from kit import hooks
from kit.neighbours import Neighbours, asked, held
from kit.processes import forked, listens, until
from kit.stands import Stand
from kit.twelve_sources import Balance, ModbusTcp, OpcUa

from buffer import segment, verify
from simulators.broker import Broker

SECTIONS = """
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
[buffer]
retain_days = 0
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
TOKEN = "0123456789abcdef0123456789abcdef"


class EveryPart(Neighbours):
    """Five devices that move all the time, an EBR by HTTP and one by MQTT, a web server for witness and messages, and who asks."""

    NAME = "every-part"
    PORTS = ("web", "push", "hooks", "http", "mqtt")
    _asked = 0

    def made(self) -> list[Stand]:
        return [OpcUa("opcua", self.folder), ModbusTcp("modbus", self.folder, "tcp"), Balance("scale", self.folder, "mt-sics")]

    def hurry(self) -> dict[tuple[Any, str], Any]:
        """A part of the journal is full soon, and may go."""
        return {(segment, "ENTRIES"): 256, (verify, "SEGMENT"): 256}

    def payloads(self) -> Iterator[bytes]:
        return held(self.root / "ebr")

    def sections(self) -> str:
        return SECTIONS.format(share=(self.root / "share").as_uri(), backup_every_h=0.0002, **self.ports)

    def prepare(self) -> None:
        for name in ("credentials", "backups"):
            (self.folder / name).mkdir(parents=True)
        (self.root / "share").mkdir()
        token = self.folder / "credentials" / "mes-token"
        token.write_text(f"{TOKEN}\n")
        token.chmod(0o600)
        hooks.taking(self.ports["hooks"], self.stack)
        self.broker = Broker(self.ports["mqtt"])

    async def begin(self) -> None:
        await self.broker.start()

    async def end(self) -> None:
        await self.broker.close()

    def __enter__(self) -> Self:
        super().__enter__()
        for name, to in (("ebr", ("--http", str(self.ports["http"]))), ("ebr-mqtt", ("--mqtt", self.broker.url))):
            words = ("ebr", "--store", str(self.root / name), *to)
            self.stack.enter_context(forked(*words, log=self.root / f"{name}.log"))
        until(lambda: listens(self.ports["http"]))
        return self

    def disturb(self, number: int) -> None:
        """Reset the connections of a device, by turns."""
        cables = [stand.cable for stand in self.stands if isinstance(stand, OpcUa | ModbusTcp)]
        self.loop.call_soon_threadsafe(cables[number % len(cables)].reset)

    def ask(self) -> None:
        """Do what people and the MES do: look at the page and its figures, give an order."""
        self._asked += 1
        with contextlib.suppress(OSError, http.client.HTTPException):
            for path in ("/", "/metrics"):
                asked(self.ports["web"], "GET", path)
            order = json.dumps({"batch": f"B{self._asked // 50}"}).encode()
            asked(self.ports["push"], "PUT", "/equipment/dryer/context", order, Authorization=f"Bearer {TOKEN}")
