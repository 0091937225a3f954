"""Performance qualification: the site's own load on the installed program, an outage, a restore, as a document (URS-VAL-05)."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text
from config import Line
from gateway.validation import pq_cases, pq_parallel
from gateway.validation.bundle import RUNNING, Bundle
from gateway.validation.cases import Case, Played, Subject, check_of, counted, drafted, left_out, now, play
from gateway.validation.check import listed
from gateway.validation.pq_cases import Asked, Results
from gateway.validation.pq_limits import KEYS, Limits
from gateway.validation.pq_profile import Profile
from gateway.validation.pq_stage import Stage
from gateway.validation.run import Run
from simulators.line.drive import unserved
from simulators.line.load import Load

KIND = "performance-qualification"
MARGIN_S = 3_600.0
NOT_EXECUTED = (
    (
        pq_parallel.ID,
        "Three real batches in parallel run, compared field by field",
        ("URS-OBS-05",),
        "needs real batches and the legacy system beside the gateway: `compare` makes a document of each, --comparison takes it, signed",
    ),
    (
        "spare-machine",
        "Restore on a spare machine",
        ("URS-OPS-02",),
        "needs a second machine; the drill here restores the data beside the line",
    ),
    ("real-ebr", "The load against the site's own EBR", ("URS-UPL-02",), "needs the site's own EBR; here the reference EBR receives"),
)
"""What a performance qualification is asked for, and this one does not play: listed in the document, never as passed."""


def qualified(site: Line, bundle: Bundle, asked: Asked, run: Run) -> dict[str, Any]:
    """Play the cases one after the other and return the draft of the document.

    A run that is interrupted (KeyboardInterrupt) says so in a document that is not passed; one that a power cut ends leaves `running.json`
    and no document.
    """
    begun, work, results = now(), bundle.folder / "work", Results()
    running = bundle.folder / RUNNING
    running.write_text(json.dumps({"document": KIND, "gateway": site.gateway, "begun": begun}), "utf-8")
    cases = pq_cases.cases(asked, results)
    played = list(_played(site, bundle, asked, cases, work))
    why = "the run was interrupted" if any(one.interrupted for one in played) else "was not asked for in this run"
    by_evidence = [*_by_evidence(bundle, asked)]
    of_evidence = {one.case.id for one in by_evidence}
    missing = [*left_out(cases, played, why), *(one for one in NOT_EXECUTED if one[0] not in of_evidence)]
    played, unplayed, times = [*played, *by_evidence], unserved(site), {"begun": begun, "ended": now()}
    _keep(bundle, asked)
    head = [*_summary(site, asked, counted(played, missing), times, unplayed)]
    blocks = [*_limits(asked.limits), *_profile(site, asked.profile), *_figures(results)]
    facts: dict[str, Any] = {
        "asked": _asked(asked),
        "limits": {**asked.limits._asdict(), "content": None, "values": {name: f"{one:g}" for name, one in asked.limits.values.items()}},
        "profile": {"basis": asked.profile.basis, "sources": {name: dict(told) for name, told in asked.profile.sources.items()}},
        "figures": results.columns,
        "sources_without_a_device": unplayed,
        "comparisons": pq_parallel.facts(asked.comparisons),
        **times,
    }
    found = Subject(KIND, f"Performance qualification of {site.gateway}", head, blocks, facts, [*_open(unplayed, asked.limits)])
    document = drafted(found, bundle, played, missing, run)
    shutil.rmtree(work, ignore_errors=True)
    running.unlink()
    return document


def _played(site: Line, bundle: Bundle, asked: Asked, cases: Sequence[Case], work: Path) -> Iterator[Played]:
    """Play each case; an interruption ends the list."""
    factors = [*asked.factors, *[1.0] * (len(cases) - len(asked.factors))]
    batch_s = max(min(300.0, asked.seconds / 3), 30.0)
    within_s = 2 * asked.seconds + 6 * asked.outage_s + MARGIN_S
    for case, factor in zip(cases, factors, strict=True):
        asked.say(f"{case.id} {case.title}")
        stage_of = partial(Stage, site, work / case.id, 1, batch_s, Load(factor, asked.profile.rates))
        one = play(case, stage_of, asked.seconds, within_s)
        asked.say(f"{case.id} {one.verdict}{'' if one.why is None else f': {one.why}'}")
        for name, content in one.files.items():
            bundle.keep(f"{case.id}/{name}", content)
        yield one
        if one.interrupted:
            return


def _by_evidence(bundle: Bundle, asked: Asked) -> Iterator[Played]:
    """Yield the cases that are not played here, of which documents were given."""
    for name, title, urs, _ in NOT_EXECUTED:
        if name == pq_parallel.ID and asked.comparisons:
            one = pq_parallel.case(asked.comparisons, title, urs)
            for file, content in one.files.items():
                bundle.keep(f"{name}/{file}", content)
            asked.say(f"{name} {one.verdict}")
            yield one


def _open(unplayed: Mapping[str, str], limits: Limits) -> Iterator[dict[str, str]]:
    """Yield what no case tells of, and keeps the run from being passed."""
    for name, why in unplayed.items():
        yield check_of(f"source {name}", "serve it with a device", "a device", why, "not executed")
    if not limits.file:
        yield check_of("limits", "read the acceptance limits", "limits that were set before the run", "none were set", "not checked")


def _keep(bundle: Bundle, asked: Asked) -> None:
    if asked.limits.file is not None:
        bundle.keep(asked.limits.file, asked.limits.content)
    rates = {"basis": asked.profile.basis, "changes_per_s": asked.profile.rates}
    bundle.keep("profile.json", json.dumps(rates, indent=1, ensure_ascii=False).encode())


def _asked(asked: Asked) -> dict[str, Any]:
    backup = None if asked.backup is None else str(asked.backup.source)
    return {
        "load_s": f"{asked.seconds:.0f}",
        "factors": [f"{factor:g}" for factor in asked.factors],
        "outage_s": f"{asked.outage_s:.0f}",
        "backup": backup,
    }


def _summary(site: Line, asked: Asked, counts: Mapping[str, int], times: Mapping[str, str], unplayed: Mapping[str, str]) -> Iterator[Block]:
    yield Text(
        "Played by the installed program on this machine, with a copy of the line whose sources are simulated devices that answer at the"
        " addresses of its tag map, and with the reference EBR. At a factor the devices' plant goes so many times as fast, and everything"
        " is read so many times as often. What the EBR holds is compared with the devices' own logs. The plant was not touched."
    )
    factors = ", ".join(f"{factor:g}" for factor in asked.factors)
    about = [
        ("Line", f"{site.gateway}: {len(site.sources)} sources, {len(site.tags)} tags"),
        ("Program", f"ebr-gateway {version('ebr-gateway')}"),
        ("Load", f"{asked.seconds / 3600:g} h at each of {factors} times the profile"),
        ("Outage", f"{asked.outage_s / 60:g} min"),
        ("Begun", times["begun"]),
        ("Ended", times["ended"]),
    ]
    yield NamedValues([*about, *((name, str(count)) for name, count in counts.items())])
    if unplayed:
        yield Text(f"Without a simulated device, so not covered: {listed([*unplayed.values()])}", marked=True)


def _limits(limits: Limits) -> Iterator[Block]:
    yield Heading(1, "Acceptance limits, set before the run")
    yield Text("Lost, doubled and made up: none. This limit can not be set otherwise.")
    if limits.file is None:
        yield Text("No other limits were set before the run: what is measured is told, and has no verdict.", marked=True)
        return
    yield NamedValues([("File", str(limits.file)), ("SHA-256", str(limits.sha256)), ("Written last", str(limits.set_at))])
    rows = [[name, words, f"{limits.values[name]:g}" if name in limits.values else "not set"] for name, words in KEYS.items()]
    marked = frozenset(i for i, row in enumerate(rows) if row[2] == "not set" and pq_cases.LESSER.get(row[0]) not in limits.values)
    yield Table(("Limit", "Meaning", "Value"), (4, 9, 3), rows, marked)


def _profile(site: Line, profile: Profile) -> Iterator[Block]:
    yield Heading(1, "Profile")
    yield Text(f"By {profile.basis}.")
    titles = ("Source", "Driver", "Tags", "Moved at a rate", "Changes a second at 1x", "Changes in the journal")
    rows = [[name, told["driver"], told["tags"], told["moved"], told["target"], told["measured"]] for name, told in profile.sources.items()]
    yield Table(titles, (4, 3, 2, 3, 4, 4), rows)
    yield Text(
        f"{len(profile.rates)} of {len(site.tags)} tags are moved at a rate; the others tell of batches, steps, alarms and set points and"
        " follow the simulated process, as rows and files do."
    )


def _figures(results: Results) -> Iterator[Block]:
    yield Heading(1, "Figures")
    names = list(dict.fromkeys(name for column in results.columns.values() for name in column))
    if not names:
        yield Text("Nothing was measured.", marked=True)
        return
    rows = [[name, *(column.get(name, "") for column in results.columns.values())] for name in names]
    yield Table(("Figure", *results.columns), (4, *[5] * len(results.columns)), rows)
    yield Text(
        "A delay runs from the device's own stamp, where it has one, else from the arrival of its answer, until the entry was seen in the"
        " journal, or as receipted, from outside. It was looked for each 0.2 s, so a delay is told up to so much too long, never too short."
    )
