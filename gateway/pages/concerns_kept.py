"""Lists concerns that bear on what is recorded already: journal, uplinks, proofs and copies, clock, parts, alarms. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.alarms import code_of
from gateway.operation import finding_wording, findings
from gateway.operation.status import NOT_NAMED
from gateway.operation.wording import span
from gateway.pages.concern import HELP, WHOM, Concern, of_code, room, said, short

STATES = {
    "unreachable": ("can not be reached", "uplink-unreachable"),
    "stalled": ("confirms nothing", "uplink-no-receipts"),
    "refused": ("refuses this gateway", "uplink-credentials"),
    "held": ("does not accept the version of what it is sent", "uplink-schema-unsupported"),
    "crashed": ("is not served: a fault of the gateway", "uplink-crashed"),
}
"""State of an uplink -> what the receiver does, and the code whose answer holds where no alarm says more."""
NOTED = frozenset({"batch-incomplete", "step-without-batch", "uplink-certificate-ends", "certificate-expires"})
"""Warnings that people have to see before they look for them."""
SAFE = "Yes. All is recorded"
DATA = {
    "batch-incomplete": "No. Something that the batch's record requires is missing; what it has is safe",
    "step-without-batch": "Yes. All is recorded; the step's record belongs to no batch",
    "uplink-certificate-ends": "Yes. When it has ended nothing more is sent, and all is kept here",
    "certificate-expires": "Yes, until it has ended: then its source is not read any more",
    "config-not-approved": "Yes. What was approved runs on; the change is not in force",
}
"""What holds of the data where the cause of an alarm does not say it."""


def journal(now: Mapping[str, Any]) -> Iterator[Concern]:
    """Tell of a journal that takes nothing, that will be full, or that another program holds."""
    told = now["journal"]
    if told["pressure"]:
        code = code_of(told["pressure_cause"])
        what = f"Nothing is recorded: {code.cause.partition(';')[0].lower()}"
        data = "No. What is measured now is missing, unless the devices keep it. What was recorded before is safe"
        yield of_code("bad", code, what, data, when=said(now, code.code), detail=told["pressure"])
    elif told["alarm"]:
        full = f", full in about {span(told['days_to_full'] * 86_400)}" if told["days_to_full"] else ""
        what = f"The space for records runs out: {told['used']:.0%} used{full}"
        data = f"Yes. All is recorded until it is full; {room(now)}"
        yield of_code("warn", code_of("journal-space"), what, data, when=said(now, "journal-space"))
    if told["hindered"] and not told["pressure"]:
        code = code_of("journal-hindered")
        yield of_code(
            "warn", code, "Another program is in the way of the journal", SAFE, when=said(now, code.code), detail=told["hindered"]
        )


def uplinks(now: Mapping[str, Any]) -> Iterator[Concern]:
    """Tell of receivers that do not get on."""
    for uplink in now["uplinks"]:
        if uplink["state"] != "forwarding":
            yield _away(now, uplink)
        if uplink["rejected"]:
            what = f"Receiver {uplink['name']} has rejected {uplink['rejected']:,} entries"
            data = "Yes. They are kept here in quarantine; the EBR lacks them until they are offered again"
            yield of_code("warn", code_of("uplink-rejected"), what, data, when=said(now, "uplink-rejected", uplink["name"]))
        if uplink["refused_lately"]:
            what = f"Receiver {uplink['name']} sends answers that prove nothing: {uplink['receipts_refused']:,} since the start"
            do = "Find out who sends receipts; ask the EBR's administrator"
            yield Concern("warn", what, f"{SAFE}: nothing is let go without a proof", do, WHOM["admin"], detail=uplink["refusal"])
    for name in now["uplinks_gone"]:
        yield of_code(
            "warn", code_of("uplink-gone"), f"The line no longer names the uplink {name}", f"{SAFE}: {room(now)}", detail=NOT_NAMED
        )


def _away(now: Mapping[str, Any], uplink: Mapping[str, Any]) -> Concern:
    name, state = uplink["name"], uplink["state"]
    kept = f"Yes. Nothing is lost: {uplink['entries']:,} entries are kept on this machine, {room(now)}"
    if state == "two-histories":
        what = f"Receiver {name} holds another history than this gateway: nothing more is sent"
        return of_code("bad", code_of("uplink-two-histories"), what, kept, when=said(now, "uplink-two-histories"), detail=uplink["detail"])
    if state not in STATES:
        return Concern("warn", f"Receiver {name} is being connected", kept, "Wait a moment", WHOM["admin"], detail=uplink["detail"])
    does, usual = STATES[state]
    row = next((row for row in now["findings"]["standing"] if row["subject"] == name and row["code"].startswith("uplink-")), None)
    code = code_of(usual if row is None else row["code"])
    waits = "" if uplink["oldest_s"] is None else f"oldest entry waits for {span(uplink['oldest_s'])}"
    when = waits if row is None else f"since {short(row['local'], now)}"
    return of_code("warn", code, f"Receiver {name} {does}", kept, when=when, detail=uplink["detail"])


def proofs(now: Mapping[str, Any]) -> Iterator[Concern]:
    """Tell of what proves or copies the record, and does not."""
    told, backup = now["evidence"], now["backup"]
    if told["refused"]:
        data = "All is recorded, and nothing proves it from here on"
        code = code_of("checkpoint-refused")
        yield of_code("bad", code, "Records are not signed any more", data, when=said(now, code.code), detail=told["refused"])
    for witness in told["witnesses"]:
        if witness["contradicts"]:
            what = f"The witness {witness['name']} holds another history than this gateway"
            data = "All is recorded here; which of both is right has to be found out"
            yield of_code("bad", code_of("witness-contradicts"), what, data, detail=witness["contradicts"])
        if witness["away"]:
            code, what = code_of("witness-away"), f"The witness {witness['name']} takes no checkpoints"
            yield of_code("warn", code, what, f"{SAFE}; checkpoints are kept for it", detail=witness["away"])
    if backup is not None and (backup["failing"] or backup["overdue"]):
        newest = "there is no copy yet" if backup["age_h"] is None else f"the newest copy is {span(backup['age_h'] * 3_600)} old"
        code, data = code_of("backup-failed"), f"{SAFE} on this machine; {newest}"
        yield of_code("warn", code, "No backup is made", data, when=said(now, code.code), detail=backup["failing"] or "overdue")


def clock(now: Mapping[str, Any]) -> Iterator[Concern]:
    """Tell of a clock whose time nothing proves."""
    status = now["clock"]["status"]
    if status != "synchronised":
        code = code_of("clock-unverified")
        what = f"The clock is not verified ({status})"
        yield of_code("warn", code, what, "Yes. All is recorded; times are marked as unverified", when=said(now, code.code))


def parts(now: Mapping[str, Any]) -> Iterator[Concern]:
    """Tell of parts of the gateway that failed."""
    for name, why in now["broken"].items():
        code = code_of("part-failed")
        when = said(now, code.code, name)
        yield of_code("warn", code, f"A part of the gateway does not work: {name}", f"{SAFE}; sources are read", when=when, detail=why)


def led_elsewhere(now: Mapping[str, Any]) -> Iterator[Concern]:
    """Tell that records are led elsewhere: whoever looks here must know that this is not where they are led."""
    told = now["fallback"]
    if told is not None:
        what = f"Fallback: records of {told['of']} are led by {told['led_by_text']}"
        data = "Yes. What the sources tell is recorded and sent as ever"
        yield of_code("warn", code_of("fallback-open"), what, data, when=f"since {short(told['local'], now)}", detail=told["reason"])


def alarms(now: Mapping[str, Any]) -> Iterator[Concern]:
    """Tell of alarms that wait for a person and of which nothing else in the snapshot says anything, then of warnings that matter."""
    rows = findings.untold(now)
    rows += [row for row in finding_wording.every(now["findings"]) if row["severity"] != "alarm" and row["code"] in NOTED]
    for row in rows:
        over = " (over; nobody has acknowledged it)" if row["cleared"] else ""
        before = f", {finding_wording.BEFORE_START}" if row["not_said_since_start"] else ""
        source = f"{row['source']}: " if row["source"] and row["source"] not in row["text"] else ""
        what = f"{row['severity'].capitalize()}: {source}{finding_wording.text(row)}{over}"
        when = f"{'since' if row['is_standing'] or row['cleared'] else 'at'} {short(row['local'], now)}{before}"
        data = DATA.get(row["code"], row["cause"])
        yield Concern("warn", what, data, row["response"], WHOM.get(row["whom"], HELP), when, row["code"])
    if lost := now["findings"]["unacknowledged"]:
        do = "Read them: ebr-gateway alarms history"
        yield Concern("warn", f"{lost:,} alarms that nobody acknowledged had no room in the list", "They are in the journal", do, HELP)
