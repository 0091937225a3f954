"""Refuse in production what a test may do (URS-CFG-07, URS-SEC-03), but for what dispositions.csv accepts."""

from collections.abc import Iterator

from config import exceptions
from config.checks.parsed_folder import ParsedFolder
from config.exceptions import Deviation
from config.line import Disposition
from config.problem import Problem
from config.sections import Uplink


def check(parts: ParsedFolder) -> list[Problem]:
    """List the problems that only [line] environment = "production" has."""
    if parts.environment != "production":
        return []
    problems = list(_deviations(parts))
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


def _deviations(parts: ParsedFolder) -> Iterator[Problem]:
    """Refuse each deviation that no row accepts; a row that is no plain acceptance is told at its place."""
    rows = {row.gap: row for row in parts.dispositions}
    sources = [((*at, deviation.key), deviation) for at, source in parts.sections.source for deviation in exceptions.of_source(source)]
    for at, deviation in (*sources, *((("web", deviation.key), deviation) for deviation in exceptions.of_page(parts.sections.web))):
        row = rows.get(deviation.name)
        if row is None:
            told = f"{deviation.text} is refused in production; dispositions.csv has no `{deviation.name}` that accepts it"
            yield parts.document.place(at).problem(told)
        elif row.disposition != "accepted":
            yield _no_acceptance(row, deviation)


def _no_acceptance(row: Disposition, deviation: Deviation) -> Problem:
    return row.place.problem(f"{deviation.text} is refused in production unless it is `accepted`; `{row.disposition}` is no acceptance")


def _uplink(uplink: Uplink) -> list[tuple[str, str]]:
    if uplink.endpoint.startswith(("mqtt:", "http:")):
        return [("endpoint", f"uplink `{uplink.name}` without encryption")]
    return []
