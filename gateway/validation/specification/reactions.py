"""What the gateway does with each answer of the other side: asked of the functions that decide it while a line runs."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from drivers import DriverMisconfigured, driver_class
from gateway.alarms.codes import CODES
from gateway.intake.push import REFUSALS
from gateway.uplink.errors import Refused, Unreachable, UplinkError
from gateway.uplink.http_status import outcome
from gateway.uplink.https import decided
from gateway.uplink.mqtt import refusal
from gateway.uplink.records import Record

STATUSES = range(200, 600)
ENTRIES = {
    "answer": "takes the receipt in the body; a body without one acknowledges nothing, and the same bytes come again",
    "smaller": "halves the page; an entry that is refused alone is an alarm `uplink-too-large`",
    "single": "sends it unpacked, then halves the page until the one entry is found, which a receipt in the body must list in `rejected`; "
    "without one: alarm `uplink-not-taken`, and the stream stands before it",
    "plain": "sends it unpacked; answered again so: alarm `uplink-protocol`",
    "wait": "sends the same bytes again, after Retry-After (at most 15 minutes) or 0.5 to 30 s",
}
RECORDS = {
    "stored": "goes on with the next record",
    "rejected": "quarantine with code `http-STATUS`, or what an outcome in the body says; alarm `uplink-rejected`; goes on",
    "wait": "sends the same record again, after Retry-After (at most 15 minutes) or 0.5 to 30 s",
}
BROKER = {"wait": "connects again, after 0.5 to 30 s"}
_TRIED = Record("lyon/granulation-2/B2026-0417/granulator/WET_MASS/2#1", "step", "granulator", "4500123456", b"{}")
_QUOTED = re.compile(r"\"([a-z][a-z0-9-]*[a-z0-9])\"")


class Reaction(NamedTuple):
    """What was answered, what the gateway does, and the code of the finding that tells it, empty if none does."""

    when: str
    then: str
    finding: str = ""


def to_pages() -> list[Reaction]:
    """Return what follows each status of an answer to a page of entries."""
    return list(_grouped(STATUSES, lambda status: _told(lambda: outcome(status), ENTRIES), _runs))


def to_records() -> list[Reaction]:
    """Return what follows each status of an answer to a record, without an outcome in its body."""
    return list(_grouped(STATUSES, lambda status: _told(lambda: decided(status, b"", {}, _TRIED).outcome, RECORDS), _runs))


def to_reason_codes() -> list[Reaction]:
    """Return what follows each reason code by which a broker refuses (MQTT 5, 2.4)."""
    known = sorted(value for value in range(0x80, 0xA3) if _reason(value) is not None)
    return list(_grouped(known, _refused, _names))


def of_push() -> list[Reaction]:
    """Return the answers to who pushes order parameters."""
    taken = Reaction("200", "on disk, as the entry that the answer names; the same body again is one more entry and changes nothing")
    refused = (Reaction(str(status), f"nothing is taken: {why}", "push-refused") for status, why in REFUSALS.items())
    return [taken, *refused, Reaction("405, 500", "nothing is taken: another method; a fault of the gateway, send again")]


def findings(codes: Iterable[str]) -> list[Reaction]:
    """Return what each code of a finding means and asks for."""
    return [Reaction(code, f"{CODES[code].cause}. {CODES[code].response}", code) for code in sorted(codes)]


@cache
def codes_of_driver(driver: str) -> frozenset[str]:
    """Return the codes that a driver can give: those that stand in its program."""
    try:
        package = driver_class(driver).__module__
    except DriverMisconfigured:
        return frozenset()
    return _codes_in(package)


def codes_of_sources() -> frozenset[str]:
    """Return the codes that any source can give, whatever its driver."""
    return frozenset(code for code in _codes_in("gateway.intake.intake") if code != "push-refused")


@cache
def _codes_in(module: str) -> frozenset[str]:
    """Return the codes that stand in a module and its neighbours of the same package; one without a package has no neighbours."""
    own = import_module(module.rpartition(".")[0] or module)
    places = [Path(place) for place in getattr(own, "__path__", ())]
    files = [file for place in places for file in place.rglob("*.py")] or ([] if own.__file__ is None else [Path(own.__file__)])
    return frozenset(word for file in files for word in _QUOTED.findall(file.read_text("utf-8")) if word in CODES)


def codes_of_uplinks() -> frozenset[str]:
    """Return the codes of every uplink."""
    return frozenset(code for code in CODES if code.startswith("uplink-"))


def _told(ask: Callable[[], str], words: Mapping[str, str]) -> tuple[str, str]:
    try:
        return words[ask()], ""
    except Unreachable:
        return words["wait"], ""
    except Refused as error:
        return "sends nothing more, tries again every 30 s", f"uplink-{error.code}"


def _reason(value: int) -> ReasonCode | None:
    for packet in (PacketTypes.CONNACK, PacketTypes.PUBACK, PacketTypes.SUBACK, PacketTypes.DISCONNECT):
        try:
            return ReasonCode(packet, identifier=value)
        except ValueError:  # no such code for this packet
            continue
    return None


def _refused(value: int) -> tuple[str, str]:
    reason = _reason(value)
    assert reason is not None
    error: UplinkError = refusal(reason, "")
    if isinstance(error, Refused):
        return "sends nothing more, tries again every 30 s", f"uplink-{error.code}"
    return BROKER["wait"], ""


def _grouped(
    values: Iterable[int], react: Callable[[int], tuple[str, str]], name: Callable[[Iterable[int]], Iterator[str]]
) -> Iterator[Reaction]:
    """Yield each reaction once, with all that it follows."""
    by: dict[tuple[str, str], list[int]] = {}
    for value in values:
        by.setdefault(react(value), []).append(value)
    for (then, finding), those in by.items():
        yield Reaction(", ".join(name(those)), then, finding)


def _runs(values: Iterable[int]) -> Iterator[str]:
    for _, run in groupby(enumerate(values), lambda pair: pair[1] - pair[0]):
        numbers = [value for _, value in run]
        yield str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _names(values: Iterable[int]) -> Iterator[str]:
    yield from (f"0x{value:02x} {_reason(value)}" for value in values)
