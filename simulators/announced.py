"""Says of simulated devices that they are simulators, for whoever reads them: `config.grammars.simulated` has the sign."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from config import Source
from config.grammars.simulated import signs


@contextmanager
def announced(source: Source) -> Iterator[None]:
    """Say it within the block. Where sockets without a file are not known (other systems than Linux), nothing is said."""
    with ExitStack() as held:
        for name in signs(source.endpoints, source.folder):
            with suppress(OSError):  # another simulator says the same of the place
                held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)).bind(f"\0{name}")
        yield
