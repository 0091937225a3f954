"""Every member of every entry and event that was ever recorded stands in the published schemas: here unknown ones are refused."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import jsonschema
import pytest
from golden import frozen_files
from kit.repository import SCHEMAS
from kit.strict_schemas import validator

DIGIT = re.compile(r"\d")


def recorded(cases: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The entries and the events that the cases made; states of the fold and contexts are no part of what is sent.

    Of those that differ in which digits stand where, the first: they have the same members, of the same types and, as texts, lengths.
    """
    seen = set[str]()
    for case in cases:
        for line in frozen_files.read(frozen_files.FOLDER / f"{case}.zst"):
            if line.startswith(('{"schema":"ebr-gateway/', '{"type":')) and (form := DIGIT.sub("0", line)) not in seen:
                seen.add(form)
                yield json.loads(line)


CASES = (
    "bioreactor-3",
    "granulation-2",
    "granulation-2.replayed",
    "lines",
    "outages",
    "readings",
    "recipes",
    "robust",
    "stories",
    "tablet-press-1",
)


@pytest.mark.urs("URS-UPL-01")
def test_every_member_that_was_recorded_stands_in_a_schema() -> None:
    entries = {"ebr-gateway/event/1": validator("entry-event.json"), "ebr-gateway/readings/1": validator("entry-readings.json")}
    events = {path.name[6:-5]: validator(path.name) for path in SCHEMAS.glob("event-*.json")}
    seen, wrong = Counter[str](), Counter[str]()
    for item in recorded(CASES):
        of_entry = "schema" in item
        event = item.get("event") if of_entry else item
        kind = event["type"] if event is not None else "readings"
        seen[kind] += 1
        head = {**item, "event": {"type": "heartbeat", "observed": {}}} if of_entry and event is not None else item
        if of_entry:
            wrong.update(f"head of {kind}: {_why(error)}" for error in entries[item["schema"]].iter_errors(head))
        if event is not None:
            wrong.update(f"{kind}: {_why(error)}" for error in events[kind].iter_errors(event) if not _stand_in(error))
    assert not wrong, "\n".join(f"{count} x {text}" for text, count in wrong.most_common(40))
    assert set(events) - set(seen) <= {"context", "clock", "document", "stamps"}, "a kind of event that no story records"


def _stand_in(error: jsonschema.ValidationError) -> bool:
    """True for the digest of a configuration in the stories of the fold alone, which are told "1" and "2" for it."""
    return error.instance in ("1", "2") and error.absolute_path[-1] == "sha256"


def _why(error: jsonschema.ValidationError) -> str:
    return f"{'/'.join('*' if isinstance(part, int) else str(part) for part in error.absolute_path)}: {error.message[-160:]}"
