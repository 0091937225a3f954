"""The granulation line with the real intake and journal, whose sources are the test itself."""

import json
from pathlib import Path
from typing import Any

from kit import journals

import config
from buffer import Journal
from gateway.clock import Clock, system_clock
from gateway.context.replay import replay
from gateway.intake import Intake
from gateway.intake.port import Port


class Line:
    """A line whose sources are the test itself."""

    def __init__(self, folder: Path) -> None:
        self.line = config.load(folder)
        self.clock: Clock = system_clock(self.line.clock)
        self.faults: list[BaseException] = []
        self.journal = self.open()
        self.intake = Intake(self.line, self.journal, self.clock, replay(self.line, self.journal), on_fault=self.faults.append)
        self.intake.begin()

    def open(self) -> Journal:
        return Journal.open(self.line.data, self.line.gateway, retain_s=0, max_bytes=100_000_000)

    def port(self, name: str) -> Port:
        return self.intake.ports[name]

    def index(self, tag: str) -> int:
        port = next(port for port in self.intake.ports.values() if any(t.tag == tag for t in port.tags))
        return next(i for i, t in enumerate(port.tags) if t.tag == tag)

    async def entries(self) -> list[dict[str, Any]]:
        await self.intake.happened({"type": "heartbeat", "observed": {}})
        return [json.loads(entry.payload) for entry in journals.entries(self.journal)][:-1]


def readings_of(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for entry in entries if "readings" in entry]


def events_of(entries: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [entry["event"] for entry in entries if entry.get("event", {}).get("type") == kind]


def numeric(port: Port) -> list[int]:
    """Tags that hold plain numbers and are no signals."""
    plain = ("float32", "float64")
    return [i for i, tag in enumerate(port.tags) if tag.type in plain and tag.scaling is None and i not in port._signals]
