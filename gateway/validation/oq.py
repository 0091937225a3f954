"""Operational qualification: what the installed program does, on a copy of the site's own line, unattended, as a document (URS-VAL-04)."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

from buffer.pages.blocks import Block, NamedValues, Text
from config import Line
from gateway.validation.bundle import Bundle
from gateway.validation.cases import Finding, Played, counted, drafted, left_out, now, play
from gateway.validation.check import listed
from gateway.validation.oq_cases import CASES
from gateway.validation.oq_stage import Stage
from simulators.line.drive import unserved

KIND = "operational-qualification"
CASE_WITHIN_S = 900.0
NOT_EXECUTED = (
    ("limits", "Each parameter against its limits", ("URS-CTX-11",), "needs devices that leave their limits on order"),
    ("clock-step", "A clock that is set", ("URS-TIME-07",), "the clock of the plant's PC is not set for a test"),
    ("disk-full", "A disk that is full", ("URS-BUF-05",), "the disk of the plant's PC is not filled for a test"),
    ("mes-edit", "A row of the MES that is edited", ("URS-DAQ-04",), "needs rows of the site's own MES that are edited on order"),
    ("result-replaced", "A result that the laboratory replaces", ("URS-AUD-08",), "needs results of the site's own laboratory"),
    ("record-entry", "Records of steps and batches in the EBR, field by field", ("URS-MAP-03",), "needs the site's own EBR (parallel run)"),
)
"""What an operational qualification is asked for, and this one does not play: listed in the document, never as passed."""


def qualified(site: Line, bundle: Bundle, wanted: Sequence[str], seconds: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Play the cases one after the other and return the draft of the document. wanted: ids; none: all. say: takes a line of progress."""
    begun, work = now(), bundle.folder / "work"
    played: list[Played] = []
    for case in CASES:
        if wanted and case.id not in wanted:
            continue
        say(f"{case.id} {case.title}")
        one = play(case, partial(Stage, site, work / case.id, 1, max(seconds / 2, 20.0)), seconds, CASE_WITHIN_S)
        say(f"{case.id} {one.verdict}{'' if one.why is None else f': {one.why}'}")
        for name, content in one.files.items():
            bundle.keep(f"{case.id}/{name}", content)
        played.append(one)
        if one.interrupted:
            break
    shutil.rmtree(work, ignore_errors=True)
    why = "the run was interrupted" if played and played[-1].interrupted else "was not asked for in this run"
    missing, unplayed, times = [*left_out(CASES, played, why), *NOT_EXECUTED], unserved(site), {"begun": begun, "ended": now()}
    blocks = list(_summary(site, counted(played, missing), unplayed, times, seconds))
    facts = {"sources_without_a_device": unplayed, **times}
    return drafted(Finding(KIND, f"Operational qualification of {site.gateway}", blocks, facts, list(unplayed)), bundle, played, missing)


def _summary(
    site: Line, counts: Mapping[str, int], unplayed: Mapping[str, str], times: Mapping[str, str], seconds: float
) -> Iterator[Block]:
    yield Text(
        "Played by the installed program on this machine, with a copy of the line whose sources are simulated devices that answer at the"
        " addresses of its tag map, and with the reference EBR. Each case has a copy, a journal and a key of its own."
        " The plant was not touched."
    )
    about = [
        ("Line", f"{site.gateway}: {len(site.sources)} sources, {len(site.tags)} tags"),
        ("Program", f"ebr-gateway {version('ebr-gateway')}"),
    ]
    about += [("Each case runs for", f"{seconds:g} s and its own waits"), ("Begun", times["begun"]), ("Ended", times["ended"])]
    yield NamedValues([*about, *((name, str(count)) for name, count in counts.items())])
    if unplayed:
        yield Text(f"Without a simulated device, so not covered: {listed([*unplayed.values()])}", marked=True)
