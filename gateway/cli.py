"""The command line of the EBR edge gateway.

Parse, call one function, print. Exit codes: 0 good, 1 a finding, 2 the input is wrong, 3 something could not be reached.
"""

import asyncio
import json
import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

GOOD, FINDING, WRONG_INPUT, NOT_REACHED = 0, 1, 2, 3

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None, help=__doc__.partition("\n")[0]
)

Folder = Annotated[Path, typer.Argument(metavar="LINE", help="the line folder")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


def main() -> None:
    """Entry point: one readable line per problem, no tracebacks for what a user can mend."""
    import buffer
    import config
    import drivers

    try:
        app()
    except config.ConfigError as error:
        _fail(str(error), WRONG_INPUT)
    except drivers.DriverMisconfigured as error:
        _fail(str(error), WRONG_INPUT)
    except FileNotFoundError as error:
        _fail(str(error), WRONG_INPUT)
    except buffer.JournalError as error:
        _fail(str(error), NOT_REACHED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(text: str, code: int) -> NoReturn:
    typer.echo(text, err=True)
    sys.exit(code)


def _logging(*, verbose: bool) -> None:
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for name in ("asyncua", "pymodbus", "aiosqlite", "aiohttp"):
        logging.getLogger(name).setLevel(logging.ERROR)


@app.command()
def new(line: Annotated[Path, typer.Argument(metavar="LINE", help="the folder to make")]) -> None:
    """Make a line folder to start from."""
    from config import examples

    if line.exists():
        _fail(f"{line}: exists already", WRONG_INPUT)
    examples.copy("new", line)
    typer.echo(f"{line}: made. Next: edit tags.csv, then: ebr-gateway check {line}")


@app.command()
def check(line: Folder, *, as_json: AsJson = False) -> None:
    """Say every problem of a line folder at once."""
    from gateway import assembly

    found, problems = assembly.check(line)
    if as_json:
        _print_json([{"file": p.file, "line": p.line, "message": p.message, "severity": p.severity} for p in problems])
    for problem in [] if as_json else problems:
        typer.echo(f"{problem}" if problem.severity == "error" else f"{problem} (warning)")
    if found is None:
        raise typer.Exit(WRONG_INPUT)
    if not as_json:
        counts = f"{len(found.sources)} sources, {len(found.tags)} tags, {len(found.steps)} steps, {len(found.parameters)} parameters"
        typer.echo(f"{found.gateway}: {counts}: good")


@app.command()
def run(line: Folder, *, verbose: Annotated[bool, typer.Option("--verbose", "-v", help="log every connection")] = False) -> None:
    """Run a line until SIGTERM or Ctrl-C."""
    from gateway import assembly, runtime
    from gateway.supervise import leaves

    _logging(verbose=verbose)
    found = assembly.load(line)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(runtime.run(found))
    except BaseExceptionGroup as group:
        faults = group.subgroup(runtime.StorageFault)
        if faults is None:
            raise
        _fail(f"{found.data}: the journal failed, nothing more is taken: {next(leaves(faults))}", NOT_REACHED)


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


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

    _logging(verbose=False)
    raise typer.Exit(simulated.simulate(line, to, truth, seed=seed))


@app.command()
def ebr(
    *,
    store: Annotated[Path, typer.Option(help="folder for what is received and the batch records")],
    http: Annotated[int | None, typer.Option(help="port of the HTTPS receiver and the page")] = None,
    mqtt: Annotated[str | None, typer.Option(help="broker to receive from, mqtt://host:port")] = None,
) -> None:
    """Run the reference EBR: receives, dedupes, checks the chain, builds batch records."""
    from simulators import ebr as reference

    _logging(verbose=False)
    if http is None and mqtt is None:
        _fail("give --http PORT or --mqtt URL, or both", WRONG_INPUT)
    raise typer.Exit(reference.main(store, http, mqtt))


@app.command()
def demo(
    *,
    minutes: Annotated[float, typer.Option(help="about how long the batch takes")] = 1.0,
    directory: Annotated[Path | None, typer.Option("--dir", help="folder for everything the demo makes")] = None,
    port: Annotated[int | None, typer.Option(help="port of the EBR's page")] = None,
    serve: Annotated[bool, typer.Option("--serve", help="keep running afterwards, with the page")] = False,
    seed: Annotated[int, typer.Option(help="same seed, same batch and same faults")] = 1,
) -> None:
    """Run a bundled line: simulators, gateway, reference EBR; ends with the batch record it made."""
    from gateway.demo import run_demo

    raise typer.Exit(run_demo(minutes=minutes, directory=directory, port=port, serve=serve, seed=seed))


@app.command()
def status(line: Folder, *, as_json: AsJson = False) -> None:
    """Ask the running gateway how it is. Exit 1 if something needs attention."""
    now = _asked(line)
    if as_json:
        _print_json(now)
    else:
        from gateway.terminal import status_text

        typer.echo(status_text(now))
    raise typer.Exit(FINDING if now["problems"] else GOOD)


@app.command()
def ready(line: Folder) -> None:
    """Exit 0 when the gateway runs and every source and uplink is connected; else say what is not."""
    problems = [problem for problem in _asked(line)["problems"] if not problem.startswith("clock")]
    for problem in problems:
        typer.echo(problem)
    raise typer.Exit(FINDING if problems else GOOD)


@app.command()
def top(line: Folder) -> None:
    """Show the running gateway, live; Ctrl-C leaves."""
    from gateway.terminal import live

    live(lambda: _asked(line))


@app.command()
def log(
    line: Folder,
    *,
    batch: Annotated[str | None, typer.Option(help="only this batch")] = None,
    begin: Annotated[str | None, typer.Option("--from", help="from this time on (RFC 3339)")] = None,
    end: Annotated[str | None, typer.Option("--to", help="up to this time (RFC 3339)")] = None,
    form: Annotated[str, typer.Option("--format", help="jsonl: whole entries; csv: one row per reading")] = "jsonl",
) -> None:
    """Read the journal, running or not: entries as they are stored, or readings as CSV."""
    from gateway import logs

    if form not in logs.FORMATS:
        _fail(f"--format {form}: one of {', '.join(logs.FORMATS)}", WRONG_INPUT)
    try:
        limits = logs.Limits.of(batch, begin, end)
    except ValueError as error:
        _fail(str(error), WRONG_INPUT)
    data = _data(line)
    logs.write(data, limits, form, sys.stdout)


@app.command()
def verify(
    path: Annotated[
        Path, typer.Argument(metavar="JOURNAL|ARCHIVE|STORE", help="a journal's folder, a line folder, an archive, an EBR's store")
    ],
    *,
    key: Annotated[Path | None, typer.Option(help="public key of the gateway")] = None,
    as_json: AsJson = False,
) -> None:
    """Prove that nothing was changed, removed, inserted or reordered; name the first bad entry.

    Exit 0 good, 1 bad, 2 incomplete evidence.
    """
    from buffer import verify as verifier

    target = _data(path) if (path / "line.toml").exists() else path
    raise typer.Exit(verifier.main([str(target), *(["--key", str(key)] if key else []), *(["--json"] if as_json else [])]))


def _data(line: Path) -> Path:
    """The journal's folder of a line; the folder itself need not be without problems to read what it once wrote."""
    from config import data_directory

    return data_directory(line)


def _asked(line: Path) -> dict[str, Any]:
    """The running gateway's snapshot, over its control socket."""
    from gateway.control import NotRunning, ask

    try:
        return ask(_data(line))
    except NotRunning as error:
        _fail(str(error), NOT_REACHED)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
