"""A broker beside a test that waits for processes."""

import asyncio
import contextlib
from collections.abc import Iterator

from simulators.broker import Broker


@contextlib.contextmanager
def broker_at(port: int) -> Iterator[None]:
    """Run a broker as long as the block lasts."""
    loop = asyncio.new_event_loop()
    broker = Broker(port)
    loop.run_until_complete(broker.start())
    try:
        yield
    finally:
        loop.run_until_complete(broker.close())
        loop.close()
