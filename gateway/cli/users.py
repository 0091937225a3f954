"""Defines the commands on the users of a line: who they are, and what they may do."""

import csv
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gateway.cli.base import PATH, Words, as_json, line_folder, print_json
from gateway.cli.documents import may_be_document, published
from gateway.cli.persons import by_person, credentials, password_option, secret, told
from gateway.cli.tables import safe

whom = click.argument("who", metavar="USER", help="the id of the user that it is about")
new_password = click.option("--new-password-file", type=PATH, help="file with the new password, - for standard input")
glass = click.option("--break-glass", is_flag=True, help="root, in an emergency, past the administrators; raises an alarm")

READS = (
    "status, top, ready, alarms list and history, audit list and reviews, config history, show and impact,"
    " quarantine list and show, users list and report"
)


@click.group(cls=Words, no_args_is_help=True, subcommand_metavar="COMMAND ...")
def users() -> None:
    """The users of a line: add, disable, enable, list, role, reset, password, report."""


@users.command(short_help="Add a user, with a first password to be changed")
@line_folder
@whom
@click.option("--name", required=True, help="the person's full name, as it is to stand beside a signature")
@click.option("--role", required=True, help="viewer, operator, engineer, qa or admin")
@new_password
@glass
@by_person
def add(
    line: Path,
    who: str,
    name: str,
    role: str,
    new_password_file: Path | None,
    break_glass: bool,
    reason: str,
    user: str | None,
    password_file: Path | None,
) -> None:
    """Add a user, with a first password that must be changed; one is made and printed unless --new-password-file gives it.

    Root or the service's account adds the first administrator; after that an administrator adds everybody.
    """
    new = {} if new_password_file is None else {"new_password": secret(new_password_file, f"first password of {who}")}
    more = {"user": who, "name": name, "role": role, "break_glass": break_glass, **new}
    answer = told(line, "users-add", user, password_file, reason=reason, **more)
    click.echo(f"{who}: added, {name}, {role}")
    _first_password(answer)


@users.command(short_help="Let a user in no more")
@line_folder
@whom
@by_person
def disable(line: Path, who: str, reason: str, user: str | None, password_file: Path | None) -> None:
    """Let a user in no more. The user stays in the list, for what was done in this name."""
    told(line, "users-disable", user, password_file, reason=reason, user=who)
    click.echo(f"{who}: disabled")


@users.command(short_help="Let a user in again who was disabled or locked")
@line_folder
@whom
@glass
@by_person
def enable(line: Path, who: str, break_glass: bool, reason: str, user: str | None, password_file: Path | None) -> None:
    """Let a user in again who was disabled, or is locked after five failures."""
    told(line, "users-enable", user, password_file, reason=reason, user=who, break_glass=break_glass)
    click.echo(f"{who}: enabled")


@users.command(short_help="Give a user another role")
@line_folder
@whom
@click.argument("new_role", metavar="ROLE", help="viewer, operator, engineer, qa or admin")
@by_person
def role(line: Path, who: str, new_role: str, reason: str, user: str | None, password_file: Path | None) -> None:
    """Give a user another role. Nobody gives one to himself."""
    told(line, "users-role", user, password_file, reason=reason, user=who, role=new_role)
    click.echo(f"{who}: {new_role}")


@users.command(short_help="Give a user a new first password")
@line_folder
@whom
@new_password
@glass
@by_person
def reset(
    line: Path,
    who: str,
    new_password_file: Path | None,
    break_glass: bool,
    reason: str,
    user: str | None,
    password_file: Path | None,
) -> None:
    """Give a user a new first password, which must be changed; a lock is over with it."""
    new = {} if new_password_file is None else {"new_password": secret(new_password_file, f"first password of {who}")}
    answer = told(line, "users-reset", user, password_file, reason=reason, user=who, break_glass=break_glass, **new)
    click.echo(f"{who}: has a new first password")
    _first_password(answer)


@users.command(short_help="Change your own password")
@line_folder
@click.option("--user", required=True, help="who you are")
@password_option
@new_password
def password(line: Path, user: str, password_file: Path | None, new_password_file: Path | None) -> None:
    """Change your own password: the present one is asked for, then the new one, twice."""
    said = credentials(user, password_file)
    new = secret(new_password_file, f"new password of {user}", twice=True)
    told(line, "users-password", **said, new_password=new)
    click.echo(f"{user}: the password is changed")


@users.command(name="list", short_help="List every user with role and state")
@line_folder
@as_json
def list_(line: Path, as_json: bool) -> None:
    """List every user with role and state."""
    found = told(line, "users-list")
    if as_json:
        print_json(found["users"])
        return
    for one in found["users"]:
        click.echo(f"{one['user']:<20} {one['role']:<9} {one['state']:<24} {one['name'] or ''}")
    if not found["users"]:
        click.echo("no users yet; root or the service's account adds the first administrator: ebr-gateway users add")


@users.command(short_help="Report who may do what, for the review of access")
@line_folder
@click.option("--format", "form", type=click.Choice(["text", "csv", "json", "pdf"]), default="text", help="pdf: with --into")
@may_be_document
def report(line: Path, form: str, to: Path | None, user: str | None, password_file: Path | None) -> None:
    """Report who may do what: for the review of access that an inspector asks for. Disabled users stand in it too."""
    found = told(line, "users-list")
    if form == "pdf" or to is not None:
        from gateway.operation.drafts import of_users

        published(line, lambda: of_users(found, READS), to, user, password_file)
    elif form == "json":
        print_json(found)
    elif form == "csv":
        writer = csv.DictWriter(sys.stdout, fieldnames=[*(found["users"] or [{}])[0]], lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: safe(value) for key, value in one.items()} for one in found["users"])
    else:
        click.echo(_text(line, found))


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
        click.echo(
            f"first password: {answer['first_password']}\nhand it to the person alone; it must be changed: ebr-gateway users password"
        )
