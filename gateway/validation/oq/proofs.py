"""What several cases look at in the end: states, the EBR against the devices' own logs, chains and signatures."""

from collections.abc import Collection
from dataclasses import asdict

from gateway.demo.compare import compare
from gateway.demo.truth import read
from gateway.validation.check import listed
from gateway.validation.oq.case import Told
from gateway.validation.oq.stage import Stage


def states(stage: Stage) -> str:
    """Write the state of each source."""
    return listed([f"{name}: {state}" for name, state in sorted(stage.states().items())])


def all_connected(stage: Stage) -> bool:
    """Return whether the gateway reads every source that is served."""
    states = stage.states()
    return states.keys() == stage.served and set(states.values()) == {"connected"}


def compared(stage: Stage, told: Told, only: Collection[str] | None = None, *, every: bool = False, without: Collection[str] = ()) -> None:
    """Compare the EBR's store with the devices' own logs, source by source.

    only: these sources. every: a device that made nothing in this time is named, as not checked; else it is left out, as long as there
    are others. without: tags that a device was ordered not to have, so that its log says more than anybody could read.
    """
    truths, got = read(stage.folder / "truth"), stage.received()
    for tag in without:
        for truth in truths.values():
            truth.made.pop(tag, None)
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


async def proved(stage: Stage, told: Told) -> None:
    """Have the program prove the journal and the EBR's store."""
    for what, place in (("journal", stage.line.data), ("EBR's store", stage.folder / "ebr")):
        status, text = await stage.verified(place)
        told.step(f"verify the {what}", "good, exit status 0", f"exit {status}: {end(text)}", status == 0)


def end(text: str) -> str:
    """Write the first lines of what a command printed."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("note:")]
    return "; ".join(lines[:3])[:400] or "nothing was printed"
