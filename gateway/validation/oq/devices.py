"""Devices that answer wrongly, and links between them and the gateway that fail: what is wrong is marked or a gap, never a value."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from config import Source, Tag
from gateway.demo.received import Gap, Received
from gateway.entries.ticks import TICKS_PER_S
from gateway.validation.check import listed
from gateway.validation.oq.case import NotPlayed, Told
from gateway.validation.oq.proofs import compared, proved
from gateway.validation.oq.stage import Stage
from simulators.cable import Cable

TOLD_WITHIN_S, BACK_WITHIN_S = 60.0, 120.0
BAD, UNCERTAIN = 0x8000_0000, 0x4000_0000
SENSOR_FAILURE = 0x808C_0000
MODBUS = ("exception", "close", "short", "bad-count", "wrong-unit", "garbage-after")
SERIAL = ("noise", "syntax-error")
"""No answer that says something: one of a scale that moves, or is overloaded, is right in its own way, and not in the device's log."""


class Wrong(NamedTuple):
    """Something wrong that a device is ordered to do with a tag. order, undo: see `simulators.line.orders`. expected: of the readings."""

    action: str
    tag: Tag
    order: dict[str, Any]
    undo: dict[str, Any] | None
    expected: str
    seen: Callable[[Received, Tag], bool]


async def wrong(stage: Stage, told: Told, seconds: float) -> None:
    """Have devices answer with errors and rubbish, lose a node, and give values that are none."""
    network = [source for source in stage.line.sources if source.name in stage.served and source.driver in ("opcua", "modbus", "serial")]
    if not network:
        raise NotPlayed("the line has no device that could answer wrongly", applies=False)
    async with stage.running():
        await stage.passes(seconds / 4)
        for source in network:
            await _answers(stage, told, source)
        asked = list(wrongs(stage, network))
        for one in asked:
            await _played(stage, told, one)
        await stage.passes(seconds / 4)
        await stage.at_rest()
    removed = [one.tag.tag for one in asked if one.order["do"] == "remove"]
    compared(stage, told, {source.name for source in network}, without=removed)
    await proved(stage, told)


async def _answers(stage: Stage, told: Told, source: Source) -> None:
    """Have a polled device spoil some of its next answers, each kind twice; it must be read again afterwards."""
    kinds = {"modbus": MODBUS, "serial": SERIAL}.get(source.driver, ())
    crc = ("bad-crc",) if source.driver == "modbus" and source.endpoints[0].startswith("rtu") else ()
    for kind in (*kinds, *crc):
        await stage.order(do="fault", source=source.name, kind=kind, times=2)
    if not kinds:
        return
    before = count(stage, source.name)
    back = await stage.seen(lambda: stage.states().get(source.name) == "connected" and count(stage, source.name) > before, BACK_WITHIN_S)
    state = stage.states().get(source.name)
    expected = "it is read again; what was lost is a gap (compared below)"
    told.step(f"{source.name}: answer wrongly ({', '.join((*kinds, *crc))})", expected, str(state), bool(back))


def count(stage: Stage, source: str) -> int:
    """Count the readings that the gateway has taken of a source, by its own status."""
    now = stage.now() or {"sources": []}
    return sum(int(one["readings"]) + int(one["unchanged"]) for one in now["sources"] if one["name"] == source)


def wrongs(stage: Stage, network: Sequence[Source]) -> Iterator[Wrong]:
    """List what can be ordered of the tags of these devices: each kind once."""
    line = stage.line
    tags = [tag for source in network for tag in line.tags_of(source.name)]
    drivers = {source.name: source.driver for source in network}
    coded = next((tag for tag in tags if tag.codes in line.codes and tag.type.startswith(("int", "uint"))), None)
    if coded is not None and coded.codes is not None:
        unknown = max(line.codes[coded.codes].codes) + 17
        yield Wrong(
            f"give {coded.tag} the code {unknown}", coded, _hold(coded, unknown), _free(coded), "Uncertain, code-unlisted", uncertain
        )
    numbers = [tag for tag in tags if drivers[tag.source] == "opcua" and tag.type.startswith("float") and tag.scaling is None]
    for number in numbers[:1]:
        node: dict[str, Any] = {"source": number.source, "tag": number.tag}
        yield Wrong(f"give {number.tag} no number (NaN)", number, {"do": "no-number", **node}, None, "Bad, without a value", bad)
        failing = {"do": "status", **node, "status": SENSOR_FAILURE}
        yield Wrong(f"have the sensor of {number.tag} fail (Bad)", number, failing, None, "Bad, without a value", bad)
    for number in numbers[1:][-1:]:
        node = {"source": number.source, "tag": number.tag}
        away, back = {"do": "remove", **node}, {"do": "restore", **node}
        yield Wrong(f"remove the node of {number.tag}", number, away, back, "Bad, or a gap of the tag", gone)


def _hold(tag: Tag, value: Any) -> dict[str, Any]:
    return {"do": "hold", "tag": tag.tag, "value": value}


def _free(tag: Tag) -> dict[str, Any]:
    return {"do": "free", "tag": tag.tag}


def uncertain(got: Received, tag: Tag) -> bool:
    """Return whether a reading of the tag is Uncertain, and a finding says that its code is in no table."""
    readings = got.readings.get(tag.source, {}).get(tag.tag, [])
    return any(UNCERTAIN <= one.status < BAD for one in readings) and any(one["code"] == "code-unlisted" for one in got.findings)


def bad(got: Received, tag: Tag) -> bool:
    """Return whether a reading of the tag is Bad; one with a value beside it is never right."""
    readings = [one for one in got.readings.get(tag.source, {}).get(tag.tag, []) if one.status >= BAD]
    return bool(readings) and all(one.value is None for one in readings)


def gone(got: Received, tag: Tag) -> bool:
    """Return whether the tag is in a gap, or Bad as its last reading."""
    readings = got.readings.get(tag.source, {}).get(tag.tag, [])
    gaps = [gap for gap in got.gaps_of(tag.source) if not isinstance(gap.tags, str) and tag.tag in gap.tags]
    return bool(gaps) or bool(readings and readings[-1].status >= BAD)


async def _played(stage: Stage, told: Told, one: Wrong) -> None:
    """Order it, wait until the EBR has what is expected, and undo it; the tag has to be good again."""
    known = len(stage.received().readings.get(one.tag.source, {}).get(one.tag.tag, []))
    await stage.order(**one.order)
    found = await stage.seen(lambda: one.seen(later(stage.received(), one.tag, known), one.tag), TOLD_WITHIN_S)
    told.step(one.action, one.expected, "as expected" if found else "nothing of it came", bool(found))
    if one.undo is not None:
        await stage.order(**one.undo)


def later(got: Received, tag: Tag, known: int) -> Received:
    """Leave out the readings of a tag that were there before."""
    of_source = got.readings.setdefault(tag.source, {})
    of_source[tag.tag] = of_source.get(tag.tag, [])[known:]
    return got


async def links(stage: Stage, told: Told, seconds: float) -> None:
    """Put a cable between the gateway and each device on the network; cut it, have it swallow everything, make it slow."""
    network = [source for source in stage.line.sources if source.name in stage.served and is_networked(source)]
    if not network:
        raise NotPlayed("no device of the line is on a network", applies=False)
    async with _cabled(stage, network) as cables, stage.running():
        names = [source.name for source in network]
        await stage.passes(seconds / 5)
        for action, spoil in (("cut the links", Cable.cut), ("have the links swallow everything (half-open)", Cable.blackhole)):
            for cable in cables:
                spoil(cable)
            lost = await stage.seen(lambda: all(stage.states().get(name) == "lost" for name in names), TOLD_WITHIN_S)
            told.step(action, f"lost: {listed(names)}", _states(stage, names), bool(lost))
            for cable in cables:
                cable.mend()
                cable.reset()
            back = await stage.seen(lambda: all(stage.states().get(name) == "connected" for name in names), BACK_WITHIN_S)
            told.step("make them whole again", "connected", _states(stage, names), bool(back))
            await stage.passes(seconds / 5)
        for cable in cables:
            cable.up.latency_s = cable.down.latency_s = 0.3
        await stage.passes(seconds / 5)
        told.step("make each link slow (0.3 s each way)", "read, or lost: compared below", _states(stage, names), bool(stage.states()))
        for cable in cables:
            cable.mend()
        await stage.until(lambda: all(stage.states().get(name) == "connected" for name in names), "the sources to be read again")
        await stage.passes(seconds / 5)
        await stage.at_rest()
    judge_gaps(told, stage.received(), {name: len(stage.line.tags_of(name)) for name in names})
    compared(stage, told, names)
    await proved(stage, told)


def is_networked(source: Source) -> bool:
    """Return whether a source is reached by TCP."""
    return urlsplit(source.endpoints[0]).scheme in ("opc.tcp", "tcp", "rtu-tcp")


def _states(stage: Stage, names: Sequence[str]) -> str:
    now = stage.states()
    return listed([f"{name}: {now.get(name)}" for name in names])


def judge_gaps(told: Told, got: Received, tags: Mapping[str, int]) -> None:
    """Say whether each device has a gap for each time that its link was away, and each has ended, for all of its tags. tags: how many."""
    for name, count in tags.items():
        gaps = [gap for gap in got.gaps_of(name) if gap.cause not in ("gateway-stopped", "start", "not-asked")]
        lasted = [_lasted(gap, count) for gap in gaps]
        text = listed([f"{gap.cause} {says}" for gap, (_, says) in zip(gaps, lasted, strict=True)]) or "none"
        good = len(gaps) >= 2 and all(has_ended for has_ended, _ in lasted)
        told.step(f"read the gaps of {name}", "two or more, each has ended", text, good)


def _lasted(gap: Gap, count: int) -> tuple[bool, str]:
    """Return whether a gap has ended for all its tags, and how long it was. count: tags of its source."""
    if gap.end is not None:
        return True, f"{(gap.end - gap.start) / TICKS_PER_S:.1f} s"
    of = count if isinstance(gap.tags, str) else len(gap.tags)
    last = f", the last after {(max(gap.ends.values()) - gap.start) / TICKS_PER_S:.1f} s" if gap.ends else ""
    return len(gap.ends) >= of, f"{len(gap.ends)} of {of} tags observed again{last}"


@asynccontextmanager
async def _cabled(stage: Stage, network: Sequence[Source]) -> AsyncIterator[list[Cable]]:
    """Run a cable for each device: the gateway's end at the address of the copy, the device's at another."""
    ports = stage.move_devices({source.name for source in network})
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(Cable("127.0.0.1", ports[source.name], listen=urlsplit(source.endpoints[0]).port or 0))
            for source in network
        ]
