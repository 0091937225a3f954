"""Sources of a simulated line that fail for a time, again and again, while the others go on.

silent: nothing that is sent arrives any more, as after a pulled cable; the connection stays. refusing: connections end and new ones are
refused, while the device goes on. gone: the device is off, and starts anew; at a serial port: the adapter is pulled.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from config import Source
from simulators.cable import Cable
from simulators.device import Device, NotSimulated
from simulators.line.endpoints import NETWORK

WORKS_S, FAILS_S = 30.0, 15.0
HOW = ("silent", "refusing", "gone")


class UnknownFailure(ValueError):
    """What was asked for is no failure of this line; the text says which there are."""


def failures(asked: tuple[str, ...], sources: Sequence[Source]) -> dict[str, str]:
    """Read `SOURCE` or `SOURCE=how`, each for one source: source -> how. Raises UnknownFailure."""
    named, failing = {source.name: source for source in sources}, dict[str, str]()
    for text in asked:
        name, _, how = text.partition("=")
        how = how or "gone"
        if name not in named:
            raise UnknownFailure(f"--fail {text[:60]}: no source is called so: there are {', '.join(named)}")
        if how not in HOW:
            raise UnknownFailure(f"--fail {text[:60]}: a source is {', '.join(HOW[:-1])} or {HOW[-1]}")
        scheme = urlsplit(named[name].endpoints[0]).scheme
        if named[name].driver.startswith("mes_"):
            raise UnknownFailure(f"--fail {text[:60]}: {name} is files on this disk and has no link: take its file or folder away by hand")
        if how != "gone" and scheme not in NETWORK:
            raise UnknownFailure(f"--fail {text[:60]}: {name} is at a serial port, which can only be gone")
        failing[name] = how
    return failing


def behind_cable(source: Source, port: int) -> tuple[Source, Cable]:
    """Move a source's device to another port, with a cable from its own endpoint to there."""
    parts = urlsplit(source.endpoints[0])
    if parts.port is None:
        raise NotSimulated(f"source {source.name}: its endpoint names no port")
    inner = source.model_copy(update={"endpoint": parts._replace(netloc=f"127.0.0.1:{port}").geturl()})
    return inner, Cable("127.0.0.1", port, listen=parts.port)


async def fail(name: str, how: str, device: Device, cable: Cable | None, say: Callable[[str], Any]) -> None:
    """Let it work and fail in turns, for ever."""
    begin, end = _ways(how, device, cable)
    while True:
        await asyncio.sleep(WORKS_S)
        say(f"{name}: {how} for {FAILS_S:g} s")
        await begin()
        await asyncio.sleep(FAILS_S)
        await end()
        say(f"{name}: there again for {WORKS_S:g} s")


def _ways(how: str, device: Device, cable: Cable | None) -> tuple[Callable[[], Awaitable[None]], Callable[[], Awaitable[None]]]:
    if how == "gone":
        return device.stop, device.start
    assert cable is not None  # only what is in a network is silent or refuses
    if how == "refusing":
        return cable.stop, cable.start

    async def swallow() -> None:
        cable.blackhole()
        cable.silent()

    async def mend() -> None:
        cable.mend()
        cable.reset()  # what was swallowed is missing in their middle

    return swallow, mend
