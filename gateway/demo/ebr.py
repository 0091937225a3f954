"""Runs the demo's EBR in a process of its own: receives by mutual TLS, serves its pages on loopback without TLS.

Run as `python -m gateway.demo.ebr STORE TLS PAGE mqtt=URL|http=PORT`. It obeys its standard input, a JSON object a line: fields of
`simulators.ebr.receive.injected_faults.InjectedFaults`, with an `id`; it answers by a line of JSON with that id.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from simulators.ebr import main as reference
from simulators.ebr.entry import Refusal
from simulators.ebr.receive.injected_faults import InjectedFaults


def main(store: str, tls: str, page: str, source: str) -> int:
    """Run until SIGTERM; return the exit status."""
    kind, _, where = source.partition("=")
    http, mqtt = (int(where), None) if kind == "http" else (None, where)
    return reference(Path(store), http, mqtt, tls=Path(tls), page=int(page), obeys=_obey)


async def _obey(faults: InjectedFaults) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        if line.strip():
            sys.stdout.write(f"{json.dumps(_told(faults, json.loads(line)))}\n")
            sys.stdout.flush()


def _told(faults: InjectedFaults, order: dict[str, Any]) -> dict[str, Any]:
    """Set faults; those that an order does not name go on."""
    answer = {"id": order.pop("id", None), "moved": faults.moved}
    unknown = [name for name in order if not hasattr(faults, name)]
    if unknown:
        return {**answer, "error": f"there is no fault {unknown[0]}"}
    for name, value in order.items():
        setattr(faults, name, {int(seq): Refusal(*words) for seq, words in value.items()} if name == "refuse" else value)
    return answer


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
