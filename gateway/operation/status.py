"""Makes a snapshot of the running gateway, which page, socket and metrics render, and lists in sentences what is wrong (`problems`)."""

import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from buffer import Journal, ScrubRound, Usage
from config import Line
from gateway import interfaces
from gateway.context import Gap
from gateway.entries.ticks import TICKS_PER_S, rfc3339
from gateway.intake import LateCycles, software_version
from gateway.intake.asking import is_slow
from gateway.intake.unmapped import described
from gateway.operation import fallback, findings, hybrid, observing, periodic
from gateway.operation.ages import age_s
from gateway.operation.parts import Parts
from gateway.operation.values import trend, values
from gateway.operation.wording import span

RATE_OVER_S = 5.0
SPACE_ALARMS = (0.70, 0.85)
"""Fractions of the journal's space above which a person should act (URS-BUF-05)."""
NOT_NAMED = (
    "the journal keeps everything for it, and line.toml no longer names it; name it again, or let it go:"
    " ebr-gateway retire-uplink LINE --uplink NAME --reason ..."
)
STOOD_S = 5.0
"""A source that was not asked for longer needs attention for LATE_SHOWN_S afterwards; shorter silences are counted."""
LATE_SHOWN_S = 600.0
REFUSED_SHOWN_S = 3600.0
"""An answer that proved nothing needs attention for so long: whoever sent it may not be the receiver, or holds something else."""
MOST_ENDED = 5
MOST_NAMED = 10


class Rates:
    """Computes rates of rising counts over the last few seconds."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[float, int]] = {}
        self._rate: dict[str, float] = {}

    def per_s(self, name: str, count: int) -> float:
        """Return the rate of a count that only rises; 0 until it was asked for twice."""
        now = time.monotonic()
        then, before = self._before.setdefault(name, (now, count))
        if now - then >= RATE_OVER_S or (now - then >= 1.0 and name not in self._rate):
            self._rate[name] = (count - before) / (now - then)
            self._before[name] = (now, count)
        return round(self._rate.get(name, 0.0), 1)


class Status:
    """Makes snapshots of a running line."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._rates = Rates()
        self._zone = ZoneInfo(parts.line.line.timezone)
        self._started_s = time.monotonic()
        self._ended: dict[str, dict[str, Any]] = {}

    def batch_ended(self, event: Mapping[str, Any]) -> None:
        """Keep the completeness in a batch's end record, or in a revision of it; snapshots show it for the latest batches."""
        self._ended.pop(event["batch"], None)
        self._ended[event["batch"]] = _ended(event)
        while len(self._ended) > MOST_ENDED:
            self._ended.pop(next(iter(self._ended)))

    def snapshot(self) -> dict[str, Any]:
        """Return the present state as JSON-able values. Cheap; may be called every second."""
        parts = self._parts
        stamp = parts.clock.stamp()
        return {
            "gateway": parts.line.gateway,
            "software": software_version(),
            "environment": parts.line.line.environment,
            "configuration": {
                **parts.registered.shown(parts.intake.version, parts.line.sha256),
                "files": dict(parts.folder.sums),
                **_promised(parts.intake.interfaces),
            },
            "folder": parts.folder.described(),
            "pid": os.getpid(),
            "time": rfc3339(stamp.ticks),
            "local": f"{datetime.fromtimestamp(stamp.ticks / TICKS_PER_S, self._zone):%Y-%m-%d %H:%M:%S}",
            "timezone": self._zone.key,
            "uptime_s": round(time.monotonic() - self._started_s, 1),
            "clock": {"status": stamp.status, "bound_s": stamp.bound_s, **parts.clock.describe()},
            "journal": self._journal(),
            "sources": [self._source(name) for name in parts.intake.ports],
            "uplinks": [self._uplink(forwarder.status, stamp.ticks) for forwarder in parts.uplinks],
            "uplinks_gone": uplinks_gone(parts.line, parts.journal),
            "evidence": parts.checkpoints.describe(forwarder.status.name for forwarder in parts.uplinks),
            "backup": None if parts.backups is None else parts.backups.describe(),
            "broken": dict(parts.broken),
            "equipment": {unit.name: parts.fold.context(unit.name) for unit in parts.line.equipment},
            "batches_ended": list(reversed(self._ended.values())),
            "findings": findings.described(parts.fold.findings.found, stamp.ticks, self._zone),
            "fallback": fallback.described(parts.fold.state, self._zone),
            **self.transition(),
            "periodic": periodic.described(parts.fold.state.periodic, parts.line.periodic, stamp.ticks),
            "observation": observing.described(parts.fold.state.observation, parts.line.observation, stamp.ticks, self._zone.key),
            "findings_total": findings.counted(parts.tally.counts),
        }

    def transition(self) -> dict[str, Any]:
        """Return the part of the snapshot that says which phase of a transition from a legacy system it is."""
        return {"transition": hybrid.described(self._parts.line.transition, self._parts.clock.stamp(), self._zone)}

    def values(self) -> dict[str, Any]:
        """Return the present value of each tag, and its latest course, as JSON-able values."""
        return values(self._parts)

    def trend(self, tag: str) -> dict[str, Any] | None:
        """Return what is remembered of one tag; None if there is none of this name."""
        return trend(self._parts, tag)

    def observation(self) -> dict[str, Any]:
        """Return the period after go-live, and the reports of its days, as JSON-able values."""
        parts, stamp = self._parts, self._parts.clock.stamp()
        about = parts.fold.state.observation, parts.line.observation, stamp.ticks, self._zone.key
        return {
            "gateway": parts.line.gateway,
            "time": rfc3339(stamp.ticks),
            "local": f"{datetime.fromtimestamp(stamp.ticks / TICKS_PER_S, self._zone):%Y-%m-%d %H:%M:%S}",
            "timezone": self._zone.key,
            "period": observing.described(*about),
            "reports": observing.reports(*about),
        }

    def sample(self) -> None:
        """Sample the counts, about once a second, so that the first snapshot already has rates."""
        self._rates.per_s("entries", self._parts.intake.entries)
        for name, port in self._parts.intake.ports.items():
            self._rates.per_s(f"source {name}", port.readings)

    def _journal(self) -> dict[str, Any]:
        journal, intake = self._parts.journal, self._parts.intake
        epoch, seq = journal.last
        usage, pressure = journal.usage(), journal.pressure
        return {
            "directory": str(self._parts.line.data),
            "epoch": epoch,
            "seq": seq,
            "bytes": usage.used_bytes,
            "max_bytes": usage.max_bytes,
            **_space(usage),
            "days_to_full": None if usage.days_to_full is None else round(usage.days_to_full, 3),
            "pressure": pressure and pressure.text,
            "pressure_cause": pressure and pressure.cause,
            "hindered": journal.blocked_by,
            "wal_bytes": usage.wal_bytes,
            "entries_per_s": self._rates.per_s("entries", intake.entries),
            "waiting_s": round(intake.waiting_s(), 3),
            "opened": self._opened(),
            "kept": self._kept(),
            "patrol": {"last": _round(journal.scrub.last), "complete": _round(journal.scrub.complete)},
        }

    def _opened(self) -> dict[str, Any]:
        """Describe the journal as it was opened at this start. epoch: why a new one began, None if none did."""
        opened = self._parts.journal.opened
        reason = None if opened.epoch_event is None else opened.epoch_event["reason"]
        return {"clean": opened.was_clean, "epoch": reason, "findings": list(opened.findings)[:MOST_NAMED]}

    def _kept(self) -> dict[str, Any]:
        """Count closed segments, and how many must be kept for which reason; a segment may have several."""
        journal = self._parts.journal
        holds = list(journal.holds.all())
        counts = journal.retained(self._parts.fold.open_since(), self._parts.reconciled.holds)._asdict()
        return {**counts, "held": holds[:MOST_NAMED], "held_count": len(holds)}

    def _source(self, name: str) -> dict[str, Any]:
        port, gaps = self._parts.intake.ports[name], self._parts.fold.open_gaps(name)
        return {
            "name": name,
            "driver": port.source.driver,
            "endpoint": ", ".join(map(shown_endpoint, port.source.endpoints)),
            "state": port.state,
            "detail": port.detail,
            "simulated": port.is_simulated,
            "unread": port.unread,
            "for_s": round(time.monotonic() - port.since_s, 1),
            "tags": len(port.tags),
            "readings": port.readings,
            "rows": port.rows,
            "unmapped": {"count": port.unmapped.count, "kinds": described(port.unmapped.counts)},
            "unchanged": port.unchanged,
            "readings_per_s": self._rates.per_s(f"source {name}", port.readings),
            "observed": None if port.observed is None else rfc3339(port.observed),
            "open_gaps": len(gaps),
            "tags_hidden": _hidden(gaps, len(port.tags)),
            "hidden_since": rfc3339(min(gap.start_ticks for gap in gaps)) if gaps else None,
            "late": _late(port.late, self._parts.clock.stamp().ticks),
            "clock": port.clock.describe(port.source.time_authority),
        }

    def _uplink(self, status: Any, now_ticks: int) -> dict[str, Any]:
        depth = self._parts.journal.receipts.depth(status.name)
        plain = asdict(status) | {"entries": depth.entries, "bytes": depth.bytes}
        plain.pop("oldest_ticks")
        last = plain.pop("last_receipt_ticks")
        plain["oldest_s"] = age_s(depth.oldest_ticks, now_ticks)
        plain["last_receipt"] = None if last is None else rfc3339(last)
        refused = plain.pop("refused_ticks")
        plain["refused_at"] = None if refused is None else rfc3339(refused)
        # One that seems to be of a time to come has no age, and is shown: the clock was ahead then.
        plain["refused_lately"] = refused is not None and (age_s(refused, now_ticks) or 0.0) < REFUSED_SHOWN_S
        return plain


def _promised(digests: Mapping[str, str]) -> dict[str, Any]:
    """Show the digest of each interface's contract, and the one of all."""
    return {"interface_sha256": interfaces.whole(digests), "interfaces": dict(digests)}


def shown_endpoint(endpoint: str) -> str:
    """Return an address without the user that may stand in it, and what comes after `?`."""
    scheme, between, rest = endpoint.partition("?")[0].rpartition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}{between}{place.rpartition('@')[2]}{slash}{path}"


def _hidden(gaps: Iterable[Gap], of: int) -> int:
    """Count the tags that are in a gap now."""
    names: set[str] = set()
    for gap in gaps:
        if isinstance(gap.tags, str):
            return of
        names.update(gap.tags)
    return len(names)


def problems(now: Mapping[str, Any]) -> list[str]:
    """List why the gateway is not in order, each in a few words; empty when it is. now: a snapshot."""
    texts = findings.problems(now)
    texts += fallback.problems(now)
    texts += [f"source {s['name']}: {s['state']} ({s['detail']})" for s in now["sources"] if s["state"] != "connected"]
    texts += [_unobserved(s) for s in now["sources"] if s["state"] == "connected" and s["tags_hidden"]]
    texts += [f"source {s['name']}: not read: {s['unread']}" for s in now["sources"] if s["unread"]]
    texts += [_stood(source) for source in now["sources"] if stood_still(source["late"])]
    texts += _journal_problems(now["journal"])
    texts += [f"uplink {u['name']}: {u['state']} ({u['detail']})" for u in now["uplinks"] if u["state"] != "forwarding"]
    texts += [f"uplink {u['name']}: {u['rejected']} entries rejected by the EBR" for u in now["uplinks"] if u["rejected"]]
    texts += [f"uplink {name}: {NOT_NAMED}" for name in now["uplinks_gone"]]
    texts += [_refused(u) for u in now["uplinks"] if u["refused_lately"]]
    texts += _evidence_problems(now["evidence"], now["backup"])
    texts += [f"{name}: {why}" for name, why in now["broken"].items()]
    if now["clock"]["status"] != "synchronised":
        texts.append(f"clock: {now['clock']['status']}")
    return texts


def _unobserved(source: Mapping[str, Any]) -> str:
    return f"gap: {source['tags_hidden']} of {source['tags']} tags of {source['name']} are not observed now"


def _late(late: LateCycles, now: int) -> dict[str, Any]:
    """Describe the polls of a source that came later than two periods after the last observation. ago_s: since the last of them."""
    ended = None if late.ended is None else rfc3339(late.ended)
    ago_s = None if late.ended is None else max(0.0, round((now - late.ended) / TICKS_PER_S, 1))
    return {
        "count": late.count,
        "longest_s": round(late.longest_s, 3),
        "last_s": round(late.last_s, 3),
        "took_s": round(late.took_s, 3),
        "ended": ended,
        "ago_s": ago_s,
    }


def stood_still(late: Mapping[str, Any]) -> bool:
    """Return whether a source was not asked for long, not long ago."""
    return bool(late["count"] and late["last_s"] > STOOD_S and late["ago_s"] < LATE_SHOWN_S)


def answered_slowly(late: Mapping[str, Any]) -> bool:
    """Return whether the last silence of a source was that of its own slow answer."""
    return is_slow(late["last_s"], late.get("took_s", 0.0))


def uplinks_gone(line: Line, journal: Journal) -> list[str]:
    """List the uplinks for whose receipts the journal keeps entries though the line no longer has them."""
    named = {uplink.name for uplink in line.uplinks}
    return sorted(name for name, cursor in journal.receipts.cursors().items() if cursor.required and name not in named)


def _refused(uplink: Mapping[str, Any]) -> str:
    count = uplink["receipts_refused"]
    times = "1 answer" if count == 1 else f"{count:,} answers"
    return f"uplink {uplink['name']}: {times} refused since the start, the last at {uplink['refused_at'][11:19]} UTC ({uplink['refusal']})"


def _stood(source: Mapping[str, Any]) -> str:
    late = source["late"]
    times = "once" if late["count"] == 1 else f"{late['count']} times"
    if answered_slowly(late):
        slow = (
            f"source {source['name']}: it took {late['took_s']:.1f} s to answer until {late['ended'][11:19]} UTC ({times} since the start)"
        )
        return f"{slow}: look there for a lock, a slow query, a slow disk or network, then for load on this machine"
    long = f"source {source['name']}: not asked for {late['last_s']:.1f} s until {late['ended'][11:19]} UTC ({times} since the start)"
    return f"{long}: the gateway or its machine stood still; look for load, a suspend, a slow disk"


def _journal_problems(journal: Mapping[str, Any]) -> list[str]:
    texts = []
    if journal["pressure"]:
        texts.append(f"journal: {journal['pressure']}; sources are held back")
    elif journal["alarm"]:
        days = journal["days_to_full"]
        left = "" if days is None else f"; full in about {span(days * 86_400)} at the rate since this start"
        texts.append(f"journal: {journal['used']:.1%} of its space used, above the alarm at {journal['alarm']:.0%}{left}")
    if journal["hindered"] and not journal["pressure"]:
        texts.append(f"journal: {journal['hindered']}")
    return texts


def _evidence_problems(evidence: Mapping[str, Any], backup: Mapping[str, Any] | None) -> list[str]:
    witnesses = evidence["witnesses"]
    texts = [f"witness {w['name']}: does not take checkpoints ({w['away']})" for w in witnesses if w["away"]]
    texts += [f"witness {w['name']}: contradicts the journal ({w['contradicts']})" for w in witnesses if w["contradicts"]]
    if evidence["refused"]:
        texts.append(f"checkpoints: none is signed any more: {evidence['refused']}")
    if backup is not None and (backup["failing"] or backup["overdue"]):
        newest = "there is none yet" if backup["age_h"] is None else f"the newest is {backup['age_h']:,.1f} h old"
        texts.append(f"backup: {backup['failing'] or 'overdue'}; {newest}")
    return texts


def _space(usage: Usage) -> dict[str, Any]:
    """Describe the space of the journal. used: fraction of what is available: max_bytes, or less if the disk has less."""
    disk = usage.used_bytes + usage.free_bytes
    above = [limit for limit in SPACE_ALARMS if usage.fraction >= limit]
    return {
        "used": round(usage.fraction, 4),
        "bound_bytes": min(usage.max_bytes, disk),
        "bounded_by": "disk" if disk < usage.max_bytes else "max_bytes",
        "free_bytes": usage.free_bytes,
        "alarm": above[-1] if above else None,
    }


def _round(scrub: ScrubRound | None) -> dict[str, Any] | None:
    """Describe a round in which closed segments are read again; None if there was none."""
    if scrub is None:
        return None
    ended = None if scrub.ended is None else rfc3339(scrub.ended)
    return {"begun": rfc3339(scrub.begun), "ended": ended, "segments": scrub.of, "whole": scrub.whole}


def _ended(event: Mapping[str, Any]) -> dict[str, Any]:
    """Pick the shown part of a batch's end record: counts, and why parameters were not applicable."""
    done = event["completeness"]
    idle = done.get("not_applicable", ())
    return {
        **{name: event[name] for name in ("batch", "product", "revision", "status")},
        "ended": event["end"]["time"],
        "required": done["required"],
        "present": done["present"],
        "missing": done.get("missing_count", len(done["missing"])),
        "missing_items": done["missing"][:MOST_NAMED],
        "not_applicable": done.get("not_applicable_count", len(idle)),
        "not_applicable_because": dict(Counter(parameter["reason"] for parameter in idle)),
    }
