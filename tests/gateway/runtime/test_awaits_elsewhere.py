"""The table that says why the long test of awaits does not come to some of them: each of its places is there, and has awaits."""

from kit.await_places import function_of
from kit.awaits_elsewhere import NO_REASON, reason_of, reasons

ROOMS = ("gateway", "drivers", "buffer")


def test_each_place_of_the_table_has_awaits() -> None:
    functions = function_of(ROOMS)
    places = {f"{await_.rpartition(':')[0]}:{function}" for await_, function in functions.items()}
    gone = [place for place in reasons() if not any(f"{one}.".startswith((f"{place}.", f"{place}:")) or
            (place.endswith("/") and one.startswith(place)) for one in places)]  # fmt: skip
    assert gone == [], "the code moved: the place goes with it, or out of the table"


def test_the_longest_place_that_fits_says_why() -> None:
    assert reason_of("gateway/demo/run.py:1", "played") == reasons()["gateway/demo/"]
    assert reason_of("drivers/mes_sql/driver.py:1", "MesSqlDriver.probe.inner") == reasons()["drivers/mes_sql/driver.py:MesSqlDriver.probe"]
    assert reason_of("drivers/mes_sql/driver.py:1", "MesSqlDriver.prober") == NO_REASON
