"""What a concern is, and how its time, its room and whom to call are put into words."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from gateway.alarms import Code
from gateway.operation import wording
from gateway.operation.wording import size, span

Kind = Literal["bad", "warn"]
"""bad: data are being missed now, or a batch will be incomplete, or nothing proves any more what is recorded. warn: all else."""
WHOM = {"operator": "the operator", "engineer": "automation", "admin": "the administrator (IT)", "qa": "quality assurance"}
HELP = "the administrator (IT)"


class Concern(NamedTuple):
    """One thing that needs attention, in plain words: what, since when, what of the data is safe, what to do, whom to call.

    detail: the reason as a program gave it, for whoever is called. when: "" if nobody knows.
    """

    kind: Kind
    what: str
    data: str
    do: str
    call: str
    when: str = ""
    detail: str = ""


def of_code(kind: Kind, code: Code, what: str, data: str, **more: str) -> Concern:
    """Make a concern whose answer stands in the table of findings."""
    return Concern(kind, what, data, code.response, WHOM[code.whom], **more)


def for_s(now: Mapping[str, Any], seconds: float) -> str:
    """Write `since` and the local time of so many seconds ago; with its day if that is another one."""
    local = datetime.fromisoformat(now["time"]).astimezone(ZoneInfo(now["timezone"]))
    return f"since {short(f'{local - timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}', now)}"


def local(now: Mapping[str, Any], rfc3339: str) -> str:
    """Write an instant in local time; with its day if that is another one than today."""
    return short(f"{datetime.fromisoformat(rfc3339).astimezone(ZoneInfo(now['timezone'])):%Y-%m-%d %H:%M:%S}", now)


def short(then: str, now: Mapping[str, Any]) -> str:
    """Leave out the day of a local time if it is today."""
    return then[11:] if then[:10] == now["local"][:10] else then


def room(now: Mapping[str, Any]) -> str:
    """Write for how long entries can be kept, and how much that is. A rate measured over less than some minutes means nothing."""
    journal = now["journal"]
    left = size(max(0, round(journal["bound_bytes"] * (1 - journal["used"]))))
    days = journal["days_to_full"]
    if days is None or now["uptime_s"] < wording.SETTLED_S:
        return f"room for {left} more"
    return f"room for {'more than 10 years' if days > wording.LONG_DAYS else f'about {span(days * 86_400)}'} ({left})"


def said(now: Mapping[str, Any], code: str | None, subject: str = "") -> str:
    """Write since when an alarm of this code (None: any) about a subject stands, in local time; "" if none does."""
    rows = (row for row in now["findings"]["standing"] if code in {None, row["code"]} and subject in {"", row["subject"]})
    return next((f"since {short(row['local'], now)}" for row in rows), "")
