"""What a change of the software touches, and which tests have to be run again: from two states of it. Pure.

A test is run again if its own file changed, if something that it reaches changed, or if a library changed that serves such a room. A
requirement is affected if one of its tests is run again, or if it says something else itself. What is not run again says why.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.validation.traceability.imports import EVERYTHING, PRODUCT, room_of
from gateway.validation.traceability.snapshot import SCHEMAS, Snapshot
from gateway.validation.traceability.tree import Traceability

FORM = "ebr-gateway/change-impact/1"
INTERFACES = {
    "drivers.opcua": "OPC UA sources",
    "drivers.modbus": "Modbus sources",
    "drivers.serial": "serial instruments",
    "drivers.mes_sql": "databases of the MES",
    "drivers.mes_file": "file drops of the MES",
    "drivers": "all sources",
    "gateway.uplink": "EBR, entries and receipts",
    "gateway.intake": "all sources",
    "gateway.listening": "status page, order push",
    "gateway.pages": "status page",
    "gateway.operation": "status page, metrics, control socket",
    "gateway.notify": "e-mail, webhooks",
    "gateway.evidence": "witnesses, backups",
    "gateway.documents": "documents",
    "gateway.clock": "clock daemon, time servers",
    "gateway.cli": "command line",
    "gateway.context": "EBR, records",
    "gateway.parameters": "EBR, records",
    "gateway.entries": "EBR, form of entries",
    "gateway.access": "command line, status page",
    "gateway.alarms": "status page, e-mail, webhooks",
    "gateway.changes": "line folder, command line",
    "buffer.entry": "EBR, form of entries",
    "buffer.archive": "archives, auditor's verifier",
    "buffer.verify": "archives, auditor's verifier",
    "buffer.restore": "backups",
    "config": "line folder",
    "systemd": "service manager",
    "schemas": "EBR, form of entries and of the line folder",
}
"""Beginning of a room -> what of the outside it meets; the longest one counts."""
ALL_TESTS = frozenset({"tests/conftest.py", "tests/kit/loops.py"})
"""What every test runs by."""
BY_PATH = ("schemas", "systemd")
"""What tests find by kit.repository, and import nowhere."""


def impact(old: tuple[Traceability, Snapshot], new: tuple[Traceability, Snapshot]) -> dict[str, Any]:
    """Assess the change from one state of the software to another."""
    (before, was), (after, now) = old, new
    packages = {name.rpartition("/")[0] for name in (*was.files, *now.files) if name.endswith("/__init__.py")}
    files = [{**row, "room": _room_of_file(row["name"], packages)} for row in _differences(was.files, now.files)]
    libraries = _differences(was.libraries, now.libraries)
    touched = _touched(files, libraries, was, now)
    run, rest = _cases(after, now, touched, {row["name"] for row in files})
    changed = _requirements(before, after)
    return {
        "schema": FORM,
        "from": {"software": before.software, "content": before.content},
        "to": {"software": after.software, "content": after.content},
        "files": files,
        "libraries": libraries,
        "schemas": [row for row in files if row["name"].startswith(SCHEMAS)],
        "keys": _differences(was.keys, now.keys),
        "rooms": sorted(room for room in touched if not room.startswith(("kit.", "golden.", "tests/"))),
        "interfaces": sorted({name for room in touched for name in _interfaces(room)}),
        "requirements": sorted({urs for row in run for urs in row["urs"]} | {row["urs"] for row in changed}),
        "requirements_changed": changed,
        "run": run,
        "not_run": rest,
        "gone": sorted({case.id for case in before.cases if case.urs} - {case.id for case in after.cases}),
    }


def _differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what was added, taken out or changed, by name."""
    names = sorted({name for name in (*old, *new) if old.get(name) != new.get(name)})
    return [{"name": name, "old": old.get(name), "new": new.get(name)} for name in names]


def _room_of_file(name: str, packages: set[str]) -> str | None:
    """Return the room of a file, or what else of `reach` it is; None for a test, and for the data of tests. packages: their folders."""
    top = name.partition("/")[0]
    module = name.removesuffix(".py").removesuffix("/__init__").removeprefix("tests/").replace("/", ".")
    if top in PRODUCT:
        return room_of(module if name.endswith(".py") else _package(name, packages))
    if top == "tests" and name.endswith(".py"):
        return (
            module if module.startswith(("kit.", "golden.")) and "test_" not in module else name if name.endswith("conftest.py") else None
        )
    return "schemas" if name.startswith(SCHEMAS) else "systemd" if top == "systemd" else None


def _package(name: str, packages: set[str]) -> str:
    """Return the package to which a file belongs that is no module."""
    folder = name.rpartition("/")[0]
    while folder not in packages and "/" in folder:
        folder = folder.rpartition("/")[0]
    return folder.replace("/", ".")


def _touched(files: Sequence[Mapping[str, Any]], libraries: Sequence[Mapping[str, Any]], was: Snapshot, now: Snapshot) -> dict[str, str]:
    """Return the rooms that changed, each with the first reason."""
    touched: dict[str, str] = {}
    for row in libraries:
        for room in {*was.users.get(row["name"], ()), *now.users.get(row["name"], ())}:
            touched.setdefault(room, f"library {row['name']} {row['old'] or 'new'} -> {row['new'] or 'none'}")
    for row in files:
        if row["room"] is not None:
            touched[row["room"]] = row["name"]
        if row["room"] in BY_PATH:
            touched["kit.repository"] = row["name"]
    return touched


def _cases(
    told: Traceability, now: Snapshot, touched: Mapping[str, str], files: set[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the cases to run and those not to run, each with its reason."""
    run: list[dict[str, Any]] = []
    rest: list[dict[str, Any]] = []
    reasons: dict[str, str | None] = {}
    for case in told.cases:
        if case.urs:
            if case.file not in reasons:
                reasons[case.file] = _why(case.file, now.reach.get(case.file, (EVERYTHING,)), touched, files)
            why = reasons[case.file]
            (rest if why is None else run).append({"case": case.id, "urs": list(case.urs), "why": why or "reaches nothing that changed"})
    return run, rest


def _why(file: str, reach: Sequence[str], touched: Mapping[str, str], files: set[str]) -> str | None:
    """Say why a file of tests is run again; None if it is not."""
    data = next((name for name in sorted(files) if _is_data(name) and name.startswith(f"{file.rpartition('/')[0]}/")), None)
    if file in files:
        return "the test itself changed"
    if shared := sorted(ALL_TESTS & files):
        return f"what all tests have changed: {shared[0]}"
    if data is not None:
        return f"data beside it changed: {data}"
    if touched and EVERYTHING in reach:
        return f"it starts the program, of which {min(touched)} changed: {touched[min(touched)]}"
    if EVERYTHING in touched:
        return f"everything is touched: {touched[EVERYTHING]}"
    room = next((room for room in reach if room in touched), None)
    return None if room is None else f"reaches {room}: {touched[room]}"


def _is_data(name: str) -> bool:
    return name.startswith("tests/") and not name.endswith(".py")


def _interfaces(room: str) -> list[str]:
    if room == EVERYTHING:
        return sorted({name for names in INTERFACES.values() for name in names.split(", ")})
    parts = room.split(".")
    begins = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((INTERFACES[one].split(", ") for one in begins if one in INTERFACES), [])


def _requirements(old: Traceability, new: Traceability) -> list[dict[str, Any]]:
    """Return the requirements that say something else: text, risk, state, or what is open."""
    before = {row.id: row for row in old.requirements}
    rows = []
    for row in new.requirements:
        was = before.get(row.id)
        names = [
            name for name in ("text", "risk", "verification", "state", "remark") if was is None or getattr(was, name) != getattr(row, name)
        ]
        rows += [{"urs": row.id, "what": names if was is not None else ["new"]}] if names else []
    return rows + [{"urs": one, "what": ["gone"]} for one in before.keys() - {row.id for row in new.requirements}]
