"""What was done while no gateway ran: taken into the journal once, whatever happens between the journal and the file."""

import asyncio
import json
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Any

import pytest
from kit.nearly_full import nearly_full

from gateway.access import Offline, forget, take_over
from gateway.access.offline import MOST_LINES, NAME
from gateway.alarms import Found, Gathering
from gateway.entries.bodies import event_body


class Journal:
    """Takes events, with the digest that it remembers in the same transaction."""

    def __init__(self) -> None:
        self.events: list[Mapping[str, Any]] = []
        self.through: str | None = None

    def take(self, event: Mapping[str, Any], digest: str) -> Awaitable[None]:
        self.events.append(event)
        self.through = digest
        return asyncio.sleep(0)

    async def start(self, data: Path, *, most: int | None = None) -> None:
        """Take over as a start does; with `most`, be killed after so many are committed."""
        before = len(self.events)

        def taken(event: Mapping[str, Any], digest: str) -> Awaitable[None]:
            return asyncio.sleep(0) if most is not None and len(self.events) - before >= most else self.take(event, digest)

        await asyncio.gather(*take_over(data, self.through, taken))
        if most is None:
            forget(data)


def written(data: Path, *actions: str) -> None:
    offline = Offline(data, "lyon/test-1", "Europe/Paris")
    for action in actions:
        asyncio.run(offline.record(action, {"n": 1}))


def actions(journal: Journal) -> list[str]:
    return [str(event.get("action")) for event in journal.events]


@pytest.mark.urs("URS-AUD-01")
@pytest.mark.parametrize("killed_after", range(4))
def test_a_start_that_is_killed_at_any_point_makes_none_twice_and_loses_none(tmp_path: Path, killed_after: int) -> None:
    journal = Journal()
    written(tmp_path, "a", "b", "b")
    asyncio.run(journal.start(tmp_path, most=killed_after))
    written(tmp_path, "c")
    asyncio.run(journal.start(tmp_path))
    assert actions(journal) == ["a", "b", "b", "c"]
    assert not (tmp_path / NAME).exists()
    asyncio.run(journal.start(tmp_path))
    written(tmp_path, "a")
    asyncio.run(journal.start(tmp_path))
    assert actions(journal) == ["a", "b", "b", "c", "a"]


@pytest.mark.urs("URS-AUD-03")
@pytest.mark.parametrize("rubbish", [b'{"type":"audit","action":"x', b"[]", b'"audit"', b"\xff\xfe", b'{"type":"batch"}', b"7"])
def test_a_line_that_is_no_event_is_told_as_what_it_is_and_holds_up_no_other(tmp_path: Path, rubbish: bytes) -> None:
    written(tmp_path, "a")
    with (tmp_path / NAME).open("ab") as file:
        file.write(rubbish)  # and no line's end: a crash cut it
    written(tmp_path, "b")
    journal = Journal()
    asyncio.run(journal.start(tmp_path))
    assert actions(journal) == ["a", "pending-unreadable", "b"]


FINDING = b'"type":"finding","code":"x","severity":"alarm","text":"t"'


@pytest.mark.urs("URS-AUD-03")
@pytest.mark.parametrize(
    "wrong",
    [
        b'{"type":"finding","code":"x","text":"t"}',
        b'{%s,"evidence":5}' % FINDING,
        b'{%s,"tags":5}' % FINDING,
        b'{%s,"tags":[{"a":1},[2]]}' % FINDING,
        b'{%s,"note":"\\ud800"}' % FINDING,
        b'{%s,"evidence":{"n":NaN}}' % FINDING,
        b'{"type":"audit","action":"start","what":{"n":%s%s}}' % (b"[" * 252, b"]" * 252),
        b'{"type":"audit","action":"start","what":{"n":%s%s}}' % (b"[" * 3_000, b"]" * 3_000),
        b'{"type":"audit","action":"start","what":{},"who":5}',
        b'{"type":"audit","action":"start","what":{},"who":{"user":[1]}}',
        b'{"type":"audit","action":"start","what":{},"reason":{"a":1}}',
    ],
)
def test_a_line_with_wrong_members_is_told_and_ends_neither_fold_nor_journal(tmp_path: Path, wrong: bytes) -> None:
    (tmp_path / NAME).write_bytes(wrong + b"\n")
    journal = Journal()
    asyncio.run(journal.start(tmp_path))
    (event,) = journal.events
    assert event["action"] == "pending-unreadable"
    assert event["what"]["bytes"] == len(wrong)
    event_body({}, event)
    Gathering(Found()).take(event, 1, 1)


@pytest.mark.bar("S15")
@pytest.mark.urs("URS-AUD-03")
def test_a_file_that_is_full_refuses_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    written(tmp_path, "a")
    file = tmp_path / NAME
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_bytes(file.read_bytes() * MOST_LINES)
    with pytest.raises(OSError, match="start the gateway"):
        written(tmp_path, "b")
    with pytest.raises(OSError, match="start the gateway"):
        asyncio.run(Offline(tmp_path, "lyon/test-1", "UTC").record("a", {"text": "x" * 20_000}))


def test_what_is_written_names_the_gateway_where_nobody_is_named_and_says_when(tmp_path: Path) -> None:
    written(tmp_path, "restore-refused")
    (line,) = (tmp_path / NAME).read_text().splitlines()
    event = json.loads(line)
    assert (event["who"]["user"], event["reason"], event["site_zone"]) == ("system:lyon/test-1", None, "Europe/Paris")
    assert event["what"]["gateway_ran"] is False
    assert event["what"]["done_at"].endswith("Z")


@pytest.mark.urs("URS-AUD-01")
def test_an_event_of_which_only_a_part_has_room_is_refused_and_what_is_left_of_it_is_told(tmp_path: Path) -> None:
    written(tmp_path, "a")
    with nearly_full(tmp_path / NAME, 20), pytest.raises(OSError, match="File too large"):
        written(tmp_path, "b")
    written(tmp_path, "c")
    journal = Journal()
    asyncio.run(journal.start(tmp_path))
    assert actions(journal) == ["a", "pending-unreadable", "c"]
