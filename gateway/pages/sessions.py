"""Who is logged in at the page: in memory alone, so a restart ends every session."""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.access import Actor, Directory, User

IDLE_S = 900.0
LONGEST_S = 12 * 3_600.0
MOST_SESSIONS = 100


def boottime_s() -> float:
    """Seconds that go on while the machine is suspended: who comes back to a PC that slept for an hour was away for an hour."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(slots=True)
class Session:
    """One person at one browser. csrf: what a form must bring along, beside the cookie. password_at: of the password that let in."""

    actor: Actor
    password_at: str
    began_s: float
    seen_s: float
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def over(self, now_s: float) -> str | None:
        """Say why the session is over; None while it is not."""
        if now_s - self.began_s >= LONGEST_S:
            return "longest"
        return "idle" if now_s - self.seen_s >= IDLE_S else None

    def changed(self, users: Directory) -> bool:
        """Return whether the user is not any more who logged in: disabled, another role, another password."""
        one = users.get(str(self.actor.user))
        return one is None or one.state != "active" or one.role != self.actor.who["role"] or one.password_at != self.password_at


class Sessions:
    """Begins, finds and ends sessions. What the browser holds is a random number; here lies its digest."""

    def __init__(self, clock: Callable[[], float] = boottime_s) -> None:
        self._clock = clock
        self._held: dict[str, Session] = {}

    def begin(self, user: User, actor: Actor) -> str | None:
        """Begin a session; the secret for the browser's cookie, always a new one. None if there are too many."""
        if len(self._held) >= MOST_SESSIONS:
            return None
        secret, now_s = secrets.token_urlsafe(32), self._clock()
        self._held[_digest(secret)] = Session(actor, user.password_at, now_s, now_s)
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

    def ended(self, users: Directory) -> list[tuple[Session, str]]:
        """End and return each session that is over, with the cause."""
        now_s = self._clock()
        causes = {key: one.over(now_s) or ("user-changed" if one.changed(users) else None) for key, one in self._held.items()}
        return [(self._held.pop(key), cause) for key, cause in causes.items() if cause is not None]


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
