"""Checks [observation]: it lasts thirty days to a year, and whatever the folder lets the gateway know of a day has a limit."""

from collections.abc import Iterator
from datetime import date

from config.checks.parsed_folder import ParsedFolder
from config.sections import Observation

LEAST_DAYS, MOST_DAYS = 30, 366
EARLIEST, LATEST = date(2000, 1, 1), date(9998, 12, 31)
"""No clock of a gateway tells of other days, and not each of their midnights is an instant of UTC that can be written."""


def check(parts: ParsedFolder) -> None:
    """Add the problems of [observation] to the document."""
    if (told := parts.sections.observation) is None:
        return
    days = (told.until - told.begin).days + 1
    if days < LEAST_DAYS:
        lasts = (
            f"`until` {told.until} is before `from` {told.begin}" if days < 1 else f"from {told.begin} until {told.until} are {days} days"
        )
        parts.document.error(("observation", "until"), f"{lasts}: at least {LEAST_DAYS} are observed after go-live")
    elif days > MOST_DAYS:
        lasts = f"from {told.begin} until {told.until} are {days:,} days: at most {MOST_DAYS} are one period"
        parts.document.error(("observation", "until"), f"{lasts}; have a later one approved when this one has ended")
    for key, one in (("from", told.begin), ("until", told.until)):
        if not EARLIEST <= one <= LATEST:
            parts.document.error(("observation", key), f"`{key}` {one}: must lie in {EARLIEST} to {LATEST}")
    for key, problem in _by_what(parts, told):
        at = ("observation", "limits", key) if getattr(told.limits, key) is not None else ("observation", "limits")
        parts.document.error(at, problem)


def _by_what(parts: ParsedFolder, told: Observation) -> Iterator[tuple[str, str]]:
    """Yield (key, what is wrong) of limits on what only some folders can know."""
    known = {
        "duplicates": (
            any(tag.limits is not None and tag.limits.max_duplicate_share is not None for tag in parts.tags),
            "a tag has max_duplicate_share",
        ),
        "reconciliation_differences": (any(one.reconcile for _, one in parts.sections.uplink), "an [[uplink]] has reconcile = true"),
        "comparison_mismatches": (parts.sections.parallel_run is not None, "there is a [parallel_run]"),
    }
    for key, (is_known, why) in known.items():
        is_limited = getattr(told.limits, key) is not None
        if is_known and not is_limited:
            yield key, f"key `{key}` is missing: {why}, so a day can be held against it"
        elif is_limited and not is_known:
            yield key, f"`{key}`: never known unless {why}: add that, or leave this limit out (reports say that it is not judged)"
