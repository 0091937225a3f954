"""Follows which steps ran, and which batches were in which equipment, in an interval: also those that began before it or go on. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.validation.fallback.rows import may_overlap

Stay = tuple[str, str]
"""The equipment, and the time of its start as it is written ("" where nobody knows it)."""
Json = dict[str, Any]


class Course:
    """Steps and stays of batches that may have been in an interval. What was over before it is forgotten."""

    def __init__(self, begin: int, end: int) -> None:
        """begin, end: ticks of the interval."""
        self._begin, self._end = begin, end
        self.steps: dict[str, Json] = {}
        """The newest that is told of each step, by its record; with `end` null: no end of it is told."""
        self._stays: dict[str, dict[Stay, Json]] = {}

    def step(self, event: Mapping[str, Any], entry: str) -> None:
        """Take a start, an end or a revision of a step, whenever it was written."""
        record = str(event["record"])
        if not self._inside(event):
            self.steps.pop(record, None)
            return
        told: Json = {**event, "entry": entry}
        known = self.steps.get(record)
        if event.get("part", 1) > 1 and known is not None:
            told |= {name: [*known.get(name, ()), *event.get(name, ())] for name in event.get("sliced", ())}
        self.steps[record] = told

    def rebind(self, event: Mapping[str, Any]) -> None:
        """Take that a step is another batch's, or that two are one: then the first has the end of the other, or none as yet."""
        record, was = str(event["record"]), self.steps.pop(str(event["supersedes"]), None)
        if was is None:
            return
        known, to = self.steps.get(record), event.get("to") or {}
        told = {**(known or was), "end": was.get("end"), "record": record, "run": event.get("run", was.get("run"))}
        told |= {"batch": to.get("batch", was.get("batch")), "start": event.get("start") or told.get("start")}
        self.steps[record] = told if was.get("end") else {**told, "transition": "start"}

    def batch(self, event: Mapping[str, Any]) -> None:
        """Take that a batch came, left, or ended as a whole, or a revision of that."""
        name, transition = str(event.get("batch") or ""), event["transition"]
        stays = self._stays.setdefault(name, {})
        told = event.get("equipments", []) if transition == "end" else [event] if event.get("equipment") else []
        if transition == "end" and not event.get("superseded_by") and event.get("part", 1) == 1:
            stays.clear()
        for stay in told:
            self._stay(stays, stay, is_gone=bool(event.get("superseded_by")))
        if not stays:
            del self._stays[name]

    def batches(self) -> Iterator[tuple[str, str]]:
        """Yield (equipment, batch) of each stay that may have been in the interval."""
        for name, stays in self._stays.items():
            for equipment, _start in stays if name else ():
                yield equipment, name

    def _stay(self, stays: dict[Stay, Json], stay: Mapping[str, Any], *, is_gone: bool) -> None:
        equipment, start = str(stay["equipment"]), str((stay.get("start") or {}).get("time") or "")
        if stay.get("end"):
            for key in [key for key, one in stays.items() if key[0] == equipment and not one["end"]]:
                del stays[key]  # by now its start may be told otherwise
        stays.pop((equipment, start), None)
        if not is_gone and self._inside(stay):
            stays[equipment, start] = {"end": stay.get("end")}

    def _inside(self, told: Mapping[str, Any]) -> bool:
        return may_overlap(told.get("start"), told.get("end"), self._begin, self._end)
