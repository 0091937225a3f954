"""Decides which alarms are due for whom, and writes the message. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from config.sections import Notify
from gateway.alarms import Found, Held, code_of
from gateway.entries.ticks import TICKS_PER_S, rfc3339

MOST_IN_ONE = 50
"""Alarms of one message; more wait for the next."""


class Message(NamedTuple):
    """What is sent. alarms: for programs, as they are in JSON."""

    subject: str
    text: str
    alarms: list[dict[str, Any]]


def due(found: Found, target: Notify, now: int) -> list[Held]:
    """List the alarms that this target has to be told of at `now` (ticks): nobody has acknowledged them, and it was not told before."""
    waits = [held for held in found.all() if held.awaits and target.name not in held.told and found.shelf(held, now) is None]
    late = now - round(target.after_min * 60 * TICKS_PER_S)
    return [held for held in waits if held.since <= late and (not target.whom or code_of(held.code).whom in target.whom)][:MOST_IN_ONE]


def written(gateway: str, alarms: Sequence[Held], zone: ZoneInfo, target: Notify) -> Message:
    """Write the message of some alarms."""
    first = alarms[0]
    more = f" and {len(alarms) - 1} more" if len(alarms) > 1 else ""
    late = f"nobody has acknowledged for {target.after_min:g} min: " if target.after_min else ""
    lines = [line for held in alarms for line in _lines(held, zone)]
    text = "\n".join([f"{gateway}: {late}{len(alarms)} alarm{'s' if len(alarms) > 1 else ''}", "", *lines])
    return Message(f"{gateway}: {late}{first.code}{more}", text, [_row(held) for held in alarms])


def trial(gateway: str, name: str) -> Message:
    """Write the message by which a person tries whether one arrives."""
    return Message(f"{gateway}: test message", f"A test message to `{name}`. Nothing has happened; nothing is to be done.", [])


def posted(gateway: str, message: Message) -> dict[str, Any]:
    """Return a message as programs get it: a webhook's body, an MQTT payload."""
    return {"gateway": gateway, "subject": message.subject, "text": message.text, "alarms": message.alarms}


def _lines(held: Held, zone: ZoneInfo) -> list[str]:
    code = code_of(held.code)
    since = datetime.fromtimestamp(held.since / TICKS_PER_S, zone).isoformat(sep=" ", timespec="seconds")
    batches = f" Batches: {', '.join(held.batches)}." if held.batches else ""
    return [
        f"{held.code} [{held.id}] ({code.priority}, for {code.whom}) since {since}: {held.source or 'gateway'}: {held.text}",
        f"    {code.cause}. What to do: {code.response}.{batches}",
        "",
    ]


def _row(held: Held) -> dict[str, Any]:
    code = code_of(held.code)
    about = {"id": held.id, "code": held.code, "source": held.source or None, "tags": held.tags, "text": held.text, "batches": held.batches}
    return {**about, "since": rfc3339(held.since), "priority": code.priority, "whom": code.whom, "what_to_do": code.response}
