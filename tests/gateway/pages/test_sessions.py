"""Sessions of the page: how long they last, what keeps them alive, and what ends them."""

import pytest
from kit.persons import five

from config import Users
from gateway.access import Directory, myself, users
from gateway.access.actor import person, place
from gateway.access.logged_in import mark
from gateway.pages.sessions import IDLE_S, LONGEST_S, MOST_SESSIONS, Session, Sessions

NOW = 17_000_000_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(scope="module")
def directory() -> Directory:
    return five(NOW)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(clock)


def begun(sessions: Sessions, directory: Directory, user: str = "qa") -> str:
    one = directory.named(user)
    who = person(user, one.name, one.role, "password", place(myself(), "page"), None)
    secret = sessions.begin(who, mark(who, directory, Users()) or "")
    assert secret is not None
    return secret


def ended(sessions: Sessions, directory: Directory) -> list[tuple[Session, str]]:
    return sessions.ended({session.csrf: mark(session.actor, directory, Users()) for session in sessions.held()})


@pytest.mark.urs("URS-SEC-02")
def test_fifteen_minutes_without_a_persons_doing_end_a_session_and_a_page_that_reloads_is_nobodys(
    sessions: Sessions, directory: Directory, clock: Clock
) -> None:
    secret = begun(sessions, directory)
    for _ in range(int(IDLE_S) // 2 - 1):
        clock.now_s += 2
        assert sessions.find(secret, by_hand=False) is not None
    clock.now_s += 2
    assert sessions.find(secret, by_hand=True) is None
    ((session, cause),) = ended(sessions, directory)
    assert (session.actor.user, cause) == ("qa", "idle")
    assert ended(sessions, directory) == []


@pytest.mark.urs("URS-SEC-02")
def test_who_does_something_stays_and_twelve_hours_are_the_end(sessions: Sessions, directory: Directory, clock: Clock) -> None:
    secret, began_s = begun(sessions, directory), clock.now_s
    while clock.now_s + 600 < began_s + LONGEST_S:
        clock.now_s += 600
        assert sessions.find(secret, by_hand=True) is not None
    clock.now_s = began_s + LONGEST_S
    assert sessions.find(secret, by_hand=True) is None
    assert [cause for _, cause in ended(sessions, directory)] == ["longest"]


@pytest.mark.urs("URS-SEC-01")
def test_a_user_who_was_disabled_or_has_another_role_or_password_is_logged_out(sessions: Sessions, directory: Directory) -> None:
    changes = (
        users.disabled(directory, "qa", "admin", NOW),
        users.with_role(directory, "qa", "engineer", "admin", NOW),
        users.with_password(directory, "qa", "mauve kettle 71", NOW + 1, own=False),
        Directory(),
    )
    for changed in changes:
        begun(sessions, directory)
        begun(sessions, directory, "admin")
        gone = [str(session.actor.user) for session, cause in ended(sessions, changed) if cause == "user-changed"]
        assert "qa" in gone
        assert ("admin" in gone) == (changed == Directory())
        ended(sessions, Directory())


def test_secrets_are_never_the_same_and_only_their_digests_are_held(sessions: Sessions, directory: Directory) -> None:
    secrets = {begun(sessions, directory) for _ in range(MOST_SESSIONS)}
    assert len(secrets) == MOST_SESSIONS
    assert not secrets & set(sessions._held)
    one = directory.named("qa")
    assert sessions.begin(person("qa", one.name, "qa", "password", {}, None), "mark") is None, "their number is bounded"
    for guess in ("", "x", next(iter(sessions._held)), "\udcff"):
        assert sessions.find(guess, by_hand=True) is None
