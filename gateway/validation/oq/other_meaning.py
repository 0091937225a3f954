"""Devices whose values mean something else than the map says: another unit, another type, a number that the type does not hold."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from config import Source, Tag
from config.grammars.addresses import OpcUaAddress, parse
from gateway.demo.received import Got, Received
from gateway.validation.check import listed
from gateway.validation.oq.case import NotPlayed, Told
from gateway.validation.oq.devices import BACK_WITHIN_S, BAD, TOLD_WITHIN_S, UNCERTAIN
from gateway.validation.oq.proofs import compared, proved
from gateway.validation.oq.stage import Stage

TEXT = "OQ"
WEIGHINGS = 5
"""So many answers of a scale are in another unit; fewer than after which its link is begun anew."""


async def other_meaning(stage: Stage, told: Told, seconds: float) -> None:
    """Have devices say another unit than the map, and send other types and numbers than it declares, in the middle of their work."""
    sources = [source for source in stage.line.sources if source.name in stage.served and source.driver in ("opcua", "serial")]
    if not sources:
        raise NotPlayed("the line has no device that tells units or types", applies=False)
    spoiled = list[str]()
    async with stage.running():
        await stage.passes(seconds / 4)
        for source in sources:
            if source.driver == "serial":
                spoiled += await _scale(stage, told, source)
            else:
                spoiled += await _server(stage, told, source)
        await stage.passes(seconds / 4)
        await stage.at_rest()
    compared(stage, told, {source.name for source in sources}, without=spoiled)
    await proved(stage, told)


class Seen(NamedTuple):
    """What came of a tag since an order. codes: of the findings that name the tag, with their severities."""

    readings: Sequence[Got]
    codes: Sequence[str]


def since(got: Received, tag: Tag, before: tuple[int, int]) -> Seen:
    """Return what came of a tag behind so many readings and findings."""
    readings = got.readings.get(tag.source, {}).get(tag.tag, [])[before[0] :]
    return Seen(readings, [one["code"] for one in got.findings[before[1] :] if tag.tag in one.get("tags", ())])


def _count(stage: Stage, tag: Tag) -> tuple[int, int]:
    got = stage.received()
    return len(got.readings.get(tag.source, {}).get(tag.tag, [])), len(got.findings)


async def _awaited(stage: Stage, tag: Tag, before: tuple[int, int], fact: Callable[[Seen], bool], within_s: float = TOLD_WITHIN_S) -> Seen:
    """Wait until what came of a tag is as expected, or long enough; return what came."""
    await stage.seen(lambda: fact(since(stage.received(), tag, before)), within_s)
    return since(stage.received(), tag, before)


# ---- a server


async def _server(stage: Stage, told: Told, source: Source) -> list[str]:
    """Play all that a server can say otherwise; return the tags whose log says more than anybody could take."""
    tags = [tag for tag in stage.line.tags_of(source.name) if _is_plain(tag)]
    with_unit = next((tag for tag in tags if tag.type.startswith("float") and (tag.source_unit or tag.unit)), None)
    numbers = [tag for tag in tags if tag.type.startswith("float") and tag is not with_unit]
    whole = next((tag for tag in tags if tag.type in ("int8", "int16", "int32", "uint8", "uint16", "uint32")), None)
    spoiled = list[Tag]()
    if with_unit is not None:
        await _unit(stage, told, with_unit)
        spoiled.append(with_unit)
    for number in numbers[-1:]:
        await _type(stage, told, number, TEXT, "source-type-differs")
        spoiled.append(number)
    if whole is not None:
        await _type(stage, told, whole, 1 << 40, "value-outside-type")
        spoiled.append(whole)
    if not spoiled:
        told.step(f"{source.name}: say another unit or type", "told, nothing is Good", "no tag of it is a plain number", None)
    return [tag.tag for tag in spoiled]


def _is_plain(tag: Tag) -> bool:
    """Return whether a tag is a variable by itself, and no number of a table."""
    address = parse("opcua", tag.address)
    return isinstance(address, OpcUaAddress) and not address.index and not address.field and tag.codes is None


async def _held(stage: Stage, tag: Tag, share: float) -> None:
    """Have a tag keep a value within its range."""
    await stage.order(do="hold", tag=tag.tag, value=_within(tag, share))


async def _stands(stage: Stage, tag: Tag, share: float) -> None:
    """Have a tag keep a value, and wait until it has come: what was on its way is not taken for an answer to what follows."""
    await _held(stage, tag, share)
    value = _within(tag, share)
    await _awaited(
        stage, tag, (0, 0), lambda seen: is_good(seen) and abs(float(seen.readings[-1].value) - value) < 1e-3 * max(abs(value), 1)
    )


def _within(tag: Tag, share: float) -> float:
    """Return a number within a tag's range, as its type holds it."""
    low, high = (0.0 if end is None else float(end) for end in (tag.eu_low, tag.eu_high))
    value = low + share * ((high if high > low else low + 10.0) - low)
    return round(value, 1) if tag.type.startswith("float") else int(value)


async def _unit(stage: Stage, told: Told, tag: Tag) -> None:
    """Declare another unit of a tag and say that its semantics changed; then the map's again."""
    mapped = str(tag.source_unit or tag.unit)
    other = "bar" if "g" in mapped.lower() else "kg"
    await _stands(stage, tag, 0.4)
    before = _count(stage, tag)
    await stage.order(do="unit", source=tag.source, tag=tag.tag, unit=other)
    await _awaited(stage, tag, before, lambda seen: "semantics-changed" in seen.codes)
    between = _count(stage, tag)
    await _held(stage, tag, 0.6)
    await _awaited(stage, tag, between, lambda seen: any(one.status >= BAD for one in seen.readings))
    judge_doubted(
        told, f"have {tag.tag} declared in {other} (the map says {mapped})", since(stage.received(), tag, before), "semantics-changed"
    )
    before = _count(stage, tag)
    await stage.order(do="unit", source=tag.source, tag=tag.tag, unit=mapped)
    await stage.order(do="free", tag=tag.tag)
    seen = await _awaited(stage, tag, before, lambda seen: "semantics-changed-over" in seen.codes and is_good(seen), BACK_WITHIN_S)
    judge_over(told, f"have it declared in {mapped} again", seen, "semantics-changed-over")


async def _type(stage: Stage, told: Told, tag: Tag, value: Any, code: str) -> None:
    """Give a tag a value that its type does not hold; then its own values again."""
    await _stands(stage, tag, 0.5)
    before = _count(stage, tag)
    await stage.order(do="type", source=tag.source, tag=tag.tag, value=value)
    seen = await _awaited(stage, tag, before, lambda seen: code in seen.codes and any(one.status >= BAD for one in seen.readings))
    what = f"the text {value}" if isinstance(value, str) else f"the number {value}"
    judge_doubted(told, f"have {tag.tag} ({tag.type}) be {what}", seen, code)
    before = _count(stage, tag)
    await stage.order(do="free", tag=tag.tag)
    judge_over(told, f"have it be {tag.type} again", await _awaited(stage, tag, before, is_good, BACK_WITHIN_S), None)


# ---- a scale


async def _scale(stage: Stage, told: Told, source: Source) -> list[str]:
    """Have an instrument show another unit for some answers; return the tags that say so themselves."""
    tag = next((tag for tag in stage.line.tags_of(source.name) if tag.address == "weight"), None)
    if tag is None:
        return []
    before = _count(stage, tag)
    await stage.order(do="fault", source=source.name, kind="other-unit", times=WEIGHINGS)
    await _awaited(stage, tag, before, lambda seen: "unit-differs" in seen.codes and any(one.status >= BAD for one in seen.readings))
    seen = await _awaited(stage, tag, before, lambda seen: "unit-differs-over" in seen.codes and is_good(seen), BACK_WITHIN_S)
    bad = [one for one in seen.readings if one.status >= BAD]
    judge_doubted(told, f"have {source.name} show grams", Seen(bad, seen.codes), "unit-differs")
    judge_over(told, f"have it show {tag.source_unit or tag.unit} again", seen, "unit-differs-over")
    return [one.tag for one in stage.line.tags_of(source.name) if one.address == "unit"]


# ---- verdicts


def is_good(seen: Seen) -> bool:
    """Return whether the newest reading is Good."""
    return bool(seen.readings) and seen.readings[-1].status < UNCERTAIN


def judge_doubted(told: Told, action: str, seen: Seen, code: str) -> None:
    """Say whether it is told, a reading is Bad, none is Good, and no Bad one has a value."""
    good = [one for one in seen.readings if one.status < UNCERTAIN]
    bad = [one for one in seen.readings if one.status >= BAD]
    valued = [one for one in bad if one.value is not None]
    text = f"{len(bad)} Bad, {len(good)} Good, {len(valued)} Bad with a value; {listed(list(dict.fromkeys(seen.codes))) or 'no finding'}"
    right = bool(bad) and not good and not valued and code in seen.codes
    told.step(action, f"told ({code}); Bad, without a value; nothing of it is Good", text, right)


def judge_over(told: Told, action: str, seen: Seen, code: str | None) -> None:
    """Say whether the tag is Good again, and whether it is told. code: of the finding; None: none is expected."""
    is_told = code is None or code in seen.codes
    text = f"{'Good' if is_good(seen) else 'not Good'}; {listed(list(dict.fromkeys(seen.codes))) or 'no finding'}"
    told.step(action, f"Good again{'' if code is None else f'; {code}'}", text, is_good(seen) and is_told)
