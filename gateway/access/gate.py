"""Lets somebody give a command, or refuses it and writes that down: which person it is, and whether the role fits."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from buffer.times import now_ticks
from config import Identity, Line, Users
from gateway.access import groups, pam, passwords
from gateway.access.actor import Actor, Interface, Peer, Vouched, account, nobody, person, place
from gateway.access.logged_in import mark
from gateway.access.proving import Came, Looks, OsPasswords, OwnPasswords
from gateway.access.refusals import Refusals
from gateway.access.roles import BREAK_GLASS, RULES, Rule, reason_problem
from gateway.access.signatures import NotSigned, may_sign
from gateway.access.store import NAME, Store, UsersUnreadable
from gateway.access.users import MOST_FAILURES, Directory, NotPossible, User, with_password
from gateway.entries.findings import Announcer, finding

MOST_WAITING = 8
"""So many wait for their password to be looked at, which takes 64 MiB each time; more are sent away."""
PAUSE_S = 0.5
"""After a wrong password nobody's is looked at for so long: guessing must not take the processor from the sources."""
TELL_EVERY_S = 60.0


class Record(Protocol):
    """Appends an audit event; `gateway.evidence.audit.AuditTrail.record` is one."""

    def __call__(
        self,
        action: str,
        what: Mapping[str, Any],
        by: Actor | None = None,
        /,
        *,
        target: str | None = None,
        old: Any = None,
        new: Any = None,
    ) -> Awaitable[None]:
        """On disk when the awaitable completes. by: None is the gateway itself."""


class Refused(Exception):
    """Somebody may not do what he asks for; the text is for him. cause: for the audit trail; None: it is only asked wrongly."""

    def __init__(self, text: str, cause: str | None = None, user: str | None = None, by: Actor | None = None) -> None:
        """user: of the list of users, who it is about. by: the person, if it is known who that is."""
        super().__init__(text)
        self.cause, self.user, self.by = cause, user, by


class Access:
    """Says who gives a command, and changes the list of users. One at a time: each change is made from the list as it is."""

    def __init__(
        self,
        line: Line | Identity,
        record: Record,
        alarm: Callable[[dict[str, Any]], object],
        *,
        recorded: Callable[[], str | None] = lambda: None,
        clock: Callable[[], int] = now_ticks,
    ) -> None:
        """alarm: appends a finding. recorded: digest of the list of users as the record left it, None if it never told. clock: ticks."""
        self.settings, self.production = line.users or Users(), line.line.environment == "production"
        self._store, self._record, self._alarm, self._now = Store(line.data), record, alarm, clock
        by_pam = self.settings.pam is not None
        self._passwords: Looks = OsPasswords(self.settings) if by_pam else OwnPasswords(self._store, self.settings, clock)
        self._one = asyncio.Lock()
        self._waiting, self._next_look_s = 0, 0.0
        self._refusals = Refusals()
        self._recorded, self._announcer = recorded, Announcer(alarm)

    async def admitted(self, command: str, arguments: Mapping[str, Any], peer: Peer, interface: Interface = "cli") -> Actor:
        """Return who gives a command. arguments: as it was sent, with `as_user`, `password` and `reason`.

        A command that RULES does not name reads only, and is anybody's. Raises Refused, after it was written down; UsersUnreadable.
        """
        rule = RULES.get(command)
        if rule is None:
            return account(peer, interface)
        reason = str(arguments.get("reason") or "").strip() or None
        if (rule.reason or reason) and (wrong := reason_problem(reason or "")) is not None:
            raise Refused(wrong)
        try:
            return await self._identified(command, rule, arguments, peer, interface, reason)
        except Refused as refused:
            await self._refused(command, refused, refused.by or account(peer, interface, reason))
            raise

    async def in_session(self, command: str, by: Actor, reason: str, password: str = "", *, asks: bool = False) -> Actor:
        """Return who gives a command that RULES names at the page, where he is logged in; password: given in the very form, if it was.

        asks: the password is needed, but of whom a proxy names, who has none here.

        Raises Refused, after it was written down; UsersUnreadable.
        """
        rule, said = RULES[command], reason.strip() or None
        if (rule.reason or said) and (wrong := reason_problem(said or "")) is not None:
            raise Refused(wrong)
        try:
            actor = replace(by, reason=said)
            if password:
                actor = await self._by_password(command, str(by.user), password, by.where, said)
                _same_role(by, actor)
            _fits(rule, actor)
            if asks and not actor.password_now and actor.who["auth"] != "proxy":
                raise Refused("give your password: what is done here is done in your name", "no-password", by.user, actor)  # noqa: TRY301
        except Refused as refused:
            await self._refused(command, refused, refused.by or replace(by, reason=said))
            raise
        return actor

    async def entered(self, user: str, password: str, where: dict[str, Any], new_password: str = "") -> Actor:
        """Let a person in at the page, and change the password on the way if a new one is given. Both are written down.

        Raises Refused, after it was written down; NotPossible of a new password, UsersUnreadable.
        """
        if new_password:
            self.local()
        try:
            actor = await self._by_password("users-password" if new_password else "login", user, password, where, None)
        except Refused as refused:
            await self._refused("login", refused, refused.by or nobody(where))
            raise
        if new_password:
            await self.change("user-password", user, actor, lambda all_, now: with_password(all_, user, new_password, now, own=True))
        actor = replace(actor, password_now=False)  # what comes later in this session has none of its own
        await self._record("login", {}, actor, target=f"user {actor.user}")
        return actor

    async def vouched(self, who: Vouched, where: dict[str, Any], *, begins: bool = True) -> Actor:
        """Let a person in whom a proxy names that has proved itself. begins: a session, which is written down.

        Raises Refused, after it was written down; UsersUnreadable.
        """
        users = await asyncio.to_thread(self._store.read)
        own = users.get(who.user)
        try:
            _one_role(who, own)
        except Refused as refused:
            await self._refused("login", refused, nobody(where))
            raise
        actor = person(who.user, who.name, who.roles[0], "proxy", where, None)
        if begins:
            await self._record("login", {}, actor, target=f"user {who.user}")
        return actor

    async def unproved(self, where: dict[str, Any]) -> None:
        """Write down that somebody said to be a person as only the proxy may say it."""
        await self._refused("login", Refused("no proof", "no-proof"), nobody(where))

    def marks(self, actors: Iterable[Actor]) -> list[str | None]:
        """Return of each who is logged in what must stay as it is for him to stay so; None: he is let in no more. For a thread.

        Raises UsersUnreadable.
        """
        users = self._store.read()
        return [mark(actor, users, self.settings) for actor in actors]

    async def left(self, by: Actor, cause: str) -> None:
        """Write down that somebody is no longer logged in at the page. cause: why, `logout` where it was the person's own doing."""
        mine = cause == "logout"
        await self._record("logout" if mine else "session-ended", {} if mine else {"cause": cause}, by, target=f"user {by.user}")

    async def _refused(self, command: str, refused: Refused, by: Actor) -> None:
        """Write a refusal down, or count it where there are too many."""
        if refused.cause is not None and self._refusals.own_entry(command, refused.cause):
            what = {"command": command, "cause": refused.cause, "user": refused.user}
            await self._record("refused", what, by, target=f"command {command}")

    async def _identified(
        self, command: str, rule: Rule, arguments: Mapping[str, Any], peer: Peer, interface: Interface, reason: str | None
    ) -> Actor:
        user, where = str(arguments.get("as_user") or "").strip(), place(peer, interface)
        if self.settings.origin == "os-group" and (self.settings.pam is None or not user):
            actor = await asyncio.to_thread(self._by_group, rule, peer, interface, where, reason)
        elif user:
            actor = await self._by_password(command, user, str(arguments.get("password") or ""), where, reason)
        else:
            glass = arguments.get("break_glass") is True and peer.uid == 0 and command in BREAK_GLASS
            actor = account(peer, interface, reason)
            if not await asyncio.to_thread(self._account_will_do, rule, peer.uid, glass=glass):
                self._glass_broken(rule, actor, str(arguments.get("user"))[:60])
        _fits(rule, actor)
        return actor

    def _by_group(self, rule: Rule, peer: Peer, interface: Interface, where: Mapping[str, Any], reason: str | None) -> Actor:
        """Take the account's person. Root and the service's account are no persons; what stands before a gateway, they may do."""
        if rule.first and peer.uid in {0, os.geteuid()}:
            return account(peer, interface, reason)
        if self.settings.pam is not None:
            raise Refused(f"{rule.words} needs a person: say who you are with --user", "nobody-named")
        found = groups.of_uid(peer.uid, self.settings.roles)
        if found is None or peer.uid == os.geteuid():
            raise Refused(f"{peer.account} is no person: come under your own account, over {self.settings.socket}", "no-person")
        if len(found.roles) != 1:
            held = " and ".join(found.roles) or "none"
            raise Refused(f"{peer.account} is in groups of the roles {held}: exactly one is needed", "no-one-role", found.user)
        return person(found.user, found.name, found.roles[0], "os", dict(where), reason)

    def _account_will_do(self, rule: Rule, uid: int, *, glass: bool) -> bool:
        """Return True where an account needs no person: nobody has set up users, or there is no administrator who could add the first.

        False: glass is broken. Raises Refused.
        """
        users = self._store.read()
        if not (self.production or users.users) or (rule.first and uid in {0, os.geteuid()} and not users.has_admin()):
            return True
        if not glass:
            first = "" if users.has_admin() else "; there is no administrator yet: root adds the first with `users add`"
            raise Refused(f"{rule.words} needs a person: say who you are with --user{first}", "nobody-named")
        return False

    def _glass_broken(self, rule: Rule, by: Actor, user: str) -> None:
        text = f"{by.who['user']} has used the emergency way past the administrators: {rule.words} {user}, because: {by.reason}"
        self._alarm(finding("break-glass-used", "alarm", text, {"command": rule.words, "user": user}))

    async def _by_password(self, command: str, user: str, password: str, where: dict[str, Any], reason: str | None) -> Actor:
        came = await self._looked(user, password)
        if came.cause == "locked":
            raise Refused(f"user {came.user} is locked after {MOST_FAILURES} failures: wait, or ask an administrator", "locked", came.user)
        if came.cause == "disabled":
            raise Refused(f"user {came.user} is disabled", "disabled", came.user)
        if came.cause is not None or came.user is None:
            raise Refused("user or password is wrong", came.cause, came.user)
        if len(came.roles) != 1:
            raise Refused(
                f"{came.user} is in groups of the roles {' and '.join(came.roles)}: exactly one is needed", "no-one-role", came.user
            )
        actor = person(came.user, came.name, came.roles[0], "password", where, reason)
        if came.must_change and command != "users-password":
            raise Refused(f"change your password first: ebr-gateway users password LINE --user {user}", "must-change", user, actor)
        return replace(actor, password_now=True)

    async def _looked(self, user: str, password: str) -> Came:
        """Look at a password, one after the other, and keep what came of it."""
        if self._waiting >= MOST_WAITING:
            raise Refused("too many ask at once: try again", "busy")
        self._waiting += 1
        try:
            async with self._one:
                await asyncio.sleep(self._next_look_s - time.monotonic())
                came = await asyncio.to_thread(self._passwords.look, user, password)
                if came.cause in {"wrong-password", "unknown-user"}:
                    self._next_look_s = time.monotonic() + PAUSE_S
                if came.outdated:
                    await self._hash_anew(user, password)
        except pam.PamAway as error:
            raise Refused(str(error), "pam-away") from error
        finally:
            self._waiting -= 1
        if came.now_locked:
            what = {"failures": MOST_FAILURES, "minutes": self.settings.lock_minutes or None}
            await self._record("user-locked", what, target=f"user {came.user}", old="active", new="locked")
        return came

    async def _hash_anew(self, user: str, password: str) -> None:
        """Keep a password by the parameters of today; the list is another one then, which the record says first."""
        before = await asyncio.to_thread(self._store.read)
        fresh = await asyncio.to_thread(passwords.hashed, password)
        after = before.put(before.named(user).model_copy(update={"hash": fresh}))
        lists = {"list_before": before.digest(), "list_sha256": after.digest()}
        await self._record("user-rehashed", lists, target=f"user {user}")
        await asyncio.to_thread(self._store.replace, before, after)

    async def change(self, action: str, user: str, by: Actor, transition: Callable[[Directory, int], Directory]) -> User:
        """Change the list of users: decide, write it down, do it. transition: of the list and the time in ticks.

        Raises NotPossible, UsersUnreadable; OSError where the list can not be written, which is written down as well.
        """
        async with self._one:
            before = await asyncio.to_thread(self._store.read)
            after = await asyncio.to_thread(transition, before, self._now())
            old, new = before.get(user), after.named(user)
            lists = {"list_before": before.digest(), "list_sha256": after.digest()}
            await self._record(action, lists, by, target=f"user {user}", old=None if old is None else old.facts(), new=new.facts())
            try:
                await asyncio.to_thread(self._store.replace, before, after)
            except (OSError, UsersUnreadable) as error:
                undone = {"list_before": after.digest(), "list_sha256": before.digest()}
                await self._record("user-not-changed", {"action": action, "error": str(error), **undone}, target=f"user {user}")
                raise
        return new

    def local(self) -> None:
        """Raise NotPossible where users are kept by the operating system."""
        if self.settings.origin == "os-group":
            raise NotPossible('users are kept by the operating system ([users] from = "os-group"): change its groups')

    def directory(self) -> Directory:
        """Return the list of users. Raises UsersUnreadable. For a thread."""
        return self._store.read()

    async def run(self, done: Callable[[], None]) -> None:
        """Tell each minute of the refusals that got no entry of their own, and look whether the list of users can be read, until cancelled.

        done: called after each such look.
        Raises UsersUnreadable, and pam.PamAway where accounts give their passwords: somebody must hear of it before nobody is let in.
        """
        while True:
            await self.tell_refusals()
            await self.compare()
            if self.settings.pam is not None:
                await asyncio.to_thread(pam.listens, self.settings.pam)
            done()
            await asyncio.sleep(TELL_EVERY_S)

    async def compare(self) -> None:
        """Compare the list of users with what the record left it as, and tell where it is another: somebody changed the file.

        Raises UsersUnreadable.
        """
        async with self._one:  # not between the entry of a change and the change
            users = await asyncio.to_thread(self._store.read)
            digest, recorded = users.digest(), self._recorded()
            if recorded is None:
                if users.users:
                    told = {"users": [f"{one.user} ({one.role})" for one in users.users][:100], "list_before": None, "list_sha256": digest}
                    await self._record("users-list-adopted", told, target="users")
                return
            if digest != recorded:
                self._announcer.once_until_changed("list", replaced("somebody has replaced or changed it without a command"), state=digest)
            else:
                as_recorded = finding("users-list-as-recorded", "info", "users.json is as the record left it", {"name": NAME})
                self._announcer.once_until_changed("list", as_recorded, state="")

    async def tell_refusals(self) -> None:
        """Write down how many refusals got no entry of their own, if there are any."""
        counted = self._refusals.counted()
        if counted:
            await self._record("refused-more", {"count": sum(counted.values()), "of": counted})


def _fits(rule: Rule, actor: Actor) -> None:
    """Raise Refused where somebody's role may not give a command. An account has none, and was let in before."""
    role = actor.who["role"]
    if role is not None and role not in rule.roles:
        who = f"{actor.who['user']} has the role {role}"
        raise Refused(f"{rule.words} is for {' and '.join(rule.roles)}; {who}", "role", actor.user, actor)
    if rule.signs:
        try:
            may_sign(actor)
        except NotSigned as error:
            raise Refused(str(error), "no-password" if actor.who["kind"] == "person" else "nobody-named", actor.user, actor) from error


def _same_role(by: Actor, now: Actor) -> None:
    """Raise Refused where a password says another role than the session has: a proxy's groups and the machine's are two lists."""
    before, role = by.who["role"], now.who["role"]
    if role != before:
        raise Refused(f"{by.user} has the roles {before} and {role}: exactly one is needed", "no-one-role", by.user, now)


def _one_role(who: Vouched, own: User | None) -> None:
    """Raise Refused for whom a proxy names, if he has not one role, or if the line's own list says otherwise. own: of the same id."""
    if own is not None and own.state != "active":
        raise Refused(f"user {who.user} is disabled", "disabled", who.user)
    if len(who.roles) != 1 or (own is not None and own.role != who.roles[0]):
        held = " and ".join(dict.fromkeys((*who.roles, *([] if own is None else [own.role])))) or "none"
        raise Refused(f"{who.user} has the roles {held}: exactly one is needed", "no-one-role")


def replaced(how: str) -> dict[str, Any]:
    """Make the alarm that the list of users is another than the record left."""
    return finding("users-list-replaced", "alarm", f"{NAME} is not as the record left it: {how}", {"name": NAME})
