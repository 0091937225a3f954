"""Shows the assessment of a change to people: as text, and as the body of a document that persons sign. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text

TITLE = "Impact of a change, and the tests that it asks for"
KIND = "change-impact"


def facts(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands in a document for programs; the body has the rest."""
    names = ("schema", "from", "to", "change_no", "rooms", "interfaces", "requirements", "libraries", "keys", "gone")
    return {name: found[name] for name in names} | {"run": [row["case"] for row in found["run"]]}


def text(found: Mapping[str, Any]) -> str:
    """Write it for a terminal: what changed in numbers, what is touched, each test to run with its reason, those not to run by reason."""
    lines = [f"from {_software(found['from'])}", f"to   {_software(found['to'])}"]
    lines += [f"changed: {', '.join(_counts(found))}"]
    lines += [f"rooms: {', '.join(found['rooms']) or 'none'}", f"interfaces: {', '.join(found['interfaces']) or 'none'}"]
    lines += [f"library {row['name']}: {row['old'] or 'none'} -> {row['new'] or 'none'}" for row in found["libraries"]]
    lines += [f"key {row['name']}: {_how(row)}" for row in found["keys"]]
    lines += [f"{row['urs']}: {', '.join(row['what'])}" for row in found["requirements_changed"]]
    lines += [f"requirements affected: {', '.join(found['requirements']) or 'none'}"]
    lines += [f"no longer there: {name}" for name in found["gone"]]
    lines += ["", f"{len(found['run'])} tests to run, {len(found['not_run'])} not"]
    lines += [f"run      {row['case']}  ({row['why']})" for row in found["run"]]
    lines += [f"not run  {count} tests: {why}" for why, count in Counter(row["why"] for row in found["not_run"]).items()]
    if found["configuration"] is not None:
        of_line = found["configuration"]
        lines += ["", f"line folder: {of_line['changes']} changes, highest criticality {of_line['criticality']}"]
        lines += [f"{row['what']} {row['path']} ({row['criticality']}): {', '.join(row['tests'])}" for row in of_line["rows"]]
    return "\n".join(lines)


def blocks(found: Mapping[str, Any]) -> list[Block]:
    """Return the body of the document."""
    return [*_about(found), *_touched(found), *_tests(found), *_line(found["configuration"])]


def _about(found: Mapping[str, Any]) -> Iterator[Block]:
    values = [("Change", found["change_no"] or "no number"), ("From", _software(found["from"])), ("To", _software(found["to"]))]
    yield NamedValues([*values, ("Changed", ", ".join(_counts(found)))])


def _touched(found: Mapping[str, Any]) -> Iterator[Block]:
    yield Heading(1, "What is touched")
    names = (("Interfaces", "interfaces"), ("Rooms of the program", "rooms"), ("Requirements", "requirements"))
    yield NamedValues([(title, ", ".join(found[name]) or "none") for title, name in names])
    rows = [[row["name"], (row["old"] or "none")[:16], (row["new"] or "none")[:16]] for row in (*found["libraries"], *found["files"])]
    if rows:
        yield Table(("File or library", "Before", "After"), (12, 4, 4), rows)
    if found["keys"]:
        yield Table(("Key of the line folder", "What"), (12, 4), [[row["name"], _how(row)] for row in found["keys"]])
    if found["requirements_changed"]:
        rows = [[row["urs"], ", ".join(row["what"])] for row in found["requirements_changed"]]
        yield Table(("Requirement", "What of it changed"), (6, 10), rows)


def _tests(found: Mapping[str, Any]) -> Iterator[Block]:
    yield Heading(1, "Tests to run")
    rows = [[row["case"], ", ".join(row["urs"]), row["why"]] for row in found["run"]]
    yield Table(("Test", "Requirements", "Why"), (10, 5, 8), rows) if rows else Text("None.")
    if found["gone"]:
        yield Text("Tests that were there before, and are no longer: somebody has to say why.", marked=True)
        yield Table(("Test",), (10,), [[name] for name in found["gone"]])
    yield Heading(1, "Tests not to run")
    rows = [[row["case"], row["why"]] for row in found["not_run"]]
    yield Table(("Test", "Why not"), (12, 6), rows) if rows else Text("None.")


def _line(of_line: Mapping[str, Any] | None) -> Iterator[Block]:
    if of_line is not None:
        yield Heading(1, "Line folder")
        rows = [[f"{row['what']} {row['path']}", row["criticality"], ", ".join(row["tests"])] for row in of_line["rows"]]
        yield Table(("Change", "Criticality", "Tests"), (8, 3, 10), rows) if rows else Text("Nothing differs in meaning.")


def _software(told: Mapping[str, str]) -> str:
    return f"ebr-gateway {told['software']}, files {told['content'][:16]}"


def _counts(found: Mapping[str, Any]) -> Iterator[str]:
    for name in ("files", "libraries", "schemas", "keys"):
        yield f"{len(found[name])} {name}"


def _how(row: Mapping[str, Any]) -> str:
    return "new" if row["old"] is None else "gone" if row["new"] is None else "takes something else"
