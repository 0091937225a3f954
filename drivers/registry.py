"""Which drivers there are: ours and third parties' alike, by the entry-point group `ebr_gateway.drivers`."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from drivers.contract import Driver, DriverMisconfigured

GROUP = "ebr_gateway.drivers"


@cache
def _points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def names() -> list[str]:
    """The names that a [[source]] may give as its driver, sorted."""
    return sorted(_points())


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
