"""Keeps a polling period on an absolute grid: no drift, and every late or missed poll counted."""

from dataclasses import dataclass

REPORT_EVERY_S = 60.0


@dataclass(slots=True)
class Cycle:
    """Grid points `start + n * period`. Times are the event loop's, seconds.

    A poll that begins more than half a period after its grid point is late; a grid point that passed while an earlier poll was still
    under way is missed: reading twice in a row would only make a slow device slower.
    """

    period_s: float
    due_s: float
    polls: int = 0
    late: int = 0
    missed: int = 0
    worst_s: float = 0.0
    _reported_s: float | None = None

    def begin(self, now_s: float) -> None:
        """Count the poll that begins now, and how late it is."""
        behind_s = now_s - self.due_s
        self.polls += 1
        self.late += behind_s > self.period_s / 2
        self.worst_s = max(self.worst_s, behind_s)
        if self._reported_s is None:
            self._reported_s = now_s

    def end(self, now_s: float) -> None:
        """Move on after a poll: the next grid point is the first that has not passed."""
        self.due_s += self.period_s
        if now_s > self.due_s:
            passed = int((now_s - self.due_s) // self.period_s) + 1
            self.missed += passed
            self.due_s += passed * self.period_s

    def resume(self, now_s: float) -> None:
        """Go on after a suspension, at the next grid point; the points that passed belong to a gap and are not counted here."""
        if now_s > self.due_s:
            self.due_s += (int((now_s - self.due_s) // self.period_s) + 1) * self.period_s

    def report(self, now_s: float) -> str | None:
        """Return a sentence on late and missed polls, at most once a minute; None if there were none."""
        if self._reported_s is None or now_s - self._reported_s < REPORT_EVERY_S:
            return None
        text = f"{self.polls} polls, {self.late} late, {self.missed} missed, at worst {self.worst_s * 1000:.0f} ms behind"
        report = text if self.late or self.missed else None
        self.polls = self.late = self.missed = 0
        self.worst_s, self._reported_s = 0.0, now_s
        return report
