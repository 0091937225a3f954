"""Runs the demo's plant in a process of its own: every source of the line, moved by its process, and an NTP responder.

Nothing moves at first. It obeys its standard input, a line each: `go`; `still` (nothing changes any more; the devices go on answering);
`turn` (the logs of the devices are set aside, and begin anew); an order as JSON with an `id` (`simulators.line.orders`, and
`{"do": "ntp", ...}` with the faults of the NTP responder), which it answers by a line of JSON with that id.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from config import Line, load
from simulators.device import Truth
from simulators.line import serve
from simulators.line.load import Load
from simulators.line.orders import Orders
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
    still, started = asyncio.Event(), asyncio.Event()
    still.set()  # the first values stay until `go`
    responder = None if given.ntp_port is None else NtpResponder(port=given.ntp_port)
    if responder is not None:
        await responder.start()
    try:
        async with asyncio.TaskGroup() as group:
            line = load(given.line)
            taken, logs = list[Orders](), list[Truth]()
            serving = group.create_task(_serve(line, given, started, still, taken, logs))
            await started.wait()
            _say("serving")
            await _obey(still, taken[0], responder, logs)
            serving.cancel()
    finally:
        if responder is not None:
            await responder.stop()


async def _serve(
    line: Line, given: argparse.Namespace, started: asyncio.Event, still: asyncio.Event, taken: list[Orders], logs: list[Truth]
) -> None:
    only = None if given.only is None else (given.only,)
    how: dict[str, Any] = {"seed": given.seed, "batch_s": given.batch_s, "started": started, "still": still, "only": only}
    load = None if given.load is None else Load(**json.loads(given.load.read_text("utf-8")))
    await serve(line, given.truth, **how, obeys=taken.append, load=load, logs=logs)


async def _obey(still: asyncio.Event, orders: Orders, responder: NtpResponder | None, logs: list[Truth]) -> None:
    reader, turns = asyncio.StreamReader(), 0
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        word = line.strip()
        if word == b"turn":
            for log in logs:
                log.turn()
            turns += 1
            _say(f"turned {turns}")
            continue
        if not word.startswith(b"{"):
            still.set() if word == b"still" else still.clear()
            continue
        order = json.loads(word)
        answer = _told_ntp(order, responder) if order.get("do") == "ntp" else await orders.obey(order)
        _say(json.dumps({"id": order.get("id"), **answer}, default=str))


def _told_ntp(order: dict[str, Any], responder: NtpResponder | None) -> dict[str, Any]:
    """Set faults of the NTP responder."""
    if responder is None:
        return {"error": "no NTP responder runs"}
    for name, value in order.items():
        if name not in ("do", "id"):
            setattr(responder.faults, name, value)
    return {}


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
