"""Values that the laboratory gives: chosen from the results of a batch's samples, judged as every other parameter is. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from config import Parameter
from config.sections import ValueOrigin
from gateway.parameters.limits import exact, judge, shown

ALL_SAMPLES = frozenset({"min", "max", "mean"})
"""Statistics over the results of all samples; the others take the result of one."""


class LabResult(NamedTuple):
    """What the laboratory says of one sample. text: as it wrote it, None: nothing yet. seq: of the entry in which it stands."""

    sample: str | None
    text: str | None = None
    source: str | None = None
    name: str | None = None
    key: str | None = None
    time: str | None = None
    seq: int | None = None


def given(row: Parameter, parameter: Mapping[str, Any], results: Sequence[LabResult], origin: ValueOrigin | None = None) -> dict[str, Any]:
    """Make the element of `parameters` of a row with `given_by`, from the element without its value.

    results: one for each sample, in the order in which they were taken. As long as one that counts has none, the value is missing.
    origin: how the values of these rows came to be; None: nobody declared it.
    """
    chosen = _chosen(row.statistic, results)
    texts = [result.text for result in chosen if result.text is not None]
    value, status = None, "missing"
    if chosen and len(texts) == len(chosen):
        value = _value(row, texts)
        status = "bad" if value is None else "present"
    judged = row.limit_source != "none"
    element = {
        **parameter,
        "value": value,
        "unrounded": _unrounded(row, texts) if value is not None else None,
        "result": judge(value, parameter["low"], parameter["high"], is_whole=_read_all(row, parameter, "low", "high"))
        if judged
        else "not-judged",
        "status": status,
        "readings": len(texts),
        "evidence": _evidence(chosen),
        **({} if origin is None else {"value_origin": origin}),
        "results": [{name: getattr(result, name) for name in ("sample", "source", "name", "key", "time", "seq")} for result in chosen],
    }
    if "alert" in parameter:
        is_whole = _read_all(row, parameter, "alert_low", "alert_high")
        element["alert"] = judge(value, parameter["alert_low"], parameter["alert_high"], is_whole=is_whole) if judged else "not-judged"
    return element


def _read_all(row: Parameter, parameter: Mapping[str, Any], *names: str) -> bool:
    """True if each of these limits that the row has is a number: none of them stands in a tag that could not be read."""
    return all(getattr(row, name) is None or exact(parameter[name]) is not None for name in names)


def _chosen(statistic: str, results: Sequence[LabResult]) -> Sequence[LabResult]:
    if statistic in ALL_SAMPLES:
        return results
    return results[:1] if statistic == "first" else results[-1:]


def _value(row: Parameter, texts: Sequence[str]) -> str | None:
    """Return the value as the record shows it; None if a number is asked for and one of the texts is none."""
    number = _unrounded(row, texts)
    if number is None:
        return None
    return shown(number, row.decimals, is_text=not _is_number(row))


def _is_number(row: Parameter) -> bool:
    return row.statistic in ALL_SAMPLES or row.limit_source != "none" or row.unit is not None or row.decimals is not None


def _unrounded(row: Parameter, texts: Sequence[str]) -> str | None:
    if not _is_number(row):
        return texts[0]
    numbers = [number for text in texts if "_" not in text and (number := exact(text)) is not None]
    if len(numbers) < len(texts):
        return None
    match row.statistic:
        case "min":
            return format(min(numbers), "f")
        case "max":
            return format(max(numbers), "f")
        case "mean":
            return format(sum(numbers, Decimal(0)) / len(numbers), "f")
    return format(numbers[0], "f")


def _evidence(chosen: Sequence[LabResult]) -> dict[str, Any]:
    seqs = [result.seq for result in chosen if result.seq is not None]
    return {"from_seq": min(seqs, default=None), "to_seq": max(seqs, default=None)}
