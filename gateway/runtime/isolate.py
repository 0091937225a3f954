"""Keeps a source apart from the others: whatever its driver raises is its own failure, never the end of the gateway."""

import logging
from collections.abc import Awaitable, Callable

from drivers import Driver, DriverError, DriverMisconfigured, Emit

log = logging.getLogger(__name__)


class DriverCrashed(DriverError):
    """A driver raised what its contract does not allow: a bug of its own. It is started again; the other sources go on."""


def isolated(name: str, driver: Driver, emit: Emit, stop_on: type[Exception]) -> Callable[[], Awaitable[None]]:
    """Return an attempt at `driver.run(emit)` in which a bug of the driver counts as a failure of its source alone.

    Storage errors (`stop_on`) come out of emit and pass through: they end the program, not the driver.
    """

    async def attempt() -> None:
        try:
            await driver.run(emit)
        except (DriverError, DriverMisconfigured, stop_on):
            raise
        except ExceptionGroup as group:
            # What the contract allows may stand in a group beside bugs: the bugs are logged, and named as the cause.
            allowed, bugs = group.split((DriverError, DriverMisconfigured, stop_on))
            if bugs is None:
                raise
            log.error("%s: the driver crashed", name, exc_info=bugs)  # noqa: TRY400 - the bugs alone
            raise DriverCrashed(f"driver crashed: {bugs.exceptions[0]!r}") from (allowed or bugs)
        except Exception as error:
            log.exception("%s: the driver crashed", name)
            raise DriverCrashed(f"driver crashed: {error!r}") from error

    return attempt
