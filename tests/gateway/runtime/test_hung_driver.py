"""A driver that stands, connected and silent, whatever it waits for, is ended as a failure that time may cure."""

import asyncio
from typing import Any, ClassVar, cast

import pytest
from pydantic import BaseModel

from config import Source
from drivers import Driver, DriverError, Emit
from gateway.intake import Port
from gateway.runtime import source as source_module
from gateway.runtime.isolate import leaves
from gateway.runtime.source import SourceWork


class Options(BaseModel):
    """None."""


class Standing(Driver):
    """Waits for what never comes."""

    Settings: ClassVar[type[BaseModel]] = Options
    ended = 0

    async def run(self, emit: Emit) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            type(self).ended += 1


class AtTheSeam:
    """As much of a port as the work of a source asks."""

    def __init__(self) -> None:
        self.source, self.tags, self.hung, self.begun = Source(name="plc", driver="modbus", endpoint="x"), (), False, 0

    def is_hung(self) -> bool:
        return self.hung

    def identify(self) -> None:
        """It is no simulator."""

    def begins(self) -> None:
        self.begun += 1


@pytest.mark.urs("URS-DAQ-11")
async def test_a_driver_that_asks_no_more_is_ended_and_may_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(source_module, "driver_class", lambda _: Standing)
    port: Any = AtTheSeam()
    work = SourceWork(cast("Port", port))
    running = asyncio.create_task(work.run())
    await asyncio.sleep(0)
    assert not running.done()
    port.hung = True
    with pytest.raises(ExceptionGroup) as raised:
        await running
    (why,) = leaves(raised.value)
    assert isinstance(why, DriverError)
    assert "did not ask any more" in str(why)
    assert (Standing.ended, port.begun) == (1, 1)

    port.hung = False
    again = asyncio.create_task(work.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    again.cancel()
    with pytest.raises(asyncio.CancelledError):
        await again
    assert (Standing.ended, port.begun) == (2, 2)
