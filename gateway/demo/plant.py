"""Runs the demo's plant in a process of its own: every source of the line, moved by its process, and an NTP responder.

Nothing moves at first. It obeys its standard input, a word per line: `go`; `still` (nothing changes any more; the devices go on answering);
`turn` (the logs of the devices are set aside, and begin anew).
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from config import Line, load
from simulators.device import Truth
from simulators.line import serve
from simulators.line.load import Load
from simulators.ntp import NtpResponder


def main() -> None:
    """Run the plant: `python -m gateway.demo.plant LINE --truth DIR`."""
    parser = argparse.ArgumentParser(prog="gateway.demo.plant")
    parser.add_argument("line", type=Path)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch-s", type=float, default=60.0)
    parser.add_argument("--ntp-port", type=int)
    parser.add_argument("--only", help="serve this source alone")
    parser.add_argument("--load", type=Path, help="a file with a load: speed, and rates by tag")
    given = parser.parse_args()
    asyncio.run(_plant(given))


async def _plant(given: argparse.Namespace) -> None:
    still, started, logs = asyncio.Event(), asyncio.Event(), list[Truth]()
    still.set()  # the first values stay until `go`
    responder = None if given.ntp_port is None else NtpResponder(port=given.ntp_port)
    if responder is not None:
        await responder.start()
    try:
        async with asyncio.TaskGroup() as group:
            line = load(given.line)
            serving = group.create_task(_serve(line, given, started, still, logs))
            await started.wait()
            sys.stdout.write("serving\n")
            sys.stdout.flush()
            await _obey(still, logs)
            serving.cancel()
    finally:
        if responder is not None:
            await responder.stop()


async def _serve(line: Line, given: argparse.Namespace, started: asyncio.Event, still: asyncio.Event, logs: list[Truth]) -> None:
    only = None if given.only is None else (given.only,)
    load = None if given.load is None else Load(**json.loads(given.load.read_text("utf-8")))
    await serve(line, given.truth, seed=given.seed, batch_s=given.batch_s, started=started, still=still, only=only, load=load, logs=logs)


async def _obey(still: asyncio.Event, logs: list[Truth]) -> None:
    reader, turns = asyncio.StreamReader(), 0
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while word := await reader.readline():
        if word.strip() == b"turn":
            for log in logs:
                log.turn()
            turns += 1
            sys.stdout.write(f"turned {turns}\n")
            sys.stdout.flush()
        elif word.strip() == b"still":
            still.set()
        else:
            still.clear()


if __name__ == "__main__":
    main()
