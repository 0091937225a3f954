"""The states of a version, and what leads from one to the next: one table, from which docs/changes.md is written.

`emergency` is in force without the approval that it needs; `unapproved` was so, and another one has taken its place: both stay an alarm
until somebody with the role qa approves afterwards.
"""

from typing import Literal

State = Literal["proposed", "approved", "rejected", "active", "emergency", "superseded", "unapproved"]
Deed = Literal["propose", "approve", "reject", "activate", "activate-emergency", "rollback", "rollback-emergency"]

TRANSITIONS: dict[tuple[State | None, Deed], State] = {
    (None, "propose"): "proposed",
    ("proposed", "approve"): "approved",
    ("proposed", "reject"): "rejected",
    ("approved", "reject"): "rejected",
    ("approved", "activate"): "active",
    ("approved", "activate-emergency"): "emergency",
    ("proposed", "activate-emergency"): "emergency",
    ("emergency", "approve"): "active",
    ("unapproved", "approve"): "superseded",
    (None, "rollback"): "active",
    (None, "rollback-emergency"): "emergency",
}
SUPERSEDED: dict[State, State] = {"active": "superseded", "emergency": "unapproved"}
"""What becomes of the version in force when another one takes its place."""
IN_FORCE = frozenset(SUPERSEDED)
OWES_APPROVAL = frozenset({"emergency", "unapproved"})
APPROVED_ONCE = frozenset({"active", "superseded"})
"""States of versions to which one can go back; `emergency` and `unapproved` were never approved."""
PUTS_IN_FORCE = frozenset({"activate", "activate-emergency", "rollback", "rollback-emergency"})


def after(state: State | None, deed: Deed) -> State | None:
    """Return the state that follows, None if this deed is none for a version in this state."""
    return TRANSITIONS.get((state, deed))
