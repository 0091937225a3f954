"""Reads a journal once for a review: counts, the first rows of each kind, and nothing that grows with the number of readings.

Readings are not parsed: their time, source and state of the clock are found in their bytes. The segments before the period are not read,
but for the first entry of each; nor is anything kept of what comes after the period but documents and gaps, which may be about it.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from buffer import Entry, event_type, read_journal, segment_firsts
from buffer.times import from_rfc3339
from gateway.alarms import Found, Gathering
from gateway.alarms.history import TYPES as OF_ALARMS
from gateway.alarms.periodic import Kept, take
from gateway.entries.held import Calendar, Held, Span
from gateway.evidence.trail_rows import TYPES as OF_TRAIL
from gateway.evidence.trail_rows import row_of
from gateway.validation.review.coverage import Gaps

MOST_ROWS = 200
"""Rows of one kind that are written down; the audit trail has the others (`audit list`)."""
MOST_BATCHES = 100_000
GRAVE = frozenset(
    {
        *("baseline-differs", "break-glass-used", "checkpoint-refused", "config-emergency", "config-not-approved", "config-store-damaged"),
        *("disk-full", "journal-full", "journal-recovered", "key-replaced", "software-not-verified", "uplink-two-histories"),
        *("users-list-replaced", "witness-contradicts", "backup-failed"),
    }
)
"""Codes of findings that are incidents: they befell the record, its proofs or what recording rests on."""
CLOCK_SET = frozenset({"step", "leap", "recovered", "suspend"})
LOGINS = frozenset({"login", "logout", "session-ended", "user-rehashed"})
_TIME, _SOURCE, _STATUS = b'"time":"', b'"source":"', b'"clock":{"status":"'


@dataclass(slots=True)
class Rows:
    """The first so many rows of a kind, and how many there were."""

    kept: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Take a row."""
        self.count += 1
        if len(self.kept) < MOST_ROWS:
            self.kept.append(dict(row))


@dataclass(slots=True)
class Ran:
    """One version of the software. first, last: RFC 3339 of its starts."""

    first: str
    last: str
    starts: int = 0
    unclean: int = 0


@dataclass(slots=True)
class Code:
    """Findings of one code and severity."""

    count: int
    first: str
    last: str


@dataclass(slots=True)
class Gathered:
    """What a journal says of a period. kept: what has to be done from time to time, as `gateway.alarms.periodic` gathers it."""

    period: Span
    zone: ZoneInfo
    gateway: str
    kept: Kept
    held: Held
    gaps: Gaps
    statuses: Counter[str] = field(default_factory=Counter)
    software: dict[str, Ran] = field(default_factory=dict)
    configurations: Rows = field(default_factory=Rows)
    rows: dict[str, Rows] = field(
        default_factory=lambda: {name: Rows() for name in ("users", "config", "key", "restore", "incident", "clock")}
    )
    logins: Counter[str] = field(default_factory=Counter)
    documents: Rows = field(default_factory=Rows)
    dispositions: dict[str, dict[str, Any]] = field(default_factory=dict)
    reviews: Rows = field(default_factory=Rows)
    batches: dict[str, str] = field(default_factory=dict)
    more_batches: int = 0
    reviewed: set[str] = field(default_factory=set)
    findings: dict[tuple[str, str], Code] = field(default_factory=dict)
    clock_kinds: Counter[str] = field(default_factory=Counter)
    worst_bound_s: float | None = None
    backups: list[int] = field(default_factory=list)
    audits: Counter[str] = field(default_factory=Counter)
    alarms: Gathering = field(default_factory=lambda: Gathering(Found()))
    befell: list[str] = field(default_factory=list)
    _stated: tuple[int, str] | None = None
    _known: set[str] = field(default_factory=set)

    def take(self, held: Entry) -> None:
        """Take an entry, of any time. Raises ValueError for one whose time can not be read, which no journal of ours holds."""
        kind, payload = event_type(held.payload), held.payload
        if not kind:
            self._readings(held)
            return
        entry = orjson.loads(payload)
        event, text = entry["event"], str(entry["time"])
        ticks = from_rfc3339(text)
        self.held.take(held.epoch, held.seq, ticks, event if kind == "epoch" else None)
        if kind == "document":
            take(self.kept, event, ticks)
            self._document(event, text, ticks)
        if kind == "gap" and ticks >= self.period.end:
            self.gaps.later(event)
        if self.period.begin <= ticks < self.period.end:
            self.statuses[str((entry.get("clock") or {}).get("status") or "")] += 1
            self._event(kind, event, text, ticks, held)

    def _readings(self, held: Entry) -> None:
        text = _after(held.payload, _TIME)
        ticks = from_rfc3339(text)
        self.held.take(held.epoch, held.seq, ticks)
        if self.period.begin <= ticks < self.period.end:
            self.gaps.readings(_after(held.payload, _SOURCE), text)
            self.statuses[_after(held.payload, _STATUS)] += 1

    def _event(self, kind: str, event: Mapping[str, Any], text: str, ticks: int, held: Entry) -> None:
        """Take an event of the period."""
        if kind in OF_ALARMS and not (kind == "batch" and event["transition"] == "end"):
            self.alarms.take(event, ticks, int(event.get("caused_by") or held.seq))
        match kind:
            case "gap" | "source" | "heartbeat":
                self.gaps.take(event, text)
            case "finding":
                self._counted(event, text)
            case "audit":
                self._audit(event, text, ticks)
            case "config":
                self._config(event, text)
            case "batch" if event["transition"] == "end":
                self._ended(str(event["batch"]), text)
            case "clock":
                self._clock(event, text)
            case "epoch" if event["reason"] != "created":
                self.befell.append(f"the journal was {event['reason']} on {text[:10]}")
                self.rows["incident"].add(
                    {"time": text, "what": f"new epoch: {event['reason']}", "text": f"last entry {event['last_seq']}"}
                )
        if kind in OF_TRAIL and (row := row_of(event, ticks, self.zone, self.gateway)) is not None:
            self._row(row)

    def _row(self, row: Mapping[str, Any]) -> None:
        """Take a row of the audit trail: users, keys, acts on versions, restores."""
        if row["type"] == "users" and row["what"] in LOGINS | {"refused", "refused-more"}:
            self.logins[row["what"]] += 1
        elif row["type"] in ("users", "key") or (row["type"] == "config" and str(row["what"]).startswith("config-")):
            self.rows[row["type"]].add(row)
        elif row["what"] in ("restore", "restore-refused"):
            self.rows["restore"].add(row)

    def _counted(self, event: Mapping[str, Any], text: str) -> None:
        key = (str(event["code"]), str(event["severity"]))
        known = self.findings.setdefault(key, Code(0, text, text))
        known.count, known.last = known.count + 1, text
        if event["code"] in GRAVE and event["severity"] == "alarm":
            self.rows["incident"].add({"time": text, "what": event["code"], "text": str(event["text"])})

    def _audit(self, event: Mapping[str, Any], text: str, ticks: int) -> None:
        action, what = str(event["action"]), event.get("what") or {}
        self.audits[action] += 1
        if action in ("start", "unclean-start"):
            ran = self.software.setdefault(str(what.get("software")), Ran(text, text))
            ran.last, ran.starts, ran.unclean = text, ran.starts + 1, ran.unclean + (action == "unclean-start")
            if action == "unclean-start":
                self.rows["incident"].add({"time": text, "what": action, "text": "the run before it did not stop in order"})
        if action == "backup":
            self.backups.append(ticks)

    def _config(self, event: Mapping[str, Any], text: str) -> None:
        stated = (int(event["version"]), str(event["sha256"]))
        if stated != self._stated:  # a segment states it again
            names = ("version", "sha256", "software", "state", "author", "approved_by", "change_no", "changes", "emergency", "follows")
            self.configurations.add({"time": text, **{name: event.get(name) for name in names}})
        self._stated = stated

    def _ended(self, batch: str, text: str) -> None:
        if batch in self.batches or len(self.batches) < MOST_BATCHES:
            self.batches[batch] = text
        else:
            self.more_batches += 1

    def _clock(self, event: Mapping[str, Any], text: str) -> None:
        self.clock_kinds[str(event["kind"])] += 1
        bound = event.get("bound_s")
        if bound is not None:
            self.worst_bound_s = max(float(bound), self.worst_bound_s or 0.0)
        if event["kind"] in CLOCK_SET:
            size = event.get("step_s", event.get("duration_s"))
            by = "" if size is None else f"{size:+.3f} s"
            self.rows["clock"].add({"time": text, "kind": event["kind"], "by": by, "text": str(event.get("reason") or "")})

    def _document(self, event: Mapping[str, Any], text: str, ticks: int) -> None:
        """Take a document of the period, or one that was recorded later: it may be about the period. Each signature records it again."""
        if event.get("part", 1) != 1:
            return
        if event["document"] == "audit-trail-review":
            if event.get("batch") and (event.get("scope") or {}).get("batch_had_ended"):
                self.reviewed.add(str(event["batch"]))
            if ticks >= self.period.begin:
                self.reviews.add({"time": text, **{name: event.get(name) for name in ("batch", "scope", "reviewer", "deviations")}})
            return
        if isinstance(of := event.get("disposes"), Mapping):
            self.dispositions[str(of.get("id"))] = {**of, "result": event.get("result"), "time": text}
        elif self.period.begin <= ticks < self.period.end:
            names = ("document", "id", "title", "result", "made_at", "made_by", "signatures", "sha256")
            row = {"time": text, **{name: event.get(name) for name in names}}
            same = next((at for at, one in enumerate(self.documents.kept) if one["id"] == row["id"]), None)
            if same is not None:
                self.documents.kept[same] = row
            elif row["id"] not in self._known:
                self.documents.add(row)
            self._known.add(str(row["id"]))


def _after(payload: bytes, mark: bytes) -> str:
    """Return the text behind the first mark, to its quote; "" if it is not there."""
    begin = payload.find(mark)
    return "" if begin < 0 else payload[begin + len(mark) : payload.index(b'"', begin + len(mark))].decode()


def gathered(data: Path, period: Span, zone: ZoneInfo, gateway: str, kept: Kept, sources: list[str]) -> tuple[Gathered, list[Any]]:
    """Read a journal. Returns what it says, and its rows of sources and months.

    kept: what the line remembers, to which later documents are added. sources: of the line now.
    Raises JournalError on damage, FileNotFoundError without a journal. For a thread: years take minutes.
    """
    made = Gathered(period, zone, gateway, kept, Held(period), Gaps(period, Calendar.of(period, zone)))
    for held in read_journal(data, _begin(data, period)):
        made.take(held)
    made.held.ended()
    end = max((span.end for span in made.held.spans()), default=period.end)
    return made, made.gaps.months(made.held.spans(), sources, end, made.held.first if made.held.began else None)


def _begin(data: Path, period: Span) -> tuple[int, int]:
    """Return the place after which to read: the segment before the first one that begins in the period, whatever the clock did later."""
    after = (0, 0)
    for first in segment_firsts(data):
        if from_rfc3339(_after(first.payload, _TIME)) >= period.begin:
            break
        after = (first.epoch, first.seq - 1)
    return after
