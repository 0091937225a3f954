"""Every version of a line, as its acts have made it, and who may do what to which: pure.

Whether an act may be done is asked before it is signed, and once more of each act that is read: a list that was written past the program
counts as little as a command that was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gateway.changes import states
from gateway.changes.acts import Act, Signed
from gateway.changes.states import APPROVED_ONCE, IN_FORCE, OWES_APPROVAL, PUTS_IN_FORCE, SUPERSEDED, State

ROLES = {"propose": ("engineer",), "approve": ("qa",), "reject": ("qa",)}
"""Roles that the acts of these kinds need; the others are for engineers and qa. gateway.access.RULES asks for the same before."""
MAY_PUT_IN_FORCE = ("engineer", "qa")


class NotAllowed(Exception):
    """An act that can not be; the text says why. cause: for the audit trail, where the attempt itself has to be known."""

    def __init__(self, text: str, cause: str | None = None) -> None:
        super().__init__(text)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Version:
    """One version: its number, the digest of its content, its state, and what was done to it, in order."""

    number: int
    sha256: str
    state: State
    acts: tuple[Signed, ...]

    @property
    def begun(self) -> Act:
        """The act that gave it its number: a proposal, or a rollback."""
        return self.acts[0].act

    @property
    def approval(self) -> Act | None:
        """The approval that stands, if there is one."""
        return next((signed.act for signed in reversed(self.acts) if signed.act.act == "approve"), None)

    @property
    def emergency(self) -> Act | None:
        """The act that put it into force without waiting, if there was one."""
        return next((signed.act for signed in self.acts if signed.act.act.endswith("-emergency")), None)

    @property
    def hands(self) -> frozenset[str]:
        """Users who had a hand in it: who wrote it, proposed it, or put it into force in an emergency. None of them approves it."""
        began, forced = self.begun, self.emergency
        return frozenset({began.by.user, *([began.author] if began.author else []), *([forced.by.user] if forced else [])})


@dataclass(frozen=True, slots=True)
class Book:
    """All versions by number, and the one in force. last: digest of the newest act. acts: how many there are."""

    versions: Mapping[int, Version] = field(default_factory=dict)
    active: Version | None = None
    last: str | None = None
    acts: int = 0

    @property
    def newest(self) -> int:
        """The highest number that was given; 0 if none was."""
        return max(self.versions, default=0)

    def named(self, number: int) -> Version:
        """Find a version. Raises NotAllowed."""
        if number not in self.versions:
            raise NotAllowed(f"there is no version {number}; `config history` lists them")
        return self.versions[number]

    def approval_of(self, version: Version) -> Act | None:
        """Return by which approval a version may be in force: its own, or that of the version whose content it brought back."""
        back = version.begun.of
        return version.approval if back is None or version.approval else self.approval_of(self.versions[back])

    @property
    def owing(self) -> tuple[Version, ...]:
        """Versions that were put into force in an emergency, and have no approval afterwards."""
        return tuple(version for version in self.versions.values() if version.state in OWES_APPROVAL)

    def with_act(self, signed: Signed) -> "Book":
        """Return the book after an act. Raises NotAllowed."""
        act = signed.act
        if act.previous != self.last:
            raise NotAllowed("it does not follow the act before it: it was moved, repeated, or one before it was taken out")
        if (why := self.problem(act)) is not None:
            raise NotAllowed(why)
        before = self.versions.get(act.version)
        state = states.after(before.state if before else None, act.act)
        assert state is not None
        made = Version(act.version, act.sha256, state, (*(before.acts if before else ()), signed))
        versions = {**self.versions, act.version: made}
        active = self.active
        if act.act in PUTS_IN_FORCE:
            if active is not None:
                versions[active.number] = replace(active, state=SUPERSEDED[active.state])
            active = made
        elif active is not None and active.number == made.number:
            active = made
        return Book(versions, active, signed.digest, self.acts + 1)

    def problem(self, act: Act) -> str | None:
        """Say why an act can not be; None if it can."""
        before = self.versions.get(act.version)
        if before is None and act.act not in ("propose", "rollback", "rollback-emergency"):
            return f"there is no version {act.version}; `config history` lists them"
        if before is not None and before.sha256 != act.sha256:
            return f"the content of version {act.version} has another digest"
        if states.after(before.state if before else None, act.act) is None:
            return _not_now(act, before)
        return self._whom(act, before) or self._when(act, before)

    def _whom(self, act: Act, before: Version | None) -> str | None:
        roles = ROLES.get(act.act, MAY_PUT_IN_FORCE)
        if act.by.role not in roles:
            return f"this is for {' and '.join(roles)}; {act.by.user} has the role {act.by.role}"
        if act.act in ("approve", "reject") and before is not None and act.by.user in before.hands:
            return f"{act.by.user} wrote or proposed version {act.version}, or put it into force: somebody else decides on it"
        return None

    def _when(self, act: Act, before: Version | None) -> str | None:
        """Compare with what is in force: a version is decided on, and put into force, over the one that it was compared with."""
        active = self.active.number if self.active else None
        if act.act == "propose":
            if act.version <= self.newest:
                return f"version {act.version} is no new number"
            return None if act.follows == active else f"version {act.follows} is not the one in force"
        if act.act.startswith("rollback"):
            return self._back(act)
        if before is not None and before.state in ("proposed", "approved") and act.act != "reject" and before.begun.follows != active:
            follows = before.begun.follows or "none"
            return f"version {act.version} was compared with version {follows}, and {active} is in force: propose it anew"
        return None

    def _back(self, act: Act) -> str | None:
        back = self.versions.get(act.of or 0)
        if act.version <= self.newest:
            return f"version {act.version} is no new number"
        if back is None or back.state not in APPROVED_ONCE or self.approval_of(back) is None:
            return f"version {act.of} was never approved and in force: nothing to go back to"
        if back.state in IN_FORCE:
            return f"version {act.of} is in force"
        return None if back.sha256 == act.sha256 else f"the content of version {act.of} has another digest"


def _not_now(act: Act, before: Version | None) -> str:
    deed = act.act.partition("-")[0]
    if before is None:
        return f"version {act.version} can not be the object of {deed}"
    hint = {
        ("activate", "proposed"): "qa approves it first; --emergency puts it into force without",
        ("activate", "rejected"): "propose it anew",
    }.get((deed, before.state))
    return f"version {act.version} is {before.state}: {deed} is not possible{'; ' + hint if hint else ''}"
