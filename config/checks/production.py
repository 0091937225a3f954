"""Refuse in production what a test may do (URS-CFG-07, URS-SEC-03)."""

from pathlib import PurePosixPath

from config.checks.line import _split
from config.checks.parsed_folder import ParsedFolder
from config.grammars.listen import is_loopback
from config.problem import Problem
from config.sections import Source, Uplink


def check(parts: ParsedFolder) -> list[Problem]:
    """List the problems that only [line] environment = "production" has."""
    if parts.environment != "production":
        return []
    problems: list[Problem] = []
    for at, source in parts.sections.source:
        problems += [parts.document.place((*at, key)).problem(f"{why} is refused in production") for key, why in _source(source)]
    for at, uplink in parts.sections.uplink:
        problems += [parts.document.place((*at, key)).problem(f"{why} is refused in production") for key, why in _uplink(uplink)]
    for at, witness in parts.sections.witness:
        if witness.endpoint.startswith("http:"):
            problems.append(
                parts.document.place((*at, "endpoint")).problem(f"witness `{witness.name}` without encryption is refused in production")
            )
    if not any(uplink.required and uplink.receipts for _, uplink in parts.sections.uplink):
        problems.append(parts.document.place(("uplink",)).problem("production needs an uplink that is required and sends receipts"))
    return problems


def _source(source: Source) -> list[tuple[str, str]]:
    problems = []
    for endpoint in source.endpoints:
        url = _split(endpoint)
        if url is not None and _is_simulated(url.scheme, url.hostname or "", url.path):
            problems.append(("endpoint", f"source `{source.name}` on this machine (a simulator?)"))
    if source.driver == "opcua":
        security = source.options.get("security", {})  # the driver's default is Basic256Sha256 with SignAndEncrypt
        policy, mode = (security.get("policy"), security.get("mode", "SignAndEncrypt")) if isinstance(security, dict) else ("None", None)
        if policy == "None":
            problems.append(("security", f"source `{source.name}` without a security policy"))
        elif mode != "SignAndEncrypt":
            problems.append(("security", f"source `{source.name}` with mode {mode}"))
    return problems


def _is_simulated(scheme: str, host: str, path: str) -> bool:
    if scheme in ("serial", "rtu"):
        return bool(host) or (PurePosixPath(path).parts[:3] != ("/", "dev", "serial") and not path.startswith("/dev/tty"))
    if scheme.startswith("sqlite"):
        return not path.startswith("//")  # sqlite:////absolute/file
    return is_loopback(host) and scheme != "file"


def _uplink(uplink: Uplink) -> list[tuple[str, str]]:
    if uplink.endpoint.startswith(("mqtt:", "http:")):
        return [("endpoint", f"uplink `{uplink.name}` without encryption")]
    return []
