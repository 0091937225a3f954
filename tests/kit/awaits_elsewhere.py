"""Why no task of the lines of kit.awaits_line comes to an await: a table of places of the source, of which the longest that fits counts.

A place is a folder (`gateway/demo/`), a file, or a function of a file (`drivers/mes_sql/driver.py:MesSqlDriver.probe`).
"""

import csv
from functools import cache
from pathlib import Path

NO_REASON = "by chance, or for a reason that nobody has written down"
_TABLE = Path(__file__).with_suffix(".csv")


@cache
def reasons() -> dict[str, str]:
    """Read the table: place -> reason."""
    with _TABLE.open(newline="", encoding="utf-8") as rows:
        return {row["place"]: row["reason"] for row in csv.DictReader(rows)}


def reason_of(await_: str, function: str) -> str:
    """Say why nobody comes to an await, `gateway/demo/run.py:12`, of this function."""
    file = await_.rpartition(":")[0]
    whole = f"{file}:{function}"
    fits = [place for place in reasons() if _holds(place, file, whole)]
    return reasons()[max(fits, key=len)] if fits else NO_REASON


def _holds(place: str, file: str, whole: str) -> bool:
    return place in (file, whole) or whole.startswith(f"{place}.") or (place.endswith("/") and file.startswith(place))
