"""What the running gateway says of itself: one snapshot, rendered by the page, the control socket and the metrics."""

import os
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gateway.intake import software_version
from gateway.ticks import TICKS_PER_S, rfc3339

if TYPE_CHECKING:
    from gateway.runtime import Gateway

RATE_OVER_S = 5.0


class Rates:
    """Counts per second, over the last few seconds."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[float, int]] = {}
        self._rate: dict[str, float] = {}

    def per_s(self, name: str, count: int) -> float:
        """The rate of a count that only rises. 0 until it was asked for twice."""
        now = time.monotonic()
        then, before = self._before.setdefault(name, (now, count))
        if now - then >= RATE_OVER_S or (now - then >= 1.0 and name not in self._rate):
            self._rate[name] = (count - before) / (now - then)
            self._before[name] = (now, count)
        return round(self._rate.get(name, 0.0), 1)


class Status:
    """Makes snapshots of a gateway."""

    def __init__(self, gateway: "Gateway") -> None:
        self._gateway = gateway
        self._rates = Rates()
        self._started_s = time.monotonic()

    def snapshot(self) -> dict[str, Any]:
        """Everything at this instant, as JSON-able values. Cheap; may be asked for every second."""
        gateway = self._gateway
        stamp = gateway.clock.stamp()
        return {
            "gateway": gateway.line.gateway,
            "software": software_version(),
            "environment": gateway.line.line.environment,
            "pid": os.getpid(),
            "time": rfc3339(stamp.ticks),
            "uptime_s": round(time.monotonic() - self._started_s, 1),
            "clock": {"status": stamp.status, "bound_s": stamp.bound_s, **gateway.clock.describe()},
            "journal": self._journal(),
            "sources": [self._source(name) for name in gateway.intake.ports],
            "uplinks": [self._uplink(forwarder.status, stamp.ticks) for forwarder in gateway.uplinks],
            "evidence": gateway.checkpoints.describe(forwarder.status.name for forwarder in gateway.uplinks),
            "backup": None if gateway.backups is None else gateway.backups.describe(),
            "equipment": {unit.name: gateway.fold.context(unit.name) for unit in gateway.line.equipment},
        }

    def sample(self) -> None:
        """Take note of the counts, about once a second, so that whoever asks first already gets rates."""
        self._rates.per_s("entries", self._gateway.intake.entries)
        for name, port in self._gateway.intake.ports.items():
            self._rates.per_s(f"source {name}", port.readings)

    def problems(self) -> list[str]:
        """Why the gateway is not in order, each in a few words; empty when it is."""
        now = self.snapshot()
        found = [f"source {s['name']}: {s['state']} ({s['detail']})" for s in now["sources"] if s["state"] != "connected"]
        if now["journal"]["pressure"]:
            found.append(f"journal: {now['journal']['pressure']}; sources are held back")
        elif now["journal"]["used"] >= 0.7:
            days = now["journal"]["days_to_full"]
            found.append(f"journal: {now['journal']['used']:.0%} full" + ("" if days is None else f", days to full: {days}"))
        if now["journal"]["hindered"] and not now["journal"]["pressure"]:
            found.append(f"journal: {now['journal']['hindered']}")
        found += [f"uplink {u['name']}: {u['state']} ({u['detail']})" for u in now["uplinks"] if u["state"] != "forwarding"]
        found += [f"uplink {u['name']}: {u['rejected']} entries rejected by the EBR" for u in now["uplinks"] if u["rejected"]]
        found += [f"witness {w['name']}: does not take checkpoints ({w['away']})" for w in now["evidence"]["witnesses"] if w["away"]]
        if now["evidence"]["refused"]:
            found.append(f"checkpoints: none is signed any more: {now['evidence']['refused']}")
        if (backup := now["backup"]) is not None and (backup["failing"] or backup["overdue"]):
            found.append(f"backup: {backup['failing'] or 'overdue'}; the newest is {backup['age_h']} h old")
        if now["clock"]["status"] != "synchronised":
            found.append(f"clock: {now['clock']['status']}")
        return found

    def _journal(self) -> dict[str, Any]:
        journal, intake = self._gateway.journal, self._gateway.intake
        epoch, seq = journal.last
        usage = journal.usage()
        return {
            "directory": str(self._gateway.line.data),
            "epoch": epoch,
            "seq": seq,
            "bytes": usage.used_bytes,
            "max_bytes": usage.max_bytes,
            "used": round(usage.fraction, 4),
            "days_to_full": None if usage.days_to_full is None else round(usage.days_to_full, 1),
            "pressure": journal.pressure.text if journal.pressure else None,
            "hindered": journal.hindered,
            "wal_bytes": usage.wal_bytes,
            "entries_per_s": self._rates.per_s("entries", intake.entries),
            "waiting_s": round(intake.waiting_s(), 3),
        }

    def _source(self, name: str) -> dict[str, Any]:
        port = self._gateway.intake.ports[name]
        return {
            "name": name,
            "driver": port.source.driver,
            "state": port.state,
            "detail": port.detail,
            "for_s": round(time.monotonic() - port.since_s, 1),
            "tags": len(port.tags),
            "readings": port.readings,
            "unchanged": port.unchanged,
            "readings_per_s": self._rates.per_s(f"source {name}", port.readings),
            "observed": None if port.observed is None else rfc3339(port.observed),
            "open_gaps": len(self._gateway.fold.open_gaps(name)),
            "clock": port.clock.describe(port.source.time_authority),
        }

    def _uplink(self, status: Any, now_ticks: int) -> dict[str, Any]:
        depth = self._gateway.journal.depth(status.name)
        plain = asdict(status) | {"entries": depth.entries, "bytes": depth.bytes}
        plain.pop("oldest_ticks")
        oldest = depth.oldest_ticks
        last = plain.pop("last_receipt_ticks")
        plain["oldest_s"] = None if oldest is None else round((now_ticks - oldest) / TICKS_PER_S, 1)
        plain["last_receipt"] = None if last is None else rfc3339(last)
        return plain
