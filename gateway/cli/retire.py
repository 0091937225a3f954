"""Defines the command that takes a line out of service for good."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.base import FINDING, FOLDER, GOOD, NOT_REACHED, PATH, WRONG_INPUT, as_json, fail, line_folder, print_json
from gateway.cli.persons import BUSY, credentials, offline, password_option, person

if TYPE_CHECKING:
    from gateway.access import Actor
    from gateway.changes.retired import Retirement
    from gateway.retirement.looked import Looked, Obstacle
    from gateway.runtime.choosing import Chosen

RUNNING = "a gateway runs on this journal: stop it first (systemctl disable --now ebr-gateway@LINE)"


@click.command()
@line_folder
@click.option("--to", type=FOLDER, help="new folder for what is made: reconciliation, archives, the journal's copy, documents")
@click.option("--ebr", multiple=True, metavar="[UPLINK=]URL|STORE", help="whom to ask in the last reconciliation, as for `reconcile`")
@click.option("--archives", type=FOLDER, help="folder with archives of earlier batches, which are verified and listed")
@click.option(
    "--secret-file", "secrets", type=PATH, multiple=True, help="a file that is to be erased and lies elsewhere; may be given more than once"
)
@click.option("--accept", multiple=True, metavar="NAME=REASON", help="go on although this stands in the way; may be given more than once")
@click.option("--yes", is_flag=True, help="do it; without it the plan is shown, and nothing is changed")
@click.option("--abandon", is_flag=True, help="put a half retired line back into service, as long as nothing was erased")
@as_json
@click.option("--reason", help="with --yes or --abandon: why, in at least ten characters; stands in the audit trail")
@person
@password_option
def retire(
    line: Path,
    to: Path | None,
    ebr: tuple[str, ...],
    archives: Path | None,
    secrets: tuple[Path, ...],
    accept: tuple[str, ...],
    yes: bool,
    abandon: bool,
    as_json: bool,
    reason: str | None,
    user: str | None,
    password_file: Path | None,
) -> None:
    """Take a line out of service for good: last reconciliation, archives, revocation, erased secrets, a signed record.

    Without --yes: what would be done, and what stands in the way. Exit 0: nothing, or it is retired; 1: something is in the way or left.
    """
    import config
    from gateway.changes import retired

    data = config.identity(line).data
    state = retired.read(data)
    said = {} if reason is None else {"reason": reason}
    if abandon:
        _offline(line, {**credentials(user, password_file), **said, "abandon": True})
        click.echo(f"{line}: is in service again; the next start says in its audit trail that the retirement was given up")
        return
    if state is not None and (retired.ENDED in state.done or state.told["begun"] is None):
        _ended(state, str(retired.in_the_way(data, line)), as_json=as_json)
    told = None if state is None else state.told["to"]
    if (where := told or to) is None:
        fail("--to DIR: into which folder is what is made to be written?", WRONG_INPUT)
    into = Path(where).absolute()
    if to is not None and to.absolute() != into:
        fail(f"--to {to}: it was begun with --to {into}: what was made lies there", WRONG_INPUT)
    asked = _Asked(line, into, _remembered(state, ebr, archives, secrets), _accepted(accept), is_begun=state is not None)
    if state is None or not state.is_erasing:
        asked.elsewhere(data)
    chosen = asked.chosen()
    if state is None or not state.is_erasing:
        asked.are_secrets(chosen)
    if state is not None and "recorded" in state.done:  # signed: what is left needs nobody's word
        if late := [what for what in asked.accepted if what not in {one["what"] for one in state.accepted}]:
            fail(f"--accept {late[0]}: the record is signed: nothing more can be accepted", WRONG_INPUT)
        if not yes:
            fail(f"{retired.in_the_way(data, line)} --yes", FINDING)
        _do(asked, chosen, state, None)
    new, fixed = _planned(asked, chosen, as_json=as_json, yes=yes) if state is None else (_going_on(asked, chosen, state), None)
    if not yes:
        fail(f"{retired.in_the_way(data, line)} --yes", FINDING)
    _is_empty(into, state)
    given = {"to": str(into), "accepted": new, "options": asked.options, "secrets": fixed}
    by = _offline(line, {**credentials(user, password_file), **said, **given})
    state = retired.read(data)
    assert state is not None
    _do(asked, chosen, state, _actor(by))


def _remembered(state: "Retirement | None", ebr: tuple[str, ...], archives: Path | None, secrets: tuple[Path, ...]) -> dict[str, list[str]]:
    """Return the options, those that were given when it was begun where they are not given again."""
    before = {} if state is None else state.told.get("options") or {}
    given = {
        "ebr": list(ebr),
        "archives": [] if archives is None else [str(archives.absolute())],
        "secrets": [str(path.absolute()) for path in secrets],
    }
    return {name: values or list(before.get(name, ())) for name, values in given.items()}


class _Asked:
    """What was typed."""

    def __init__(self, line: Path, to: Path, options: dict[str, list[str]], accepted: dict[str, str], *, is_begun: bool) -> None:
        self.line, self.to, self.options, self.accepted = line, to, options, accepted
        self.secrets = tuple(map(Path, options["secrets"]))
        self.archives = next(map(Path, options["archives"]), None)
        if wrong := next((path for path in self.secrets if path.exists() and not path.is_file()), None):
            fail(f"--secret-file {wrong}: is no file", WRONG_INPUT)
        if (gone := next((path for path in self.secrets if not path.exists()), None)) is not None and not is_begun:
            fail(f"--secret-file {gone}: is not there: name the file itself", WRONG_INPUT)
        if self.archives is not None and not self.archives.is_dir():
            fail(f"--archives {self.archives}: is no folder", WRONG_INPUT)

    def chosen(self) -> "Chosen":
        """Read the line: the version in force, else its folder. Raises ConfigError."""
        from gateway.runtime import choosing

        return choosing.chosen(self.line)

    def elsewhere(self, data: Path) -> None:
        """Look whether the folders lie where nothing is erased. Ends the program where not."""
        from gateway.retirement.places import folder_objection

        for option, folder in (("--to", self.to), ("--archives", self.archives)):
            if folder is not None and (why := folder_objection(folder, self.line, data)):
                fail(f"{option} {folder}: {why}", WRONG_INPUT)

    def are_secrets(self, chosen: "Chosen") -> None:
        """Look whether what is named as a secret is one. Ends the program where not: what has to be read later would be erased."""
        from gateway.retirement import lines, secrets
        from gateway.retirement.places import Places

        line = chosen.line
        known = {one.path.resolve() for one in secrets.found(line, others=lines.others(chosen).lines)[0]}
        of = Places.of(line.folder, line.data, self.read_later(chosen))
        for path in self.secrets:
            if why := of.named_objection(path, known):
                fail(f"--secret-file {path}: {why}", WRONG_INPUT)

    def read_later(self, chosen: "Chosen") -> tuple[tuple[str, Path], ...]:
        """List the folders of which nothing is erased."""
        from gateway.retirement.places import read_later

        return read_later(self.to, self.archives, tuple(self.whom(chosen).values()))

    def whom(self, chosen: "Chosen") -> dict[str, str]:
        """Return whom to ask in the comparison, by uplink. Ends the program where that is not clear."""
        from gateway.retirement.compared import names_of

        try:
            return names_of(tuple(self.options["ebr"]), chosen.line)
        except ValueError as error:
            fail(str(error), WRONG_INPUT)


def _accepted(texts: tuple[str, ...]) -> dict[str, str]:
    """Read --accept NAME=REASON. Ends the program where a reason says nothing."""
    from gateway.access.roles import reason_problem

    found = {}
    for text in texts:
        what, _, reason = text.partition("=")
        if (wrong := reason_problem(reason.strip())) is not None:
            fail(f"--accept {what}: {wrong}; write NAME=REASON", WRONG_INPUT)
        found[what.strip()] = reason.strip()
    return found


def _planned(asked: _Asked, chosen: "Chosen", *, as_json: bool, yes: bool) -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
    """Look, and say what was found; return what is accepted, and the list of secrets. Ends the program where it is not to be done."""
    from gateway.retirement.looked import unaccepted
    from gateway.retirement.secrets import rows

    looked = _look(asked, chosen)
    left, known = unaccepted(looked.obstacles, asked.accepted), {one.what: one for one in looked.obstacles}
    if typed := [what for what in asked.accepted if what not in known]:
        fail(f"--accept {typed[0]}: nothing of this name stands in the way; there is {', '.join(known) or 'nothing'}", WRONG_INPUT)
    if as_json:
        print_json(_as_json(looked, left, asked))
    else:
        click.echo("\n".join(_text(looked, left, asked, chosen)))
    if left or not yes:
        if not (left or as_json):
            click.echo("nothing is in the way: --yes --reason REASON --user USER does it, and can not be undone")
        sys.exit(FINDING if left else GOOD)
    accepted = [{"what": what, "found": known[what].found[:500], "reason": why} for what, why in asked.accepted.items()]
    return accepted, rows(looked.secrets, looked.missing)


def _going_on(asked: _Asked, chosen: "Chosen", state: "Retirement") -> list[dict[str, str]]:
    """Return what is accepted in going on: of what the last run stopped for. The steps say whether more stands in the way now."""
    if _runs(chosen.line.data):
        fail(f"{chosen.line.data}: another process works on this journal", NOT_REACHED)
    stopped = {one["what"]: one for one in state.stopped if one["acceptable"]}
    before = {one["what"]: one["reason"] for one in state.accepted}
    new = {what: why for what, why in asked.accepted.items() if before.get(what) != why}
    if typed := [what for what in new if what not in stopped]:
        told = f"the last run did not stop for it, or nobody can accept it; it stopped for {', '.join(stopped) or 'nothing of that kind'}"
        fail(f"--accept {typed[0]}: {told}: give the command without it first", WRONG_INPUT)
    return [{"what": what, "found": stopped[what]["found"][:500], "reason": why} for what, why in new.items()]


def _look(asked: _Asked, chosen: "Chosen") -> "Looked":
    from gateway.retirement import archives, compared, lines, looked

    line = chosen.line
    whom = asked.whom(chosen)
    if not (line.data / "journal.db").exists():
        fail(f"{line.data}: no journal is here: nothing was ever recorded, so there is nothing to retire", WRONG_INPUT)
    found = asyncio.run(compared.compared(line, whom))
    shown = archives.shown(asked.archives, line.gateway, looked.keys_of(line.data))
    told = looked.looked(line, found, shown, asked.secrets, asked.read_later(chosen), lines.others(chosen))
    running = [looked.Obstacle("running", RUNNING, acceptable=False)] if _runs(line.data) else []
    return told._replace(obstacles=[*running, *told.obstacles])


def _runs(data: Path) -> bool:
    from gateway.access import alone

    try:
        with alone(data):
            return False
    except BlockingIOError:
        return True


def _text(looked: "Looked", left: "list[Obstacle]", asked: _Asked, chosen: "Chosen") -> list[str]:
    """Write the plan for a terminal."""
    from gateway.entries.printable import printable
    from gateway.retirement import certificates
    from gateway.retirement.archives import FOLDER as ARCHIVES
    from gateway.retirement.steps import COPY

    batches, certs = looked.batches.names, certificates.listed(chosen.line)
    named = ", ".join(batches[:10]) or "none"
    ranges = [f"epoch {one['epoch']}: entries {one['first']} to {one['last']}, held from {one['held_from']} on" for one in looked.ranges]
    lines = [
        f"{chosen.line.gateway}: plan of its retirement; nothing is changed by looking",
        *(f"  compare        {one.uplink} with {one.receiver}: {one.why or 'equal'}" for one in looked.compared),
        f"  archive        {_count(len(batches), 'batch', 'es')} into {asked.to / ARCHIVES}: {named}",
        *(f"  archive shown  {one.path}: {one.why or 'good'}" for one in looked.shown),
        *(f"  journal        {text}" for text in ranges),
        f"  copy           the whole journal, verified, into {asked.to / COPY}",
        f"  revoke         the keys, by a signed note; {_count(len(certs), 'certificate', 's')} to be revoked by who signed or trusts them",
        *(
            f"  erase          {one.path} ({one.what}){'; last' if one.to_the_end else ''}"
            for one in looked.secrets
            if not one.kept_elsewhere
        ),
        "  sign           the record of it, by the person who says --yes",
    ]
    lines += [f"accepted: {one.what}: {one.found}" for one in looked.obstacles if one not in left]
    for one in left:
        lines += [f"in the way: {one.what}: {one.found}"]
    if any(one.acceptable for one in left):
        lines += ['a person of the role qa can accept what can not be put right: --accept "NAME=REASON", for each']
    return [printable(text) for text in lines]


def _count(count: int, name: str, plural: str) -> str:
    return f"{count} {name}{'' if count == 1 else plural}"


def _as_json(looked: "Looked", left: "list[Obstacle]", asked: _Asked) -> dict[str, Any]:
    return {
        "to": str(asked.to),
        "in_the_way": [one._asdict() for one in left],
        "accepted": [one._asdict() for one in looked.obstacles if one not in left],
        "batches": list(looked.batches.names),
        "journal": looked.ranges,
        "compared": [{"uplink": one.uplink, "receiver": one.receiver, "why": one.why or None} for one in looked.compared],
        "archives": [one.facts() for one in looked.shown],
        "secrets": [{**one._asdict(), "path": str(one.path)} for one in looked.secrets],
    }


def _is_empty(to: Path, state: "Retirement | None") -> None:
    """Ends the program where the folder holds something already, before anything is begun."""
    from gateway.cli.documents import can_be_written

    can_be_written(to)
    if state is None and to.exists() and any(to.iterdir()):
        fail(f"--to {to}: holds something already: name a new folder", WRONG_INPUT)
    to.mkdir(parents=True, exist_ok=True)


def _offline(line: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    answer = offline(line, "retire", arguments)
    if "error" in answer:
        fail(answer["error"], WRONG_INPUT)
    return answer


def _actor(told: dict[str, Any]) -> "Actor":
    """The person whose password has just been looked at: with this very command, as a signature needs it."""
    from gateway.access import Actor

    return Actor(told["who"], told["where"], told["reason"], told["user"], password_now=True)


def _do(asked: _Asked, chosen: "Chosen", state: "Retirement", by: "Actor | None") -> None:
    """Do what is left to be done. Ends the program."""
    from gateway.changes import retired
    from gateway.cli.base import logging_to_stderr
    from gateway.retirement import steps
    from gateway.runtime import gateway
    from gateway.runtime.isolate import leaves

    logging_to_stderr(verbose=False)
    whom = asked.whom(chosen)
    act = steps.Act(
        chosen.line, chosen, asked.to, by, state, whom, asked.archives, asked.secrets, lambda text: click.echo(f"  {text}", err=True)
    )
    again = f"the line is half retired and can not be started; the same command goes on from here (ebr-gateway retire {asked.line})"
    try:
        steps.retire(act)
    except BlockingIOError:
        fail(f"{chosen.line.data}: {BUSY}", NOT_REACHED)
    except steps.NotRetired as error:
        fail(f"{error}\n{again}", FINDING)
    except OSError as error:
        fail(f"{error.filename or asked.to}: {error.strerror or error}\n{again}", NOT_REACHED)
    except BaseExceptionGroup as group:
        if (faults := group.subgroup(gateway.StorageFault)) is None:
            raise
        fail(f"{chosen.line.data}: the journal failed: {next(leaves(faults))}\n{again}", NOT_REACHED)
    _ended(state, str(retired.in_the_way(chosen.line.data, asked.line)), as_json=False)


def _ended(state: "Retirement", says: str, *, as_json: bool) -> None:
    """Say how a retirement ended, and whether anything that was erased is there. Ends the program."""
    from gateway.retirement.steps import left

    there, kept = left(state), [one for one in state.told["secrets"] or () if not one["erase"]]
    if as_json:
        print_json({**state.told, "there": there})
    else:
        click.echo(says)
        for step, name in (("recorded", "record"), ("ended", "erasure")):
            if (made := state.done.get(step)) is not None:
                click.echo(f"  {name:<9} document {made['document']['id']}, sha256 {made['document']['sha256']}, in {state.told['to']}")
        erased = sum(one["erased"] for one in state.told["secrets"] or ())
        click.echo(f"  secrets   {erased} erased, {len(kept)} not erased, {len(there)} there (again)")
        for text in [*(f"not erased: {one['path']}: {one['how']}" for one in kept), *(f"there (again): {path}" for path in there)]:
            click.echo(f"  {text}")
    sys.exit(FINDING if there or state.told["begun"] is None else GOOD)
