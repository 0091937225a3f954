"""A line folder with an observation period after go-live, and its limits."""

from datetime import date
from pathlib import Path

from kit.drop_line import drop_line

LIMITS = (
    *("incomplete_batches = 0", "coverage = 0.99", "gaps = 4", "gap_s = 600", "longest_gap_s = 300"),
    *("late_cycles = 2", "clock_bound_s = 0.5", "alarms = 1"),
)


def section(begin: date | str, until: date | str, *more: str) -> str:
    """The section. more: limits beside those of every line."""
    return f"[observation]\nfrom = {begin}\nuntil = {until}\nlimits = {{ {', '.join([*LIMITS, *more])} }}\n"


def observed_line(folder: Path, begin: date | str, until: date | str, *more: str, other: str = "") -> Path:
    """Write the folder. other: further sections."""
    return drop_line(folder, f"{other}{section(begin, until, *more)}")
