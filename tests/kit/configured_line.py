"""Random line folders whose limits stand in other units than their readings, and their edits: what somebody changes in mid batch.

Numbers are exact fractions; the table of units is this model's own.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from kit import random_line
from kit import random_recipes as recipes

import config
from config import Line

UNITS: dict[str, dict[str, tuple[Fraction, Fraction]]] = {
    "temp": {"Cel": (Fraction(1), Fraction(0)), "K": (Fraction(1), Fraction("-273.15")), "[degF]": (Fraction(5, 9), Fraction(-160, 9))},
    "rate": {"/min": (Fraction(1), Fraction(0)), "/s": (Fraction(60), Fraction(0))},
    "press": {
        "bar{gauge}": (Fraction(1), Fraction(0)),
        "kPa{gauge}": (Fraction(1, 100), Fraction(0)),
        "mbar{gauge}": (Fraction(1, 1000), Fraction(0)),
    },
    "mass": {"kg": (Fraction(1), Fraction(0)), "g": (Fraction(1, 1000), Fraction(0))},
    "time": {"s": (Fraction(1), Fraction(0)), "min": (Fraction(60), Fraction(0))},
}
"""Quantity -> UCUM code -> (slope, intercept) into the quantity's first unit."""
INCOMPARABLE = (("bar{gauge}", "bar{absolute}"), ("kPa{absolute}", "bar{gauge}"), ("Cel", "kg"), ("s", "/min"), ("g", "bar{gauge}"))
MEASURED = {"speed": "rate", "temp": "temp", "press": "press", "mass": "mass"}
LIMITING = {"lim_rate": "rate", "lim_temp": "temp", "lim_press": "press", "lim_mass": "mass", "lim_time": "time"}
FROM_ROWS = {"max_temp": "temp", "max_rate": "rate"}
RANGES = {"rate": (0, 300), "temp": (20, 80), "press": (0, 4), "mass": (10, 90), "time": (1, 200)}
"""In the quantity's first unit."""
TIMED = ("time_above", "time_below", "time_outside")
DIFFERENCES = ("range", "stdev", "delta")
STATISTICS = ("mean", "max", "min", "value_at_start", "value_at_end", *DIFFERENCES, "integral", *TIMED, "duration", "count_changes")
NAMES = (*((n, k, c) for n, k, c, _ in recipes.TAGS), *((n, "float64", None) for n in ("press", "mass", *LIMITING)))


def converted(value: Fraction, quantity: str, code: str, into: str, *, difference: bool = False) -> Fraction:
    (slope, intercept), (other, less) = UNITS[quantity][code], UNITS[quantity][into]
    if difference:
        return value * slope / other
    return (value * slope + intercept - less) / other


@dataclass(frozen=True)
class Row:
    """A row of parameters.csv. low, high: a number in the limits' unit, or `=tag`."""

    parameter: str
    equipment: str
    step: str
    statistic: str
    tag: str
    include: str
    unit: str
    decimals: int
    low: str
    high: str

    @property
    def quantity(self) -> str:
        if self.statistic in (*TIMED, "duration"):
            return "time"
        return "" if self.statistic in {"integral", "count_changes"} else MEASURED[self.tag.partition(".")[2]]

    @property
    def limits(self) -> tuple[str, str]:
        return self.low, self.high

    def csv(self) -> str:
        """Its line, without `required`: all are."""
        read = [text for text in self.limits if text.startswith("=")]
        source = "none" if not any(self.limits) else "map" if not read else "mes" if any(t.startswith("=mes.") for t in read) else "tag"
        cells = (self.parameter, self.equipment, self.step, self.tag, self.statistic, self.include, self.unit, self.decimals, *self.limits)
        return ",".join(map(str, (*cells, source)))


@dataclass(frozen=True)
class Setup:
    """What stands in a folder. units: of each measured or limiting tag; moved: tags that are read at another address."""

    rows: tuple[Row, ...]
    units: tuple[tuple[str, str], ...]
    steps: frozenset[str]
    moved: frozenset[str] = frozenset()

    def unit(self, tag: str) -> str:
        return dict(self.units).get(tag, "")

    def row_of(self, like: Row) -> Row | None:
        """Give the row of the same name in the same step."""
        name = (like.equipment, like.step, like.parameter)
        return next((row for row in self.rows if (row.equipment, row.step, row.parameter) == name), None)

    def write(self, path: Path) -> Line:
        """Write the folder and read it as the product does."""
        self.put(path)
        return config.load(path)

    def put(self, path: Path) -> None:
        """Write the folder."""
        if not path.exists():
            random_line.folder(path)
        text = (path / "line.toml").read_text()
        (path / "line.toml").write_text(text.replace('sql = "SELECT id, unit,', 'sql = "SELECT id, max_temp, max_rate, unit,'))
        tags = ["tag,source,address,type,unit,codes,between,equipment"]
        for e, s in recipes.SOURCES.items():
            for number, (name, kind, codes) in enumerate(NAMES):
                tag = f"{s}.{name}"
                other = tag in self.moved
                at = 4 * number + 1_000 * other
                address = f"nsu=urn:x;s={name}{'_b' * other}" if s == "g" else f"1/{'coil' if kind == 'bool' else 'holding'}/{at}:{kind}"
                tags.append(f"{tag},{s},{address},{kind},{self.unit(tag)},{codes or ''},hold,{e}")
        tags += [f"mes.{name},mes,orders.{name},float64,{self.unit(f'mes.{name}')},,hold,line" for name in FROM_ROWS]
        steps = ["step,equipment,level,parent,signal,active,key,occurs"]
        for e, s in recipes.SOURCES.items():
            steps.append(f"RUN,{e},operation,,{s}.step,1..99,,0..n")
            names = enumerate(recipes.PHASES[e], 1)
            steps += [f"{name},{e},phase,RUN,{s}.step,{n},{s}.key,0..n" for n, name in names if f"{e}/{name}" in self.steps]
            steps += [f"STIR,{e},phase,,{s}.bit,true,,0..n"] * (f"{e}/STIR" in self.steps)
        head = "parameter,equipment,step,tag,statistic,include,unit,decimals,low,high,limit_source"
        rows = [row.csv() for row in self.rows if f"{row.equipment}/{row.step}" in self.steps]
        for file, lines in (("tags.csv", tags), ("steps.csv", steps), ("parameters.csv", [head, *rows])):
            (path / file).write_text("\n".join(lines) + "\n")


def drawn(rng: random.Random) -> Setup:
    """Draw a line: units of all tags, and four parameters of each phase."""
    measured = {f"{s}.{n}": q for s in recipes.SOURCES.values() for n, q in (MEASURED | LIMITING).items()}
    units = {tag: rng.choice(sorted(UNITS[q])) for tag, q in (measured | {f"mes.{n}": q for n, q in FROM_ROWS.items()}).items()}
    steps = frozenset(f"{e}/{name}" for e in recipes.SOURCES for name in (*recipes.PHASES[e], "STIR"))
    rows = [_row(rng, units, step, number) for step in sorted(steps) for number in range(4)]
    return Setup(tuple(rows), tuple(sorted(units.items())), steps)


def _row(rng: random.Random, units: dict[str, str], place: str, number: int) -> Row:
    equipment, _, step = place.partition("/")
    statistic, source = rng.choice(STATISTICS), recipes.SOURCES[equipment]
    tag = "" if statistic == "duration" else f"{source}.{rng.choice(sorted(MEASURED))}"
    include = rng.choice(["all", "running"])
    row = Row(f"{step}_{number}", equipment, step, statistic, tag, include, "", rng.randint(0, 3), "", "")
    row = replace(row, unit=rng.choice(["", *sorted(UNITS[row.quantity])]) if row.quantity else "")
    return limited(rng, row, units)


def unit_of_limits(row: Row, units: dict[str, str]) -> tuple[str, str]:
    """(quantity, code) of the numbers that low and high are compared with; no quantity: those of a bare or compound unit."""
    if row.statistic in TIMED:
        return MEASURED[row.tag.partition(".")[2]], units[row.tag]
    if not row.quantity:
        return "", ""
    return row.quantity, row.unit or ("s" if row.quantity == "time" else units[row.tag])


def limited(rng: random.Random, row: Row, units: dict[str, str]) -> Row:
    """Draw other limits for a row."""
    sides = {"time_above": ("high",), "time_below": ("low",), "time_outside": ("low", "high")}.get(row.statistic)
    sides = sides or rng.choice([(), ("low",), ("high",), ("low", "high")])
    told = {"low": "", "high": "", **{side: _limit(rng, row, units) for side in sides}}
    if all(told.values()) and "=" not in "".join(told.values()):
        told["low"], told["high"] = sorted(told.values(), key=Fraction)
    return replace(row, low=told["low"], high=told["high"])


def _limit(rng: random.Random, row: Row, units: dict[str, str]) -> str:
    quantity, code = unit_of_limits(row, units)
    if not quantity:
        return str(rng.randint(0, 5 if row.statistic == "count_changes" else 50_000))
    read = [f"{recipes.SOURCES[row.equipment]}.{name}" for name, q in LIMITING.items() if q == quantity]
    read += [f"mes.{name}" for name, q in FROM_ROWS.items() if q == quantity]
    if rng.random() < 0.6:
        return f"={rng.choice(read)}"
    low, high = RANGES[quantity]
    value = Fraction(rng.randint(low * 2, high * 2), 2) * (Fraction(1, 4) if row.statistic in DIFFERENCES else 1)
    value = converted(value, quantity, next(iter(UNITS[quantity])), code, difference=row.statistic in DIFFERENCES)
    return f"{float(round(value, 3)):.3f}"


def edited(rng: random.Random, setup: Setup) -> Setup:
    """Change a few things, as somebody does who corrects a map."""
    for _ in range(rng.randint(1, 3)):
        setup = rng.choice([_other_limits, _other_limits, _other_limits, _other_rows, _other_steps, _other_tag])(rng, setup)
    return setup


def _other_limits(rng: random.Random, setup: Setup) -> Setup:
    chosen = set(rng.sample([row.parameter + row.equipment for row in setup.rows], min(6, len(setup.rows))))
    units = dict(setup.units)
    return replace(setup, rows=tuple(limited(rng, r, units) if r.parameter + r.equipment in chosen else r for r in setup.rows))


def _other_rows(rng: random.Random, setup: Setup) -> Setup:
    """Let one row go, put another one in its place or beside it, or write other decimals."""
    rows = list(setup.rows)
    place = rng.randrange(len(rows))
    row, units = rows[place], dict(setup.units)
    match rng.randrange(3):
        case 0:
            rows[place] = replace(row, decimals=(row.decimals + 1) % 4)
        case 1:
            rows[place] = _row(rng, units, f"{row.equipment}/{row.step}", int(row.parameter.rpartition("_")[2]) + 10)
        case _:
            del rows[place]
    return replace(setup, rows=tuple({(r.equipment, r.parameter): r for r in rows}.values()))


def _other_steps(rng: random.Random, setup: Setup) -> Setup:
    return replace(
        setup, steps=setup.steps ^ {f"{e}/{rng.choice((recipes.PHASES[e][-1], 'STIR'))}" for e in rng.sample(sorted(recipes.SOURCES), 1)}
    )


def _other_tag(rng: random.Random, setup: Setup) -> Setup:
    """A tag is read at another address, or is in another unit: what was read before is of another tag."""
    tag = rng.choice([tag for tag, _ in setup.units if not tag.startswith("mes.")])
    if rng.random() < 0.5:
        return replace(setup, moved=setup.moved ^ {tag})
    quantity = (MEASURED | LIMITING)[tag.partition(".")[2]]
    others = [code for code in UNITS[quantity] if code != setup.unit(tag)]
    return replace(setup, units=tuple(sorted({**dict(setup.units), tag: rng.choice(others)}.items())))


def redefined(before: Setup, after: Setup) -> frozenset[str]:
    """Name the tags that mean something else."""
    return (before.moved ^ after.moved) | {tag for tag, unit in after.units if before.unit(tag) != unit}


def refused(path: Path, line: Setup, row: Row) -> Iterable[str]:
    """Give what `check` says of one more row."""
    replace(line, rows=(*line.rows, row)).put(path)
    return [str(problem) for problem in config.read(path)[1] if problem.severity == "error"]
