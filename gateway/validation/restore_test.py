"""The test of a backup: restored beside the line, proved, compared, decided again, timed, and thrown away (URS-OPS-02)."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from buffer import read_journal, verify
from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text
from buffer.restore import backup as backups
from gateway.documents import draft
from gateway.documents.deviations import blocks_of_deviations, deviations_of
from gateway.evidence import recompute
from gateway.evidence.restored_rows import RestoredRows
from gateway.intake.preamble import software_version
from gateway.validation.bundle import Bundle
from gateway.validation.check import Asked, Check, NotChecked, listed, result
from gateway.validation.iq import counts
from gateway.validation.run import Run, evidence_blocks, sign_off

KIND = "restore-test"
WITHIN_H = 4.0
"""The recovery time that is declared unless the plant declares another."""
MOST_NAMED, MOST_KEPT = 5, 1_000


class Given(NamedTuple):
    """What is tested. live: the line's journal. key: text with public keys. within_s: the declared recovery time."""

    gateway: str
    live: Path
    source: Path
    ebr: Path | None
    key: str
    within_s: float


class Compared(NamedTuple):
    """Restored entries against those of the live journal. only_live: up to the backup's end, and not restored."""

    equal: int
    different: tuple[str, ...]
    only_live: tuple[str, ...]
    only_restored: int


def compared(restored: Path, live: Path, through: tuple[int, int]) -> Compared:
    """Compare entry by entry, up to the last one of the backup. What retention has taken from the live journal is only restored.

    Both are read in their order, side by side: a journal of years is no larger in memory than one of minutes.
    """
    equal, only_restored = 0, 0
    different: list[str] = []
    only_live: list[str] = []
    mine, theirs = (_digests(folder, through) for folder in (restored, live))
    one, other = next(mine, None), next(theirs, None)
    while one or other:
        if other is None or (one is not None and one[0] < other[0]):
            only_restored, one = only_restored + 1, next(mine, None)
        elif one is None or other[0] < one[0]:
            _named(only_live, other[0])
            other = next(theirs, None)
        else:
            equal += one[1] == other[1]
            if one[1] != other[1]:
                _named(different, one[0])
            one, other = next(mine, None), next(theirs, None)
    return Compared(equal, tuple(different), tuple(only_live), only_restored)


def _digests(folder: Path, through: tuple[int, int]) -> Iterator[tuple[tuple[int, int], str]]:
    yield from (((entry.epoch, entry.seq), entry.digest) for entry in read_journal(folder) if (entry.epoch, entry.seq) <= through)


def _named(kept: list[str], at: tuple[int, int]) -> None:
    """Keep the place of an entry; of very many the first."""
    if len(kept) < MOST_KEPT:
        kept.append(f"{at[0]}/{at[1]}")


def newest_batch(data: Path) -> str | None:
    """Return the batch that ended last in a journal; None if none did."""
    newest = None
    for entry in read_journal(data):
        if b'"event":{"type":"batch","transition":"end"' in entry.payload:
            newest = str(json.loads(entry.payload)["event"]["batch"])
    return newest


@contextmanager
def _place(bundle: Bundle) -> Iterator[Path]:
    place = bundle.folder / "restored"
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def tested(given: Given, bundle: Bundle, run: Run) -> dict[str, Any]:
    """Restore into the bundle's folder, look, throw away; return the draft of the document. Raises OSError."""
    with _place(bundle) as place:
        checks, took_s = checked(given, place)
    bundle.keep("checks.json", json.dumps([check._asdict() for check in checks], indent=1, ensure_ascii=False).encode())
    sums = bundle.facts()
    plain = [{**check._asdict(), "urs": list(check.urs)} for check in checks]
    deviations = deviations_of(plain)
    facts = {"checks": plain, "counts": counts(checks), "deviations": deviations, "took_s": f"{took_s:.1f}", **run.facts()}
    told = {"backup": str(given.source), "ebr": None if given.ebr is None else str(given.ebr), "declared_s": f"{given.within_s:.0f}"}
    about = [*run.blocks(), *_about(given, took_s)]
    blocks = [*about, *blocks_of_deviations(deviations), *_table(checks), *evidence_blocks(sums), *sign_off()]
    title = f"Test of a backup of {given.gateway}"
    return draft(KIND, title, blocks, {**facts, **told, "evidence": sums}, result=result(checks))


def checked(given: Given, place: Path) -> tuple[list[Check], float]:
    """Restore into a folder and make every check; returns them, and how many seconds restoring took. Raises OSError."""
    begun = time.monotonic()
    title, expected = "Restore the backup", "a journal, from a backup that verifies"
    first = Asked("restore", title, ("URS-OPS-02",), expected, lambda: _restore(given, place)).made()
    took_s = time.monotonic() - begun
    return [first, *(one.made() for one in _after(given, place, took_s, there=first.verdict == "passed"))], took_s


def _restore(given: Given, place: Path) -> tuple[str, bool]:
    try:
        report, taken = backups.restore(given.source, place, given.ebr, RestoredRows())
    except backups.RestoreRefused as error:
        return str(error), False
    beyond = "" if given.ebr is None else f", {taken.entries} more from the EBR"
    return f"{report.entries} entries{beyond}", report.exit_code != 1


def _after(given: Given, place: Path, took_s: float, *, there: bool) -> Iterator[Asked]:
    """Give the checks of what was restored."""

    def only_if_restored() -> None:
        if not there:
            raise NotChecked("nothing was restored")

    def proved() -> tuple[str, bool]:
        only_if_restored()
        if not given.key:
            raise NotChecked("the line's public keys are not there")
        report = verify.verify(place, given.key)
        told = listed([*report.problems, *report.missing], MOST_NAMED) or f"{report.entries} entries, {report.signatures} signatures"
        return told, report.exit_code == 0

    def against_live() -> tuple[str, bool]:
        only_if_restored()
        if not (given.live / "journal.db").exists():
            raise NotChecked("the line's journal is not there")
        found = compared(place, given.live, backups.position_of(given.source))
        told = f"{found.equal} equal, {found.only_restored} that the line no longer holds"
        wrong = [*(f"{at} differs" for at in found.different), *(f"{at} was not restored" for at in found.only_live)]
        return f"{told}; {listed(wrong, MOST_NAMED)}" if wrong else told, not wrong and found.equal > 0

    def decided_again() -> tuple[str, bool]:
        only_if_restored()
        batch = newest_batch(place)
        if batch is None:
            raise NotChecked("no batch has ended in what was restored")
        try:
            found = recompute.differences(place, batch)
        except recompute.NotWhole as error:
            raise NotChecked(str(error)) from error
        if others := found.by_others(software_version()):
            raise NotChecked(
                f"batch {batch} was decided by release {', '.join(others)}, by rules that are not all those of {software_version()}"
            )
        return f"batch {batch}: {len(found.differences)} differences in {found.events} events", not found.differences

    yield Asked("proof", "Verify it with the line's keys", ("URS-AUD-06",), "good", proved)
    yield Asked("live", "Compare with the line's journal", ("URS-OPS-01",), "each entry up to the backup's last is the same", against_live)
    yield Asked("batch", "Decide a batch again", ("URS-OPS-01",), "as it was decided", decided_again)
    yield Asked(
        "time", "Time to restore", ("URS-OPS-02",), f"within {given.within_s:.0f} s", lambda: timed(took_s, given.within_s, there=there)
    )


def timed(took_s: float, within_s: float, *, there: bool) -> tuple[str, bool]:
    """Judge how long restoring took."""
    if not there:
        raise NotChecked("nothing was restored")
    return f"{took_s:.1f} s for the data; taking a spare machine is not in it", took_s <= within_s


def _about(given: Given, took_s: float) -> Iterator[Block]:
    yield Text("A backup was restored beside the line, looked at, and thrown away. The line and its journal were read only.")
    facts = [("Backup", str(given.source)), ("EBR's store", "none was given" if given.ebr is None else str(given.ebr))]
    yield NamedValues([*facts, ("Time to restore", f"{took_s:.1f} s"), ("Declared recovery time", f"{given.within_s:.0f} s")])


def _table(checks: list[Check]) -> Iterator[Block]:
    yield Heading(1, "Checks")
    rows = [[check.id, check.title, ", ".join(check.urs), check.expected, check.found, check.verdict] for check in checks]
    marked = frozenset(number for number, check in enumerate(checks) if check.verdict != "passed")
    yield Table(("Id", "Check", "Requirement", "Expected", "Found", "Verdict"), (2, 5, 3, 6, 10, 2), rows, marked)
