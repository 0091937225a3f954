"""Implements `ebr-gateway demo`: one function from arguments to exit code."""

import asyncio
import contextlib
import signal
import sys
from pathlib import Path

from rich.console import Console

from config import ConfigError
from gateway.demo.processes import Died
from gateway.demo.result import judge
from gateway.demo.setting import By, NotOurs, Setting, prepare
from gateway.demo.show import opening, shown
from gateway.demo.story import Cast, TooSlow, cast, play, stop_gateway
from gateway.demo.view import View
from simulators.line.plan import Plan

GOOD, FINDING, WRONG_INPUT, NOT_REACHED, INTERRUPTED = 0, 1, 2, 3, 130
FOLDER = Path("demo-run")
WIDE = 120


def run_demo(
    *, minutes: float = 1.0, directory: Path | None = None, port: int | None = None, serve: bool = False, seed: int = 1, uplink: By = "mqtt"
) -> int:
    """Run the bundled line until its batch is closed and receipted, compare, print. Returns the exit code.

    uplink: both kinds by mutual TLS, with certificates that the demo makes.

    0: what the EBR holds equals the ground truth, the chain is whole, the batch complete. 1: it is not. 2: the arguments are wrong.
    3: a part did not start or died. 130: interrupted. Every process that it started has ended when it returns.
    """
    console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=WIDE)
    if not 0.2 <= minutes <= 600:
        console.print("--minutes: between 0.2 and 600")
        return WRONG_INPUT
    try:
        setting = prepare((directory or FOLDER).resolve(), seed, minutes * 60, port, uplink)
    except (NotOurs, ConfigError) as error:
        console.print(str(error))
        return WRONG_INPUT
    try:
        return asyncio.run(_demo(setting, console, serve=serve))
    except (Died, TooSlow, OSError) as error:
        return _failed(console, setting, error)
    except ExceptionGroup as group:
        known, unknown = group.split((Died, TooSlow, OSError))
        if unknown is not None or known is None:
            raise
        return _failed(console, setting, known.exceptions[0])
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("interrupted; every process that the demo started has ended")
        return INTERRUPTED


def _failed(console: Console, setting: Setting, error: BaseException) -> int:
    logs = setting.folder / "logs"
    console.print(f"logs: {logs}\nNO VERDICT: {error}; nothing was compared. Try again on a machine that is less busy", style="bold red")
    return NOT_REACHED


async def _demo(setting: Setting, console: Console, *, serve: bool) -> int:
    me = asyncio.current_task()
    assert me is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, me.cancel)
    opening(console, setting)
    batch = first_batch(setting)
    async with cast(setting, View(console), batch) as parts:
        with parts.view:
            await play(parts)
            status = None if serve else await stop_gateway(parts)
        result = await asyncio.to_thread(judge, setting.line, batch, setting.truth, setting.store, status)
        shown(console, setting, result)
        if serve:
            await _keep(console, setting, parts)
    return FINDING if result.problems else GOOD


async def _keep(console: Console, setting: Setting, parts: Cast) -> None:
    """Keep the plant running until Ctrl-C, which is then a normal end."""
    await parts.plant.say("go")
    console.print(
        f"\nrunning on; the EBR's page is http://127.0.0.1:{setting.page}/, the gateway's http://127.0.0.1:{setting.web}/; Ctrl-C ends it"
    )
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()


def first_batch(setting: Setting) -> str:
    """Return the batch that the demo follows."""
    return Plan(setting.line, setting.seed, setting.batch_s).stays(-1.0, 1.0)[0].identity["batch"]
