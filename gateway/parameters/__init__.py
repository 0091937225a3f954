"""Parameters of a step: the series of a tag, its sums, its statistic, the judgement, the completeness statement. Pure."""

from gateway.parameters.accumulators import Book, Need, advance, counted, extend, finished, limit_tags, need_of, opened, resolved
from gateway.parameters.results import completeness, parameter_of
from gateway.parameters.series import Cut, Point, Track, severed, usable

__all__ = [
    "Book",
    "Cut",
    "Need",
    "Point",
    "Track",
    "advance",
    "completeness",
    "counted",
    "extend",
    "finished",
    "limit_tags",
    "need_of",
    "opened",
    "parameter_of",
    "resolved",
    "severed",
    "usable",
]
