"""A laboratory result that is replaced by another: what stood before stays in the record, and what rests on it is made again."""

from collections.abc import Mapping
from typing import Any

from config import Parameter
from config.materials import Sampling
from gateway.demo.received import Received
from gateway.demo.truth import read
from gateway.validation.check import listed
from gateway.validation.oq.case import NotPlayed, Told
from gateway.validation.oq.from_logs import said
from gateway.validation.oq.stage import Stage

RESULT_WITHIN_S, REVISED_WITHIN_S = 300.0, 90.0


async def replaced(stage: Stage, told: Told, seconds: float) -> None:
    """Wait for a result of a sample, have the laboratory replace it, and look at sample, batch and parameter."""
    del seconds
    rows = [row for row in stage.line.samples if row.results is not None]
    if not rows:
        raise NotPlayed("no sampling of the map takes results of a laboratory", applies=False)
    served = [row for row in rows if str(row.results).split(".")[0] in stage.served]
    if not served:
        raise NotPlayed(f"no simulated device gives the results of {listed([row.name for row in rows])}")
    async with stage.running():
        for row in served:
            await _replaced(stage, told, row)
        await stage.at_rest()


async def _replaced(stage: Stage, told: Told, row: Sampling) -> None:
    sample = await stage.seen(lambda: with_result(stage.received(), row), RESULT_WITHIN_S)
    where = f"{row.name}: results of {row.results}"
    if sample is None:
        told.step(f"wait for a result ({where})", "a sample with its result", f"none within {RESULT_WITHIN_S:.0f} s", None)
        return
    first = sample["results"][0]
    parameter = next((one for one in stage.line.parameters if (one.given_by or "").split(".")[0] == row.name), None)
    column, fresh = another(stage, row, first, parameter)
    if column is None:
        told.step(f"replace a result ({where})", "told as replaced", "it has no column that could say something else", None)
        return
    text = f"{sample['sample']}: {column} {first['values'].get(column)}"
    told.step(f"wait for a result ({where})", "a sample with its result", text, column in first["values"])
    if not await _dropped(stage, told, row, first, {column: fresh}):
        return
    again = await stage.seen(lambda: with_result(stage.received(), row, sample["sample"], "result-replaced"), REVISED_WITHIN_S)
    judge(told, stage.received(), (sample, again), column, fresh)
    if parameter is not None:
        await stage.seen(lambda: is_judged(stage.received(), sample, parameter, fresh), REVISED_WITHIN_S)
        judge_parameter(stage.received(), told, sample, parameter, fresh)


def with_result(got: Received, row: Sampling, sample: str | None = None, reason: str | None = None) -> dict[str, Any] | None:
    """Find a sample of this sampling that has a result; sample, reason: that one, in a revision made for this reason."""
    for one in got.materials.values():
        of_row = one["type"] == "sample" and one["sampling"] == row.name and one["results"]
        if of_row and sample in (None, one["sample"]) and reason in (None, one.get("reason")):
            return one
    return None


def another(stage: Stage, row: Sampling, result: Mapping[str, Any], parameter: Parameter | None) -> tuple[str | None, Any]:
    """Choose a column of a result and another value for it: one beyond the limit of the parameter that it gives, if there is one."""
    values: Mapping[str, Any] = result["values"]
    source, name = str(row.results).split(".", 1)
    options = next(source_.options for source_ in stage.line.sources if source_.name == source)
    of = next(one for one in (*options.get("query", ()), *options.get("pattern", ())) if one["name"] == name)
    key = of.get("key") or ()
    fixed = {
        row.results_key,
        (of.get("time") or {}).get("column"),
        (of.get("watermark") or {}).get("column"),
        *([key] if isinstance(key, str) else key),
    }
    given = (parameter.given_by or "").split(".", 1)[-1] if parameter is not None else None
    columns = [given] if given in values else [one for one in values if one not in fixed]
    if not columns or columns[0] is None:
        return None, None
    number = _number(values[columns[0]])
    if number is None:
        return columns[0], f"{values[columns[0]]} OQ"
    limit = None if parameter is None else _number(parameter.high)
    return columns[0], round((limit if limit is not None else number) + 1.5, 3)


async def _dropped(stage: Stage, told: Told, row: Sampling, result: Mapping[str, Any], change: Mapping[str, Any]) -> bool:
    """Have the laboratory say something else under the same key."""
    source, name = str(row.results).split(".", 1)
    driver = next(one.driver for one in stage.line.sources if one.name == source)
    written = read(stage.folder / "truth")[source].rows.get((name, str(result["key"])))
    if not written:
        told.step("replace the result", "the laboratory wrote it", f"row {result['key']} of {row.results} is in no log", None)
        return False
    if driver == "mes_sql":
        await stage.order(do="change", source=source, name=name, key=str(result["key"]), row=dict(change))
    else:
        await stage.order(do="insert", source=source, name=name, row={**written[-1][1], **change})
    return True


def judge(told: Told, got: Received, samples: tuple[Mapping[str, Any], Mapping[str, Any] | None], column: str, fresh: Any) -> None:
    """Say whether a sample has the new result, and what stood before it. samples: as it was, and its revision, if one came."""
    sample, again = samples
    old = sample["results"][0]["values"].get(column)
    expected = f"reason result-replaced; now {fresh}; before {old}"
    if again is None:
        told.step(f"replace {column} by {fresh}", expected, "no revision of the sample came", again is not None)
        return
    now: Mapping[str, Any] = next((one for one in again["results"] if one["key"] == sample["results"][0]["key"]), {"values": {}})
    before = [one["values"].get(column) for one in now.get("replaced", ())]
    text = f"reason {again['reason']}; now {now['values'].get(column)}; before {', '.join(map(str, before)) or 'nothing'}"
    good = _same(now["values"].get(column), fresh) and any(_same(one, old) for one in before) and again["reason"] == "result-replaced"
    told.step(f"replace {column} by {fresh}", expected, text, good, sample=again)
    told.step("look at the revision", "a later one", f"{sample['revision']} to {again['revision']}", again["revision"] > sample["revision"])
    ends = [one for one in got.batches.values() if one.get("batch") == again["batch"] and one.get("transition") == "end"]
    reasons = [str(one.get("reason")) for one in ends]
    told.step(
        f"look at the end of batch {again['batch']}",
        "made again for result-replaced, where the batch had ended",
        ", ".join(reasons) or "the batch has not ended: the sample stands in its end when it does",
        "result-replaced" in reasons if ends else True,
    )


def _element(got: Received, sample: Mapping[str, Any], parameter: Parameter) -> Mapping[str, Any] | None:
    """Find what the batch's newest record says of the parameter that the laboratory gives."""
    records = [one for one in got.steps.values() if one.get("batch") == sample["batch"] and one["equipment"] == parameter.equipment]
    return next((one for one in (said(record, parameter) for record in reversed(records)) if one is not None), None)


def is_judged(got: Received, sample: Mapping[str, Any], parameter: Parameter, fresh: Any) -> bool:
    """Return whether the newest record has the new value."""
    element = _element(got, sample, parameter)
    return element is not None and _same(element.get("value"), fresh)


def judge_parameter(got: Received, told: Told, sample: Mapping[str, Any], parameter: Parameter, fresh: Any) -> None:
    """Say whether the parameter that the laboratory gives has the new value, and the verdict that follows from it."""
    element, number = _element(got, sample, parameter), _number(fresh)
    low, high = _number(parameter.low), _number(parameter.high)
    wanted = "not-judged" if number is None or (low is None and high is None) else (
        "above" if high is not None and number > high else "below" if low is not None and number < low else "within"
    )  # fmt: skip
    action = f"look at {parameter.parameter} ({parameter.low or '-'} to {parameter.high or '-'})"
    if element is None:
        told.step(action, f"{fresh}, {wanted}", f"no record of batch {sample['batch']} has it", None)
        return
    text = f"{element.get('value')}, {element.get('result') or 'not-judged'}"
    told.step(action, f"{fresh}, {wanted}", text, _same(element.get("value"), fresh) and (element.get("result") or "not-judged") == wanted)


def _number(value: Any) -> float | None:
    try:
        return None if value is None else float(str(value).replace(",", "."))
    except ValueError:
        return None


def _same(one: Any, other: Any) -> bool:
    """Compare a value as a file writes it with a number or a text."""
    numbers = _number(one), _number(other)
    return abs(numbers[0] - numbers[1]) < 1e-9 if numbers[0] is not None and numbers[1] is not None else str(one) == str(other)
