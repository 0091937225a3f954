"""Shows the matrix to people: the same blocks as HTML, as PDF, and as the body of a document that persons sign. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text

TITLE = "Traceability matrix"
KIND = "traceability-matrix"
OPEN = ("failed", "not run", "no test")


def blocks(document: Mapping[str, Any]) -> list[Block]:
    """Return the whole matrix: what it is of, counts, one line for each requirement, what is open and why, and each with its tests."""
    return [*_about(document), *_table(document["rows"]), *_open(document["rows"]), *_details(document["rows"])]


def result(document: Mapping[str, Any]) -> str:
    """Return the result of it as a document: a finding where something failed, not complete where anything is open."""
    told = {row["result"] for row in document["rows"]}
    return "finding" if "failed" in told else "passed" if told <= {"passed"} else "not-complete"


def facts(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of it stands in a document for programs: the body has the rest."""
    told = {name: document[name] for name in ("schema", "software", "content", "runs", "not_counted", "counts")}
    return told | {"results": {row["urs"]: row["result"] for row in document["rows"]}}


def _about(document: Mapping[str, Any]) -> Iterator[Block]:
    counts = document["counts"]
    yield NamedValues(
        [
            ("Software", f"ebr-gateway {document['software']}; SHA-256 of the files that were tested {document['content']}"),
            ("Requirements", f"{counts['requirements']}: {_counted(counts['by_state'])}"),
            ("Of high risk", f"{counts['by_risk'].get('high', 0)}: {_counted(counts['high_by_state'])}"),
            ("Results", _counted(counts["by_result"])),
            ("Results of high risk", _counted(counts["high_by_result"])),
            (
                "Justified by signature",
                f"{counts['justified']}; {counts['not_justified']} are not: {_signature(document['justifications'])}",
            ),
            ("Tests", f"{counts['cases']} claim a requirement, {counts['tests_of_details']} are of details"),
        ]
    )
    yield Heading(1, "Test runs")
    if document["runs"]:
        rows = [
            [
                run["file"],
                run["begun"],
                run["ended"],
                run["python"],
                run["platform"],
                run["commit"] + (" and changes" if run["dirty"] else ""),
            ]
            for run in document["runs"]
        ]
        yield Table(("Evidence", "Begin", "End", "Python", "Platform", "Commit"), (3, 3, 3, 2, 5, 5), rows)
    else:
        yield Text("There is no test run of these files: nothing here was shown by a test.", marked=True)
    yield from (Text(f"Not counted: {text}") for text in document["not_counted"])


def _signature(told: Mapping[str, Any] | None) -> str:
    if told is None:
        return "nobody has signed justifications"
    by = (
        f"signed by the key {told['signed_by']}"
        if told["signed_by"]
        else "signed by no release key that is known here, so they count for nothing"
    )
    return f"{told['who']}, {told['at']}, {by}"


def _table(rows: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    yield Heading(1, "Requirements")
    lines = [
        [row["urs"], row["risk"], "+".join(row["stage"]), row["state"], row["result"], f"{row['passed']} of {_tests(row)}", row["date"]]
        for row in rows
    ]
    marked = frozenset(number for number, row in enumerate(rows) if row["result"] in OPEN)
    yield Table(("URS", "Risk", "Stage", "State", "Result", "Tests passed", "Last run"), (4, 2, 3, 2, 3, 3, 5), lines, marked)


def _open(rows: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    """Name what a person has to accept who accepts the matrix."""
    yield Heading(1, "Justifications")
    yield Text("What is not built, built in part, or has no test, and why. Whoever signs this document accepts these, and no more.")
    lines = [
        [row["urs"], row["risk"], row["state"], row["remark"], row["justified"]]
        for row in rows
        if row["remark"] or row["result"] == "no test"
    ]
    yield Table(("URS", "Risk", "State", "What is open, or remark", "Justified by"), (4, 2, 2, 11, 4), lines) if lines else Text("Nothing.")


def _details(rows: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    yield Heading(1, "Each requirement")
    for row in rows:
        yield Heading(2, row["urs"])
        yield Text(row["text"])
        values = [
            ("Source", row["source"]),
            ("Risk", row["risk"]),
            ("Verification", row["verification"]),
            ("Design", row["design"] or "none"),
        ]
        result = f"{row['result']}; {row['passed']} passed, {row['failed']} failed, {row['not_run']} not run"
        yield NamedValues([*values, ("State", _state(row)), ("Result", result)])
        if row["proofs"]:
            tests = [[one["shows"], one["case"], _verdict(one)] for one in row["proofs"]]
            marked = frozenset(number for number, one in enumerate(row["proofs"]) if one["verdict"] != "passed")
            yield Table(("What it stands on", "Test", "Result"), (8, 12, 3), tests, marked)
        if row["cases"]:
            yield Table(("Tests that claim it too", "Result"), (18, 3), [[one["case"], _verdict(one)] for one in row["cases"]])


def _state(row: Mapping[str, Any]) -> str:
    return f"{row['state']}: {row['remark']}" if row["remark"] else str(row["state"])


def _verdict(one: Mapping[str, Any]) -> str:
    return f"{one['verdict']}: {'; '.join(one['why'])}" if one["why"] else str(one["verdict"])


def _tests(row: Mapping[str, Any]) -> int:
    return len(row["proofs"]) + len(row["cases"])


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
