"""Instruments at a pseudo-terminal or behind a converter: a floor scale that speaks MT-SICS or SBI, and any that a pattern describes."""

from collections.abc import Sequence

from config import Source, Tag
from simulators.device import Truth
from simulators.scale.device import Scale, ScaleFault
from simulators.scale.instrument import Instrument

__all__ = ["Instrument", "Scale", "ScaleFault", "at_port"]


def at_port(source: Source, tags: Sequence[Tag], truth: Truth) -> Scale | Instrument:
    """Make the instrument that a serial source speaks with. Raises NotSimulated."""
    return (Instrument if source.options.get("protocol") == "line" else Scale)(source, tags, truth)
