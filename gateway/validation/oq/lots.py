"""A lot number that comes twice: each booking stands in the record by itself, and one more than the map allows is told."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from config.materials import Booking
from gateway.demo.received import Received
from gateway.demo.truth import read
from gateway.validation.check import listed
from gateway.validation.oq.case import NotPlayed, Told
from gateway.validation.oq.proofs import compared, proved
from gateway.validation.oq.stage import Stage

BOOKED_WITHIN_S, AGAIN_WITHIN_S = 300.0, 90.0
ONCE = ("1", "0..1")
COLUMNS = ("lot", "output_lot")
Event = Mapping[str, Any]


class Twice(NamedTuple):
    """What came of a lot that came twice. first: the booking as it was; all: those of the same lot, at the end. told: findings of it.

    hidden: why nobody could see it again, nothing where everybody could.
    """

    row: Booking
    lot: str
    first: Event
    all: Sequence[Event]
    told: Sequence[Event]
    hidden: str = ""


async def twice(stage: Stage, told: Told, seconds: float) -> None:
    """Have each booking of the map come once more with the lot that came: by a row of the MES, or scanned again at the equipment."""
    rows = [row for row in stage.line.materials if row.lot is not None or row.output_lot is not None]
    if not rows:
        raise NotPlayed("no booking of the map has a lot number", applies=False)
    served = [row for row in rows if _source(stage, row) in stage.served]
    if not served:
        raise NotPlayed(f"no simulated device tells of the bookings {listed([row.name for row in rows])}")
    async with stage.running():
        await stage.passes(seconds / 4)
        for row in served:
            await _again(stage, told, row)
        await stage.at_rest()
    compared(stage, told, {source for row in served if (source := _source(stage, row)) is not None})
    await proved(stage, told)


def _tags(stage: Stage) -> dict[str, str]:
    return {tag.tag: tag.source for tag in stage.line.tags}


def _source(stage: Stage, row: Booking) -> str | None:
    """Return the source that tells of a booking: of its tag, or of its query."""
    return _tags(stage).get(row.trigger) or (row.trigger.partition(".")[0] if "." in row.trigger else None)


def of_row(got: Received, row: Booking) -> list[Event]:
    """List the bookings of a row of the map, in their newest revisions."""
    return [one for one in got.materials.values() if one["type"] == "material" and one["booking"] == row.name and lot_of(one)]


def lot_of(event: Event) -> str:
    """Return the lot number of a booking as its source wrote it; nothing where it has none."""
    return next((str(event[name]["raw"]) for name in COLUMNS if event.get(name) and event[name].get("raw")), "")


async def _again(stage: Stage, told: Told, row: Booking) -> None:
    first = await stage.seen(lambda: next(iter(reversed(of_row(stage.received(), row))), None), BOOKED_WITHIN_S)
    if first is None:
        told.step(f"wait for a booking ({row.name})", "one with a lot number", f"none within {BOOKED_WITHIN_S:.0f} s", None)
        return
    lot, known_of, gaps = lot_of(first), len(stage.received().findings), _gaps(stage.received(), _source(stage, row))
    seen = _happened(stage, row)
    how = await (_scanned if row.trigger in _tags(stage) else _row)(stage, row, first)
    if how is None:
        told.step(f"have lot {lot} come again ({row.name})", "booked by itself", "nothing could be ordered that tells it again", None)
        return
    await stage.seen(
        lambda: len(same_lot(stage.received(), row, first)) > 1 or None, BOOKED_WITHIN_S if row.trigger in _tags(stage) else AGAIN_WITHIN_S
    )
    await stage.passes(2.0)
    got = stage.received()
    hidden = "nothing was booked at the equipment" if row.trigger in _tags(stage) and _happened(stage, row) == seen else ""
    hidden = hidden or ("its source was in a gap meanwhile" if _gaps(got, _source(stage, row)) > gaps else "")
    if row.trigger in _tags(stage) and how.startswith("hold "):
        await stage.order(do="free", tag=how.partition(" ")[2])
    judge_twice(told, Twice(row, lot, first, same_lot(got, row, first), repeated(got, row, known_of), hidden))


def _gaps(got: Received, source: str | None) -> int:
    return len(got.gaps_of(source or ""))


def _happened(stage: Stage, row: Booking) -> int:
    """Count the changes of the tag that tells a booking, by its device's own log."""
    truth = read(stage.folder / "truth").get(_source(stage, row) or "")
    return 0 if truth is None else len(truth.made.get(row.trigger, []))


def same_lot(got: Received, row: Booking, first: Event) -> list[Event]:
    """List the bookings of the lot, the first among them: of its batch, or of the next one, in which it was scanned again."""
    return [one for one in of_row(got, row) if lot_of(one) == lot_of(first)]


def repeated(got: Received, row: Booking, known_of: int) -> list[Event]:
    """List the findings, behind so many, that say that a booking came again."""
    told = [one for one in got.findings[known_of:] if one["code"] == "booking-repeated"]
    return [one for one in told if row.name in one.get("evidence", {}).values()]


async def _row(stage: Stage, row: Booking, first: Event) -> str | None:
    """Have the MES write the row of a booking once more: another key, and all else as it was."""
    source, name = row.trigger.split(".", 1)
    of = next((one for one in stage.line.sources if one.name == source), None)
    if of is None:
        return None
    options = next(one for one in (*of.options.get("query", ()), *of.options.get("pattern", ())) if one["name"] == name)
    key = [options["key"]] if isinstance(options["key"], str) else list(options["key"])
    fixed = {*key, (options.get("watermark") or {}).get("column"), (options.get("time") or {}).get("column")}
    found = [written for (query, _), rows in read(stage.folder / "truth")[source].rows.items() if query == name for _, written in rows]
    same = [one for one in found if lot_of(first) in map(str, one.values())]
    if not same or (of.driver == "mes_file" and not key):
        return None
    again = {column: value for column, value in same[-1].items() if column not in fixed}
    if of.driver == "mes_file":
        again[key[0]] = f"{same[-1].get(key[0])}-OQ"
    await stage.order(do="insert", source=source, name=name, row=again)
    return "row"


async def _scanned(stage: Stage, row: Booking, first: Event) -> str | None:
    """Have the same lot be scanned for everything that is booked from now on."""
    scanned = next((term.text for term in (row.lot, row.output_lot) if term is not None and term.kind == "tag"), None)
    if scanned is None or _tags(stage).get(scanned) not in stage.served:
        return None
    await stage.order(do="hold", tag=scanned, value=lot_of(first))
    return f"hold {scanned}"


def judge_twice(told: Told, found: Twice) -> None:
    """Say whether both bookings stand in the record by themselves, and what is more than the map allows was told."""
    row, names = found.row, list(dict.fromkeys(str(one["record"]) for one in found.all))
    lots = listed([f"{one['record']}: {lot_of(one)}" for one in found.all][:5]) or "none"
    first_is_there = found.first["at"]["time"] in [one["at"]["time"] for one in found.all]  # its name changes with its batch
    action = f"have lot {found.lot} come again ({row.name}, {row.occurs} in a batch)"
    if len(names) == 1 and first_is_there and found.hidden:
        told.step(action, "two bookings or more, each with the lot, the first as it was", f"{lots}; {found.hidden}", None)
        return
    told.step(
        action,
        "two bookings or more, each with the lot, the first as it was",
        lots,
        (len(names) > 1 and first_is_there),
        bookings=list(found.all),
    )
    batches = Counter(one["batch"] for one in found.all)
    if row.occurs not in ONCE or max(batches.values(), default=0) < 2:
        return
    text = listed([str(one["text"]) for one in found.told]) or "nothing was told"
    told.step(f"read what was told of {row.name}", "booking-repeated", text, bool(found.told) if len(names) > 1 else None)
