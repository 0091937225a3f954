"""Defines the commands that make, check, run and simulate a line."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from gateway.cli.base import FOLDER, NOT_REACHED, PATH, PORT, WRONG_INPUT, as_json, fail, line_folder, logging_to_stderr, print_json

if TYPE_CHECKING:
    from config import Line


@click.command()
@click.argument("line", type=FOLDER, metavar="LINE", help="the folder to make")
@click.option(
    "--like", default="new", help="begin as an example: granulation, bioreactor, tablet-press, tablet-coater; else one PLC and one mixer"
)
@click.option(
    "--separator", type=click.Choice([",", ";"]), default=",", help="between the cells of the tables, as your spreadsheets have it"
)
def new(line: Path, like: str, separator: str) -> None:
    """Make a line folder to start from; the line is called as the folder."""
    from config import examples

    if line.exists():
        fail(f"{line}: exists already", WRONG_INPUT)
    like = next((name for name in examples.names() if name.startswith(f"{like}-")), like)
    if like not in examples.names():
        fail(f"--like {like[:60]}: there is none; there are {', '.join(examples.names())}", WRONG_INPUT)
    try:
        examples.begin(line, like, separator)
    except ValueError as error:
        fail(str(error), WRONG_INPUT)
    click.echo(f"{line}: made. Next: edit tags.csv, then: ebr-gateway check {line}")


@click.command()
@line_folder
@as_json
def check(line: Path, as_json: bool) -> None:
    """Say every problem of a line folder at once, and what the EBR wants that nothing gives (and the other way round)."""
    from config.reports import coverage
    from gateway.runtime import assembly

    found, problems = assembly.check(line)
    report = None if found is None else coverage.report(found)
    if as_json:
        told = [{"file": p.file, "line": p.line, "message": p.message, "severity": p.severity} for p in problems]
        print_json({"problems": told, "gaps": None if report is None else coverage.as_json(report)})
    for problem in [] if as_json else problems:
        click.echo(f"{problem}" if problem.severity == "error" else f"{problem} (warning)")
    if found is None:
        sys.exit(WRONG_INPUT)
    if not as_json:
        held = {"source": found.sources, "tag": found.tags, "step": found.steps, "parameter": found.parameters}
        counts = ", ".join(_count(len(rows), name) for name, rows in held.items())
        shown = coverage.report(found) if found.ebr_fields is not None else coverage.unattributed(found)
        if shown.gaps or found.ebr_fields is not None:
            click.echo(coverage.text(shown))
        click.echo(f"{found.gateway}: {counts}: good")
        if (version := _version_of(found)) is not None:
            click.echo(version)


def _version_of(found: Any) -> str | None:
    """Say which version the folder holds; None of a line that has none and needs none."""
    from gateway.changes import Store, place_of

    try:
        book = Store(place_of(found.folder)).read().book
    except PermissionError:  # who may read the folder need not be allowed to read what lies beside the journal
        return None
    newest_first = reversed(list(book.versions.values()))
    same = next((version for version in (book.active, *newest_first) if version is not None and version.sha256 == found.sha256), None)
    if same is not None:
        return f"this is version {same.number}, {same.state}"
    in_force = f"; version {book.active.number} is in force" if book.active else ""
    return f"this is no version yet: `ebr-gateway config propose`{in_force}" if in_force or found.line.environment == "production" else None


@click.command()
@line_folder
@click.option("--verbose", "-v", is_flag=True, help="log every connection")
def run(line: Path, verbose: bool) -> None:
    """Run a line until SIGTERM or Ctrl-C."""
    import asyncio
    import gc
    import logging

    gc.disable()  # what is imported and read for a start stays; the collector would walk it some dozen times. `gateway.run` sets it going
    from buffer import JournalError
    from gateway.runtime import choosing, gateway
    from gateway.runtime.isolate import leaves

    logging_to_stderr(verbose=verbose)
    again = True
    found = choosing.to_start(line)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            while again:
                for problem in found.line.warnings:
                    logging.getLogger(__name__).warning("%s", problem)
                click.echo(_about(found.line, line), err=True)
                again = runner.run(gateway.run(found.line, found))
                found = choosing.to_start(line) if again else found
    except BaseExceptionGroup as group:
        # The journal first: what else failed on the same disk while all ended (a socket's file that can not be removed) is not the cause.
        if (faults := group.subgroup((gateway.StorageFault, JournalError))) is not None:
            fail(f"{found.line.data}: the journal failed, nothing more is taken: {next(leaves(faults))}", NOT_REACHED)
        raise


def _count(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"


def _about(found: "Line", folder: Path) -> str:
    """Say what a gateway that starts is going to do, and where it can be watched. Nothing of it has been done yet."""
    web = found.web
    page = "no page, for line.toml has no [web]" if web is None else f"page {'https' if web.tls else 'http'}://{web.listen}/"
    counts = f"{_count(len(found.sources), 'source')}, {_count(len(found.uplinks), 'uplink')}"
    parts = [counts, page, f"journal {found.data}"]
    return f"{found.gateway} starts: {'; '.join(parts)}\n  how it is: ebr-gateway status {folder}; Ctrl-C ends it"


@click.command()
@line_folder
@click.option("--to", type=FOLDER, help="copy the folder there, with loopback addresses, and serve that")
@click.option("--truth", type=FOLDER, help="folder for the ground-truth logs")
@click.option("--seed", type=int, default=1, help="same seed, same line")
@click.option("--only", multiple=True, metavar="SOURCE", help="serve this source alone; may be given more than once")
@click.option("--skip", multiple=True, metavar="SOURCE", help="do not serve this source; may be given more than once")
@click.option(
    "--fail",
    "failing",
    multiple=True,
    metavar="SOURCE[=HOW]",
    help="this source works for 30 s and fails for 15, in turns: gone (off, restarted), silent (a pulled cable), refusing",
)
@click.option("--faults", is_flag=True, help="devices fail now and then, as the seed says")
def simulate(
    line: Path,
    to: Path | None,
    truth: Path | None,
    seed: int,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    failing: tuple[str, ...],
    faults: bool,
) -> None:
    """Serve the sources of a line, with devices that answer at the addresses of its tag map.

    --fail lets one source fail while the others go on. To decide yourself when, serve it by itself: --skip it in one terminal, --only it
    in another, and end that one.
    """
    import logging

    from simulators import line as simulated

    logging_to_stderr(verbose=False)
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)  # why it can not serve is said in one line
    sys.exit(simulated.simulate(line, to, truth, seed=seed, only=only, skip=skip, failing=failing, faults=faults))


@click.command()
@click.option("--store", type=FOLDER, required=True, help="folder for what is received and the batch records")
@click.option("--http", type=PORT, help="port of the receiver by HTTPS (without --tls: plain HTTP, on loopback)")
@click.option("--mqtt", help="broker to receive from, mqtt://host:port or mqtts://host:port")
@click.option("--page", type=PORT, help="port of the page with the batch records, plain HTTP on loopback")
@click.option("--tls", type=FOLDER, help="folder with ca.crt, server.crt, server.key, client.crt, client.key")
@click.option("--key", type=PATH, multiple=True, help="a gateway's checkpoint-key.pub: its checkpoints must be signed by it")
@click.option("--accepts", multiple=True, metavar="SCHEMA", help="take this schema and version alone (repeat): ebr-gateway/event/1")
def ebr(
    store: Path, http: int | None, mqtt: str | None, page: int | None, tls: Path | None, key: tuple[Path, ...], accepts: tuple[str, ...]
) -> None:
    """Run the reference EBR: receives, dedupes, checks the chain, builds batch records."""
    from simulators import ebr as reference

    logging_to_stderr(verbose=False)
    if wrong := [schema for schema in accepts if not re.fullmatch(r"ebr-gateway/(readings|event)/\d+", schema)]:
        fail(f"--accepts {wrong[0]}: no schema with its version; write for example ebr-gateway/readings/1", WRONG_INPUT)
    if http is None and mqtt is None:
        fail("give --http PORT or --mqtt URL, or both", WRONG_INPUT)
    sys.exit(reference.main(store, http, mqtt, tls=tls, page=page, keys=key, accepts=accepts))


@click.command()
@click.option("--minutes", type=float, default=1.0, help="about how long the batch takes")
@click.option("--dir", "directory", type=FOLDER, help="folder for everything the demo makes")
@click.option("--port", type=PORT, help="port of the EBR's page")
@click.option("--serve", is_flag=True, help="keep running afterwards, with the page")
@click.option("--uplink", type=click.Choice(["mqtt", "https"]), default="mqtt", help="how the gateway reaches the EBR")
@click.option("--seed", type=int, default=1, help="same seed, same batch and same faults")
def demo(minutes: float, directory: Path | None, port: int | None, serve: bool, uplink: Literal["mqtt", "https"], seed: int) -> None:
    """Run a bundled line: simulators, gateway, reference EBR; ends with the batch record it made."""
    from gateway.demo import run_demo

    sys.exit(run_demo(minutes=minutes, directory=directory, port=port, serve=serve, uplink=uplink, seed=seed))


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
