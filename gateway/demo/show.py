"""Prints the demo's opening and its last page."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from gateway.demo.compare import Counts, total
from gateway.demo.result import Result
from gateway.demo.setting import Setting
from gateway.operation import wording
from simulators.ebr.record.statement import share

MOST_PROBLEMS = 12
COLUMNS: dict[str, JustifyMethod] = {
    "parameter": "left",
    "value": "right",
    "target": "right",
    "limits": "center",
    "result": "left",
    "covered": "right",
}


def opening(console: Console, setting: Setting) -> None:
    """Print what the demo is about to do."""
    faults, line = setting.faults, setting.line
    way = {"mqtt": "MQTT 5", "https": "HTTPS"}[setting.by]
    console.print(
        f"The line {line.gateway}: {len(line.sources)} sources, {len(line.tags)} tags. All of it in {setting.folder}\n"
        f"To the EBR: {way}, mutual TLS. On the way the network is cut for {faults.cut_for_s:.0f} s\n"
        f"and the gateway is killed once. Seed {setting.seed}.\n"
        f"Pages: the EBR http://127.0.0.1:{setting.page}/   the gateway http://127.0.0.1:{setting.web}/\n"
    )


def shown(console: Console, setting: Setting, result: Result) -> None:
    """Print the result: tables, statement, paths, next steps; the verdict is the last line."""
    console.print(_counts(result))
    for step in result.steps:
        console.print(_step(step))
    console.print(_material(result))
    console.print(_statement(result))
    console.print(_paths(setting, result))
    console.print(verdict(result))


def verdict(result: Result) -> Text:
    """Say in one line whether the record is what the devices had."""
    if result.problems:
        more = f", and {len(result.problems) - 1} more, above" if len(result.problems) > 1 else ""
        return Text(f"\nFAIL: {result.problems[0]}{more}", style="bold red")
    return Text(f"\nPASS: batch {result.batch} is in the record as the devices had it, or a gap says why not", style="bold green")


def _counts(result: Result) -> Table:
    table = _table("Ground truth of the devices against the record")
    table.add_column("source", no_wrap=True)
    for name in ("read", "stored", "received", "left out", "in gaps", "lost", "doubled"):
        table.add_column(name, justify="right")
    rows = {**result.received, "all": total(result.received.values())}
    stored = {**result.stored, "all": total(result.stored.values())}
    for name, counts in rows.items():
        table.add_row(name, *_row(counts, stored[name]), style="bold" if name == "all" else "")
    table.caption = "left out: smaller than the map's deadband, or replaced within the same poll"
    table.caption_justify = "left"
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)


def _row(counts: Counts, stored: Counts) -> list[Any]:
    wrong = [Text(str(number), style="bold red" if number else "bold green") for number in (counts.lost, counts.doubled)]
    return [str(counts.read), str(stored.received), str(counts.received), str(counts.left_out), str(counts.in_gaps), *wrong]


def _step(step: Mapping[str, Any]) -> Table | Text:
    span = f"{step['start']['time'][11:19]} to {step['end']['time'][11:19]} UTC"
    what = f"{step['equipment']} {step['step']}/{step['run']}, {step['level']}, {span}, {step['cause']}"
    if not step["parameters"]:
        return Text(what + "\n", style="bold")
    done = step["completeness"]
    table = _table(f"{what}; {done['present']} of {done['required']}")
    for name, justify in COLUMNS.items():
        table.add_column(name, justify=justify)
    for each in step["parameters"]:
        table.add_row(*_parameter(each))
    return table


def _material(result: Result) -> Table:
    """Make the table of lots in and out, and samples, of the batch."""
    table = _table("Material of the batch")
    for name in ("what", "lot or sample", "material", "quantity", "target", "result", "by"):
        table.add_column(name, justify="right" if name in ("quantity", "target") else "left")
    booked = [event for event in result.got.materials.values() if event["batch"] == result.batch]
    for event in sorted(booked, key=lambda event: str(event["taken" if event["type"] == "sample" else "at"]["time"])):
        table.add_row(*_booked(event))
    return table


def _booked(event: Mapping[str, Any]) -> list[str | Text]:
    by = ", ".join(person["id"] for person in event["performed_by"])
    if event["type"] == "sample":
        values = (pair for result in event["results"] for pair in result["values"].items())
        told = ", ".join(f"{name} {value}" for name, value in values if name != "sample_id")
        return ["sample", _plain(event["sample"]), "", "", "", told or _plain(event["status"]), by]
    lot = event["lot"] if event["kind"] == "consume" else event["output_lot"]
    quantity = f"{event['quantity']} {_plain(event['unit'])}" if event["quantity"] is not None else ""
    name = "" if lot is None else f"{lot['raw']} = {_plain(lot['canonical'])}"
    return [event["kind"], name, _plain(event["material"]), quantity, _plain(event["target"]), _judged(event), by]


def _parameter(each: Mapping[str, Any]) -> list[str | Text]:
    """Make the row of one parameter: its judgement if the value is present, else its status."""
    covered = share(each.get("covered"))
    judged = not str(each.get("statistic")).startswith("time_")  # what such a time counts from is no limit of seconds
    limits = f"{_plain(each.get('low'))} .. {_plain(each.get('high'))}".strip() if judged and (each.get("low") or each.get("high")) else ""
    value = f"{each['value']} {_plain(each.get('unit'))}".strip() if each.get("value") is not None else ""
    return [each.get("name") or each["parameter"], value, _plain(each.get("target")), limits, _judged(each), covered]


def _judged(each: Mapping[str, Any]) -> Text:
    result, status = _plain(each.get("result")), _plain(each.get("status"))
    if status != "present":
        return Text(status, style="" if status == "by-ebr" else "bold yellow")
    return Text("" if result == "not-judged" else result, style="green" if result == "within" else "bold red")


def _plain(value: Any) -> str:
    return "" if value is None else str(value)


def _statement(result: Result) -> Text:
    counts = total(result.received.values())
    done = result.completeness
    agree = sum(each.agrees for each in result.again)
    text = Text()
    text.append(f"\nBatch {result.batch}: {len(result.steps)} steps; {done['present']} of {done['required']} required items are present.\n")
    missing = {"missing_items": done["missing"], "missing": done.get("missing_count", len(done["missing"]))}
    for item in wording.missing(missing):
        text.append(f"  not present: {item}\n", style="yellow")
    accounted = counts.received + counts.in_gaps + counts.left_out
    text.append(f"Accounted for: {accounted} of {counts.read} changes, {len(result.got.gaps)} gaps.\n")
    text.append(f"Step statistics computed again from the devices' logs: {agree} of {len(result.again)} agree.\n")
    material = result.material
    gaps = f", {material.in_gaps} in gaps" if material.in_gaps else ""
    text.append(f"Lots and samples against the log of the process: {material.agreed} of {material.happened} agree{gaps}.\n")
    for chain in result.chains:
        text.append(f"Chain of {chain.path.name}: {chain.text}\n")
    if result.problems:
        text.append("\nNOT GOOD\n", style="bold red")
        for problem in result.problems[:MOST_PROBLEMS]:
            text.append(f"  {problem}\n", style="red")
    else:
        text.append(
            f"lost {counts.lost}, doubled {counts.doubled}: everything that the devices had is in the record, or a gap says why not.\n",
            style="bold green",
        )
    return text


def _paths(setting: Setting, result: Result) -> str:
    record = setting.store / "batches" / result.batch / "record.html"
    line = _near(setting.line.folder)
    places = {
        "batch record": _near(record),
        "journal": _near(setting.line.data),
        "ground truth": _near(setting.truth),
        "logs": _near(setting.folder / "logs"),
    }
    gateway = typed(sys.argv[0])
    return "\n".join(f"{name:<14}{path}" for name, path in places.items()) + (
        "\n\nTry next:\n"
        f"  open the batch record in a browser, or keep it running: {gateway} demo --serve\n"
        f"  {gateway} log {line} --batch {result.batch}\n"
        f"  {gateway} verify {line}\n"
        f"  change one byte in {_near(setting.line.data)}/segments, and verify again\n"
        f"  {gateway} new my-line; {gateway} simulate my-line --to copy"
    )


def typed(called: str) -> str:
    """Return how the program can be called again from the current folder: by its name, where that is this one. called: as it was now."""
    name = Path(called).name
    found = shutil.which(name)
    is_found = found is not None and Path(found).resolve() == Path(called).resolve()
    return name if is_found else _near(Path(called))


def _near(path: Path) -> str:
    """Return the path relative to the current folder where that is shorter."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
