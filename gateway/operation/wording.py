"""Puts the snapshot's facts on the journal, its evidence and its copies into words, the same on page and terminal."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gateway.entries.ticks import TICKS_PER_S, from_rfc3339

LONG_DAYS = 3_650
SLOW_S = 2.0
SETTLED_S = 600.0
"""A rate measured over less time means nothing: a start writes more than an hour of standstill."""
BECAUSE = {"batch-end": "a batch ended", "interval": "in turn", "stop": "before a stop", "key-rotation": "the key changed"}

STARTS = {
    "created": "with a new journal",
    "restored": "from a backup, with a new epoch",
    "salvaged": "after a salvage, with a new epoch",
    "moved": "on another machine, with a new epoch",
}


class StatusLine(NamedTuple):
    """One line of the status: a label, a text, and perhaps the state in a word or two with its kind (good, warn, bad)."""

    label: str
    text: str
    state: str = ""
    kind: str = ""


def span(seconds: float) -> str:
    """Write a duration with a figure or two."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:,.0f} s"


def size(count: int) -> str:
    """Write a number of bytes in decimal units, as file systems are sold."""
    for unit, name in ((1e12, "TB"), (1e9, "GB")):
        if count >= unit:
            return f"{count / unit:,.2f} {name}"
    return f"{count / 1e6:,.1f} MB"


def instant(rfc3339: str) -> str:
    """Shorten an RFC 3339 time in UTC to the second, without `T` and `Z`."""
    return rfc3339[:19].replace("T", " ")


def late(cycles: Mapping[str, Any]) -> str:
    """Write how often a source was asked too late, and the longest time in which it was not."""
    return f"{cycles['count']:,} (longest {cycles['longest_s']:,.1f} s)" if cycles["count"] else "0"


def taken(source: Mapping[str, Any]) -> str:
    """Write how much a source has given since the start: readings, and rows where it tells some."""
    rows = _of(source["rows"], "row", "rows")
    unmapped = f", {source['unmapped']['count']:,} of no use in the map" if source["unmapped"]["count"] else ""
    told = f"{source['readings']:,}" if not source["rows"] else f"{source['readings']:,} + {rows}" if source["readings"] else rows
    return told + unmapped


def not_applicable(ended: Mapping[str, Any]) -> str:
    """Write how many required parameters were not applicable to a batch, and why."""
    reasons = ended["not_applicable_because"]
    if len(reasons) > 1:
        return f"{ended['not_applicable']}: {', '.join(f'{count} {why}' for why, count in reasons.items())}"
    return f"{ended['not_applicable']}: {next(iter(reasons))}" if reasons else "0"


def missing(ended: Mapping[str, Any]) -> list[str]:
    """List what a batch lacks, each in a few words; the last item says how many more there are."""
    items = [_missing(item) for item in ended["missing_items"]]
    return items if len(items) == ended["missing"] else [*items, f"and {ended['missing'] - len(items)} more"]


def _missing(item: Mapping[str, Any]) -> str:
    """Write one missing item and its place: a parameter, a booking, a sample, a lot, a step or the whole stay in an equipment."""
    run = f"/{item['run']}" if item.get("run") else ""
    kinds = {"parameter": "", "material": "booking of ", "sample": "sample ", "lot": "lot "}
    subject = next((f"{before}{item[kind]}" for kind, before in kinds.items() if item.get(kind)), "" if item.get("step") else "the stay")
    step = f"{item['step']}{run}" if item.get("step") else ""
    return f"{' '.join(part for part in (item.get('equipment'), step, subject) if part)}: {item['status']}"


def _of(count: int, singular: str, plural: str) -> str:
    return f"{count:,} {singular if count == 1 else plural}"


def journal(now: Mapping[str, Any]) -> list[StatusLine]:
    """Describe the journal: space, obstacles to writing, and what must be kept."""
    j = now["journal"]
    entries = f"{j['seq']:,} in epoch {j['epoch']}; {j['entries_per_s']:,} a second now"
    facts = [StatusLine("Entries", entries), _use(j), StatusLine("Full in", _full_in(j, now["uptime_s"]))]
    if j["pressure"]:
        facts.append(StatusLine("Back-pressure", j["pressure"], "sources are held back:", "bad"))
    elif j["waiting_s"] > SLOW_S:
        facts.append(
            StatusLine("Back-pressure", f"what came in has been waiting for {span(j['waiting_s'])} to be on disk", "slow:", "warn")
        )
    else:
        facts.append(StatusLine("Back-pressure", "", "none", "good"))
    if j["hindered"]:
        facts.append(StatusLine("Other programs", j["hindered"], "in the way:", "warn"))
    else:
        facts.append(StatusLine("Other programs", "", "none in the way", "good"))
    return [*facts, StatusLine("Must stay", _kept(j["kept"])), _opened(j["opened"], now["uptime_s"]), StatusLine("Folder", j["directory"])]


def _use(j: Mapping[str, Any]) -> StatusLine:
    bound = "max_bytes" if j["bounded_by"] == "max_bytes" else f"all that the disk has for it; max_bytes is {size(j['max_bytes'])}"
    used, text = f"{j['used']:.1%}", f"of {size(j['bound_bytes'])} ({bound}): {size(j['bytes'])}"
    if j["alarm"] is None:
        return StatusLine("Space used", f"{text}; alarms at 70% and 85%", used, "good")
    return StatusLine("Space used", f"{text}; above the alarm at {j['alarm']:.0%}", used, "bad" if j["alarm"] >= 0.85 else "warn")


def _full_in(j: Mapping[str, Any], uptime_s: float) -> str:
    days = j["days_to_full"]
    if days is None:
        return "not foreseeable: nothing has grown since this start"
    if j["pressure"] or j["used"] >= 1:
        return "it is full"
    if uptime_s < SETTLED_S and not j["alarm"]:
        return f"not told before {span(SETTLED_S)} have been measured"
    left = "more than 10 years" if days > LONG_DAYS else f"about {span(days * 86_400)}"
    return f"{left}, at the rate since this start {span(uptime_s)} ago, if nothing may go"


def _kept(kept: Mapping[str, Any]) -> str:
    if not kept["closed"]:
        return "no segment is closed yet"
    more = ", ..." if kept["held_count"] > len(kept["held"]) else ""
    names = f" ({', '.join(kept['held'])}{more})" if kept["held"] else ""
    reasons = [
        f"{kept['holds']:,} for {_of(kept['held_count'], 'hold', 'holds')}{names}" if kept["held_count"] else "0 for holds",
        f"{kept['open_batch']:,} for an open batch",
        f"{kept['unconfirmed']:,} not confirmed yet",
        *([f"{kept['not_reconciled']:,} not found equal at the receiver yet"] if kept.get("not_reconciled") else []),
    ]
    return f"of {_of(kept['closed'], 'closed segment', 'closed segments')}: {', '.join(reasons)}"


def _opened(opened: Mapping[str, Any], uptime_s: float) -> StatusLine:
    if opened["findings"]:
        return StatusLine("Start", f"{'; '.join(opened['findings'])}", f"{span(uptime_s)} ago, with damage:", "warn")
    how = STARTS.get(opened["epoch"]) or (
        "after a clean stop" if opened["clean"] else "after a stop without warning; nothing was found damaged"
    )
    return StatusLine("Start", f"{span(uptime_s)} ago, {how}")


def evidence(now: Mapping[str, Any]) -> list[StatusLine]:
    """Describe the evidence: signed checkpoints and their holders, the patrol, the backups."""
    proofs = now["evidence"]
    facts = [_newest(now), StatusLine("Signed by", proofs["key_name"])]
    facts += [StatusLine(f"Receiver {receiver['uplink']}", _accepted(receiver)) for receiver in proofs["accepted"]]
    facts += [_witness(witness) for witness in proofs["witnesses"]]
    if not proofs["witnesses"]:
        facts.append(StatusLine("Witness", "none is configured"))
    return [*facts, _patrol(now), _backup(now["backup"]), *observation(now.get("observation"))]


def _newest(now: Mapping[str, Any]) -> StatusLine:
    proofs, j = now["evidence"], now["journal"]
    last = proofs["last"]
    if last is None:
        text = f"none yet; one is signed every {span(proofs['every_s'])}"
    else:
        since = f", {_of(j['seq'] - last['size'], 'entry', 'entries')} since" if last["epoch"] == j["epoch"] else " of an earlier epoch"
        cause = BECAUSE.get(last["cause"], "before this start")
        text = f"over {_of(last['size'], 'entry', 'entries')}, {_signed(proofs)} ({cause}){since}"
    if proofs["refused"]:
        return StatusLine("Newest checkpoint", f"{proofs['refused']}; the newest: {text}", "none is signed any more:", "bad")
    return StatusLine("Newest checkpoint", text)


def _signed(checkpoint: Mapping[str, Any]) -> str:
    return "signed at a time that the clock does not tell" if checkpoint["age_s"] is None else f"signed {span(checkpoint['age_s'])} ago"


def _accepted(receiver: Mapping[str, Any]) -> str:
    if receiver["size"] is None:
        return "has confirmed none of this run yet"
    return f"has confirmed the one over {_of(receiver['size'], 'entry', 'entries')}, {_signed(receiver)}"


def _witness(witness: Mapping[str, Any]) -> StatusLine:
    label, waits = f"Witness {witness['name']}", f"; {witness['waiting']:,} wait" if witness["waiting"] else ""
    if witness["size"] is None:
        has = "has taken none of this run yet"
    else:
        has = f"has the one over {_of(witness['size'], 'entry', 'entries')}, {_signed(witness)}"
    if witness["contradicts"]:
        return StatusLine(label, f"{witness['contradicts']}; {has}{waits}", "contradicts the journal:", "bad")
    if witness["away"]:
        return StatusLine(label, f"{witness['away']}; {has}{waits}", "away:", "bad")
    return StatusLine(label, f"{has}{waits}")


def _patrol(now: Mapping[str, Any]) -> StatusLine:
    last, complete = now["journal"]["patrol"]["last"], now["journal"]["patrol"]["complete"]
    if last is None:
        return StatusLine("Closed segments", "not read again yet since this start")
    parts = []
    if last["ended"] is None:
        begun = _ago(now, last["begun"])
        parts.append(f"being read again, begun {begun}: {last['whole']:,} of {last['segments']:,} read, all as they were closed")
    if complete is not None:
        result = f"all {complete['segments']:,} were as they had been closed" if complete["segments"] else "there was none then"
        parts.append(f"read again {_ago(now, complete['ended'])}: {result}; next within a day")
    return StatusLine("Closed segments", "; ".join(parts))


def _ago(now: Mapping[str, Any], then: str) -> str:
    """Tell how long ago something was, or that nobody knows: its time is to come, so the clock was ahead then."""
    ticks = from_rfc3339(now["time"]) - from_rfc3339(then)
    return f"{span(ticks / TICKS_PER_S)} ago" if ticks >= 0 else "at a time that the clock does not tell (it was set back since)"


def _backup(backup: Mapping[str, Any] | None) -> StatusLine:
    if backup is None:
        return StatusLine("Backup", "none is made by the gateway")
    age = None if backup["age_h"] is None else f"the newest verified one is {span(backup['age_h'] * 3_600)} old"
    rule = f"one is due every {span(backup['every_h'] * 3_600)}"
    if backup["failing"]:
        return StatusLine("Backup", f"{backup['failing']}; {age or 'there is none yet'}, {rule}", "fails:", "bad")
    if age is None:
        return StatusLine("Backup", f"{'the first is being made' if backup['making'] else 'there is none yet'}; {rule}")
    if backup["overdue"]:
        return StatusLine("Backup", f"{age}, {rule}", "overdue:", "bad")
    return StatusLine("Backup", f"{age}, {rule}{'; the next is being made' if backup['making'] else ''}")


def observation(told: Mapping[str, Any] | None) -> list[StatusLine]:
    """Describe an observation period after go-live; nothing where none is declared."""
    if told is None:
        return []
    period = f"{told['from']} until {told['until']}"
    if told["state"] == "to come":
        return [StatusLine("Observation", f"begins on {told['from']}, and lasts until {told['until']}")]
    bad = [(told["exceeded"], "exceeded a limit"), (told["not_complete"], "not complete"), (told["without_report"], "without a report")]
    parts = [f"{_of(len(days), 'day', 'days')} {why}{_days(days)}" for days, why in bad if days]
    text = f"{period}, day {told['day']} of {told['days']}, {told['reported']} reported{''.join(f'; {part}' for part in parts)}"
    if told["ended"] is not None:
        return [StatusLine("Observation", f"{text}; ended by {told['ended']['name']} on {told['ended']['local'][:10]}", "ended:", "good")]
    if told["state"] == "over":
        return [StatusLine("Observation", f"{text}; it goes on until QA signs its summary", "not ended:", "bad")]
    return [StatusLine("Observation", text, *(("look at:", "warn") if parts else ()))]


def _days(days: Sequence[str]) -> str:
    """Name the newest of some days."""
    return f" ({', '.join([*(['...'] if len(days) > 3 else []), *days[-3:]])})"


def interfaces(now: Mapping[str, Any]) -> str:
    """Write the digest of what all interfaces promise, as far as people compare it."""
    return f"interfaces {now['configuration']['interface_sha256'][:16]}"


def configuration(now: Mapping[str, Any]) -> str:
    """Write which version of the configuration runs, and who approved it."""
    told = now["configuration"]
    if told["state"] is None:
        return f"configuration {told['version']}"
    return f"configuration {told['version']}, approved by {told['approved_by'] or 'nobody'}"


def beside(now: Mapping[str, Any]) -> StatusLine | None:
    """Say what runs beside the line, as a warning where its sunset is near or has passed; None: no transition is declared."""
    told = now.get("transition")
    if told is None:
        return None
    left = told["days_left"]
    if told["state"] == "ahead":
        return StatusLine("Legacy system", f"{told['text']} (in {left:,} days)")
    days = f"{abs(left):,} day{'' if abs(left) == 1 else 's'}"
    when = f"passed {days} ago" if left < 0 else "is today" if left == 0 else f"in {days}"
    return StatusLine("Legacy system", told["text"], f"Sunset {when}:", "warn")
