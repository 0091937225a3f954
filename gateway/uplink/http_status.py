"""Decides by the status of an HTTP answer (RFC 9110, 15) how an uplink goes on."""

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from gateway.uplink.errors import Refused, Unreachable

Outcome = Literal["answer", "smaller", "single", "plain"]
"""How to go on after an answer.

answer: the body may be a receipt. smaller: send fewer bytes at once. single: one entry of the page is not accepted, find it. plain: send
without compression.
"""

LONGEST_RETRY_AFTER_S = 900.0
"""Whatever the receiver asks for."""

_TEXT = {
    401: "the receiver does not know us (401): check user, password and client certificate",
    403: "the receiver forbids it (403): check this gateway's rights there",
    404: "nothing answers at this address (404)",
    407: "a proxy stands in the way (407): uplinks use none",
    409: "the receiver holds another content under the same sequence number (409)",
}


def outcome(status: int, retry_after: str | None = None, now: datetime | None = None) -> Outcome:
    """Return how to go on after this status. Raises Unreachable or Refused where sending must stop."""
    if 200 <= status < 300:
        return "answer"
    if status in (400, 422):
        return "single"
    if status == 413:
        return "smaller"
    if status == 415:
        return "plain"
    if status in (404, 408, 425, 429) or status >= 500:
        why, pause_s = _TEXT.get(status, f"the receiver answered {status}"), retry_after_s(retry_after, now)
        raise Unreachable(why if pause_s is None else f"{why} and asks to be left alone for {pause_s:.0f} s (Retry-After)", pause_s)
    if 300 <= status < 400:
        raise Refused("address", f"the receiver answered with a redirect ({status}): write the final address into the configuration")
    code = {401: "credentials", 403: "credentials", 407: "address", 409: "conflict"}.get(status, "protocol")
    raise Refused(code, _TEXT.get(status, f"the receiver answered {status}"))


def retry_after_s(text: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds that a Retry-After header asks for (a number or an HTTP date), at most 15 minutes; None if it is not usable."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    return min(seconds, LONGEST_RETRY_AFTER_S) if math.isfinite(seconds) and seconds > 0 else None
