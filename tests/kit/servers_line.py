"""A line of OPC UA servers that restart, forget subscriptions, lose messages, keep history, tell alarms and change types."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kit.neighbours import Disturbance, Neighbours
from kit.opcua_authority import Authority
from kit.stands import Networked, Stand, secret

from config import Tag
from drivers.opcua.session import certs
from drivers.opcua.subscription import upkeep
from simulators.opcua_plc import OpcUaPlc, Switches

BAD_TIMEOUT, BAD_TOO_MANY_PUBLISHES = 0x800A0000, 0x80780000
QUICK = (
    'keep_alive_s = 0.4\nrequest_timeout_s = 2.0\npublish_ms = 50\nretry_bad_nodes_s = 0.3\nnamespaces = { plc = "urn:example:plc" }'
    "\nchannel_lifetime_s = 4.0"
)


class Server(Networked):
    """One server. kind: plain, secured (certificates, a name and a password), alarms (of the dryer), or history."""

    def __init__(self, name: str, folder: Path, kind: str) -> None:
        super().__init__(name, "opcua", f'plc:s="{name}"')
        self._folder, self.kind = folder, kind

    def tags(self) -> list[Tag]:
        cells = [(f"n{at}", f'plc:s="{self.name}"."N{at}"', "float64") for at in range(6)]
        if self.kind == "plain":
            cells += [
                ("pv", 'plc:s="Loop"#/Controller/Pv', "float32"),
                ("item", "plc:s=Array#[1]/Pv", "int32"),
                ("path", "path=/plc:Line/plc:Temp", "float64"),
            ]
        return [
            Tag(tag=f"{self.name}.{name}", source=self.name, address=address, type=kind, unit="Cel" if kind == "float64" else None)
            for name, address, kind in cells
        ]

    async def start(self) -> None:
        users = certificate = None
        if self.kind == "secured":
            certs.make(self._folder / "certs")
            authority = Authority("Plant")
            certificate = authority.issue(self._folder / "server", "server", "urn:example:simulated-plc")
            authority.put(self._folder / "certs" / "trusted" / "certs")
            users = {"ebr": "right"}
            secret(self._folder, self.name)
        at = self.source(self._folder, "opc.tcp://127.0.0.1:0", namespaces={"plc": "urn:example:plc"})
        self.plc = OpcUaPlc(at, self.tags(), self.said, users=users, certificate=certificate)  # type: ignore[arg-type] # a Truth in memory
        self.plc.switches.history = self.kind == "history"
        if self.kind == "plain":
            self.plc.switches.limits = {"read": 3, "items": 3, "browse": 2, "translate": 1}
            self.plc.switches.browse_page = 1
        await self.plc.start()
        await self.connect("127.0.0.1", self.plc.port)

    async def stop(self) -> None:
        await self.disconnect()
        await self.plc.stop()

    async def move(self) -> None:
        self.number += 1
        self.said.add(self.number)
        values = {tag.tag: self.number if tag.type == "int32" else float(self.number) for tag in self.tags()}
        await self.plc.set(values, int(time.time() * 10_000_000))

    def toml(self) -> str:
        security = 'security = { policy = "None" }'
        more = ['time_authority = "device"', "outage_tolerance_s = 2.0"]
        if self.kind == "secured":
            security = 'security = { policy = "Basic256Sha256", mode = "SignAndEncrypt" }'
            more += [f'user = "ebr"\npassword = {{ credential = "{self.name}" }}']
        if self.kind == "alarms":
            more += ['alarms = [{ equipment = "dryer" }]']
        return self.section(f"opc.tcp://127.0.0.1:{self.cable.port}", security, QUICK, *more)

    # in trouble

    def _while(self, held_s: float = 0.5, **how: Any) -> Disturbance:
        before = {name: getattr(Switches(), name) for name in how}

        def put(values: dict[str, Any]) -> Callable[[], None]:
            def do() -> None:
                for name, value in values.items():
                    setattr(self.plc.switches, name, value)

            return do

        return Disturbance(put(how), held_s, put(before))

    def _numbers(self, which: str, ahead: Sequence[int]) -> Callable[[], None]:
        def do() -> None:
            for one in self.plc.subscriptions.subscriptions.values():
                getattr(self.plc.switches, which).update(one.sequence + at for at in ahead)

        return do

    def _cut(self, held_s: float, **how: Any) -> Disturbance:
        """Cut the link, and what the server does meanwhile."""
        way = self._while(**how)

        def begin() -> None:
            way.begin()
            self.cable.cut()

        def end() -> None:
            self.cable.mend()

        return Disturbance(begin, held_s, end)

    async def _again(self) -> None:
        await self.plc.stop()
        await self.plc.start()

    def _ticks(self) -> int:
        return int(time.time() * 10_000_000)

    def _alarm(self) -> None:
        conditions = self.plc.conditions
        conditions.raised("Overload", 900, "Motor overload")
        conditions.acknowledged("Overload", "somebody")
        conditions.happened("Recipe R7 loaded")
        conditions.cleared("Overload")

    def disturbances(self) -> list[Disturbance]:
        first, dropped = f"{self.name}.n0", self._numbers("drop_messages", (1, 2))
        plain = Disturbance(self.switched_back, 0.4)
        ways = {
            "plain": [
                Disturbance(dropped, 0.5),
                Disturbance(self._numbers("garble_messages", (1,)), 0.6, self._clean),
                Disturbance(lambda: self.plc.remove(first), 0.6, lambda: self.plc.restore(first)),
                self._while(publish_faults=[BAD_TIMEOUT] * 3),
                Disturbance(lambda: self.plc.declare(f"{self.name}.n1", "K", self._ticks()), 0.5),
                Disturbance(lambda: self.plc.declare(f"{self.name}.n1", "Cel", self._ticks()), 0.4),
                self._while(publish_bytes=60),
                self._cut(0.6, transfer=False),
                plain,
                Disturbance(self._twice, 0.4),
                Disturbance(self.plc.drop_subscriptions, 0.8),
                self._while(publish_faults=[BAD_TOO_MANY_PUBLISHES] * 2, most_publish_requests=1),
                Disturbance(lambda: self.plc.set_other_type(f"{self.name}.n2", "text", self._ticks()), 0.4),
                Disturbance(self._again, 0.6),
            ],
            "secured": [
                self._while(1.5, renewals_refused=1),
                Disturbance(self.cable.reset, 0.6),
                self._cut(0.5),
                Disturbance(self._again, 0.8),
            ],
            "alarms": [
                Disturbance(self._alarm, 0.5),
                Disturbance(dropped, 0.5),
                self._while(refreshes_in_progress=2),
                Disturbance(self.cable.reset, 0.5),
                Disturbance(self._numbers("garble_messages", (1,)), 0.6, self._clean),
                self._alarm_while(republish=False),
                self._while(condition_refresh=False),
                Disturbance(self._again, 0.8),
                Disturbance(self._flood, 0.5),
            ],
            "history": [
                self._cut(1.0, transfer=False),
                plain,
                Disturbance(self.plc.drop_subscriptions, 0.8),
                self._dropping(republish=False),
                self._cut(0.8, history_trick="expire", transfer=False),
                plain,
                self._dropping(republish=False, resend_data=False),
                self._cut(0.8, history_trick="pause", transfer=False),
                plain,
            ],
        }
        return ways[self.kind]

    def _twice(self) -> None:
        self._numbers("twice_messages", (0, 1, 2, 3))()

    def _clean(self) -> None:
        self.plc.switches.garble_messages.clear()

    def switched_back(self) -> None:
        """Have the server do everything right again."""
        good = Switches()
        for name in ("transfer", "republish", "resend_data", "history_trick"):
            setattr(self.plc.switches, name, getattr(good, name))

    def _dropping(self, **how: Any) -> Disturbance:
        way = self._while(**how)

        def begin() -> None:
            way.begin()
            self._numbers("drop_messages", (1, 2))()

        return Disturbance(begin, 0.7, way.end)

    def _alarm_while(self, **how: Any) -> Disturbance:
        way = self._dropping(**how)

        def begin() -> None:
            way.begin()
            self._alarm()

        return Disturbance(begin, 0.7, way.end)

    def _flood(self) -> None:
        for number in range(400):
            self.plc.conditions.happened(f"event {number}")


class Servers(Neighbours):
    """Four servers."""

    NAME = "servers"
    CYCLE_S = 11.0

    def made(self) -> list[Stand]:
        upkeep.FIRST_VALUE_WITHIN_S = 3.0
        upkeep.CLOCK_EVERY_S = 3.0
        upkeep.TYPES_EVERY_S = 0.5
        self._servers = [Server(kind, self.folder, kind) for kind in ("plain", "secured", "alarms", "history")]
        return list(self._servers)

    def sections(self) -> str:
        return '[[equipment]]\nname = "dryer"\nsettle_ms = 0\n'

    def disturbances(self) -> Sequence[Sequence[Disturbance]]:
        return [server.disturbances() for server in self._servers]
