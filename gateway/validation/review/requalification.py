"""Whether a line has to be qualified again, and why: from what was qualified last, what runs now, and what befell the journal. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

STAGES = {"installation-qualification": "IQ", "operational-qualification": "OQ"}
PERFORMANCE = "performance-qualification"
GOOD = ("passed", "passed-with-dispositions")


class Now(NamedTuple):
    """What runs. software, configuration: SHA-256; None: not known."""

    version: str
    software: str
    configuration: str | None


class Needed(NamedTuple):
    """answer: yes, no or not known. reasons: why it is needed. unknown: what could not be judged."""

    answer: str
    reasons: list[str]
    unknown: list[str]


def needed(newest: Mapping[str, Mapping[str, Any]], since: str | None, now: Now, befell: Sequence[str], standing: Sequence[str]) -> Needed:
    """Decide. newest: type of a run -> the newest that the line remembers (`gateway.alarms.periodic.Kept`). since: when that began.

    befell: what happened to the journal in the period. standing: codes of alarms that stand and doubt what is installed.
    """
    reasons = [reason for kind, name in STAGES.items() for reason in of_stage(name, newest.get(kind), since, now)]
    reasons += of_stage("PQ", newest[PERFORMANCE], since, now) if PERFORMANCE in newest else ()
    reasons += list(befell)
    reasons += [f"alarm {code} stands" for code in standing]
    unknown = [] if PERFORMANCE in newest else ["the performance qualification: none is recorded"]
    unknown += [] if now.configuration else ["the configuration in force can not be read"]
    answer = "yes" if reasons else "not known" if now.configuration is None else "no"
    return Needed(answer, reasons, unknown)


def of_stage(name: str, run: Mapping[str, Any] | None, since: str | None, now: Now) -> Iterator[str]:
    """Yield why a run does not show that what runs now is qualified. name: IQ, OQ, PQ. run: the newest; None: there is none."""
    if run is None:
        yield f"no {name} is recorded since {since}, when this was first remembered" if since else f"no {name} is recorded"
        return
    of = f"the newest {name} ({run['made'][:16]}Z)"
    if run["standing"] not in GOOD:
        why = "its deviations are not disposed of" if run["standing"] == run["result"] else "by its dispositions"
        yield f"{of} comes to {run['standing']}: {why}"
    if not run["signed"]:
        yield f"{of} was signed by nobody"
    software, configuration = run.get("software") or {}, run.get("configuration") or {}
    if software.get("sha256") != now.software:
        yield f"the software is {now.version} ({now.software[:12]}), and {of} was of {software.get('version')} ({_short(software)})"
    if now.configuration is not None and configuration.get("sha256") != now.configuration:
        yield f"the configuration is {now.configuration[:12]}, and {of} was of {_short(configuration)}"


def _short(told: Mapping[str, Any]) -> str:
    return str(told.get("sha256") or "not known")[:12]
