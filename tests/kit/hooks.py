"""A web server of anybody's that takes whatever is put or posted: messages of alarms, notes of checkpoints."""

import threading
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Taken(BaseHTTPRequestHandler):
    """Takes whatever is put or posted."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_PUT  # noqa: N815 - the library's name

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def taking(port: int, stack: ExitStack, handler: type[Taken] = Taken) -> None:
    """Listen until the stack ends."""
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stack.callback(server.shutdown)
