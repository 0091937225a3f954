"""Gives commands in a person's name: who, by which password, and why. To the running gateway, or without one where none is needed."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from gateway.cli.base import NOT_REACHED, PATH, WRONG_INPUT, data_of, fail, people_of

F = TypeVar("F", bound=Callable[..., Any])

person = click.option("--user", help="who you are, where the line asks for persons")
password_option = click.option("--password-file", type=PATH, help="file with your password, - for standard input; asked for without it")
why = click.option("--reason", required=True, help="why, in at least ten characters; stands in the audit trail")
optional_why = click.option("--reason", help="what for, in at least ten characters; stands in the audit trail")
BUSY = "a gateway runs on this journal and does not answer"


def by_person(command: F) -> F:
    """Give a command the options of one that a person answers for: --reason, --user, --password-file."""
    return why(person(password_option(command)))


def with_purpose(command: F) -> F:
    """Give a command the same options where a reason need not be given: --reason, --user, --password-file."""
    return optional_why(person(password_option(command)))


def told(
    line: Path, command: str, by: str | None = None, password_file: Path | None = None, /, *, reason: str | None = None, **more: Any
) -> dict[str, Any]:
    """Have a command carried out in the name of a person; return its answer. Ends the program where it is not carried out."""
    said = {"reason": reason} if reason is not None else {}
    answer = answered(line, command, {**credentials(by, password_file), **said, **more})
    if "error" in answer:
        fail(answer["error"], WRONG_INPUT)
    return answer


def credentials(user: str | None, password_file: Path | None) -> dict[str, str]:
    """Return who asks, with the password: from a file, from standard input, or typed. Never from the arguments, which everybody can see."""
    if user is None:
        if password_file is not None:
            fail("--password-file: whose? say who you are with --user", WRONG_INPUT)
        return {}
    return {"as_user": user, "password": secret(password_file, f"password of {user}")}


def secret(file: Path | None, what: str, *, twice: bool = False) -> str:
    """Read a password from a file or from a line of standard input (`-`), or have it typed."""
    if file is None:
        return str(click.prompt(what, hide_input=True, confirmation_prompt=twice, err=True))
    if str(file) == "-":
        return sys.stdin.readline().rstrip("\r\n")
    if file.stat().st_mode & 0o077:
        fail(f"{file}: others may read it: chmod 600", WRONG_INPUT)
    return file.read_text("utf-8").split("\n")[0].rstrip("\r")


def answered(line: Path, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Have a command carried out and return its answer, with `error` where it was not. Ends the program where nobody can be asked."""
    from gateway.operation.control import NotRunning, tell

    try:
        return tell(data_of(line), command, people=people_of(line), **arguments)
    except NotRunning as error:
        from gateway.operation.offline_commands import works_offline

        if error.barred or not works_offline(command):
            fail(str(error), NOT_REACHED)
    return offline(line, command, arguments)


def offline(line: Path, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Carry a command out while no gateway runs. Ends the program if one does."""
    import config
    from gateway.operation.offline_commands import done_offline
    from gateway.runtime import assembly

    try:
        return done_offline(config.identity(line), command, arguments, assembly.check)
    except BlockingIOError:
        fail(f"{data_of(line)}: {BUSY}", NOT_REACHED)
