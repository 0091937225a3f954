"""When something happened, how that is known, and for whom: the words of which all that the fold remembers is made."""

from dataclasses import dataclass, field
from typing import Literal

Basis = Literal["observed", "found-at-start", "inferred-from-gap", "told-by-row"]
"""How an instant is known. told-by-row: a MES row says so, and nobody was watching for that row when it came to be."""


@dataclass(slots=True)
class Proof:
    """What makes an instant observed: these tags were, from `before` ticks before it until `after` ticks after it.

    A change counts once it has stood still, so it was observed if its signal was, for all of that time. `before` is negative where a gap's
    end is later than the time that the device gives the change: what was read there has stood since.
    """

    tags: list[str] = field(default_factory=list)
    before: int = 0
    after: int = 0


@dataclass(slots=True)
class Instant:
    """When something changed: at most `window` before `ticks`; None: nobody looked before, or nobody knows how long.

    `basis` is as it was read. Whether nobody looked later on, `standing.known` says; without a proof, it is as it is.
    """

    ticks: int
    window: int | None
    basis: Basis = "observed"
    proof: Proof | None = None


@dataclass(slots=True)
class Identity:
    """Who an equipment works for. raw: an id that is ill-formed or not known, kept as it came."""

    batch: str | None = None
    order: str | None = None
    product: str | None = None
    recipe: str | None = None
    recipe_version: str | None = None
    raw: str | None = None
