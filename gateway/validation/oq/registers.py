"""Values over several registers of a Modbus device: read while they change, half from before and half from after; with words exchanged."""

import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import isfinite
from typing import Any, NamedTuple

from config import Source, Tag
from config.grammars.addresses import ModbusAddress, parse
from gateway.demo.compare import normal
from gateway.demo.received import Got, Received
from gateway.demo.truth import Item, read
from gateway.entries.ticks import TICKS_PER_S
from gateway.validation.check import listed
from gateway.validation.oq.case import NotPlayed, Told
from gateway.validation.oq.devices import BACK_WITHIN_S, TOLD_WITHIN_S, UNCERTAIN
from gateway.validation.oq.proofs import compared, proved
from gateway.validation.oq.stage import Stage

COUNTED = ("int32", "uint32", "int64", "uint64", "bcd32")
"""What the driver proves whole; of a float nobody can tell that it is torn."""
CARRIES = {"bcd32": 10_000}
CARRY = 0x10000
READS = 8
"""A counter carries in one of so many reads, between its registers: so seldom that the answers between them can prove a value."""
TORN, TORN_WITHIN_S = 3, 150.0
NEAR = 1e-5
NEAR_TICKS = 2 * TICKS_PER_S
ORDERS = ("upper", "lower")
FOUR = {"ABCDEFGH": "ABCD", "GHEFCDAB": "CDAB", "BADCFEHG": "BADC", "HGFEDCBA": "DCBA"}
EXCHANGED = {"ABCD": "CDAB", "CDAB": "ABCD", "BADC": "DCBA", "DCBA": "BADC"}


async def registers(stage: Stage, told: Told, seconds: float) -> None:
    """Have a counter of each device run on while it is read, either register first; then have it hold the words of its floats exchanged."""
    sources = [source for source in stage.line.sources if source.driver == "modbus" and source.name in stage.served]
    if not sources:
        raise NotPlayed("the line has no device whose values stand in registers (Modbus)", applies=False)
    counters, floats = (
        [one for source in sources for one in counted(stage, source)],
        [one for source in sources for one in known(stage, source)],
    )
    if not counters and not floats:
        raise NotPlayed(f"{listed([source.name for source in sources])}: no counter over several registers, and no float with a range")
    async with stage.running():
        await stage.passes(seconds / 4)
        for source in sources:
            await _torn(stage, told, source, counted(stage, source)[:1])
            await _swapped(stage, told, source, known(stage, source))
        await stage.passes(seconds / 4)
        await stage.at_rest()
    compared(stage, told, {source.name for source in sources}, without=[tag.tag for tag in (*counters, *floats)])
    await proved(stage, told)


def _address(tag: Tag) -> ModbusAddress | None:
    address = parse("modbus", tag.address)
    return address if isinstance(address, ModbusAddress) and address.table in ("holding", "input") and address.bit is None else None


def _kind(tag: Tag) -> str:
    """Return the type that the registers hold; nothing for a bit."""
    address = _address(tag)
    return "" if address is None else str(address.type or tag.type)


def counted(stage: Stage, source: Source) -> list[Tag]:
    """List the integers of a device that a carry can reach, the one that is read most often first."""
    tags = [tag for tag in stage.line.tags_of(source.name) if _kind(tag) in COUNTED and tag.codes is None]
    wide = [tag for tag in tags if tag.raw_range is None or tag.raw_range[1] > 16 * CARRY]
    return sorted(wide, key=lambda tag: tag.rate_ms or source.rate_ms)


def known(stage: Stage, source: Source) -> list[Tag]:
    """List the floats of a device of which the map says in what range they lie, from one end to the other."""
    floats = [tag for tag in stage.line.tags_of(source.name) if _kind(tag) in ("float32", "float64")]
    return [tag for tag in floats if tag.raw_range is not None and all(map(isfinite, tag.raw_range))]


# ---- torn


class Torn(NamedTuple):
    """What came of a counter that ran on while it was read. torn: answers that held what it never had. good, doubtful, wrong: readings."""

    torn: int
    good: int
    doubtful: int
    wrong: Sequence[str]


async def _torn(stage: Stage, told: Told, source: Source, counters: Sequence[Tag]) -> None:
    if not counters:
        told.step(
            f"{source.name}: read a counter while it runs",
            "never torn and Good",
            "it has no integer over several registers that carries",
            None,
        )
        return
    if source.options.get("torn_guard") is False:
        told.step(
            f"{source.name}: read a counter while it runs", "never torn and Good", "line.toml switches the proof off (torn_guard)", None
        )
        return
    (tag,) = counters
    for first in ORDERS:
        before = len(_readings(stage.received(), tag))
        carry, step = steps_of(_kind(tag))
        await stage.order(do="tear", source=source.name, tag=tag.tag, start=3 * carry - step, step=step, first=first)
        torn = await _until_torn(stage, tag)
        await stage.drained()
        made = read(stage.folder / "truth")[source.name].made.get(tag.tag, [])
        judge_torn(told, tag, first, found(tag, torn, _readings(stage.received(), tag)[before:], made))


async def _until_torn(stage: Stage, tag: Tag) -> int:
    """Wait until some answers were torn, or long enough; return how many were."""
    until, order = time.monotonic() + TORN_WITHIN_S, {"source": tag.source, "tag": tag.tag}
    while int((await stage.order(do="torn", **order))["torn"]) < TORN and time.monotonic() < until:
        await stage.passes(1.0)
    return int((await stage.order(do="whole", **order))["torn"])


def steps_of(kind: str) -> tuple[int, int]:
    """Return at which multiple a counter of this type carries, and by how much it goes on from register to register."""
    carry = CARRIES.get(kind, CARRY)
    return carry, carry // READS // (4 if kind.endswith("64") else 2)


def _readings(got: Received, tag: Tag) -> list[Got]:
    return got.readings.get(tag.source, {}).get(tag.tag, [])


def found(tag: Tag, torn: int, readings: Sequence[Got], made: Sequence[Item]) -> Torn:
    """Hold readings against what the counter had when each was asked for, by the device's own log."""
    good = [one for one in readings if one.status < UNCERTAIN]
    wrong = [str(one.value) for one in good if normal(tag, one.value) not in _had(tag, made, one)]
    return Torn(torn, len(good), len(readings) - len(good), wrong)


def _had(tag: Tag, made: Sequence[Item], reading: Got) -> set[Any]:
    """Return what the device had about the time of a reading: what stood then, and each value of the seconds before and after."""
    first = (reading.requested or reading.received) - NEAR_TICKS
    stood = [item for item in made if item.ticks <= first][-1:]
    return {normal(tag, item.value) for item in [*stood, *(item for item in made if first < item.ticks <= reading.received + NEAR_TICKS)]}


def judge_torn(told: Told, tag: Tag, first: str, came: Torn) -> None:
    """Say whether nothing that the device never had came as Good."""
    text = f"{came.torn} answers were torn; {came.good} readings Good, {came.doubtful} marked; "
    text += f"never had and Good: {listed(came.wrong[:5])}" if came.wrong else "each Good one is one that it had"
    good = False if came.wrong else None if not came.torn or not came.good else True
    told.step(f"have {tag.tag} run on while it is read, its {first} register first", "nothing that it never had is Good", text, good)


# ---- exchanged words


async def _swapped(stage: Stage, told: Told, source: Source, floats: Sequence[Tag]) -> None:
    """Put a device in the place of this one that holds the words of its floats the other way round; then the right one again."""
    if not floats:
        told.step(
            f"{source.name}: exchange the words of its floats", "told", "the map has no float of it with a range: nothing shows it", None
        )
        return
    values = {tag.tag: middle(tag) for tag in floats}
    for name, value in values.items():
        await stage.order(do="hold", tag=name, value=value)
    await stage.seen(lambda: all(_has(stage, tag, values[tag.tag]) for tag in floats) or None, TOLD_WITHIN_S)
    known_of = len(stage.received().findings)
    await _replaced(stage, source, floats)
    await stage.seen(lambda: not untold(stage.received(), source, floats, known_of) or None, TOLD_WITHIN_S)
    judge_swapped(told, source, floats, findings_of(stage.received(), known_of))
    known_of, before = len(stage.received().findings), {tag.tag: len(_readings(stage.received(), tag)) for tag in floats}
    await _replaced(stage, source, floats)
    await stage.seen(lambda: all(is_back(stage.received(), tag, before[tag.tag], values[tag.tag]) for tag in floats) or None, BACK_WITHIN_S)
    got = stage.received()
    judge_back(
        told, source, [tag.tag for tag in floats if not is_back(got, tag, before[tag.tag], values[tag.tag])], findings_of(got, known_of)
    )
    for name in values:
        await stage.order(do="free", tag=name)


def _has(stage: Stage, tag: Tag, value: float) -> bool:
    """Return whether the device has this value, by its own log: what it had before would be judged else."""
    made = read(stage.folder / "truth")[tag.source].made.get(tag.tag, [])
    return bool(made) and abs(float(made[-1].value) - value) <= NEAR * max(abs(value), 1.0)


async def _replaced(stage: Stage, source: Source, floats: Sequence[Tag]) -> None:
    await stage.order(do="stop", source=source.name)
    for tag in floats:
        await stage.order(do="exchange", source=source.name, tag=tag.tag)
    await stage.seen(lambda: stage.states().get(source.name) != "connected" or None, TOLD_WITHIN_S)
    await stage.order(do="start", source=source.name)


def middle(tag: Tag) -> float:
    """Choose a value about the middle of a tag's range, whose words are next to nothing once exchanged: all but the first are 0."""
    low, high = map(float, tag.raw_range or (0.0, 1.0))
    form, half = ">d" if _kind(tag) == "float64" else ">f", (low + high) / 2
    raw = struct.unpack(form, struct.pack(form, half)[:2].ljust(struct.calcsize(form), b"\0"))[0]
    raw = raw if low <= raw <= high and raw else half
    return raw if tag.scaling is None else float(Fraction(raw) * tag.scaling.slope + tag.scaling.intercept)


def findings_of(got: Received, known_of: int) -> dict[str, Mapping[str, Any]]:
    """Return by tag what was told of the order of bytes, behind so many findings."""
    told = [one for one in got.findings[known_of:] if one["code"] == "byte-order"]
    return {name: one for one in told for name in one.get("tags", ())}


def fitting(source: Source, tag: Tag) -> str:
    """Return the order in which the words stand once they are exchanged."""
    address = _address(tag)
    order = (address.order if address is not None else None) or str(source.options.get("byte_order", "ABCD"))
    return EXCHANGED[FOUR.get(order, order)]


def untold(got: Received, source: Source, floats: Sequence[Tag], known_of: int) -> list[str]:
    """Name the tags of which it was not told, or not with the order that fits."""
    said = findings_of(got, known_of)
    return [tag.tag for tag in floats if fitting(source, tag) not in said.get(tag.tag, {}).get("evidence", {})]


def judge_swapped(told: Told, source: Source, floats: Sequence[Tag], said: Mapping[str, Mapping[str, Any]]) -> None:
    """Say whether each float was told as one whose words stand otherwise than the map says, with the order that fits."""
    missing = list(_missing(source, floats, said))
    text = listed(missing) or listed([f"{tag.tag}: {fitting(source, tag)} fits" for tag in floats])
    action = f"replace {source.name} by a device that holds the words of its floats exchanged"
    told.step(action, "byte-order of each, with the order that fits", text, not missing if floats else None)


def _missing(source: Source, floats: Sequence[Tag], said: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for tag in floats:
        if tag.tag not in said:
            yield f"{tag.tag}: not told"
        elif fitting(source, tag) not in said[tag.tag]["evidence"]:
            yield f"{tag.tag}: told, but not that {fitting(source, tag)} fits"


def is_back(got: Received, tag: Tag, before: int, value: float) -> bool:
    """Return whether the right value came as Good."""
    good = [one for one in _readings(got, tag)[before:] if one.status < UNCERTAIN and one.value is not None]
    return any(abs(float(one.value) - value) <= NEAR * max(abs(value), 1.0) for one in good)


def judge_back(told: Told, source: Source, missing: Sequence[str], said: Mapping[str, Mapping[str, Any]]) -> None:
    """Say whether the right values came once the right device was back, and nothing was told of them."""
    texts = [*(f"{name}: its value did not come" for name in missing), *(f"{name}: told as exchanged" for name in said)]
    told.step(f"put the right {source.name} back", "the right values as Good, no byte-order", listed(texts) or "they are", not texts)
