"""What programs read of a running gateway, at the control sockets and at the page's port: /status, /values and /metrics."""

import json
import time
from collections.abc import Callable
from typing import NamedTuple

from gateway.listening.pace import Pace
from gateway.operation.status import Status, problems

MADE_PER_S = 5.0
MADE_AT_ONCE = 20
"""What a port shows is made anew so often in a second: it is made in the loop that reads the sources."""
VALUES_PER_S = 1.0
"""The same of what tells of each tag of a line."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",  # with no-referrer a browser names no origin in the forms that it sends here
}


class Shown(NamedTuple):
    """What a program is shown. kind: of the content."""

    body: bytes
    kind: str = "application/json; charset=utf-8"


def views(status: Status, made: "Made") -> dict[str, Callable[[], Shown]]:
    """Return path -> what makes what is shown there, by which a program looks at the line. made: in which pace that is made."""

    def snapshot() -> bytes:
        now = status.snapshot()
        return json.dumps(now | {"problems": problems(now)}).encode()

    def numbers() -> Shown:
        from gateway.operation.metrics import metrics  # with the library for it, once somebody asks

        body = made.of("metrics", lambda: metrics(status.snapshot()))
        return Shown(body, "text/plain; version=0.0.4; charset=utf-8")

    slow = made.slower()
    return {
        "/status": lambda: Shown(made.of("status", snapshot)),
        "/metrics": numbers,
        "/values": lambda: Shown(slow.of("values", lambda: json.dumps(status.values()).encode())),
    }


class Made:
    """Makes what is asked for, anew each time, or in its pace: who asks faster gets what was made last."""

    def __init__(self, per_s: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._clock = per_s, clock
        self._made: dict[str, tuple[Pace, bytes]] = {}

    def slower(self) -> "Made":
        """Make another one for what costs more: in the pace of VALUES_PER_S, if this one has a pace."""
        return Made(None if self._per_s is None else VALUES_PER_S, self._clock)

    def of(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Return what `make` returns, or has returned."""
        if self._per_s is None:
            return make()
        pace, last = self._made.get(name) or (Pace(self._per_s, MADE_AT_ONCE), None)
        now_s = self._clock()
        if last is None or pace.is_free(now_s):
            pace.turn(now_s)
            last = make()
            self._made[name] = pace, last
        return last
