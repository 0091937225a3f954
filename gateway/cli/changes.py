"""Defines the commands on the versions of a line's configuration: propose, decide, put into force, go back, look."""

import sys
from pathlib import Path
from typing import Any

import click

from gateway.cli.base import FINDING, FOLDER, GOOD, as_json, line_folder, print_json
from gateway.cli.documents import may_be_document, published, write
from gateway.cli.persons import by_person, password_option, person, told, with_purpose
from gateway.cli.what_runs import beside_what_runs, in_words

number = click.argument("version", type=click.IntRange(1), metavar="VERSION", help="the number of a version")
meaning_option = click.option(
    "--meaning", required=True, help="what the signature means, as `approved for production`; it stands beside your printed name"
)
emergency_option = click.option("--emergency", is_flag=True, help="wait for no batch and no approval; an alarm until qa approves")


@click.command(short_help="Freeze the folder as the next version")
@line_folder
@click.option("--change-no", required=True, help="the change's number in the site's own system")
@click.option("--author", help="the user who wrote it, if that is not you")
@by_person
def propose(line: Path, change_no: str, author: str | None, reason: str, user: str | None, password_file: Path | None) -> None:
    """Freeze the line folder as the next version, for somebody with the role qa to approve."""
    more = {} if author is None else {"author": author}
    answer = told(line, "config-propose", user, password_file, reason=reason, change_no=change_no, **more)
    touched = f"{answer['changes']} changes in the folder, highest criticality {answer['criticality']}"
    click.echo(f"version {answer['version']}: proposed, {touched}\nsha256 {answer['sha256']}")
    click.echo(f"what it touches: ebr-gateway config impact {line} {answer['version']}")
    if answer["document"]:
        click.echo(f"impact assessment: document {answer['document']['id']}, sha256 {answer['document']['sha256']}")


@click.command(short_help="Say what a version changes and touches")
@line_folder
@number
@as_json
@click.option("--into", "to", type=FOLDER, help="write what was recorded with the proposal into this folder: JSON, HTML and PDF")
def impact(line: Path, version: int, as_json: bool, to: Path | None) -> None:
    """Say what a version changes against the one in force: objects, old, new, criticality, what depends on them, tests, open batches."""
    if to is not None:
        for file in write(told(line, "config-assessment", version=str(version))["document"], to, ("json", "html", "pdf")):
            click.echo(file)
        return
    answer = told(line, "config-impact", version=str(version))
    if as_json:
        print_json(answer)
        return
    from gateway.changes.impact import text

    unknown = ["not known while no gateway runs"] if answer["batches"] is None else answer["batches"]
    click.echo(f"version {version} ({answer['state']}), sha256 {answer['sha256']}\nassessed as {answer['reference'] or 'nothing'}")
    click.echo(text(answer["impact"], unknown))


@click.command(short_help="Sign a version that somebody else proposed")
@line_folder
@number
@meaning_option
@person
@password_option
def approve(line: Path, version: int, meaning: str, user: str | None, password_file: Path | None) -> None:
    """Sign a version that somebody else wrote and proposed. Your password is asked for once more, for this signature."""
    answer = told(line, "config-approve", user, password_file, version=str(version), meaning=meaning)
    click.echo(f"version {version}: {answer['state']}, sha256 {answer['sha256']}")


@click.command(short_help="Refuse a version that somebody else proposed")
@line_folder
@number
@meaning_option
@person
@password_option
def reject(line: Path, version: int, meaning: str, user: str | None, password_file: Path | None) -> None:
    """Refuse a version that somebody else proposed, with a signature as well."""
    answer = told(line, "config-reject", user, password_file, version=str(version), meaning=meaning)
    click.echo(f"version {version}: {answer['state']}")


@click.command(short_help="Put an approved version into force")
@line_folder
@number
@emergency_option
@with_purpose
def activate(line: Path, version: int, emergency: bool, reason: str | None, user: str | None, password_file: Path | None) -> None:
    """Put an approved version into force, once no batch is open on equipment that it touches. --emergency needs --reason."""
    answer = told(line, "config-activate", user, password_file, reason=reason, version=str(version), emergency=emergency)
    _in_force(answer)


@click.command(short_help="Go back to an earlier approved version")
@line_folder
@number
@emergency_option
@by_person
def rollback(line: Path, version: int, emergency: bool, reason: str, user: str | None, password_file: Path | None) -> None:
    """Go back to the content of an earlier approved version; it gets a number of its own."""
    answer = told(line, "config-rollback", user, password_file, reason=reason, version=str(version), emergency=emergency)
    _in_force(answer)


def _in_force(answer: dict[str, Any]) -> None:
    when = "the gateway goes over to it now" if answer["runs"] else "taken at the next start, if the line is in production"
    click.echo(f"version {answer['version']}: {answer['state']}; {when}")
    if answer["batches"]:
        click.echo(f"open batches, which name it in their record: {', '.join(answer['batches'])}")


@click.command(short_help="List every version, with who approved it")
@line_folder
@as_json
def history(line: Path, as_json: bool) -> None:
    """List every version: state, change, who proposed and approved it. Exit 1 if the list was damaged."""
    answer = told(line, "config-history")
    if as_json:
        print_json(answer)
    else:
        for row in answer["versions"]:
            mark = "*" if row["version"] == answer["active"] else " "
            back = f", content of {row['of']}" if row["of"] else ""
            click.echo(f"{mark} {row['version']:>4} {row['state']:<11} {row['change_no'] or '-':<14} {row['sha256'][:16]}{back}")
            click.echo(f"       written by {row['author']}; approved by {row['approved_by'] or 'nobody'}")
        if answer["left_out"]:
            click.echo(f"{answer['left_out']} older ones are not listed; config show VERSION shows each")
        if not answer["versions"]:
            click.echo("no versions yet; an engineer proposes the first: ebr-gateway config propose")
        if answer["wrong"]:
            click.echo(answer["wrong"])
        if text := in_words(beside_what_runs(line)):
            click.echo(f"{line}: {text}")
    sys.exit(FINDING if answer["wrong"] else GOOD)


@click.command(short_help="Show a version with every signature")
@line_folder
@number
@as_json
@may_be_document
def show(line: Path, version: int, as_json: bool, to: Path | None, user: str | None, password_file: Path | None) -> None:
    """Show a version with every signature: printed name, user, role, meaning, times, key. Exit 1 if the list was damaged."""
    answer = told(line, "config-show", version=str(version))
    (row,) = answer["versions"]
    if to is not None:
        from gateway.operation.drafts import of_version

        published(line, lambda: of_version(answer), to, user, password_file)
    elif as_json:
        print_json(answer)
    else:
        click.echo(f"version {row['version']}: {row['state']}, change {row['change_no'] or 'none'}\nsha256 {row['sha256']}")
        click.echo(f"impact assessment {row['impact_ref'] or 'none'}")
        for act in row["acts"]:
            click.echo(f"{act['act']}: {act['name'] or 'no name'} ({act['user']}, {act['role']}, by {act['auth']})")
            click.echo(f"    {act['local']}, {act['at']}; key {act['key']}")
            words = (("meaning", act["meaning"]), ("reason", act["reason"]), ("open batches", ", ".join(act["batches"])))
            for name, text in words:
                if text:
                    click.echo(f"    {name}: {text}")
        for gap in answer["gaps"] or ():
            decided = (
                f"{gap['disposition']} by {gap['accepted_by']}, {gap['accepted_on']}: {gap['reason']}" if gap["disposition"] else "open"
            )
            click.echo(f"gap {gap['gap']}: {decided}")
    sys.exit(FINDING if answer["wrong"] else GOOD)


COMMANDS = (propose, impact, approve, reject, activate, rollback, history, show)
