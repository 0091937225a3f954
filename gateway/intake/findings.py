"""Findings about a source: as events, and each told once until it changes."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from config import Source, Tag
from drivers.contract import Finding
from gateway.clock import Offset
from gateway.entries.printable import printable
from gateway.intake.drafts import EventDraft

_MISFITS = {
    "type-differs": "the source sent another type; stored as Bad",
    "value-outside-type": "the value does not fit the type; stored as Bad",
    "not-a-number": "NaN or infinity; stored as Bad",
    "text-too-long": "the text is longer than an entry may hold; stored as Bad",
    "value-unusable": "the value can not be converted; stored as Bad",
    "code-unlisted": "a code that its table does not list; stored as Uncertain",
}
OTHERS_EVERY_S = 60.0


class Findings:
    """What has been found of one source."""

    def __init__(self, source: str, tags: Sequence[Tag]) -> None:
        self._source, self._tags = source, tags
        self._told: dict[tuple[str, tuple[int, ...]], str] = {}

    def draft(self, finding: Finding) -> EventDraft:
        """Draft its event, whether or not it has been told."""
        return EventDraft(finding_event(finding, self._source, self._tags), self._source)

    def is_news(self, finding: Finding) -> bool:
        """True unless the same text was noted last for this code and these tags."""
        return self._told.get((finding.code, finding.tags)) != finding.text

    def note(self, finding: Finding) -> None:
        """Remember that it has been told; what is over (`CODE-over`) may begin again, and what began may end again."""
        code = finding.code
        self._told.pop((code.removesuffix("-over") if code.endswith("-over") else f"{code}-over", finding.tags), None)
        self._told[finding.code, finding.tags] = finding.text

    def of_misfits(self, misfits: Iterable[tuple[str, int, Any]]) -> list[EventDraft]:
        """Draft, and note, what is news among values that their tags' declarations do not hold."""
        drafts = []
        for code, index, value in misfits:
            finding = misfit(code, index, self._tags[index], value)
            if self.is_news(finding):
                self.note(finding)
                drafts.append(self.draft(finding))
        return drafts


def finding_event(finding: Finding, source: str, tags: Sequence[Tag] = ()) -> dict[str, Any]:
    """Give the event of a finding. tags: those of the source, by which its indexes become names."""
    named = [tags[index].tag for index in finding.tags]
    return {"type": "finding", "source": source, **asdict(finding), "text": printable(finding.text), "tags": named}


def misfit(code: str, index: int, tag: Tag, value: Any) -> Finding:
    """Give the finding of a value that its tag's declaration does not hold."""
    return Finding(code, f"{tag.tag}: {_MISFITS[code]} (declared {tag.type})", (index,), evidence={"value": shown(value)})


def shown(value: Any) -> str:
    """Show a value as it was decoded, shortened; of one that can not be shown (an integer of too many digits) its type."""
    try:
        return repr(value)[:200]
    except Exception:  # noqa: BLE001 - a second fault while the first is told
        return f"a {type(value).__name__}"


def not_asked(source: str, tags: tuple[int, ...] | None, *, tells_rows: bool = False) -> Finding:
    """Give the finding that nobody asks for some tags of a source (in a source of rows: for its rows); tags None: all are asked again.

    tells_rows: it is asked, as far as anybody knows, and does not answer: one question to it may take minutes.
    """
    if tags is None:
        back = "answers again" if tells_rows else "everything is asked for again"
        return Finding("source-not-asked", f"{source}: {back}", (), severity="info")
    what = f"{len(tags)} tag{'s' if len(tags) > 1 else ''}" if tags else "its rows"
    why = f"nobody asks for {what}, though it is connected and nothing has failed"
    if tells_rows:
        why = f"no answer about {what}, though it is connected and nothing has failed: a lock, a slow query or a slow folder may hold it up"
    text = f"{source}: {why}; what it has meanwhile is in a gap"
    return Finding("source-not-asked", text, tags, severity="alarm")


class NotAsked:
    """Says which tags of a source nobody asks for: at once, then which others once a minute; and when all are asked for again.

    On a bus that is asked too much tags fall behind in turn, each second others: their gaps say so, and not an alarm of each.
    """

    def __init__(self, source: Source) -> None:
        self._source, self._tells_rows = source.name, source.tells_rows
        self._stands, self._said, self._said_s = False, frozenset[int](), 0.0

    def news(self, unasked: Sequence[int], now_s: float, *, tagged: bool) -> Finding | None:
        """Give what is to be said now. unasked: indexes of tags; tagged: False of a source of rows alone. now_s: CLOCK_MONOTONIC."""
        stood, self._stands = self._stands, bool(unasked)
        self._said &= frozenset(unasked)
        if not unasked:
            return not_asked(self._source, None, tells_rows=self._tells_rows) if stood else None
        if self._said.issuperset(unasked) or (stood and now_s - self._said_s < OTHERS_EVERY_S):
            return None
        self._said, self._said_s = frozenset(unasked), now_s
        return not_asked(self._source, tuple(unasked) if tagged else (), tells_rows=self._tells_rows)


def clock_off(source: Source, offset: Offset) -> Finding:
    """Give the finding of a source's clock that has left its limit, or has come back."""
    how = "asked for its time" if offset.by == "question" else "by the stamps of its values"
    by_how_much = f"{offset.offset_s:+.3f} s (+-{offset.bound_s:.3f} s) against ours, limit {source.max_offset_s:g} s"
    evidence = {"offset_s": offset.offset_s, "bound_s": offset.bound_s, "limit_s": source.max_offset_s, "by": offset.by}
    text = f"{source.name}: its clock, {how}, is {by_how_much}"
    return Finding("source-clock-off", text, severity="alarm" if offset.above else "info", evidence=evidence)
