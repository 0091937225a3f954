"""`ebr-gateway` as a process of its own, forked from one that has imported the program already: a start takes a third of the CPU time.

It has its own signals, files, environment and exit status, as the command has. That `run` itself starts, from nothing, is tested where it
gets an environment (secrets, credentials, a clock that is shown), by the unit of systemd and by the demo; by `make faults` in whole lines.
"""

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
IMPORTED = (
    "aiohttp.web",
    "config.loading",
    "drivers.mes_file",
    "gateway.cli.line",
    "gateway.operation.server",
    "gateway.pages.server",
    "gateway.runtime.assembly",
    "gateway.runtime.gateway",
)
"""What a gateway of the smallest line (`kit.drop_line`) imports until it runs; what is not here, each process imports itself."""
_CONTEXT.set_forkserver_preload(list(IMPORTED))


class Forked(subprocess.Popen[bytes]):
    """One command that runs; what can be asked of a Popen can be asked of it. Its output is added to a file.

    before: called in the process first, as `kit.quick_passwords.quick`.
    """

    def __init__(self, words: list[str], log: Path, environment: Mapping[str, str], before: Callable[[], None] | None = None) -> None:
        self.args = words
        self.returncode = None
        self._process = _CONTEXT.Process(target=_main, args=(words, log, dict(environment), before))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Return the exit status if it has ended; negative: the signal that ended it."""
        self.returncode = self._process.exitcode
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises TimeoutExpired."""
        self._process.join(timeout)
        if (status := self.poll()) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return status


def _main(words: list[str], log: Path, environment: dict[str, str], before: Callable[[], None] | None) -> None:
    """Become the command."""
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(out)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = ["ebr-gateway", *words]
    if before is not None:
        before()
    from gateway.cli import main

    main(words)
