"""Lay out when the records of a batch were led by the legacy system or by hand, as its end states it; and what was written by hand."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from buffer.archive.happenings import Happening
from buffer.archive.texts import local_text, value_text, who_text
from buffer.pages.blocks import Block, Heading, Table, Text

LED_BY = {"legacy": "the legacy system", "manual": "manual recording"}


def led_elsewhere(listed: Sequence[Mapping[str, Any]], zone: str | None) -> Iterator[Block]:
    """Yield a table of the intervals; nothing where there is none. zone: of the times."""
    if not listed:
        return
    yield Heading(1, "Led elsewhere")
    yield Text(
        "In these intervals another record than this one was led. What the sources told was recorded here all the same.", marked=True
    )
    titles = ("Equipment", "Led by", "From", "Until", "Begun by", "Why", "Ended by")
    yield Table(titles, (1.6, 1.6, 2.6, 2.6, 2, 3, 2), [_row(told, zone) for told in listed], frozenset(range(len(listed))))


def _row(told: Mapping[str, Any], zone: str | None) -> list[str]:
    until = f"{local_text(told['until'], zone)} ({value_text(told.get('until_basis'))})" if told.get("until") else "it lasted"
    led_by = LED_BY.get(str(told.get("led_by")), value_text(told.get("led_by")))
    begun = f"{local_text(told.get('from'), zone)} ({value_text(told.get('from_basis'))})"
    names = ("by", "reason", "ended_by")
    return [", ".join(told.get("equipments") or []), led_by, begun, until, *(value_text(told.get(name)) for name in names)]


def by_hand(mine: Iterable[Happening], zone: str | None) -> Iterator[Block]:
    """Yield a table of the values that people wrote by hand; nothing where there is none. No statistic and no result rests on them."""
    rows = [_entered(one, zone) for one in mine if one.event["type"] == "audit" and one.event.get("action") == "manual-entry"]
    if rows:
        yield Heading(1, "Entries by hand")
        yield Text("People wrote these values, and the gateway measured none of them: they are no readings, and are in no value above.")
        titles = ("Entry", "Written at", "Equipment", "Step", "EBR field", "Value", "Unit", "Origin", "By", "Second person", "Imported by")
        yield Table(titles, (0.9, 2.4, 1.4, 1.4, 1.4, 1.4, 1, 1.2, 1.6, 1.6, 2.2), rows)


def _entered(one: Happening, zone: str | None) -> list[str]:
    what = one.event.get("what") or {}
    step = "/".join(value_text(what[name]) for name in ("step", "run") if what.get(name))
    names = ("ebr_field", "value", "unit", "origin", "entered_by", "second_person")
    told = [value_text(what.get(name)) for name in names]
    return [one.where, local_text(what.get("at"), zone), value_text(what.get("equipment")), step, *told, who_text(one.event.get("who"))]
