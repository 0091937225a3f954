"""Runs one source's driver: makes it, tells its port what it ended with, and when the next attempt makes sense."""

import asyncio

from drivers import Driver, DriverError, DriverMisconfigured, driver_class
from gateway.intake import Port
from gateway.runtime.isolate import leaves
from gateway.runtime.misconfigured import ASK_AGAIN_S, Stamps, changed, stamps

LOOK_EVERY_S = 5.0


class SourceWork:
    """One source's driver, made at the first attempt that can make it: what it needs and is not there stops this source alone."""

    def __init__(self, port: Port) -> None:
        """port: the source's way in, which is the driver's `Emit`."""
        self._port, self._driver = port, None
        self._needs_person = False
        self._files: Stamps = ()

    _driver: Driver | None

    async def run(self) -> None:
        """Read until cancelled. Raises what a driver may, DriverMisconfigured among it, and whatever else it does raise."""
        source = self._port.source
        self._needs_person, self._files = False, stamps(source)  # before it reads them: what changes meanwhile is asked again at once
        try:
            if self._driver is None:
                self._driver = driver_class(source.driver)(source, self._port.tags)
            await self._watched(self._driver)
        except Exception as error:
            self._needs_person = any(isinstance(leaf, DriverMisconfigured) for leaf in leaves(error))
            raise

    async def _watched(self, driver: Driver) -> None:
        """Run the driver until it raises; one that only stands, connected and silent, is ended, whatever it waits for."""
        self._port.begins()
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(self._watch())
            try:
                await driver.run(self._port)
            finally:
                watch.cancel()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self._port.identify()
            if self._port.is_hung():
                raise DriverError("its driver did not ask any more for what it had asked for; it is started again")

    def again(self, wait_s: float) -> str:
        """Say when the next attempt is made, where the supervisor waits `wait_s` after `failed`."""
        if self._needs_person:
            return f"asked again when its files change, or after {ASK_AGAIN_S:.0f} s"
        return f"next attempt in {wait_s:.1f} s"

    async def failed(self, why: str) -> None:
        """Open the gap and say why; of a source that waits for a person, return when it is to be asked again."""
        if not self._needs_person:
            await self._port.failed(why)
            return
        await self._port.failed(why, needs_person=True)
        await changed(self._port.source, self._files)
