"""Checks at installation that chrony is configured so that its claims can be trusted (requirements 3.1.5)."""

import re
import shlex
from collections.abc import Iterable
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
    found: list[list[str]] = []
    files = [main]
    read = 0
    while files and read < MOST_FILES:
        read += 1
        for words in _lines(files.pop(0)):
            if words[0] == "include" and len(words) > 1:
                files += [Path(name) for name in sorted(glob(words[1]))]  # noqa: PTH207 - an absolute pattern of chrony's
            elif words[0] in ("confdir", "sourcedir"):
                pattern = "*.conf" if words[0] == "confdir" else "*.sources"
                files += [file for folder in words[1:] for file in sorted(Path(folder).glob(pattern))]
            else:
                found.append(words)
    return found


def _lines(file: Path) -> Iterable[list[str]]:
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
    found: list[Shortcoming] = []

    def error(text: str) -> None:
        found.append(Shortcoming("error", text))

    def warning(text: str) -> None:
        found.append(Shortcoming("warning", text))

    if "rtcsync" not in by_name:
        error("rtcsync is missing: the kernel keeps saying that its clock is not synchronised, and the RTC is never set")
    if _number(by_name.get("maxclockerror"), 1.0) < drift_ppm:
        error(f"maxclockerror is below {drift_ppm:g} ppm: between updates chrony's dispersion grows slower than the oscillator may run")
    if "makestep" not in by_name:
        warning("makestep is missing: a wrong time at boot is slewed for hours instead of set once")
    elif not 0 < _number(by_name["makestep"][1:], -1) <= MOST_BOOT_STEPS:
        error("makestep may set the clock at any time: the limit must be 1 to 10 updates after boot")
    if _number(by_name.get("maxdistance"), 3.0) > max_error_s / 2:
        warning(f"maxdistance is above {max_error_s / 2:g} s: servers are accepted that are worse than the gateway's limit allows")
    if "local" in by_name:
        error("local is set: without servers chronyd would claim to be synchronised to itself")
    if not any(words[0] in ("pool", "refclock") for words in sources) and len(sources) < 4:
        warning(f"{len(sources)} servers: at least 4 are needed to find one wrong server and still have three")
    if not any("iburst" in words for words in sources):
        warning("no server has iburst: after boot the clock stays unsynchronised for minutes")
    if "leapsecmode" not in by_name:
        warning("leapsecmode is missing: state how a leap second is handled (slew)")
    elif leap_mode != HANDLED.get(" ".join(by_name["leapsecmode"]), "unknown"):
        warning(f"leapsecmode {' '.join(by_name['leapsecmode'])}, but [clock] leap_mode of the line is {leap_mode}")
    names = [words[1] for words in sources if len(words) > 1 and words[0] != "refclock"]
    smeared = [name for name in names if smears(name)]
    if smeared and len(smeared) < len(names):
        error(f"{smeared[0]} smears a leap second and {next(n for n in names if n not in smeared)} does not: never mix them")
    if "logchange" not in by_name:
        warning("logchange is missing: a step by chrony leaves no line in its log")
    if by_name.get("cmdport") == ["0"]:
        error("cmdport 0: the gateway can not ask chrony without privilege")
    return found


def _number(words: list[str] | None, default: float) -> float:
    try:
        return float(words[0]) if words else default
    except ValueError:
        return default
