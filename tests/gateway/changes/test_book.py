"""The states of a version and who may lead it from one to the next, over every act there is."""

import itertools
import re

import pytest
from kit.repository import ROOT

from gateway.changes import states
from gateway.changes.acts import Act, Person, Signed
from gateway.changes.book import Book, NotAllowed

CONTENT = {number: f"{number:064x}" for number in range(1, 40)}


def act(deed, version, book, *, user="engineer", role="engineer", sha256=None, **more):
    by = Person(user=user, name=user.title(), role=role, auth="password")
    given = {"follows": book.active.number if book.active else None, **more}
    sha256 = sha256 or (book.versions[version].sha256 if version in book.versions else CONTENT[version])
    fixed = {"gateway": "lyon/test-1", "at": "2026-11-30T00:00:00Z", "local": "", "zone": "UTC", "key": "00"}
    return Act(act=deed, version=version, sha256=sha256, previous=book.last, by=by, **fixed, **given)


def done(book, deed, version, **more):
    made = act(deed, version, book, **more)
    return book.with_act(Signed(made, made.model_dump_json()))


def in_state(state):
    """A book whose version 2 is in this state, over a version 1 that was in force."""
    book = done(done(done(Book(), "propose", 1), "approve", 1, user="qa", role="qa"), "activate", 1)
    if state is None:
        return book
    steps = {
        "proposed": (),
        "approved": ("approve",),
        "rejected": ("reject",),
        "active": ("approve", "activate"),
        "emergency": ("activate-emergency",),
        "superseded": ("approve", "activate"),
        "unapproved": ("activate-emergency",),
    }
    book = done(book, "propose", 2)
    for step in steps[state]:
        book = done(book, step, 2, **({"user": "qa", "role": "qa"} if step in ("approve", "reject") else {}))
    if state in ("superseded", "unapproved"):
        book = done(book, "rollback", 3, of=1, sha256=book.versions[1].sha256)
    assert book.versions[2].state == state
    return book


STATES = [None, *dict.fromkeys(states.TRANSITIONS.values()), "superseded", "unapproved"]


@pytest.mark.urs("URS-CFG-02", "URS-CFG-04", "URS-CFG-05")
@pytest.mark.parametrize(("state", "deed"), list(itertools.product(dict.fromkeys(STATES), dict.fromkeys(d for _, d in states.TRANSITIONS))))
def test_each_act_leads_where_the_table_says_and_is_refused_where_it_says_nothing(state, deed) -> None:
    book = in_state(state)
    follows = states.after(state, deed)
    decides = deed in ("approve", "reject")
    who = {"user": "other", "role": "qa"} if decides else {"user": "engineer", "role": "engineer"}
    target = 2 if state is not None else 4
    more = {"of": 1, "sha256": book.versions[1].sha256} if deed.startswith("rollback") else {}
    if deed.startswith("rollback") and state is None:
        with pytest.raises(NotAllowed, match="is in force"):
            done(book, deed, target, **who, **more)
        return
    if follows is None:
        with pytest.raises(NotAllowed):
            done(book, deed, target, **who, **more)
        return
    after = done(book, deed, target, **who, **more)
    assert after.versions[target].state == follows
    assert (after.active is not None and after.active.number == target) == (follows in states.IN_FORCE)
    assert sum(version.state in states.IN_FORCE for version in after.versions.values()) == 1, "one version is in force"


@pytest.mark.urs("URS-SEC-01", "URS-CFG-02")
@pytest.mark.parametrize("deed", ["approve", "reject"])
def test_nobody_decides_on_what_he_wrote_or_proposed_or_put_into_force(deed) -> None:
    book = done(done(Book(), "propose", 1, author="writer"), "approve", 1, user="qa", role="qa")
    with pytest.raises(NotAllowed, match="wrote or proposed"):
        done(done(Book(), "propose", 1, author="writer"), deed, 1, user="writer", role="qa")
    with pytest.raises(NotAllowed, match="wrote or proposed"):
        done(done(Book(), "propose", 1), deed, 1, user="engineer", role="qa")
    forced = done(book, "activate-emergency", 1, user="qa", role="qa")
    with pytest.raises(NotAllowed, match="put it into force"):
        done(forced, "approve", 1, user="qa", role="qa")
    assert done(forced, "approve", 1, user="other", role="qa").versions[1].state == "active"


@pytest.mark.urs("URS-SEC-01")
@pytest.mark.parametrize("deed", ["propose", "approve", "reject", "activate", "activate-emergency", "rollback"])
@pytest.mark.parametrize("role", ["viewer", "operator", "engineer", "qa", "admin"])
def test_the_roles_are_asked_for_in_the_book_too(deed, role) -> None:
    from gateway.access import RULES

    may = role in RULES[f"config-{deed.partition('-')[0]}"].roles
    proposed = done(Book(), "propose", 1)
    approved = done(proposed, "approve", 1, user="qa", role="qa")
    later = done(done(done(done(approved, "activate", 1), "propose", 2), "approve", 2, user="qa", role="qa"), "activate", 2)
    book = {"propose": Book(), "approve": proposed, "reject": proposed, "rollback": later}.get(deed, approved)
    more = {"of": 1, "sha256": CONTENT[1]} if deed == "rollback" else {}
    version = 3 if deed == "rollback" else 1
    refused = None
    try:
        done(book, deed, version, user="somebody", role=role, **more)
    except NotAllowed as error:
        refused = str(error)
    assert (refused is None) == may
    assert may or "this is for" in str(refused)


@pytest.mark.urs("URS-CFG-03")
def test_a_version_is_decided_on_and_put_into_force_over_the_one_that_it_was_compared_with() -> None:
    book = done(done(in_state("active"), "propose", 3), "propose", 4)
    book = done(book, "approve", 3, user="qa", role="qa")
    book = done(done(book, "approve", 4, user="qa", role="qa"), "activate", 3)
    with pytest.raises(NotAllowed, match="compared with version 2, and 3 is in force"):
        done(book, "activate", 4)
    with pytest.raises(NotAllowed, match="version 1 is not the one in force"):
        done(in_state("active"), "propose", 3, follows=1)


@pytest.mark.urs("URS-CFG-02")
def test_another_content_under_the_same_number_is_refused() -> None:
    book = done(Book(), "propose", 1)
    with pytest.raises(NotAllowed, match="another digest"):
        done(book, "approve", 1, user="qa", role="qa", sha256=CONTENT[9])


@pytest.mark.urs("URS-CFG-05")
def test_one_goes_back_only_to_what_was_approved_and_in_force() -> None:
    never = in_state("unapproved")
    for of in (2, 3, 9):
        with pytest.raises(NotAllowed):
            done(never, "rollback", 4, of=of, sha256=never.versions[of].sha256 if of in never.versions else CONTENT[9])
    with pytest.raises(NotAllowed, match="another digest"):
        done(in_state("active"), "rollback", 3, of=1, sha256=CONTENT[9])
    back = done(in_state("active"), "rollback", 3, of=1, sha256=CONTENT[1])
    assert (back.active.number, back.versions[2].state) == (3, "superseded")
    assert back.approval_of(back.active) == back.versions[1].approval
    again = done(back, "rollback", 4, of=2, sha256=CONTENT[2])
    assert again.approval_of(again.active).by.user == "qa"


def test_the_documentation_has_the_table_of_states() -> None:
    page = (ROOT / "docs" / "changes.md").read_text("utf-8")
    rows = re.findall(r"(?m)^\| (\S+) \| `(\S+)` \| (\w+) \|$", page)
    told = {(None if state == "-" else state, deed): after for state, deed, after in rows}
    assert told == states.TRANSITIONS
