"""Lists everything that needs attention in a snapshot, in plain words, the gravest first. Pure.

Sources and batches come from here; the rest from `concerns_kept`. What is told of an alarm is that of the table of findings.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.alarms import code_of
from gateway.operation import wording
from gateway.operation.finding_wording import every
from gateway.operation.status import answered_slowly, stood_still
from gateway.pages.concern import HELP, WHOM, Concern, for_s, local, of_code, short
from gateway.pages.concerns_kept import alarms, clock, journal, led_elsewhere, parts, proofs, uplinks

STARTING_S = 30.0
"""A source that has not been tried for longer is not starting."""
KEEPERS = {"mes_sql": "New rows wait in the database", "mes_file": "New files wait in the folder"}
"""Drivers of sources that keep what they have until somebody reads it. All others are taken to keep nothing."""
UNREAD = (("refused", "file-refused"), ("no pattern", "file-unmatched"), ("can not be read", "file-unreadable"))
"""Words of what the status says of files that are not read, and the finding that they belong to."""
MOST_NAMED = 3


def concerns(now: Mapping[str, Any]) -> list[Concern]:
    """List what needs attention: red before amber, and in each what bears on the record first."""
    found = [
        *journal(now),
        *sources(now),
        *batches(now),
        *led_elsewhere(now),
        *uplinks(now),
        *proofs(now),
        *clock(now),
        *parts(now),
        *alarms(now),
    ]
    return sorted(found, key=lambda one: one.kind != "bad")


def sources(now: Mapping[str, Any]) -> Iterator[Concern]:
    """Tell of sources that are not recorded, wholly or in part, that have what is not read, or that stood still."""
    lost = [source for source in now["sources"] if _is_lost(source)]
    if len(lost) > 1 and len(lost) == len(now["sources"]):
        yield _none(now, lost)
    else:
        yield from (_lost(now, source) for source in lost)
    for source in now["sources"]:
        if source["state"] == "starting" and not _is_lost(source):
            what, data = f"{source['name']} is being connected", "It is not recorded yet; what was recorded before is safe"
            yield Concern("warn", what, data, "Wait a moment", WHOM["engineer"], for_s(now, source["for_s"]))
        if source["state"] == "connected" and source["tags_hidden"]:
            yield _hidden(now, source)
        if source["unread"]:
            yield _unread(now, source)
        if stood_still(source["late"]):
            yield _stood(now, source)


def _is_lost(source: Mapping[str, Any]) -> bool:
    return bool(source["state"] not in {"connected", "starting"} or (source["state"] == "starting" and source["for_s"] > STARTING_S))


def _none(now: Mapping[str, Any], lost: list[Mapping[str, Any]]) -> Concern:
    """Tell of all sources at once: what they have in common is the network, a switch, the power."""
    when = for_s(now, min(source["for_s"] for source in lost))
    names = ", ".join(source["name"] for source in lost)
    do = f"Check the network cable and the switch between this machine and {names}. They are asked again by themselves"
    data = f"{_missing(now, [source['name'] for source in lost])} What was recorded before is safe"
    detail = "; ".join(f"{source['name']}: {source['detail']}" for source in lost)
    return Concern("bad", f"Nothing is recorded: none of {len(lost)} sources answers", data, do, WHOM["engineer"], when, detail)


def _lost(now: Mapping[str, Any], source: Mapping[str, Any]) -> Concern:
    name, when, keeps = source["name"], for_s(now, source["for_s"]), KEEPERS.get(source["driver"])
    if source["state"] == "misconfigured":
        do, why = "Put in place what is missing (see the reason). It is tried again by itself", "a file or a setting is missing"
    elif source["detail"].startswith("crashed:"):
        do, why = "Keep the log and ask for help. It is started again by itself", "its driver failed"
    else:
        at = f" ({source['endpoint']})" if source["endpoint"] else ""
        do, why = f"Check that {name}{at} is on, and its network cable. It is asked again by itself", "it does not answer"
    if keeps:
        data = f"Yes. {keeps} and are read later"
        return Concern("warn", f"{name} is not read: {why}", data, do, WHOM["engineer"], when, source["detail"])
    data = f"{_missing(now, [name])} What was recorded before is safe"
    return Concern("bad", f"Not recorded: {name}; {why}", data, do, WHOM["engineer"], when, source["detail"])


def _hidden(now: Mapping[str, Any], source: Mapping[str, Any]) -> Concern:
    """Tell of a source that answers, and of which some tags are not observed."""
    count, of = source["tags_hidden"], source["tags"]
    what = f"Not recorded: {'all' if count == of else f'{count} of {of}'} tags of {source['name']}"
    since, why = source["hidden_since"], _why_hidden(now, source)
    do = f"{'See the reason' if why else 'See Alarms and findings below for the reason'}; check the device's program and its sensors"
    more = (WHOM["engineer"], f"since {local(now, since)}" if since else "", why)
    if source["driver"] in KEEPERS:
        return Concern("warn", what, f"Yes. {KEEPERS[source['driver']]} and are read later", do, *more)
    return Concern("bad", what, f"{_missing(now, [source['name']])} All other tags are recorded", do, *more)


def _why_hidden(now: Mapping[str, Any], source: Mapping[str, Any]) -> str:
    """Write what was found of a source last since its first gap opened; "" if nothing was. Both instants are UTC."""
    since = source["hidden_since"]
    rows = [row for row in every(now["findings"]) if row["source"] == source["name"] and since and row["last"][:19] >= since[:19]]
    return str(max(rows, key=lambda row: row["last"])["text"]) if rows else ""


def _missing(now: Mapping[str, Any], names: list[str]) -> str:
    """Write what is missing while sources are not recorded, with the batches that are there."""
    units = now["equipment"].items()
    hit = [f"{told['batch']} ({unit})" for unit, one in units if (told := one.get("so_far")) and set(told["hidden_by"]) & set(names)]
    if not hit:
        return "No. What is measured now is missing; no batch is touched."
    return f"No. Batch {', '.join(hit)} has a gap: what is measured now is missing."


def _unread(now: Mapping[str, Any], source: Mapping[str, Any]) -> Concern:
    unread, name = source["unread"], source["name"]
    code = code_of(next((code for words, code in UNREAD if words in unread), "file-incomplete"))
    data = "The files stay where they are, and nothing of them is in the record. All else is safe"
    rows = [row for row in every(now["findings"]) if row["code"] == code.code and row["source"] == name]
    when = f"since {short(rows[-1]['local'], now)}" if rows else ""
    return of_code("warn", code, f"Files of {name} are not read", data, when=when, detail=unread)


def _stood(now: Mapping[str, Any], source: Mapping[str, Any]) -> Concern:
    late = source["late"]
    slow = answered_slowly(late)
    what = f"{source['name']} was not asked for {late['last_s']:.1f} s: the gateway or its machine stood still"
    what = f"{source['name']} took {late['took_s']:.1f} s to answer" if slow else what
    data = "All is recorded again; that time is a gap in the record"
    do = "Look there for a lock, a slow query, a slow disk or network" if slow else "Look for load, a suspend, a slow disk on this machine"
    return Concern("warn", what, data, do, HELP, f"until {local(now, late['ended'])}")


def batches(now: Mapping[str, Any]) -> Iterator[Concern]:
    """Tell of batches under way that lack something already, whatever is observed now."""
    for unit, context in now["equipment"].items():
        told = context.get("so_far")
        if told and told["missing"]:
            yield _will_lack(now, unit, told)
        elif told and told["gaps"] and not told["hidden_by"]:
            yield _had_gap(now, unit, told)


def _will_lack(now: Mapping[str, Any], unit: str, told: Mapping[str, Any]) -> Concern:
    count = told["missing"]
    what = f"Batch {told['batch']} ({unit}) will be incomplete: {count} required {'value is' if count == 1 else 'values are'} missing"
    named = ", ".join(wording.missing({**told, "missing_items": told["missing_items"][:MOST_NAMED]}))
    data = f"No. Missing so far: {named}. All else of the batch is safe"
    do = "Write these values down by hand now, from the device's display or the paper record"
    return Concern("bad", what, data, do, WHOM["operator"], f"batch since {local(now, told['since'])}")


def _had_gap(now: Mapping[str, Any], unit: str, told: Mapping[str, Any]) -> Concern:
    gaps = "a gap" if told["gaps"] == 1 else f"{told['gaps']} gaps"
    what = f"Batch {told['batch']} ({unit}) has {gaps}"
    data = "All is recorded again. No required value is missing so far; the record names each gap"
    do = "Nothing now. Explain the gaps when the batch is reviewed"
    return Concern("warn", what, data, do, WHOM["operator"], f"batch since {local(now, told['since'])}")
