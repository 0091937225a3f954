"""Enumerations: the built-in tables, and those of codes.csv. A table has a version; the numbers of one version never change."""

from collections.abc import Mapping

from config.line import Code, CodeTable

_PACKML = {
    0: ("Undefined", None),
    1: ("Clearing", "Stopping"),
    2: ("Stopped", "Stopped"),
    3: ("Starting", "Running"),
    4: ("Idle", "Idle"),
    5: ("Suspended", "Held"),
    6: ("Execute", "Running"),
    7: ("Stopping", "Stopping"),
    8: ("Aborting", "Aborting"),
    9: ("Aborted", "Aborted"),
    10: ("Holding", "Holding"),
    11: ("Held", "Held"),
    12: ("Unholding", "Restarting"),
    13: ("Suspending", "Holding"),
    14: ("Unsuspending", "Restarting"),
    15: ("Resetting", "Idle"),
    16: ("Completing", "Running"),
    17: ("Complete", "Complete"),
}
"""PackML StateCurrent (ANSI/ISA-TR88.00.02, OPC 30050) and the ISA-88 state that each means."""

_ISA88 = (
    "Idle", "Running", "Complete", "Pausing", "Paused", "Holding", "Held", "Restarting", "Stopping", "Stopped", "Aborting", "Aborted",
)  # fmt: skip
"""Status words of BatchML, numbered from 1 in the order of its schema."""

_PHASEMANAGER = {
    1: ("Running", "Running"),
    2: ("Holding", "Holding"),
    4: ("Restarting", "Restarting"),
    8: ("Stopping", "Stopping"),
    16: ("Aborting", "Aborting"),
    32: ("Resetting", "Idle"),
    64: ("Idle", "Idle"),
    128: ("Held", "Held"),
    256: ("Complete", "Complete"),
    512: ("Stopped", "Stopped"),
    1024: ("Aborted", "Aborted"),
}
"""Rockwell PhaseManager: the state of an equipment phase as one bit of its status word."""

STATES = frozenset(_ISA88)
"""What may stand in the column `state` of codes.csv."""


def _table(name: str, version: str, rows: Mapping[int, tuple[str, str | None]]) -> CodeTable:
    return CodeTable(name, version, {code: Code(code, text, state) for code, (text, state) in rows.items()})


BUILT_IN: dict[str, CodeTable] = {
    "packml": _table("packml", "2015", _PACKML),
    "isa88": _table("isa88", "7.00", {number: (word, word) for number, word in enumerate(_ISA88, start=1)}),
    "phasemanager": _table("phasemanager", "1", _PHASEMANAGER),
}
