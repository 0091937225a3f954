"""Computes the parameters of a step: series of a tag, running sums, statistic, judgement, completeness statement. Pure.

A step's `Need`s say which sums its parameters are computed from; its `Book` holds these sums while the step runs; `parameter_of` makes the
step record's element from them.
"""

from gateway.parameters.accumulators import (
    Book,
    Need,
    advance,
    counted,
    extend,
    finished,
    limit_tags,
    need_of,
    opened,
    presumed,
    resolved,
    resume,
    unsighted,
)
from gateway.parameters.edges import EDGES, Edge, Edges
from gateway.parameters.given import LabResult, given
from gateway.parameters.results import completeness, parameter_of, restated
from gateway.parameters.series import Cut, Point, Track, quality, severed, usable
from gateway.parameters.sums import Sums

__all__ = [
    "EDGES",
    "Book",
    "Cut",
    "Edge",
    "Edges",
    "LabResult",
    "Need",
    "Point",
    "Sums",
    "Track",
    "advance",
    "completeness",
    "counted",
    "extend",
    "finished",
    "given",
    "limit_tags",
    "need_of",
    "opened",
    "parameter_of",
    "presumed",
    "quality",
    "resolved",
    "restated",
    "resume",
    "severed",
    "unsighted",
    "usable",
]
