"""A fallback, from its begin to the return: what is captured meanwhile is exported, what was written by hand comes in, each once."""

import csv
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from config import Parameter
from gateway.entries.ticks import from_rfc3339
from gateway.validation.check import listed
from gateway.validation.oq.case import NotPlayed, Told
from gateway.validation.oq.once import compared_entries, judge_once
from gateway.validation.oq.persons import Desk
from gateway.validation.oq.proofs import compared, end_of, proved
from gateway.validation.oq.site_ebr import cursor
from gateway.validation.oq.stage import Stage

BATCH_WITHIN_S, DRAINED_WITHIN_S = 300.0, 180.0
FIRST, SECOND = "OQ First Person", "OQ Second Person"
VALUES = ("7.1", "OQ 7,2")
HEADER = "time,batch,equipment,ebr_field,value,entered_by,second_person,remark"
ONE_PERSON = "are one person"


class Hand(NamedTuple):
    """What people write by hand meanwhile: of one equipment, its batch, and a field of its record."""

    equipment: str
    batch: str
    field: str


async def fallback(stage: Stage, told: Told, seconds: float) -> None:
    """Lead records by hand for a time in which the EBR is away, export, import, and look at what both sides hold afterwards."""
    if not stage.line.equipment or not stage.line.parameters:
        raise NotPlayed("the line has no equipment with a parameter, so nothing of a record could be led by hand", applies=False)
    async with stage.running():
        hand = await stage.seen(lambda: of_now(stage.now(), stage.line.parameters), BATCH_WITHIN_S)
        told.step(
            "wait for a batch",
            "one is on an equipment",
            "none" if hand is None else f"{hand.batch} on {hand.equipment}",
            hand is not None or None,
        )
        if hand is None:
            return
        desk = Desk(stage)
        await desk.add("admin", None)
        await desk.add("operator", "oq-admin")
        began = await _begun(stage, told, desk)
        await stage.passes(max(seconds / 2, 8.0))
        over = await _ended(stage, told, desk)
        await stage.plant.say("still")
        await stage.observed()
        await stage.drained()
        await _exported(stage, told, desk, (str(began.get("from", "")), str(over.get("until", ""))))
        await _imported(told, desk, hand, str(began.get("from", "")))
        await stage.seen(lambda: cursor(stage.now()) >= stage.last() or None, DRAINED_WITHIN_S)
        status, text = await stage.command(
            "reconcile", str(stage.line.folder), "--uplink", stage.line.uplinks[0].name, "--ebr", str(stage.folder / "ebr")
        )
        told.step("reconcile with the EBR", "no difference, exit status 0", f"exit {status}: {end_of(text)}", status == 0)
        await stage.at_rest()
    judge_record(told, stage.received().audits)
    judge_once(told, compared_entries(stage))
    compared(stage, told)
    await proved(stage, told)


def of_now(now: Mapping[str, Any] | None, parameters: Sequence[Parameter]) -> Hand | None:
    """Choose an equipment with a batch and a field of its record; None while there is none."""
    for parameter in parameters:
        batch = ((now or {}).get("equipment") or {}).get(parameter.equipment, {}).get("batch")
        if batch and parameter.ebr_field:
            return Hand(parameter.equipment, str(batch), parameter.ebr_field)
    return None


# ---- the switch and the return


async def _begun(stage: Stage, told: Told, desk: Desk) -> dict[str, Any]:
    """Have the EBR go away, and a person say that records are led by hand; the line goes on."""
    await stage.ebr.kill()
    before = stage.last()
    answer = await desk.give(desk.sockets[0], "fallback-begin", "oq-operator", led_by="manual")
    text = str(answer.get("error") or f"{answer.get('fallback')} since {answer.get('from')} ({answer.get('basis')})")
    told.step(
        "take the EBR away, say that records are led by hand",
        "taken, with its instant",
        text,
        "error" not in answer and bool(answer.get("from")),
    )
    status, said = await stage.command("status", str(stage.line.folder))
    told.step(
        "look at the status", "says so, exit status 1", f"exit {status}: {_line_of(said, 'fallback')}", status == 1 and "fallback" in said
    )
    again = await desk.give(desk.sockets[0], "fallback-begin", "oq-operator", led_by="legacy")
    told.step("say it once more", "refused: one at a time", str(again.get("error", "taken")), "error" in again)
    after = await stage.seen(lambda: newer(stage.last(), before))
    told.step("look at the journal", "recording goes on", f"entry {before[1]} to {(after or before)[1]}", after is not None)
    return answer


def newer(last: tuple[int, int], before: tuple[int, int]) -> tuple[int, int] | None:
    """Return the last entry if it is another one than before."""
    return last if last > before else None


def _line_of(text: str, word: str) -> str:
    return next((" ".join(line.split())[:200] for line in text.splitlines() if word in line), end_of(text))


async def _ended(stage: Stage, told: Told, desk: Desk) -> dict[str, Any]:
    """Have the EBR come back, and the person say that records are led here again."""
    await stage.ebr.start()
    answer = await desk.give(desk.sockets[0], "fallback-end", "oq-operator")
    text = str(answer.get("error") or f"until {answer.get('until')} ({answer.get('basis')})")
    told.step(
        "bring the EBR back, say that records are led here again",
        "taken, with its instant",
        text,
        "error" not in answer and bool(answer.get("until")),
    )
    again = await desk.give(desk.sockets[0], "fallback-end", "oq-operator")
    told.step("say it once more", "refused: none was begun", str(again.get("error", "taken")), "error" in again)
    return answer


# ---- what was captured meanwhile


async def _exported(stage: Stage, told: Told, desk: Desk, span: tuple[str, str]) -> None:
    folder = stage.folder / "captured"
    with tempfile.NamedTemporaryFile("w", dir=stage.folder) as secret:
        secret.write(desk.passwords["oq-operator"])
        secret.flush()
        words = ("--to", str(folder), "--user", "oq-operator", "--password-file", secret.name)
        status, text = await stage.command("fallback", "export", str(stage.line.folder), *words)
    files = sorted(folder.glob("captured-*.csv"))
    told.step(
        "export what was captured",
        "a file of each equipment and a document, exit status 0",
        f"exit {status}: {end_of(text)}",
        status == 0 and bool(files),
    )
    counted = [rows_of(path) for path in files]
    judge_exported(told, readings_of(stage.store.entries(), span), counted)


def rows_of(path: Path) -> Counter[str]:
    """Count the readings of each tag in an exported file."""
    with path.open(encoding="utf-8", newline="") as file:
        return Counter(row["tag"] for row in csv.DictReader(file) if row["what"] == "reading")


def readings_of(payloads: Iterable[bytes], span: tuple[str, str]) -> Counter[str]:
    """Count the readings of each tag in the entries that were made from one time to another, as the EBR holds them."""
    begin, end = map(from_rfc3339, span) if all(span) else (0, 0)
    tables, found = dict[tuple[int, str], dict[int, str]](), Counter[str]()
    for payload in payloads:
        entry = orjson.loads(payload)
        event = entry.get("event") or {}
        if event.get("type") == "tagset":
            names = {event["first"] + at: str(tag["tag"]) for at, tag in enumerate(event["tags"])}
            tables.setdefault((entry["epoch"], event["tagset"]), {}).update(names)
        elif "readings" in entry and begin <= from_rfc3339(entry["time"]) < end:
            at, table = [*entry["columns"]], tables[entry["epoch"], entry["tagset"]]
            fixed = entry["constant"].get("tag")
            found.update(table[values[at.index("tag")] if fixed is None else fixed] for values in entry["readings"])
    return found


def judge_exported(told: Told, held: Counter[str], files: Sequence[Counter[str]]) -> None:
    """Say whether each reading that the EBR holds of that time stands in the file of each equipment of its tag, once."""
    wrong = [f"{tag}: {count} held, {of[tag]} exported" for of in files for tag, count in held.items() if tag in of and of[tag] != count]
    wrong += [f"{tag}: {count} held, none exported" for tag, count in held.items() if not any(tag in of for of in files)]
    wrong += [f"{tag}: exported, not held" for of in files for tag in of if tag not in held]
    text = listed(wrong[:5]) or f"{held.total()} readings of {len(held)} tags, in {len(files)} files"
    told.step("compare the files with what the EBR holds of that time", "each reading once", text, not wrong if held else None)


# ---- what was written by hand


def written(hand: Hand, at: str, second: str = SECOND) -> str:
    """Write the file of two values, by two persons. at: an instant of the fallback."""
    rows = [f'{at},{hand.batch},{hand.equipment},{hand.field},"{VALUES[0]}",{FIRST},{second},']
    rows.append(f'{at},{hand.batch},{hand.equipment},{hand.field}-OQ,"{VALUES[1]}",{FIRST},{second},operational qualification')
    return "\n".join([HEADER, *rows, ""])


async def _imported(told: Told, desk: Desk, hand: Hand, at: str) -> None:
    """Import the file: by one person, by two, and once more."""
    socket, name = desk.sockets[0], "oq-by-hand.csv"
    more = {"name": name, "accept_unknown": True}  # the second field is none of the record: it comes in as what it is
    answer = await desk.give(socket, "fallback-import", "oq-operator", text=written(hand, at, FIRST), **more)
    text = str(answer.get("error", "taken")).splitlines()[0][:200]
    told.step("import values that one person alone wrote", "refused with their lines", text, f"{name}:2" in text and ONE_PERSON in text)
    answer = await desk.give(socket, "fallback-import", "oq-operator", text=written(hand, at), **more)
    judge_import(told, "import them by two persons", answer, (2, 0))
    answer = await desk.give(socket, "fallback-import", "oq-operator", text=written(hand, at), **more)
    judge_import(told, "import the same file once more", answer, (0, 2))


def judge_import(told: Told, action: str, answer: Mapping[str, Any], wanted: tuple[int, int]) -> None:
    """Say whether as many came in as are new. wanted: imported, and there before."""
    text = str(answer.get("error") or f"{answer.get('imported')} imported, {answer.get('before')} there before")
    told.step(action, f"{wanted[0]} imported, {wanted[1]} there before", text, (answer.get("imported"), answer.get("before")) == wanted)


def judge_record(told: Told, audits: Sequence[Mapping[str, Any]]) -> None:
    """Say whether begin, end and each value by hand stand in the EBR's audit trail once, with both persons."""
    counts = Counter(str(one["action"]) for one in audits)
    switches = [f"{action} {counts[action]}" for action in ("fallback-begun", "fallback-ended")]
    told.step(
        "read the audit trail at the EBR",
        "fallback-begun 1, fallback-ended 1",
        ", ".join(switches),
        [counts["fallback-begun"], counts["fallback-ended"]] == [1, 1],
    )
    by_hand = [one["what"] for one in audits if one["action"] == "manual-entry"]
    rows = [(str(one.get("value")), str(one.get("origin")), str(one.get("entered_by")), str(one.get("second_person"))) for one in by_hand]
    wanted = [(value, "manual", FIRST, SECOND) for value in VALUES]
    text = listed([" ".join(row) for row in rows]) or "none"
    told.step(
        "read the values by hand at the EBR",
        f"{' and '.join(VALUES)}, each once, of origin manual, by two persons",
        text,
        sorted(rows) == sorted(wanted),
        by_hand=by_hand,
    )
