"""What a review needs and no entry of the period tells: what the line remembers, its certificates and keys, its room. Reading only."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from buffer import read_state
from config import Line
from gateway.alarms.periodic import Kept
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339
from gateway.validation.iq_machine import certificate_files, days_left

DAY_S = 86_400.0


class Certificate(NamedTuple):
    """A certificate that the line uses. days: until it ends; None: it can not be read, and `why`."""

    whose: str
    file: str
    days: int | None
    why: str


class Capacity(NamedTuple):
    """The room of the journal. per_day: bytes that it grows by; None: not known. days_to_full None: not known. by: who says it."""

    used: int
    bound: int
    per_day: float | None
    days_to_full: float | None
    by: str


def remembered(data: Path, now: Mapping[str, Any] | None) -> Kept | None:
    """Return what a line remembers: of a running gateway's snapshot, else of the state beside its journal. None: neither tells it."""
    if now is not None:
        told = now.get("periodic")
        return None if told is None else _of_snapshot(told)
    try:
        state = orjson.loads(read_state(data) or b"null")
    except ValueError:
        return None
    held = state.get("periodic") if isinstance(state, dict) else None
    return Kept(held["began"], held["done"], held["newest"]) if isinstance(held, dict) else None


def _of_snapshot(told: Mapping[str, Any]) -> Kept:
    done = {row["what"]: from_rfc3339(row["done"]) for row in told["watched"] if row["done"]}
    began = from_rfc3339(told["known_since"]) if told["known_since"] else 0
    return Kept(began, done, {kind: dict(one) for kind, one in told["newest"].items()})


def certificates(line: Line) -> list[Certificate]:
    """Look at every certificate that the line uses."""
    return [_certificate(whose, file) for whose, file in dict.fromkeys(certificate_files(line))]


def _certificate(whose: str, file: Path) -> Certificate:
    try:
        return Certificate(whose, file.name, days_left(file), "")
    except OSError as error:
        return Certificate(whose, file.name, None, error.strerror or str(error))
    except ValueError as error:
        return Certificate(whose, file.name, None, f"can not be read: {error}")


def capacity(data: Path, max_bytes: int, now: Mapping[str, Any] | None, held: tuple[int, int] | None) -> Capacity:
    """Return the room of the journal: as the gateway says, else by its files. held: ticks of first and last entry. Raises OSError."""
    if now is not None:
        told = now["journal"]
        days, used, bound = told["days_to_full"], told["bytes"], told["bound_bytes"]
        return Capacity(used, bound, (bound - used) / days if days else None, days, "the running gateway, at the rate since its start")
    used = sum(file.stat().st_size for file in (data / "segments").glob("*") if file.is_file())
    bound = min(max_bytes, used + shutil.disk_usage(data).free)
    spent_s = (held[1] - held[0]) / TICKS_PER_S if held else 0.0
    per_day = used / spent_s * DAY_S if spent_s >= DAY_S else None
    left = None if not per_day else (bound - used) / per_day
    return Capacity(used, bound, per_day, left, "its files, by all entries that are held" if per_day else "its files, of less than a day")
