"""What several cases look at in the end: states, the EBR against the devices' own logs, chains and signatures."""

from collections.abc import Collection
from dataclasses import asdict

from gateway.demo.compare import compare
from gateway.demo.truth import read
from gateway.validation.check import listed
from gateway.validation.line_copy import all_connected, end_of, proved, states
from gateway.validation.oq.case import Told
from gateway.validation.oq.stage import Stage


def compared(stage: Stage, told: Told, only: Collection[str] | None = None, *, every: bool = False, without: Collection[str] = ()) -> None:
    """Compare the EBR's store with the devices' own logs, source by source.

    only: these sources. every: a device that made nothing in this time is named, as not checked; else it is left out, as long as there
    are others. without: tags that a device was ordered not to have, so that its log says more than anybody could read.
    """
    truths, got = read(stage.folder / "truth"), stage.received()
    for tag in without:
        for truth in truths.values():
            truth.made.pop(tag, None)
            truth.served.pop(tag, None)
        for readings in got.readings.values():
            readings.pop(tag, None)
    found = compare(stage.line, truths, got)
    asked = {name: counts for name, counts in found.items() if name in (stage.served if only is None else only)}
    told_of = {name: counts for name, counts in asked.items() if every or counts.read or counts.received or counts.foreign}
    if not told_of:
        told.step("compare with the devices' own logs", "received; none lost, doubled or made up", "no device made anything", None)
    for name, counts in told_of.items():
        text = f"read {counts.read}, received {counts.received}, in gaps {counts.in_gaps}, lost {counts.lost}, doubled {counts.doubled}"
        good = None if counts.good and not counts.received else counts.good
        told.step(
            f"compare {name} with its own log{f' (without {listed(sorted(without))})' if without else ''}",
            "received; none lost, doubled or made up",
            f"{text}, made up {counts.foreign}{'' if counts.received else ': nothing came that could be compared'}",
            good,
            **{f"{name}-counts": asdict(counts)},
        )


__all__ = ["all_connected", "compared", "end_of", "proved", "states"]
