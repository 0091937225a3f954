"""`ebr-gateway simulate`: any valid line folder, served on this machine alone."""

import asyncio
import shutil
import signal
from collections.abc import Callable, Collection, Coroutine, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from config import Line, load
from simulators.device import NotSimulated
from simulators.line.drive import Progress, serve, unserved
from simulators.line.endpoints import elsewhere, free_ports, is_local, moved, moved_uplink
from simulators.line.failing import UnknownFailure, failures
from simulators.line.numbering import Numbering
from simulators.line.orders import Script
from simulators.line.plan import FIRST_BATCH
from simulators.line.scripted import scripted
from simulators.line.toml import NotEditable, Place, Setting, edited

GOOD, WRONG_INPUT, NOT_REACHED = 0, 2, 3
ENDS_WITHIN_S = 10.0
FAULTS_FOR_S = 7 * 86_400.0


def simulate(
    folder: Path,
    to: Path | None = None,
    truth: Path | None = None,
    *,
    seed: int = 1,
    batch_s: float = 60.0,
    only: Collection[str] = (),
    skip: Collection[str] = (),
    failing: tuple[str, ...] = (),
    faults: bool = False,
    first: int | None = None,
    console: Console | None = None,
) -> int:
    """Serve every source of the line until SIGINT or SIGTERM; returns the exit code.

    to: a folder to copy the line to if a source of it is not on loopback; the copy's endpoints are. truth: a folder for the ground-truth
    logs. only, skip: names of sources; without any, all are served. failing: `SOURCE=how`, see `failing`. faults: devices fail as the
    seed says. first: number of the first batch, None: it goes on where the last simulation of this folder ended.

    Raises ConfigError if the line folder can not be used.
    """
    say = (console or Console(highlight=False, soft_wrap=True)).print
    line = load(folder)
    try:
        if unknown := sorted({*only, *skip} - {source.name for source in line.sources}):
            say(f"line.toml: no source is called {unknown[0][:60]}: there are {', '.join(source.name for source in line.sources)}")
            return WRONG_INPUT
        fails = failures(failing, line.sources)
        left_out = unserved(line)
        for reason in left_out.values():
            say(f"line.toml: {reason}; it is not served")
        served = [each.name for each in line.sources if each.name not in {*left_out, *skip} and (not only or each.name in only)]
        if not served:
            return WRONG_INPUT
        if elsewhere(line) and to is None:
            for source in elsewhere(line):
                say(f"line.toml: source {source.name} is at {source.endpoints[0]}, not on this machine: --to DIR makes a copy that is")
            return WRONG_INPUT
        if to is not None:
            line = copied(line, to, local_ports(line))
            say(f"a copy of the line with loopback endpoints is in {to}: ebr-gateway run {to}")
        script = scripted(line, seed, FAULTS_FOR_S) if faults else ()
        numbering = Numbering(line.folder, is_part=bool(only), first=first)
        return asyncio.run(_served(line, truth, seed, batch_s, served, fails, script, say, numbering))
    except (NotEditable, NotSimulated) as error:
        say(f"line.toml: {error}")
        return WRONG_INPUT
    except UnknownFailure as error:
        say(str(error))
        return WRONG_INPUT
    except FileExistsError as error:
        say(str(error))
        return WRONG_INPUT
    except OSError as error:
        say(f"can not serve: {error}")
        return NOT_REACHED


def local_ports(line: Line) -> dict[str, str]:
    """Choose an endpoint on this machine for each source that is not local yet: source -> endpoint in a copy."""
    ports = free_ports()
    return {source.name: moved(source, next(ports)) for source in elsewhere(line)}


def copied(
    line: Line,
    to: Path,
    endpoints: Mapping[str, str],
    uplinks: Mapping[str, str] | None = None,
    more: Mapping[Place, Mapping[str, Setting]] | None = None,
) -> Line:
    """Copy the folder to `to` with these endpoints; uplinks stay on this machine too, and production becomes development.

    more: further settings by table.
    Raises FileExistsError if `to` holds something else than such a copy, NotEditable if line.toml can not be rewritten safely.
    """
    text = line.files["line.toml"].decode("utf-8-sig")
    if to.exists() and any(to.iterdir()) and not (to / "line.toml").exists():
        raise FileExistsError(f"{to}: holds something else than a line folder")
    changes: dict[Place, dict[str, Setting]] = {place: dict(settings) for place, settings in (more or {}).items()}
    if line.line.environment == "production":
        changes.setdefault(("line", None), {}).setdefault("environment", "development")
    for index, source in enumerate(line.sources):
        if source.name in endpoints:
            changes.setdefault(("source", index), {})["endpoint"] = endpoints[source.name]
    for index, uplink in enumerate(line.uplinks):
        wanted = (uplinks or {}).get(uplink.name) or (None if is_local(uplink.endpoint) else moved_uplink(uplink))
        if wanted:
            changes.setdefault(("uplink", index), {})["endpoint"] = wanted
    rewritten = edited(text, changes) if changes else text
    for name, data in line.files.items():
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(rewritten.encode() if name == "line.toml" else data)
    return load(to)


def fresh(folder: Path) -> None:
    """Empty a folder that an earlier simulation made."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


async def _served(
    line: Line,
    truth: Path | None,
    seed: int,
    batch_s: float,
    served: Collection[str],
    fails: Mapping[str, str],
    script: Script,
    say: Callable[[str], None],
    numbering: Numbering,
) -> int:
    started = asyncio.Event()

    def report(progress: Progress) -> None:
        if note := numbering.begun(progress.newest):
            say(note)
        if int(progress.at_s) % 5 == 0:
            where = "  ".join(f"{name}: {what}" for name, what in progress.situations.items())
            say(f"{progress.at_s:7.0f} s  {progress.values:9d} values  {progress.rows:5d} rows  {where}")

    how: dict[str, Any] = {"seed": seed, "batch_s": batch_s, "started": started, "report": report, "only": served, "first": numbering.first}
    serving = asyncio.create_task(serve(line, truth, **how, failing=fails, script=script, say=say))
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # Each may come first: that it serves, that it can not, that it shall end, also while it starts.
    await _first(serving, started.wait(), stop.wait())
    if started.is_set():
        for source in (each for each in line.sources if each.name in served):
            say(f"{source.name}: {source.driver} at {source.endpoints[0]}, {len(line.tags_of(source.name))} tags")
        if numbering.first > FIRST_BATCH:
            say(f"batches go on with number {numbering.first}")
        if numbering.note:
            say(numbering.note)
        say("serving; Ctrl-C ends it" + (f"; ground truth in {truth}" if truth else ""))
        await _first(serving, stop.wait())
    while not serving.done():  # again: a library may keep a cancellation to itself while it starts
        serving.cancel()
        await asyncio.wait({serving}, timeout=ENDS_WITHIN_S)
    if not stop.is_set():
        await serving  # raises why it could not serve
    return GOOD


async def _first(serving: asyncio.Task[None], *others: Coroutine[Any, Any, Any]) -> None:
    """Return as soon as serving has ended or one of the others is done."""
    waiting = [asyncio.ensure_future(other) for other in others]
    try:
        await asyncio.wait({serving, *waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for other in waiting:
            other.cancel()
