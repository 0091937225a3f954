"""Runs the demo's EBR in a process of its own: receives by mutual TLS, serves its pages on loopback without TLS.

Run as `python -m gateway.demo.ebr STORE TLS PAGE mqtt=URL|http=PORT`.
"""

import sys
from pathlib import Path

from simulators.ebr import main as reference


def main(store: str, tls: str, page: str, source: str) -> int:
    """Run until SIGTERM; return the exit status."""
    kind, _, where = source.partition("=")
    http, mqtt = (int(where), None) if kind == "http" else (None, where)
    return reference(Path(store), http, mqtt, tls=Path(tls), page=int(page))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
