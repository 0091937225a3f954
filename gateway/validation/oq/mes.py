"""Rows of the MES that are edited, late, deleted, or have a time that is none: each is in the record, with what was before."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from config import Source
from gateway.demo.received import Received
from gateway.validation.check import listed
from gateway.validation.oq.case import NotPlayed, Told
from gateway.validation.oq.proofs import compared
from gateway.validation.oq.stage import Stage

READ_WITHIN_S = 60.0
MARK = "OQ"


class Query(NamedTuple):
    """A query of a MES. options: its table in line.toml."""

    source: Source
    options: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name of the query, as `orders`."""
        return str(self.options["name"])

    @property
    def watermark(self) -> Mapping[str, Any]:
        """How far was read."""
        found: Mapping[str, Any] = self.options["watermark"]
        return found

    def key(self, row: Mapping[str, Any]) -> str:
        """Write a row's key as docs/mes.md does."""
        names = self.options["key"]
        texts = [str(row[name]) for name in ([names] if isinstance(names, str) else names)]
        return texts[0] if len(texts) == 1 else "/".join(text.replace("%", "%25").replace("/", "%2F") for text in texts)

    def free(self, row: Mapping[str, Any]) -> str | None:
        """Name a column whose value may be another: neither key nor mark nor time; one that holds something first."""
        fixed = {*([self.options["key"]] if isinstance(self.options["key"], str) else self.options["key"])}
        fixed |= {self.watermark.get("column"), (self.options.get("time") or {}).get("column")}
        names = [name for name in row if name not in fixed]
        return next((name for name in names if row[name] not in (None, "")), names[0] if names else None)


def queries(stage: Stage) -> list[Query]:
    """List the queries of every MES that is simulated. Raises NotPlayed."""
    sources = [source for source in stage.line.sources if source.driver == "mes_sql"]
    if not sources:
        raise NotPlayed("the line reads no tables of a MES", applies=False)
    found = [Query(source, options) for source in sources if source.name in stage.served for options in source.options["query"]]
    if not found:
        raise NotPlayed(f"no simulated database can serve {listed([source.name for source in sources])}")
    return found


async def mes_rows(stage: Stage, told: Told, seconds: float) -> None:
    """Edit a row of each query, commit one late, delete one; write times that never were, or were twice."""
    asked = queries(stage)
    async with stage.running():
        await stage.passes(seconds / 2)
        await stage.plant.say("still")
        for query in asked:
            await _edited(stage, told, query)
            await _late(stage, told, query)
            await _deleted(stage, told, query)
        await _odd_times(stage, told, asked)
        await stage.at_rest()
    compared(stage, told, {query.source.name for query in asked})


async def _written(stage: Stage, query: Query, row: Mapping[str, Any]) -> dict[str, Any]:
    """Write a row and wait until the EBR has it."""
    whole: dict[str, Any] = (await stage.order(do="insert", source=query.source.name, name=query.name, row=row))["row"]
    await _until_told(stage, query, query.key(whole), ("new", "late"))
    return whole


async def _until_told(stage: Stage, query: Query, key: str, changes: tuple[str, ...]) -> str | None:
    """Wait until the EBR holds a message that says one of these of a row; None if it does not come."""
    return await stage.seen(lambda: next((one for one in changes_of(stage.received(), query, key) if one in changes), None), READ_WITHIN_S)


def changes_of(got: Received, query: Query, key: str) -> list[str]:
    """List what was told of a row, in its order: new, late, changed, deleted."""
    return [row.change for row in got.rows.get((query.source.name, query.name, key), [])]


def findings_of(got: Received, query: Query, key: str | None) -> list[str]:
    """List the findings that name a query, and a row of it."""
    named = [one for one in got.findings if one.get("source") == query.source.name]
    of = [one for one in named if one["evidence"].get("name", one["evidence"].get("query")) == query.name]
    return [str(one["code"]) for one in of if key is None or str(one["evidence"].get("key")) == key]


async def _edited(stage: Stage, told: Told, query: Query) -> None:
    row = await _written(stage, query, {})
    key, column = query.key(row), query.free(row)
    action = f"edit row {key} of {query.source.name}.{query.name}: {column} from {row.get(column or '')}"
    if column is None:
        told.step(action, "told as changed", "the query gives no column beside its key, mark and time", None)
        return
    fresh = f"{row[column]} {MARK}" if isinstance(row[column], str) else MARK if row[column] is None else row[column] + 1
    await stage.order(do="change", source=query.source.name, name=query.name, key=key, row={column: fresh})
    await _until_told(stage, query, key, ("changed",))
    judge_edit(told, f"{action} to {fresh}", stage.received(), query, key, (column, fresh))


def judge_edit(told: Told, action: str, got: Received, query: Query, key: str, now: tuple[str, Any]) -> None:
    """Say whether an edited row was told as changed, with what it says now. now: column and value."""
    last, codes = next(reversed(got.rows.get((query.source.name, query.name, key), [])), None), findings_of(got, query, key)
    value = None if last is None else last.columns.get(now[0])
    text = f"{', '.join(changes_of(got, query, key))}; now {value}; {', '.join(codes) or 'no finding'}"
    good = last is not None and last.change == "changed" and str(value) == str(now[1]) and "source-row-changed" in codes
    told.step(action, f"changed; {now[1]}; source-row-changed", text, good)


async def _late(stage: Stage, told: Told, query: Query) -> None:
    """Commit a row whose number, or time, was taken before that of a row which was read already."""
    column, kind = query.watermark.get("column"), query.watermark["kind"]
    if kind == "snapshot" or column is None:
        return  # the whole table is read each time: nothing can be late
    row = await _written(stage, query, {})
    mark = row[column]
    if kind == "sequence" and not isinstance(mark, int):
        told.step(f"commit a row of {query.source.name}.{query.name} late", "told as late", f"its numbers are texts, as {mark}", None)
        return
    if kind == "sequence":
        await _written(stage, query, {column: mark + 2})
    early = mark + 1 if kind == "sequence" else _before(str(mark))
    late = await stage.order(do="insert", source=query.source.name, name=query.name, row={column: early})
    key = query.key(late["row"])
    await _until_told(stage, query, key, ("new", "late"))
    judge_late(told, f"commit row {key} of {query.source.name}.{query.name} late ({column} {early})", stage.received(), query, key)


def judge_late(told: Told, action: str, got: Received, query: Query, key: str) -> None:
    """Say whether a row that came late was told as that, once."""
    said = changes_of(got, query, key)
    told.step(action, "late, once", ", ".join(said) or "nothing", said == ["late"])


def _before(mark: str) -> str:
    """Return a time text some seconds before this one."""
    return (datetime.fromisoformat(mark) - timedelta(seconds=5)).isoformat(sep=" ", timespec="microseconds")


async def _deleted(stage: Stage, told: Told, query: Query) -> None:
    row = await _written(stage, query, {})
    key = query.key(row)
    await stage.order(do="delete", source=query.source.name, name=query.name, key=key)
    await _until_told(stage, query, key, ("deleted",))
    judge_delete(told, f"delete row {key} of {query.source.name}.{query.name}", stage.received(), query, key)


def judge_delete(told: Told, action: str, got: Received, query: Query, key: str) -> None:
    """Say whether a row that is gone was told as deleted."""
    said, codes = changes_of(got, query, key), findings_of(got, query, key)
    good = said[-1:] == ["deleted"] and "source-row-deleted" in codes
    told.step(action, "deleted; source-row-deleted", f"{', '.join(said)}; {', '.join(codes) or 'no finding'}", good)


async def _odd_times(stage: Stage, told: Told, asked: list[Query]) -> None:
    """Write rows with local times of the two nights in which the site's clocks are set, to the first query that has a time."""
    timed = [one for one in asked if one.options.get("time") and one.options["time"]["column"] != one.watermark.get("column")]
    for query in timed[:1]:
        time = query.options["time"]
        codes = {"time-nonexistent": ("time-nonexistent",), "time-ambiguous": ("time-ambiguous", "time-earlier", "time-later")}
        for name, local in odd_nights(ZoneInfo(str(time["zone"])), datetime.now(UTC).year - 1):
            text = local.strftime(str(time.get("format") or "%Y-%m-%d %H:%M:%S"))
            row = await _written(stage, query, {time["column"]: text})
            key = query.key(row)
            found = [code for code in findings_of(stage.received(), query, None) if code in codes[name]]
            said = changes_of(stage.received(), query, key)
            action = f"write {text} ({time['zone']}) to row {key} of {query.source.name}.{query.name}"
            told.step(action, f"the row is read; {name}", f"{', '.join(said)}; {', '.join(found) or 'no finding'}", bool(said and found))


def odd_nights(zone: ZoneInfo, year: int) -> Iterator[tuple[str, datetime]]:
    """Yield a local time of the year that never was, and one that was twice; nothing where clocks are not set."""
    local = datetime(year, 1, 1, 0, 30)  # noqa: DTZ001 - a local time is meant, as a MES writes it
    found = dict[str, datetime]()
    for _ in range(366 * 24):
        local += timedelta(hours=1)
        earlier, later = (local.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
        if earlier != later and earlier is not None and later is not None:
            found.setdefault("time-ambiguous" if earlier > later else "time-nonexistent", local)
    yield from found.items()
