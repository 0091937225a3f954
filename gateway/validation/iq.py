"""Installation qualification: every check of an installed line, read only, as a document with its evidence (URS-VAL-03)."""

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import config
from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text
from gateway.changes import release
from gateway.documents import draft
from gateway.documents.deviations import blocks_of_deviations, deviations_of
from gateway.runtime import assembly
from gateway.runtime.surroundings import SERVICE
from gateway.validation import sbom
from gateway.validation.bundle import Bundle
from gateway.validation.check import Asked, Check, NotChecked, result
from gateway.validation.host import Host
from gateway.validation.iq_interfaces import interfaces
from gateway.validation.iq_machine import machine
from gateway.validation.iq_service import service
from gateway.validation.iq_software import Subject, evidence, software
from gateway.validation.run import Run, evidence_blocks, sign_off

KIND = "installation-qualification"
GROUPS = ("Software and configuration", "Service and rights", "Machine", "Interfaces")


def subject(line: Path, host: Host, now: Mapping[str, Any] | None, keys: Sequence[str], keys_from: str) -> Subject:
    """Read what is qualified. now: the running gateway's snapshot. Raises ConfigError where not even line.toml can be read."""
    found, problems = assembly.check(line)
    # Which secrets are there is a check of its own: this program does not see those that systemd gives to the service.
    mine = [problem for problem in problems if not problem.message.endswith(SERVICE)]
    told = [str(problem) if problem.severity == "error" else f"{problem} (warning)" for problem in mine]
    return Subject(host, config.identity(line), found, told, now, list(keys), keys_from)


def asked(of: Subject, bundle: Bundle) -> Iterator[tuple[str, list[Asked]]]:
    """Give all checks, by group."""
    parts = (software(of), service(of), machine(of, bundle.folder), interfaces(of, bundle.keep))
    for group, part in zip(GROUPS, parts, strict=True):
        yield group, list(part)


def qualified(of: Subject, bundle: Bundle, run: Run) -> dict[str, Any]:
    """Make every check and return the draft of the document; its evidence is in the bundle."""
    begun = datetime.now(UTC)
    made = {group: [one.made() for one in part] for group, part in asked(of, bundle)}
    for name, content in (*evidence(of), *_host(of)):
        bundle.keep(name, content)
    checks = [check for part in made.values() for check in part]
    bundle.keep("checks.json", json.dumps([check._asdict() for check in checks], indent=1, ensure_ascii=False).encode())
    sums = bundle.facts()
    times = {"begun": f"{begun:%Y-%m-%dT%H:%M:%SZ}", "ended": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    plain = [_plain(check) for check in checks]
    deviations = deviations_of(plain)
    facts = {"checks": plain, "counts": counts(checks), "deviations": deviations, "evidence": sums, **times, **run.facts()}
    blocks = [
        *run.blocks(),
        *_summary(checks, times),
        *blocks_of_deviations(deviations),
        *_chapters(made),
        *evidence_blocks(sums),
        *sign_off(),
    ]
    return draft(KIND, f"Installation qualification of {of.identity.gateway}", blocks, facts, result=result(checks))


def counts(checks: Sequence[Check]) -> dict[str, int]:
    """Count the checks by verdict."""
    return {verdict: sum(check.verdict == verdict for check in checks) for verdict in ("passed", "failed", "not checked")}


def _plain(check: Check) -> dict[str, Any]:
    return {**check._asdict(), "urs": list(check.urs)}


def _host(of: Subject) -> Iterator[tuple[str, bytes]]:
    """Yield what identifies the machine and what is installed on it."""
    machine_id = of.host.path("/etc/machine-id")
    told = {
        "machine_id": machine_id.read_text().strip() if machine_id.is_file() else None,
        "node": platform.node(),
        "os": _os_name(of.host),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "clock": None if of.now is None else of.now["clock"]["status"],
    }
    yield "host.json", json.dumps(told, indent=1).encode()
    lock = release.lock_text()
    if lock is not None:
        bill = sbom.sbom(version("ebr-gateway"), sbom.packages(lock, ""), f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", {})
        yield "sbom.cdx.json", json.dumps(bill, indent=1).encode()
    for name in ("mounts", "net/tcp", "net/tcp6"):
        place = of.host.path(f"/proc/self/{name}")
        if place.is_file():
            yield f"{name.replace('/', '-')}.txt", place.read_bytes()
    for name, words in (("chronyc-sources.txt", ["chronyc", "-c", "sources"]), ("timedatectl.txt", ["timedatectl", "show"])):
        try:
            yield name, of.host.command(words).encode()
        except NotChecked as why:
            yield name, f"not read: {why}\n".encode()


def _os_name(host: Host) -> str | None:
    place = host.path("/etc/os-release")
    rows = dict(line.partition("=")[::2] for line in place.read_text("utf-8").splitlines()) if place.is_file() else {}
    return rows.get("PRETTY_NAME", "").strip('"') or None


def _summary(checks: Sequence[Check], times: Mapping[str, str]) -> Iterator[Block]:
    told = counts(checks)
    yield Text("Every check of the installation, made by the program on the machine itself, reading only. Nothing was changed.")
    yield NamedValues([("Begun", times["begun"]), ("Ended", times["ended"]), *((name, str(count)) for name, count in told.items())])


def _chapters(made: Mapping[str, Sequence[Check]]) -> Iterator[Block]:
    for group, checks in made.items():
        yield Heading(1, group)
        rows = [[check.id, check.title, ", ".join(check.urs), check.expected, check.found, check.verdict] for check in checks]
        marked = frozenset(number for number, check in enumerate(checks) if check.verdict != "passed")
        yield Table(("Id", "Check", "Requirement", "Expected", "Found", "Verdict"), (4, 4, 3, 6, 10, 2), rows, marked)
