"""Counts the findings of this run, and writes each warning and alarm into the program's log."""

import logging
from collections import Counter

from gateway.alarms.codes import code_of
from gateway.alarms.stream import Told

log = logging.getLogger(__name__)


class Tally:
    """The findings since the start."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()
        """(code, severity, source) -> how many. As many keys as there are codes and sources: bounded by the program and the line."""

    def heard(self, told: Told) -> None:
        """Count what was told; a warning or an alarm is one line of the log."""
        if not told.text:
            return  # the end of something that a record or a gap tells, which is no finding
        self.counts[told.code, told.severity, told.source] += 1
        if told.severity != "info":
            source = f" {told.source}:" if told.source else ""
            response = code_of(told.code).response
            log.warning("%s %s:%s %s. What to do: %s", told.severity, told.code, source, " ".join(told.text.split()), response)
