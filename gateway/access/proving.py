"""Looks at a password: of the line's own list of users, or of an account of the operating system. For a thread."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from config.sections import Role, Users
from gateway.access import groups, pam, passwords
from gateway.access.boottime import boottime_s
from gateway.access.login import login
from gateway.access.store import Store
from gateway.access.users import MOST_FAILURES


class Came(NamedTuple):
    """What came of a password. cause: why he is not let in; None: it is him. user: by the name that the list has for him, None: in no list.

    roles: exactly one, or he may nothing. now_locked: this attempt was one too many. must_change: he may change his password, and nothing
    else. outdated: the hash of the password is to be made anew.
    """

    cause: str | None
    user: str | None = None
    name: str | None = None
    roles: tuple[Role, ...] = ()
    now_locked: bool = False
    must_change: bool = False
    outdated: bool = False


class Looks(Protocol):
    """Looks at passwords of one kind."""

    def look(self, user: str, password: str) -> Came:
        """Judge an attempt, and keep what follows from it. Raises UsersUnreadable, pam.PamAway."""


class OwnPasswords:
    """Those of the line's list of users."""

    def __init__(self, store: Store, settings: Users, now: Callable[[], int]) -> None:
        """now: ticks."""
        self._store, self._settings, self._now = store, settings, now

    def look(self, user: str, password: str) -> Came:
        """Judge an attempt; failures and the lock are kept in the list."""
        before = self._store.read()
        came = login(before, user, password, self._settings, self._now())
        self._store.replace(before, came.after)
        if came.user is None:
            return Came(came.cause)
        one = came.user
        outdated = came.cause is None and passwords.outdated(one.hash)
        return Came(came.cause, user, one.name, (one.role,), came.now_locked, came.must_change, outdated)


class OsPasswords:
    """Those of accounts, by PAM. Failures are counted here, in memory, beside what PAM itself does about them (pam_faillock(8)).

    Only accounts of the groups are counted, so there are no more of them than people.
    """

    def __init__(self, settings: Users, clock: Callable[[], float] = boottime_s) -> None:
        self._settings, self._clock = settings, clock
        self._failures: dict[str, tuple[int, float]] = {}  # in a row, and when the last one was

    def look(self, user: str, password: str) -> Came:
        """Judge an attempt. A locked account's password is not even looked at."""
        one = groups.of_name(user, self._settings.roles)
        if one is None or not one.roles or self._settings.pam is None:
            return Came("unknown-user")
        failures, last_s = self._failures.get(one.user, (0, 0.0))
        if failures >= MOST_FAILURES:
            if self._clock() - last_s < self._settings.lock_minutes * 60:
                return Came("locked", one.user, one.name, one.roles)
            failures = 0
        if pam.fits(self._settings.pam, one.user, password):
            self._failures.pop(one.user, None)
            return Came(None, one.user, one.name, one.roles)
        self._failures[one.user] = failures + 1, self._clock()
        return Came("wrong-password", one.user, one.name, one.roles, now_locked=failures + 1 >= MOST_FAILURES)
