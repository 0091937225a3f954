"""Defines the command that says what is installed, and whether it is what was released."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.base import FINDING, FOLDER, GOOD, PATH, WRONG_INPUT, as_json, data_of, fail, people_of, print_json

if TYPE_CHECKING:
    from gateway.changes.release import Library, Verified

release_keys_option = click.option("--key", type=PATH, help="the supplier's public keys; /etc/ebr-gateway/release-keys unless told")


@click.command()
@click.argument("line", type=FOLDER, metavar="[LINE]", required=False, help="the line folder, to ask its gateway which version runs")
@release_keys_option
@click.option("--tests", type=FOLDER, help="the folder ebr-gateway-VERSION-tests of the release: are its test runs chained and signed?")
@as_json
def about(line: Path | None, key: Path | None, tests: Path | None, as_json: bool) -> None:
    """Say which version is installed, whether it is what was released (signature, every file), and every library against the lock.

    Exit 1: it is not, or nobody can tell; or the gateway runs another version; or --tests holds no test runs of it that are as they were.
    """
    from importlib.metadata import version

    from gateway.changes import release

    if tests is not None and not tests.is_dir():
        fail(f"--tests {tests}: no such folder: name the folder ebr-gateway-{version('ebr-gateway')}-tests of the release", WRONG_INPUT)
    place = key or release.KEYS
    made = release.verified(version("ebr-gateway"), read_keys(key), str(place))
    lock = release.lock_text()
    libraries = [] if lock is None else release.libraries(lock)
    running = None if line is None else _running(line)
    told = _told(made, libraries, lock_known=lock is not None, running=running) | {"tests": _tests(tests, made.version, read_keys(key))}
    if as_json:
        print_json(told)
    else:
        click.echo(_text(told))
    other = running is not None and running != made.version
    good = told["verified"] and lock is not None and not told["libraries_differ"] and not other
    good = good and not (told["tests"] or {}).get("problems")
    sys.exit(GOOD if good else FINDING)


def read_keys(key: Path | None) -> list[str]:
    """Read the supplier's public keys. Ends the program where they can not be read, or a file that was named is not there."""
    from gateway.changes import release

    try:
        if key is not None and not key.exists():
            fail(f"{key}: is not there", WRONG_INPUT)
        return release.release_keys(key or release.KEYS)
    except (OSError, ValueError) as error:
        fail(f"{key or release.KEYS}: {error}", WRONG_INPUT)


def _tests(folder: Path | None, version: str, publics: list[str]) -> dict[str, Any] | None:
    """Look at the test runs of the release; None: no folder was named."""
    from gateway.validation.test_runs import looked_at

    if folder is None:
        return None
    found = looked_at(folder, version, publics)
    return {**found._asdict(), "problems": list(found.problems)}


def _tests_text(told: dict[str, Any]) -> list[str]:
    found = told["tests"]
    if found is None:
        return [f"test runs        not looked at: --tests DIR, where DIR is ebr-gateway-{told['version']}-tests of the release"]
    if found["problems"]:
        state = "not there" if found["result"] == "not there" else "NOT as they were signed"
        return [f"test runs        {state}", *(f"                 {problem}" for problem in found["problems"])]
    return [f"test runs        {found['runs']}, chained, signed by {found['signed_by']}: {found['result']}"]


def _running(line: Path) -> str | None:
    from gateway.operation.control import NotRunning, ask

    try:
        return str(ask(data_of(line), people_of(line)).get("software"))
    except NotRunning:
        return None


def _told(made: "Verified", libraries: "list[Library]", *, lock_known: bool, running: str | None) -> dict[str, Any]:
    wrong = [f"{one.name} {one.wrong}" for one in libraries if one.wrong]
    return {
        "version": made.version,
        "software_sha256": made.sha256,
        "manifest_sha256": made.manifest,
        "signed_by": made.signed_by,
        "verified": not made.problems,
        "problems": list(made.problems),
        "running": running,
        "libraries": [{"name": one.name, "locked": one.locked, "installed": one.installed} for one in libraries],
        "libraries_differ": wrong if lock_known else ["the lock file is not installed: libraries can not be compared"],
    }


def _text(told: dict[str, Any]) -> str:
    verified = f"yes, signed by {told['signed_by']}" if told["verified"] else "no"
    lines = [
        f"ebr-gateway {told['version']}",
        f"installed files  SHA-256 {told['software_sha256']}",
        f"manifest         {'none' if told['manifest_sha256'] is None else 'SHA-256 ' + told['manifest_sha256']}",
        f"verified         {verified}",
        *(f"                 {problem}" for problem in told["problems"]),
    ]
    lines += _tests_text(told)
    if told["running"] is not None:
        note = "" if told["running"] == told["version"] else ": another one than is installed; restart it"
        lines.append(f"running          {told['running']}{note}")
    count, wrong = len(told["libraries"]), told["libraries_differ"]
    lines.append(f"libraries        {count - len(wrong) if count else 0} of {count} as the lock says")
    lines += [f"                 {text}" for text in wrong]
    lines += [f"  {one['name']:<24} {one['installed'] or '-'}" for one in told["libraries"]]
    return "\n".join(lines)
