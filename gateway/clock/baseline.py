"""Checks at installation that chrony is configured so that its claims can be trusted (requirements 3.1.5)."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from glob import glob
from pathlib import Path
from typing import Literal, NamedTuple

from config.grammars.time_server import smears
from gateway.clock.leap import LeapMode

MAIN_FILE = Path("/etc/chrony/chrony.conf")
MOST_FILES = 200
MOST_BOOT_STEPS = 10


class Shortcoming(NamedTuple):
    """A deviation of chrony's configuration. error: the clock's state would be wrong; warning: known less well than possible."""

    severity: Literal["error", "warning"]
    text: str


def check_baseline(
    main: Path = MAIN_FILE, *, drift_ppm: float = 50.0, max_error_s: float = 1.0, leap_mode: LeapMode = "unknown"
) -> list[Shortcoming]:
    """List every deviation of the installed configuration; empty if there is none. A missing file is a deviation."""
    if not main.is_file():
        return [Shortcoming("error", f"{main}: chrony is not configured")]
    return check_directives(directives(main), drift_ppm=drift_ppm, max_error_s=max_error_s, leap_mode=leap_mode)


def directives(main: Path) -> list[list[str]]:
    """Return the configuration's directives, each as a list of words; `include`, `confdir` and `sourcedir` are followed."""
    lines: list[list[str]] = []
    files = [main]
    files_read = 0
    while files and files_read < MOST_FILES:
        files_read += 1
        for words in _lines(files.pop(0)):
            if words[0] == "include" and len(words) > 1:
                files += [Path(name) for name in sorted(glob(words[1]))]  # noqa: PTH207 - an absolute pattern of chrony's
            elif words[0] in ("confdir", "sourcedir"):
                pattern = "*.conf" if words[0] == "confdir" else "*.sources"
                files += [file for folder in words[1:] for file in sorted(Path(folder).glob(pattern))]
            else:
                lines.append(words)
    return lines


def _lines(file: Path) -> Iterator[list[str]]:
    """Yield a file's lines as words, the directive in lower case, without comments; a file that can not be read has none."""
    try:
        text = file.read_text("utf-8", "replace")
    except OSError:
        return
    for line in text.splitlines():
        plain = re.sub(r"^\s*[!;#%].*", "", line)
        words = shlex.split(plain, comments=True)
        if words:
            yield [words[0].lower(), *words[1:]]


HANDLED: dict[str, LeapMode] = {"system": "step", "step": "step", "slew": "slew", "ignore": "smear"}
"""chrony's leapsecmode -> [clock] leap_mode. A client of servers that smear leap seconds ignores them itself."""


def check_directives(
    lines: list[list[str]], *, drift_ppm: float = 50.0, max_error_s: float = 1.0, leap_mode: LeapMode = "unknown"
) -> list[Shortcoming]:
    """List the deviations of parsed directives. leap_mode: as stated in the line's configuration."""
    by_name = {words[0]: words[1:] for words in lines}
    sources = [words for words in lines if words[0] in ("server", "pool", "peer", "refclock")]
    return [
        *_check_claims(by_name, drift_ppm, max_error_s),
        *_check_servers(sources),
        *_check_leap_seconds(by_name, sources, leap_mode),
        *_check_traces(by_name),
    ]


def _check_claims(by_name: Mapping[str, list[str]], drift_ppm: float, max_error_s: float) -> Iterator[Shortcoming]:
    """Check what makes chrony and the kernel claim to be synchronised, and how exactly."""
    if "rtcsync" not in by_name:
        yield _error("rtcsync is missing: the kernel keeps saying that its clock is not synchronised, and the RTC is never set")
    if _number(by_name.get("maxclockerror"), 1.0) < drift_ppm:
        yield _error(
            f"maxclockerror is below {drift_ppm:g} ppm: between updates chrony's dispersion grows slower than the oscillator may run"
        )
    if "makestep" not in by_name:
        yield _warning("makestep is missing: a wrong time at boot is slewed for hours instead of set once")
    elif not 0 < _number(by_name["makestep"][1:], -1) <= MOST_BOOT_STEPS:
        yield _error("makestep may set the clock at any time: the limit must be 1 to 10 updates after boot")
    if _number(by_name.get("maxdistance"), 3.0) > max_error_s / 2:
        yield _warning(f"maxdistance is above {max_error_s / 2:g} s: servers are accepted that are worse than the gateway's limit allows")
    if "local" in by_name:
        yield _error("local is set: without servers chronyd would claim to be synchronised to itself")


def _check_servers(sources: Sequence[list[str]]) -> Iterator[Shortcoming]:
    """Check that one wrong server can be told from the others, and that the first answers come soon."""
    if not any(words[0] in ("pool", "refclock") for words in sources) and len(sources) < 4:
        yield _warning(f"{len(sources)} servers: at least 4 are needed to find one wrong server and still have three")
    if not any("iburst" in words for words in sources):
        yield _warning("no server has iburst: after boot the clock stays unsynchronised for minutes")


def _check_leap_seconds(by_name: Mapping[str, list[str]], sources: Sequence[list[str]], leap_mode: LeapMode) -> Iterator[Shortcoming]:
    """Check that chrony, its servers and the line's configuration handle a leap second alike."""
    if "leapsecmode" not in by_name:
        yield _warning("leapsecmode is missing: state how a leap second is handled (slew)")
    elif leap_mode != HANDLED.get(" ".join(by_name["leapsecmode"]), "unknown"):
        yield _warning(f"leapsecmode {' '.join(by_name['leapsecmode'])}, but [clock] leap_mode of the line is {leap_mode}")
    names = [words[1] for words in sources if len(words) > 1 and words[0] != "refclock"]
    smeared = [name for name in names if smears(name)]
    if smeared and len(smeared) < len(names):
        other = next(name for name in names if name not in smeared)
        yield _error(f"{smeared[0]} smears a leap second and {other} does not: never mix them")


def _check_traces(by_name: Mapping[str, list[str]]) -> Iterator[Shortcoming]:
    """Check that chrony writes down its steps, and answers the gateway."""
    if "logchange" not in by_name:
        yield _warning("logchange is missing: a step by chrony leaves no line in its log")
    if by_name.get("cmdport") == ["0"]:
        yield _error("cmdport 0: the gateway can not ask chrony without privilege")


def _error(text: str) -> Shortcoming:
    return Shortcoming("error", text)


def _warning(text: str) -> Shortcoming:
    return Shortcoming("warning", text)


def _number(words: list[str] | None, default: float) -> float:
    """Return the first word as a number; the default if there is none or it is no number."""
    try:
        return float(words[0]) if words else default
    except ValueError:
        return default
