"""A line whose receivers refuse, are silent, lose, forget and ask for more, over HTTP and MQTT; and whom else a gateway reports to."""

import asyncio
import contextlib
import http.client
import json
from collections.abc import Callable, Sequence
from typing import Any

from aiosmtpd.controller import Controller
from kit import hooks
from kit.neighbours import Disturbance, Neighbours, asked
from kit.persons import people, says
from kit.stands import Stand
from kit.twelve_sources import ModbusTcp

from gateway.operation.control import NotRunning, ask, tell
from simulators.broker import Broker
from simulators.ebr.entry import Refusal
from simulators.ebr.receive.injected_faults import InjectedFaults
from simulators.ebr.server import Ebr
from simulators.ntp import NtpResponder

TOKEN = "0123456789abcdef0123456789abcdef"
SECTIONS = """
[push]
listen = "127.0.0.1:{push}"
[[push.client]]
name = "mes"
token = {{ credential = "mes-token" }}
[clock]
servers = ["127.0.0.1:{ntp}", "127.0.0.1:{ntp2}", "127.0.0.1:{ntp3}"]
[[equipment]]
name = "dryer"
settle_ms = 0
batch = {{ push = true }}
[[witness]]
name = "web"
endpoint = "http://127.0.0.1:{hooks}/witness"
[[notify]]
name = "mail"
endpoint = "smtp://127.0.0.1:{smtp}"
from = "line@example.com"
to = ["qa@example.com"]
encrypted = false
[[notify]]
name = "chat"
endpoint = "http://127.0.0.1:{hooks}/notify"
[[notify]]
name = "panel"
endpoint = "mqtt://127.0.0.1:{mqtt}"
topic = "plant/alarms"
encrypted = false
[backup]
folder = "backups"
every_h = 0.0005
keep = 1
[[uplink]]
name = "ebr"
kind = "https"
endpoint = "http://127.0.0.1:{http}"
resend_after_s = 0.3
reconcile = true
[[uplink]]
name = "broker"
kind = "mqtt"
endpoint = "mqtt://127.0.0.1:{mqtt}"
resend_after_s = 0.3
[[uplink]]
name = "slow"
kind = "https"
endpoint = "http://127.0.0.1:{other}"
resend_after_s = 0.3
max_bytes_per_s = 60000
[[uplink]]
name = "records"
kind = "https"
profile = "records"
endpoint = "http://127.0.0.1:{http}"
resend_after_s = 0.3
[[uplink]]
name = "told"
kind = "mqtt"
profile = "records"
endpoint = "mqtt://127.0.0.1:{mqtt}"
topic = "told/lyon/receivers"
client_id = "told"
resend_after_s = 0.3
"""


class Receivers(Neighbours):
    """An EBR by HTTP and one by MQTT, a mail server, a web server, a broker that panels hear, a time server."""

    NAME = "receivers"
    PORTS = ("push", "ntp", "ntp2", "ntp3", "hooks", "smtp", "http", "other", "mqtt")
    CYCLE_S = 9.0
    _asked = 0

    def made(self) -> list[Stand]:
        return [ModbusTcp("modbus", self.folder, "tcp")]

    def sections(self) -> str:
        return SECTIONS.format(**self.ports)

    def prepare(self) -> None:
        for name in ("credentials", "backups"):
            (self.folder / name).mkdir()
        token = self.folder / "credentials" / "mes-token"
        token.write_text(f"{TOKEN}\n")
        token.chmod(0o600)
        people(self.folder / "data")
        hooks.taking(self.ports["hooks"], self.stack, _Grudging)
        mail = Controller(_Mailbox(), hostname="127.0.0.1", port=self.ports["smtp"])
        mail.start()
        self.stack.callback(mail.stop)
        self.broker, self.clocks = Broker(self.ports["mqtt"]), [NtpResponder(port=self.ports[name]) for name in ("ntp", "ntp2", "ntp3")]

    async def begin(self) -> None:
        await self.broker.start()
        for clock in self.clocks:
            await clock.start()
        mqtt = self.broker.url
        hows: dict[str, Any] = {"ebr": {"http": self.ports["http"]}, "slow": {"http": self.ports["other"]}, "mqtt": {"mqtt": mqtt}}
        hows["told"] = {"mqtt": mqtt, "topics": "told/+/+"}
        self._receivers = {name: Ebr(self.root / name, script=InjectedFaults(), **how) for name, how in hows.items()}
        self._running = [asyncio.ensure_future(ebr.run()) for ebr in self._receivers.values()]
        for ebr in self._receivers.values():
            await ebr.ready.wait()

    async def end(self) -> None:
        for running in self._running:
            running.cancel()
            await asyncio.wait([running])
        for clock in self.clocks:
            await clock.stop()
        await self.broker.close()

    def disturbances(self) -> Sequence[Sequence[Disturbance]]:
        killed = Disturbance(self.broker.kill, 0.4, self.broker.start)
        return [[*self._of(ebr.script), *([killed] if name == "mqtt" else [])] for name, ebr in self._receivers.items()]

    def _of(self, faults: InjectedFaults) -> list[Disturbance]:
        def while_(**how: Any) -> Disturbance:
            before = {name: getattr(faults, name) for name in how}

            def put(values: dict[str, Any]) -> Callable[[], None]:
                def do() -> None:
                    for name, value in values.items():
                        setattr(faults, name, value)

                return do

            return Disturbance(put(how), 0.6, put(before))

        return [
            while_(page_status=503, page_times=3, page_retry_after="0"),
            while_(page_status=413, page_times=2),
            while_(silent=True),
            self._refusing(faults, "later", 30),
            self._refusing(faults, "never", 50),
            while_(accepts=()),
            while_(wrong_digest=True),
            while_(page_status=401, page_times=2),
            while_(double_receipts=True, answer_after_s=0.1),
            while_(lose=0.8),
            while_(poison_422=True),
            while_(refuse_types={"batch": Refusal("unknown-order", "later", "not yet")}),
            while_(reconcile_body=b"no json"),
            while_(miscounts=1),
        ]

    def _refusing(self, faults: InjectedFaults, retry: Any, ahead: int) -> Disturbance:
        def begin() -> None:
            with contextlib.suppress(NotRunning, KeyError):
                newest = ask(self.folder / "data")["journal"]["seq"]
                faults.refuse |= {newest + at: Refusal("type-mismatch", retry, "not like this") for at in range(ahead)}

        return Disturbance(begin, 0.6, faults.refuse.clear)

    def ask(self) -> None:
        """Give an order, offer again what waits in quarantine, have a range sent once more, and test who is told of alarms."""
        self._asked += 1
        data, turn = self.folder / "data", self._asked % 6
        order = json.dumps({"batch": f"B{self._asked // 4}"}).encode()
        with contextlib.suppress(NotRunning, OSError, http.client.HTTPException, LookupError):
            asked(self.ports["push"], "PUT", "/equipment/dryer/context", order, Authorization=f"Bearer {TOKEN}")
            if turn == 1:
                for name in ("mail", "chat", "panel"):
                    tell(data, "notify-test", **says("qa", None), to=name)
            if turn == 3:
                for uplink in ("ebr", "broker"):
                    held = tell(data, "quarantine-list", uplink=uplink).get("entries") or []
                    for one in held[:1]:
                        tell(data, "quarantine-show", uplink=uplink, epoch=one["epoch"], seq=one["seq"])
                        tell(data, "quarantine-dispose", **says("qa"), uplink=uplink, epoch=one["epoch"], seq=one["seq"])
                    tell(data, "quarantine-resend", **says("qa"), uplink=uplink)
            if turn == 5:
                seq = ask(data)["journal"]["seq"]
                for uplink in ("ebr", "broker"):
                    tell(data, "replay", **says("qa"), uplink=uplink, first=str(max(1, seq - 60)), last=str(max(1, seq - 50)))


class _Mailbox:
    """Takes each mail."""

    async def handle_DATA(self, *_: Any) -> str:  # noqa: N802 - the library's name
        return "250 OK"


class _Grudging(hooks.Taken):
    """Takes every second thing that is put or posted."""

    _count = 0

    def do_PUT(self) -> None:  # noqa: N802 - the library's name
        type(self)._count += 1
        if self._count % 2:
            super().do_PUT()
            return
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_PUT  # noqa: N815 - the library's name
