"""Check the condition of a row (`active`): its grammar, and that its signal can have the values it names."""

from collections.abc import Iterable, Mapping, Sequence

from config.csv.columns import INTEGERS
from config.grammars import step_condition
from config.line import Alarm, CodeTable, Step, Tag
from config.materials import Occasion
from config.problem import Problem, did_you_mean


def active_problems(row: Step | Alarm | Occasion, text: str, signal: Tag | None, codes: Mapping[str, CodeTable]) -> Iterable[Problem]:
    """Yield the problems of a condition: not in the grammar, or values that the signal can not have."""
    try:
        meant = step_condition.parse(text)
    except step_condition.ActiveError as error:
        yield row.place.problem(f"active: {error}")
        return
    if signal is None:
        return
    if meant.flags and signal.type != "bool":
        yield row.place.problem(f"active: true and false are values of a bool, but `{signal.tag}` is {signal.type}")
    if signal.type == "bool" and (meant.ranges or meant.names):
        yield row.place.problem(f"active: `{signal.tag}` is a bool: true or false is meant")
    if meant.ranges and signal.type == "string":
        yield row.place.problem(f'active: `{signal.tag}` is a string: put a number in quotation marks, as in "30"')
    if meant.names and signal.type in INTEGERS:
        yield from _names_of_codes(row, meant.names, signal, codes)


def _names_of_codes(row: Step | Alarm | Occasion, names: Sequence[str], signal: Tag, codes: Mapping[str, CodeTable]) -> Iterable[Problem]:
    if signal.codes is None:
        yield row.place.problem(f"active: `{names[0]}` is a name, but `{signal.tag}` has no codes")
    elif signal.codes in codes:
        texts = [code.text for code in codes[signal.codes].codes.values()]
        for name in names:
            if name not in texts:
                yield row.place.problem(f"active: `{name}` does not stand in code table `{signal.codes}`{did_you_mean(name, texts)}")
