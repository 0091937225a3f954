"""Runs a clock daemon's own query command: with a deadline, in the C locale, without a shell."""

import asyncio
import os
import shutil
from collections.abc import Sequence

from gateway.clock.daemon_reading import Unreadable

DEADLINE_S = 5.0
"""chronyc gives up by itself after 3 tries within about 3 s."""
LARGEST_ANSWER_BYTES = 65_536


async def ask(command: Sequence[str], deadline_s: float = DEADLINE_S) -> str:
    """Return the command's standard output. Raises Unreadable if it is missing, fails, does not answer in time or writes too much."""
    program = shutil.which(command[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin:/sbin:/bin")
    if program is None:
        raise Unreadable(f"{command[0]} is not installed")
    environment = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    process = await asyncio.create_subprocess_exec(
        program,
        *command[1:],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
    )
    try:
        async with asyncio.timeout(deadline_s):
            out, _ = await process.communicate()
    except TimeoutError:
        raise Unreadable(f"{command[0]} gave no answer within {deadline_s:g} s") from None
    finally:
        await _end(process)
    text = out[:LARGEST_ANSWER_BYTES].decode("utf-8", "replace")
    if process.returncode:
        raise Unreadable(f"{command[0]}: {text.strip()[:200] or f'exit code {process.returncode}'}")
    return text


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the child process, whatever ended the wait for it."""
    if process.returncode is None:
        process.kill()
        await process.wait()
