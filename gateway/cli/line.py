"""Defines the commands that make, check, run and simulate a line."""

import asyncio
import logging
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from gateway.cli.base import NOT_REACHED, WRONG_INPUT, AsJson, Folder, app, fail, logging_to_stderr, print_json

log = logging.getLogger(__name__)


@app.command()
def new(line: Annotated[Path, typer.Argument(metavar="LINE", help="the folder to make")]) -> None:
    """Make a line folder to start from; the line is called as the folder."""
    from config import examples

    if line.exists():
        fail(f"{line}: exists already", WRONG_INPUT)
    try:
        examples.begin(line)
    except ValueError as error:
        fail(str(error), WRONG_INPUT)
    typer.echo(f"{line}: made. Next: edit tags.csv, then: ebr-gateway check {line}")


@app.command()
def check(line: Folder, *, as_json: AsJson = False) -> None:
    """Say every problem of a line folder at once, and what the EBR wants that nothing gives (and the other way round)."""
    from config.reports import coverage
    from gateway.runtime import assembly

    found, problems = assembly.check(line)
    report = None if found is None else coverage.report(found)
    if as_json:
        told = [{"file": p.file, "line": p.line, "message": p.message, "severity": p.severity} for p in problems]
        print_json({"problems": told, "gaps": None if report is None else coverage.as_json(report)})
    for problem in [] if as_json else problems:
        typer.echo(f"{problem}" if problem.severity == "error" else f"{problem} (warning)")
    if found is None:
        raise typer.Exit(WRONG_INPUT)
    if not as_json:
        counts = f"{len(found.sources)} sources, {len(found.tags)} tags, {len(found.steps)} steps, {len(found.parameters)} parameters"
        shown = coverage.report(found) if found.ebr_fields is not None else coverage.unattributed(found)
        if shown.gaps or found.ebr_fields is not None:
            typer.echo(coverage.text(shown))
        typer.echo(f"{found.gateway}: {counts}: good")


@app.command()
def run(line: Folder, *, verbose: Annotated[bool, typer.Option("--verbose", "-v", help="log every connection")] = False) -> None:
    """Run a line until SIGTERM or Ctrl-C."""
    from buffer import JournalError
    from gateway.runtime import choosing, gateway
    from gateway.runtime.isolate import leaves

    logging_to_stderr(verbose=verbose)
    again = True
    found = choosing.chosen(line)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            while again:
                for problem in found.line.warnings:
                    log.warning("%s", problem)
                again = runner.run(gateway.run(found.line, found))
                found = choosing.chosen(line) if again else found
    except BaseExceptionGroup as group:
        # The journal first: what else failed on the same disk while all ended (a socket's file that can not be removed) is not the cause.
        if (faults := group.subgroup((gateway.StorageFault, JournalError))) is not None:
            fail(f"{found.line.data}: the journal failed, nothing more is taken: {next(leaves(faults))}", NOT_REACHED)
        raise


@app.command()
def simulate(
    line: Folder,
    *,
    to: Annotated[Path | None, typer.Option(help="copy the folder there, with loopback addresses, and serve that")] = None,
    truth: Annotated[Path | None, typer.Option(help="folder for the ground-truth logs")] = None,
    seed: Annotated[int, typer.Option(help="same seed, same line")] = 1,
) -> None:
    """Serve every source of a line, with devices that answer at the addresses of its tag map."""
    from simulators import line as simulated

    logging_to_stderr(verbose=False)
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)  # why it can not serve is said in one line
    raise typer.Exit(simulated.simulate(line, to, truth, seed=seed))


@app.command()
def ebr(
    *,
    store: Annotated[Path, typer.Option(help="folder for what is received and the batch records")],
    http: Annotated[
        int | None, typer.Option(help="port of the receiver by HTTPS (without --tls: plain HTTP, on loopback)", min=1, max=65_535)
    ] = None,
    mqtt: Annotated[str | None, typer.Option(help="broker to receive from, mqtt://host:port or mqtts://host:port")] = None,
    page: Annotated[
        int | None, typer.Option(help="port of the page with the batch records, plain HTTP on loopback", min=1, max=65_535)
    ] = None,
    tls: Annotated[Path | None, typer.Option(help="folder with ca.crt, server.crt, server.key, client.crt, client.key")] = None,
    key: Annotated[list[Path] | None, typer.Option(help="a gateway's checkpoint-key.pub: its checkpoints must be signed by it")] = None,
) -> None:
    """Run the reference EBR: receives, dedupes, checks the chain, builds batch records."""
    from simulators import ebr as reference

    logging_to_stderr(verbose=False)
    if http is None and mqtt is None:
        fail("give --http PORT or --mqtt URL, or both", WRONG_INPUT)
    raise typer.Exit(reference.main(store, http, mqtt, tls=tls, page=page, keys=key or ()))


@app.command()
def demo(
    *,
    minutes: Annotated[float, typer.Option(help="about how long the batch takes")] = 1.0,
    directory: Annotated[Path | None, typer.Option("--dir", help="folder for everything the demo makes")] = None,
    port: Annotated[int | None, typer.Option(help="port of the EBR's page", min=1, max=65_535)] = None,
    serve: Annotated[bool, typer.Option("--serve", help="keep running afterwards, with the page")] = False,
    uplink: Annotated[Literal["mqtt", "https"], typer.Option(help="how the gateway reaches the EBR")] = "mqtt",
    seed: Annotated[int, typer.Option(help="same seed, same batch and same faults")] = 1,
) -> None:
    """Run a bundled line: simulators, gateway, reference EBR; ends with the batch record it made."""
    from gateway.demo import run_demo

    raise typer.Exit(run_demo(minutes=minutes, directory=directory, port=port, serve=serve, uplink=uplink, seed=seed))


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
