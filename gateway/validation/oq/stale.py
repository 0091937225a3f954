"""Values that stand still and say Good: of a tag that must change all the time, by the map, it is a gap; of others nobody can tell."""

from collections.abc import Mapping, Sequence
from typing import Any

from config import Tag
from gateway.demo.received import Gap, Received
from gateway.validation.oq.case import NotPlayed, Told
from gateway.validation.oq.proofs import compared, proved
from gateway.validation.oq.stage import Stage

LONGEST_S, MORE_S = 300.0, 60.0
"""A tag that may be silent for longer is not waited for."""
MOST_TAGS = 5
NONE = (
    f"no tag of an OPC UA source has to change all the time (max_silence_s up to {LONGEST_S:.0f} s in tags.csv): of others nobody can tell"
    " a value that stands still from one that is right"
)


async def stale(stage: Stage, told: Told, seconds: float) -> None:
    """Have tags keep their value for longer than the map lets them be silent, while their device goes on with the others."""
    sources = {source.name for source in stage.line.sources if source.driver == "opcua" and source.name in stage.served}
    tags = [tag for tag in stage.line.tags if tag.source in sources and 0 < (tag.max_silence_s or 0) <= LONGEST_S][:MOST_TAGS]
    if not tags:
        raise NotPlayed(NONE, applies=False)
    within_s = max(tag.max_silence_s or 0 for tag in tags) + MORE_S
    async with stage.running():
        await stage.passes(seconds / 4)
        before = len(stage.received().findings)
        for tag in tags:
            await stage.order(do="hold", tag=tag.tag, value=_last(stage.received(), tag))
        await stage.seen(lambda: named(stage.received().findings[before:], "tag-silent") >= {tag.tag for tag in tags}, within_s)
        for tag in tags:
            await stage.order(do="free", tag=tag.tag)
        await stage.seen(lambda: all(ended(gaps_of(stage.received(), tag), tag) for tag in tags), within_s)
        await stage.at_rest()
    judge(told, tags, stage.received(), before)
    compared(stage, told, sources)
    await proved(stage, told)


def _last(got: Received, tag: Tag) -> Any:
    """Return the value that a tag has: what it keeps is nothing new."""
    readings = got.readings.get(tag.source, {}).get(tag.tag, [])
    return readings[-1].value if readings else 0


def named(findings: Sequence[Mapping[str, Any]], code: str) -> set[str]:
    """Return the tags that findings of a code name."""
    return {str(name) for one in findings if one["code"] == code for name in one.get("tags", ())}


def gaps_of(got: Received, tag: Tag) -> list[Gap]:
    """Return the gaps of a tag's silence, in their order."""
    return [gap for gap in got.gaps_of(tag.source) if gap.cause == "silence" and not isinstance(gap.tags, str) and tag.tag in gap.tags]


def ended(gaps: Sequence[Gap], tag: Tag) -> list[Gap]:
    """Return those that have ended."""
    return [gap for gap in gaps if gap.end is not None or tag.tag in gap.ends]


def judge(told: Told, tags: Sequence[Tag], got: Received, before: int) -> None:
    """Say of each tag whether its silence is told, and is a gap that has ended. before: so many findings are of before."""
    silent = named(got.findings[before:], "tag-silent")
    for tag in tags:
        gaps = gaps_of(got, tag)
        over = ended(gaps, tag)
        text = f"{'tag-silent' if tag.tag in silent else 'nothing is told'}; gaps of silence {len(gaps)}, ended {len(over)}"
        action = f"have {tag.tag} stand still for longer than {tag.max_silence_s:g} s, and move again"
        told.step(action, "tag-silent, and a gap of it, which ends when it moves again", text, tag.tag in silent and bool(over))
