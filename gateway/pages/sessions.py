"""Who is logged in at the page: in memory alone, so a restart ends every session."""

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.access import Actor, boottime_s

IDLE_S = 900.0
LONGEST_S = 12 * 3_600.0
MOST_SESSIONS = 100


@dataclass(slots=True)
class Session:
    """One person at one browser.

    csrf: what a form must bring along, beside the cookie. mark: what must stay as it is for him to stay logged in (`Access.marks`).
    """

    actor: Actor
    mark: str
    began_s: float
    seen_s: float
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def over(self, now_s: float) -> str | None:
        """Say why the session is over; None while it is not."""
        if now_s - self.began_s >= LONGEST_S:
            return "longest"
        return "idle" if now_s - self.seen_s >= IDLE_S else None


class Sessions:
    """Begins, finds and ends sessions. What the browser holds is a random number; here lies its digest."""

    def __init__(self, clock: Callable[[], float] = boottime_s) -> None:
        self._clock = clock
        self._held: dict[str, Session] = {}

    def begin(self, actor: Actor, mark: str) -> str | None:
        """Begin a session; the secret for the browser's cookie, always a new one. None if there are too many."""
        if len(self._held) >= MOST_SESSIONS:
            return None
        secret, now_s = secrets.token_urlsafe(32), self._clock()
        self._held[_digest(secret)] = Session(actor, mark, now_s, now_s)
        return secret

    def find(self, secret: str, *, by_hand: bool) -> Session | None:
        """Find the session of a cookie. by_hand: a person did something; a page that reloads itself keeps nobody logged in."""
        session, now_s = self._held.get(_digest(secret)), self._clock()
        if session is None or session.over(now_s) is not None:
            return None
        if by_hand:
            session.seen_s = now_s
        return session

    def end(self, secret: str) -> Session | None:
        """End the session of a cookie, and return it if there was one."""
        return self._held.pop(_digest(secret), None)

    def held(self) -> list[Session]:
        """List every session, those that are over too."""
        return list(self._held.values())

    def ended(self, marks: Mapping[str, str | None]) -> list[tuple[Session, str]]:
        """End and return each session that is over, with the cause. marks: of now, by `csrf`; one without is looked at later."""
        now_s = self._clock()
        causes = {key: one.over(now_s) or _changed(one, marks) for key, one in self._held.items()}
        return [(self._held.pop(key), cause) for key, cause in causes.items() if cause is not None]


def _changed(one: Session, marks: Mapping[str, str | None]) -> str | None:
    return "user-changed" if one.csrf in marks and marks[one.csrf] != one.mark else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
