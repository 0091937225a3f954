"""Decides whether somebody is the user that he says: by the list of users and a password. Pure but for the time that hashing takes."""

from typing import Literal, NamedTuple

from buffer.times import rfc3339
from config.sections import Users
from gateway.access import passwords
from gateway.access.users import MOST_FAILURES, Directory, User, expired, locked

Cause = Literal["unknown-user", "disabled", "locked", "wrong-password"]


class Login(NamedTuple):
    """What came of an attempt. after: the list as it is then. user: who it is, or would have been. cause: why not; None: it is him.

    now_locked: this attempt was one too many. must_change: he is let in to change his password, and for nothing else.
    """

    after: Directory
    user: User | None
    cause: Cause | None = None
    now_locked: bool = False
    must_change: bool = False


def login(users: Directory, user: str, password: str, settings: Users, now: int) -> Login:
    """Judge an attempt. now: ticks. A locked user's password is not even looked at, so guessing on gives nothing."""
    one = users.get(user)
    if one is not None and one.state == "active" and locked(one, settings, now):
        return Login(users, one, "locked")
    fits = passwords.fits(None if one is None else one.hash, password)
    if one is None:
        return Login(users, None, "unknown-user")
    if one.state == "disabled":  # said to him alone: who guesses learns nothing
        return Login(users, one, "disabled" if fits else "wrong-password")
    if not fits:
        failures = 1 if one.locked_at is not None else one.failures + 1  # a lock that is over starts the count anew
        locks = failures >= MOST_FAILURES
        changes = {"failures": failures, "locked_at": rfc3339(now) if locks else None}
        return Login(users.put(one.model_copy(update=changes)), one, "wrong-password", now_locked=locks)
    changes = {"failures": 0, "locked_at": None, "last_login": rfc3339(now)}
    let_in = one.model_copy(update=changes)
    return Login(users.put(let_in), let_in, must_change=one.must_change or expired(one, settings, now))
