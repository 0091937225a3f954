"""The list of users: who comes in, who goes, and what nobody may do to himself."""

from itertools import pairwise

import pytest
from kit.persons import five, password

from buffer.times import TICKS_PER_S, from_rfc3339
from config.sections import Users
from gateway.access import Directory, NotPossible, passwords, users
from gateway.access.login import Login, login

NOW = from_rfc3339("2026-11-30T08:00:00Z")
MINUTE = 60 * TICKS_PER_S
LINE = Users()


@pytest.fixture(scope="module")
def directory() -> Directory:
    return five(NOW)


def wrong(directory: Directory, user: str, times: int, now: int = NOW) -> Login:
    """Attempt with a wrong password so many times."""
    for _ in range(times):
        came = login(directory, user, "not this one at all", LINE, now)
        directory = came.after
    return came


@pytest.mark.urs("URS-SEC-01")
@pytest.mark.parametrize("user", ["Anna", "a", "anna berg", "../anna", "", "os:root", "9anna", "a" * 33])
def test_an_id_that_is_none_is_refused(user: str) -> None:
    with pytest.raises(NotPossible, match="user id"):
        users.added(Directory(), user, "Anna Berg", "admin", "mauve kettle 71", "os:root", NOW)


@pytest.mark.urs("URS-SEC-01")
def test_the_first_user_is_an_administrator() -> None:
    with pytest.raises(NotPossible, match="no administrator yet"):
        users.added(Directory(), "anna", "Anna Berg", "qa", "mauve kettle 71", "os:root", NOW)


@pytest.mark.urs("URS-SEC-01")
def test_an_id_is_given_once_and_stays_with_its_person_also_when_disabled(directory: Directory) -> None:
    gone = users.disabled(directory, "qa", "admin", NOW)
    assert (gone.named("qa").state, gone.named("qa").disabled_by) == ("disabled", "admin")
    with pytest.raises(NotPossible, match="belongs to one person for ever"):
        users.added(gone, "qa", "Other Person", "qa", "mauve kettle 71", "admin", NOW)


@pytest.mark.parametrize("name", ["Anna", "", "Anna\nBerg", "x" * 101])
def test_a_name_is_one_that_can_stand_beside_a_signature(name: str) -> None:
    with pytest.raises(NotPossible, match="full name"):
        users.added(Directory(), "anna", name, "admin", "mauve kettle 71", "os:root", NOW)


@pytest.mark.urs("URS-SEC-01")
def test_the_last_administrator_stays_and_nobody_gives_a_role_to_himself(directory: Directory) -> None:
    with pytest.raises(NotPossible, match="last administrator"):
        users.disabled(directory, "admin", "admin", NOW)
    with pytest.raises(NotPossible, match="himself"):
        users.with_role(directory, "admin", "qa", "admin", NOW)
    with pytest.raises(NotPossible, match="last administrator"):
        users.with_role(directory, "admin", "qa", "os:root", NOW)
    two = users.with_role(directory, "engineer", "admin", "admin", NOW)
    assert users.disabled(two, "admin", "engineer", NOW).named("admin").state == "disabled"


@pytest.mark.urs("URS-SEC-02")
def test_five_failures_lock_and_then_the_right_password_does_not_help(directory: Directory) -> None:
    came = wrong(directory, "qa", 4)
    assert (came.cause, came.now_locked) == ("wrong-password", False)
    came = wrong(came.after, "qa", 1)
    assert (came.cause, came.now_locked) == ("wrong-password", True)
    assert login(came.after, "qa", password("qa"), LINE, NOW).cause == "locked"
    assert login(came.after, "admin", password("admin"), LINE, NOW).cause is None, "it is the one user's lock alone"


@pytest.mark.urs("URS-SEC-02")
def test_a_lock_ends_with_time_or_by_an_administrator_and_the_count_begins_anew(directory: Directory) -> None:
    locked = wrong(directory, "qa", 5).after
    assert login(locked, "qa", password("qa"), LINE, NOW + 29 * MINUTE).cause == "locked"
    assert login(locked, "qa", password("qa"), LINE, NOW + 30 * MINUTE).cause is None
    again = wrong(locked, "qa", 4, NOW + 30 * MINUTE)
    assert not again.now_locked
    assert wrong(again.after, "qa", 1, NOW + 30 * MINUTE).now_locked
    freed = users.enabled(locked, "qa", LINE, NOW)
    assert login(freed, "qa", password("qa"), LINE, NOW).cause is None


@pytest.mark.urs("URS-SEC-02")
def test_a_lock_without_time_ends_by_an_administrator_alone_and_a_clock_set_back_locks_nobody_for_years(directory: Directory) -> None:
    locked = wrong(directory, "qa", 5).after
    for_ever = Users(lock_minutes=0)
    assert login(locked, "qa", password("qa"), for_ever, NOW + 10_000 * MINUTE).cause == "locked"
    assert login(locked, "qa", password("qa"), LINE, NOW - 60 * MINUTE).cause is None


@pytest.mark.urs("URS-SEC-02")
def test_one_success_forgets_the_failures_before(directory: Directory) -> None:
    nearly = wrong(directory, "qa", 4).after
    let_in = login(nearly, "qa", password("qa"), LINE, NOW + MINUTE)
    assert (let_in.cause, let_in.after.named("qa").last_login) == (None, "2026-11-30T08:01:00.000000Z")
    assert not wrong(let_in.after, "qa", 4).now_locked


def test_a_disabled_user_is_told_so_with_the_right_password_alone(directory: Directory) -> None:
    gone = users.disabled(directory, "qa", "admin", NOW)
    assert login(gone, "qa", password("qa"), LINE, NOW).cause == "disabled"
    came = wrong(gone, "qa", 9)
    assert (came.cause, came.now_locked) == ("wrong-password", False)
    assert login(gone, "nobody", password("qa"), LINE, NOW).cause == "unknown-user"


@pytest.mark.urs("URS-SEC-01")
def test_a_first_password_and_one_that_has_expired_must_be_changed() -> None:
    fresh = users.added(Directory(), "anna", "Anna Berg", "admin", "mauve kettle 71", "os:root", NOW)
    assert login(fresh, "anna", "mauve kettle 71", LINE, NOW).must_change
    own = users.with_password(fresh, "anna", "copper lantern 12", NOW, own=True)
    assert not login(own, "anna", "copper lantern 12", LINE, NOW).must_change
    assert login(own, "anna", "mauve kettle 71", LINE, NOW).cause == "wrong-password"
    yearly = Users(password_expires_days=365)
    assert not login(own, "anna", "copper lantern 12", yearly, NOW + 364 * 1440 * MINUTE).must_change
    assert login(own, "anna", "copper lantern 12", yearly, NOW + 366 * 1440 * MINUTE).must_change


@pytest.mark.urs("URS-SEC-01")
def test_an_earlier_password_is_not_taken_again() -> None:
    directory = users.added(Directory(), "anna", "Anna Berg", "admin", "mauve kettle 0", "os:root", NOW)
    for number in range(1, passwords.FORMER + 1):
        with pytest.raises(NotPossible, match="one of the last"):
            users.with_password(directory, "anna", "mauve kettle 0", NOW, own=True)
        directory = users.with_password(directory, "anna", f"copper lantern {number}", NOW, own=True)
    assert users.with_password(directory, "anna", "mauve kettle 0", NOW, own=True), "it is not of the last five any more"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("short", "12 to 128"),
        ("x" * 129, "12 to 128"),
        ("aaaaaaaabbbb", "different characters"),
        ("I am Anna and", "own name"),
        ("of-the-BERG-12", "own name"),
        ("anna.b was here", "own name"),
    ],
)
def test_a_password_that_is_easily_guessed_is_refused_with_the_reason(given: str, why: str) -> None:
    assert why in (passwords.problem(given, "anna.b", "Anna Berg") or "")


def test_the_same_keys_give_the_same_password_whatever_the_keyboard_makes_of_them() -> None:
    stored = passwords.hashed("Schlüsselbund 17")
    assert passwords.fits(stored, "Schlu\u0308sselbund 17")
    assert not passwords.fits(stored, "Schlusselbund 17")
    assert stored.startswith("$argon2id$")
    assert not passwords.fits("$argon2id$damaged", "Schlüsselbund 17")


def test_first_passwords_are_none_that_the_rules_refuse_and_never_the_same() -> None:
    made = [passwords.first() for _ in range(200)]
    assert len(set(made)) == 200
    assert [one for one in made if passwords.problem(one, "anna", "Anna Berg")] == []


def test_what_an_audit_event_tells_of_a_user_holds_no_hash(directory: Directory) -> None:
    for one in directory.users:
        assert one.hash not in str(one.facts())
    steps = [directory, users.disabled(directory, "qa", "admin", NOW)]
    assert [before.named("qa").facts() == after.named("qa").facts() for before, after in pairwise(steps)] == [False]
