"""Which drivers there are: ours and third parties' alike, by the entry-point group `ebr_gateway.drivers`."""

from collections.abc import Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from config import Source, Tag
from drivers.contract import Driver, DriverMisconfigured, RowTags

GROUP = "ebr_gateway.drivers"


@cache
def _points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def names() -> list[str]:
    """The names that a [[source]] may give as its driver, sorted."""
    return sorted(_points())


def asks(source: Source) -> bool:
    """Return whether a source's driver asks for each tag at its rate (`Driver.asks`); False where its driver can not be asked that."""
    try:
        return driver_class(source.driver).asks(source)
    except Exception:  # noqa: BLE001 - a driver's bug, or a package that is not there: that is told where it is made
        return False


def due_every_ms(source: Source, tags: Sequence[Tag]) -> list[int | None]:
    """List how often a value of each tag is declared to be due (`Driver.due_every_ms`); never where its driver can not be asked that."""
    try:
        return driver_class(source.driver).due_every_ms(source, tags)
    except Exception:  # noqa: BLE001 - as above
        return [None] * len(tags)


def byte_orders(source: Source, tags: Sequence[Tag]) -> list[str | None]:
    """List in which order the bytes of each tag come (`Driver.byte_orders`); none has one where its driver can not be asked that."""
    try:
        return driver_class(source.driver).byte_orders(source, tags)
    except Exception:  # noqa: BLE001 - as above
        return [None] * len(tags)


def row_tags(source: Source, tags: Sequence[Tag]) -> RowTags | None:
    """Tell which tags name which columns of rows that keep their keys (`Driver.row_tags`); None where its driver can not be asked that."""
    try:
        return driver_class(source.driver).row_tags(source, tags)
    except Exception:  # noqa: BLE001 - as above
        return None


def driver_class(name: str) -> type[Driver]:
    """The class registered under this name. Raises DriverMisconfigured: unknown, not importable, or not a Driver."""
    point = _points().get(name)
    if point is None:
        raise DriverMisconfigured(f"no driver is called {name!r}; there are: {', '.join(names())}")
    try:
        found = point.load()
    except ImportError as error:
        raise DriverMisconfigured(f"driver {name!r} can not be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Driver)):
        raise DriverMisconfigured(f"driver {name!r} ({point.value}) is not a drivers.Driver")
    return found
