"""Describes for the snapshot what has to be done from time to time: when it was done last, when it is due; and the newest runs."""

from typing import Any

from config.sections import Periodic
from gateway.alarms.periodic import DAY_TICKS, WATCHED, Kept, overdue
from gateway.entries.ticks import rfc3339


def described(kept: Kept, settings: Periodic | None, now: int) -> dict[str, Any]:
    """Describe it as JSON-able values. now: ticks. due None: nobody asks for it. done None: none is recorded since known_since."""
    days = settings.days() if settings else {}
    late = {one.what for one in overdue(kept, days, now)}
    rows = [_row(kept, what, days.get(what) or None, is_overdue=what in late) for what in WATCHED]
    newest = {kind: {**told, "made": rfc3339(told["ticks"])} for kind, told in kept.newest.items()}
    return {"known_since": rfc3339(kept.began) if kept.began else None, "watched": rows, "newest": newest}


def _row(kept: Kept, what: str, days: float | None, *, is_overdue: bool) -> dict[str, Any]:
    done = kept.done.get(what)
    since = done or kept.began
    due = rfc3339(since + round(days * DAY_TICKS)) if days and since else None
    return {"what": what, "done": rfc3339(done) if done else None, "days": days, "due": due, "overdue": is_overdue}
