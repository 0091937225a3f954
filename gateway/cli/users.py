"""Defines the commands on the users of a line: who they are, and what they may do."""

import csv
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from gateway.cli.base import AsJson, Folder, app, print_json
from gateway.cli.persons import PasswordFile, Person, Why, credentials, secret, told
from gateway.cli.tables import safe

users = typer.Typer(no_args_is_help=True, help="The users of a line: add, disable, enable, list, role, reset, password, report.")
app.add_typer(users, name="users")

Whom = Annotated[str, typer.Argument(metavar="USER", help="the id of the user that it is about")]
RoleName = Annotated[str, typer.Option("--role", help="viewer, operator, engineer, qa or admin")]
NewPassword = Annotated[Path | None, typer.Option("--new-password-file", help="file with the new password, - for standard input")]
Glass = Annotated[bool, typer.Option("--break-glass", help="root, in an emergency, past the administrators; raises an alarm")]

READS = "status, top, ready, alarms list and history, quarantine list and show, users list and report"


@users.command()
def add(
    line: Folder,
    who: Whom,
    *,
    name: Annotated[str, typer.Option(help="the person's full name, as it is to stand beside a signature")],
    role: RoleName,
    reason: Why,
    new_password_file: NewPassword = None,
    break_glass: Glass = False,
    user: Person = None,
    password_file: PasswordFile = None,
) -> None:
    """Add a user, with a first password that must be changed; one is made and printed unless --new-password-file gives it.

    Root or the service's account adds the first administrator; after that an administrator adds everybody.
    """
    new = {} if new_password_file is None else {"new_password": secret(new_password_file, f"first password of {who}")}
    more = {"user": who, "name": name, "role": role, "break_glass": break_glass, **new}
    answer = told(line, "users-add", user, password_file, reason=reason, **more)
    typer.echo(f"{who}: added, {name}, {role}")
    _first_password(answer)


@users.command()
def disable(line: Folder, who: Whom, *, reason: Why, user: Person = None, password_file: PasswordFile = None) -> None:
    """Let a user in no more. The user stays in the list, for what was done in this name."""
    told(line, "users-disable", user, password_file, reason=reason, user=who)
    typer.echo(f"{who}: disabled")


@users.command()
def enable(
    line: Folder, who: Whom, *, reason: Why, break_glass: Glass = False, user: Person = None, password_file: PasswordFile = None
) -> None:
    """Let a user in again who was disabled, or is locked after five failures."""
    told(line, "users-enable", user, password_file, reason=reason, user=who, break_glass=break_glass)
    typer.echo(f"{who}: enabled")


@users.command()
def role(
    line: Folder,
    who: Whom,
    new_role: Annotated[str, typer.Argument(metavar="ROLE", help="viewer, operator, engineer, qa or admin")],
    *,
    reason: Why,
    user: Person = None,
    password_file: PasswordFile = None,
) -> None:
    """Give a user another role. Nobody gives one to himself."""
    told(line, "users-role", user, password_file, reason=reason, user=who, role=new_role)
    typer.echo(f"{who}: {new_role}")


@users.command()
def reset(
    line: Folder,
    who: Whom,
    *,
    reason: Why,
    new_password_file: NewPassword = None,
    break_glass: Glass = False,
    user: Person = None,
    password_file: PasswordFile = None,
) -> None:
    """Give a user a new first password, which must be changed; a lock is over with it."""
    new = {} if new_password_file is None else {"new_password": secret(new_password_file, f"first password of {who}")}
    answer = told(line, "users-reset", user, password_file, reason=reason, user=who, break_glass=break_glass, **new)
    typer.echo(f"{who}: has a new first password")
    _first_password(answer)


@users.command()
def password(
    line: Folder,
    *,
    user: Annotated[str, typer.Option("--user", help="who you are")],
    password_file: PasswordFile = None,
    new_password_file: NewPassword = None,
) -> None:
    """Change your own password: the present one is asked for, then the new one, twice."""
    said = credentials(user, password_file)
    new = secret(new_password_file, f"new password of {user}", twice=True)
    told(line, "users-password", **said, new_password=new)
    typer.echo(f"{user}: the password is changed")


@users.command(name="list")
def list_(line: Folder, *, as_json: AsJson = False) -> None:
    """List every user with role and state."""
    found = told(line, "users-list")
    if as_json:
        print_json(found["users"])
        return
    for one in found["users"]:
        typer.echo(f"{one['user']:<20} {one['role']:<9} {one['state']:<24} {one['name'] or ''}")
    if not found["users"]:
        typer.echo("no users yet; root or the service's account adds the first administrator: ebr-gateway users add")


@users.command()
def report(
    line: Folder, *, form: Annotated[Literal["text", "csv", "json"], typer.Option("--format", help="text, csv or json")] = "text"
) -> None:
    """Report who may do what: for the review of access that an inspector asks for. Disabled users stand in it too."""
    found = told(line, "users-list")
    if form == "json":
        print_json(found)
    elif form == "csv":
        writer = csv.DictWriter(sys.stdout, fieldnames=[*(found["users"] or [{}])[0]], lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: safe(value) for key, value in one.items()} for one in found["users"])
    else:
        typer.echo(_text(line, found))


def _text(line: Path, found: dict[str, Any]) -> str:
    """Write the report for people: one paragraph per user, then what each role may do. Times are UTC."""
    asks = "persons are asked for" if found["asks_for_persons"] else "persons are not asked for: no users, and no production"
    out = [f"Access report of {line.resolve()}, {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", f"users: {found['from']}; {asks}", ""]
    for one in found["users"]:
        out.append(f"{one['user']}: {one['name'] or 'no name'}, {one['role'] or 'no role'}, {one['state']}")
        facts = {
            "last login": one["last_login"] or "never",
            "created": _by(one, "created"),
            "role since": _by(one, "role"),
            "disabled": _by(one, "disabled"),
            "password since": one["password_at"],
        }
        out += [f"    {name:<15} {fact}" for name, fact in facts.items() if fact]
    out += ["", *(f"{role:<9} may: {', '.join(may)}" for role, may in found["may"].items())]
    return "\n".join([*out, f"everybody who reaches the gateway may read: {READS}"])


def _by(one: dict[str, Any], what: str) -> str | None:
    return f"{one[f'{what}_at']} by {one[f'{what}_by']}" if one[f"{what}_at"] else None


def _first_password(answer: dict[str, Any]) -> None:
    if "first_password" in answer:
        typer.echo(
            f"first password: {answer['first_password']}\nhand it to the person alone; it must be changed: ebr-gateway users password"
        )
