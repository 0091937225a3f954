"""When something happened, how that is known, and for whom: the words of which all that the fold remembers is made."""

from dataclasses import dataclass
from typing import Literal

Basis = Literal["observed", "found-at-start", "inferred-from-gap", "told-by-row"]
"""How an instant is known. told-by-row: a MES row says so, and nobody was watching for that row when it came to be."""


@dataclass(slots=True)
class Instant:
    """When something changed: at most `window` before `ticks`; None: nobody looked before."""

    ticks: int
    window: int | None
    basis: Basis = "observed"


@dataclass(slots=True)
class Identity:
    """Who an equipment works for. raw: an id that is ill-formed or not known, kept as it came."""

    batch: str | None = None
    order: str | None = None
    product: str | None = None
    recipe: str | None = None
    recipe_version: str | None = None
    raw: str | None = None
