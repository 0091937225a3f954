"""Defines the commands on the versions of a line's configuration: propose, decide, put into force, go back, look."""

from typing import Annotated, Any

import typer

from gateway.cli.base import FINDING, GOOD, AsJson, Folder, print_json
from gateway.cli.configuration import configuration
from gateway.cli.persons import OptionalWhy, PasswordFile, Person, Why, told

Number = Annotated[int, typer.Argument(metavar="VERSION", help="the number of a version", min=1)]
Meaning = Annotated[str, typer.Option(help="what the signature means, as `approved for production`; it stands beside your printed name")]
Emergency = Annotated[bool, typer.Option("--emergency", help="without waiting for open batches or an approval; an alarm until qa approves")]


@configuration.command()
def propose(
    line: Folder,
    *,
    change_no: Annotated[str, typer.Option("--change-no", help="the change's number in the site's own system")],
    reason: Why,
    author: Annotated[str | None, typer.Option(help="the user who wrote it, if that is not you")] = None,
    user: Person = None,
    password_file: PasswordFile = None,
) -> None:
    """Freeze the line folder as the next version, for somebody with the role qa to approve."""
    more = {} if author is None else {"author": author}
    answer = told(line, "config-propose", user, password_file, reason=reason, change_no=change_no, **more)
    touched = f"{answer['changes']} changes, highest criticality {answer['criticality']}"
    typer.echo(f"version {answer['version']}: proposed, {touched}\nsha256 {answer['sha256']}")
    typer.echo(f"what it touches: ebr-gateway config impact {line} {answer['version']}")


@configuration.command()
def impact(line: Folder, version: Number, *, as_json: AsJson = False) -> None:
    """Say what a version changes against the one in force: objects, old, new, criticality, what depends on them, tests, open batches."""
    from gateway.changes.impact import text

    answer = told(line, "config-impact", version=str(version))
    if as_json:
        print_json(answer)
        return
    unknown = ["not known while no gateway runs"] if answer["batches"] is None else answer["batches"]
    typer.echo(f"version {version} ({answer['state']}), sha256 {answer['sha256']}\nassessed as {answer['reference'] or 'nothing'}")
    typer.echo(text(answer["impact"], unknown))


@configuration.command()
def approve(line: Folder, version: Number, *, meaning: Meaning, user: Person = None, password_file: PasswordFile = None) -> None:
    """Sign a version that somebody else wrote and proposed. Your password is asked for once more, for this signature."""
    answer = told(line, "config-approve", user, password_file, version=str(version), meaning=meaning)
    typer.echo(f"version {version}: {answer['state']}, sha256 {answer['sha256']}")


@configuration.command()
def reject(line: Folder, version: Number, *, meaning: Meaning, user: Person = None, password_file: PasswordFile = None) -> None:
    """Refuse a version that somebody else proposed, with a signature as well."""
    answer = told(line, "config-reject", user, password_file, version=str(version), meaning=meaning)
    typer.echo(f"version {version}: {answer['state']}")


@configuration.command()
def activate(
    line: Folder,
    version: Number,
    *,
    emergency: Emergency = False,
    reason: OptionalWhy = None,
    user: Person = None,
    password_file: PasswordFile = None,
) -> None:
    """Put an approved version into force, once no batch is open on equipment that it touches."""
    answer = told(line, "config-activate", user, password_file, reason=reason, version=str(version), emergency=emergency)
    _in_force(answer)


@configuration.command()
def rollback(
    line: Folder,
    version: Number,
    *,
    reason: Why,
    emergency: Emergency = False,
    user: Person = None,
    password_file: PasswordFile = None,
) -> None:
    """Go back to the content of an earlier approved version; it gets a number of its own."""
    answer = told(line, "config-rollback", user, password_file, reason=reason, version=str(version), emergency=emergency)
    _in_force(answer)


def _in_force(answer: dict[str, Any]) -> None:
    when = "the gateway goes over to it now" if answer["runs"] else "taken at the next start, if the line is in production"
    typer.echo(f"version {answer['version']}: {answer['state']}; {when}")
    if answer["batches"]:
        typer.echo(f"open batches, which name it in their record: {', '.join(answer['batches'])}")


@configuration.command()
def history(line: Folder, *, as_json: AsJson = False) -> None:
    """List every version: state, change, who proposed and approved it. Exit 1 if the list was damaged."""
    answer = told(line, "config-history")
    if as_json:
        print_json(answer)
    else:
        for row in answer["versions"]:
            mark = "*" if row["version"] == answer["active"] else " "
            back = f", content of {row['of']}" if row["of"] else ""
            typer.echo(f"{mark} {row['version']:>4} {row['state']:<11} {row['change_no'] or '-':<14} {row['sha256'][:16]}{back}")
            typer.echo(f"       written by {row['author']}; approved by {row['approved_by'] or 'nobody'}")
        if not answer["versions"]:
            typer.echo("no versions yet; an engineer proposes the first: ebr-gateway config propose")
        if answer["wrong"]:
            typer.echo(answer["wrong"])
    raise typer.Exit(FINDING if answer["wrong"] else GOOD)


@configuration.command()
def show(line: Folder, version: Number, *, as_json: AsJson = False) -> None:
    """Show a version with every signature: printed name, user, role, meaning, times, key. Exit 1 if the list was damaged."""
    answer = told(line, "config-show", version=str(version))
    (row,) = answer["versions"]
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"version {row['version']}: {row['state']}, change {row['change_no'] or 'none'}\nsha256 {row['sha256']}")
        typer.echo(f"impact assessment {row['impact_ref'] or 'none'}")
        for act in row["acts"]:
            typer.echo(f"{act['act']}: {act['name'] or 'no name'} ({act['user']}, {act['role']}, by {act['auth']})")
            typer.echo(f"    {act['local']}, {act['at']}; key {act['key']}")
            words = (("meaning", act["meaning"]), ("reason", act["reason"]), ("open batches", ", ".join(act["batches"])))
            for name, text in words:
                if text:
                    typer.echo(f"    {name}: {text}")
    raise typer.Exit(FINDING if answer["wrong"] else GOOD)
