"""What a line folder's text alone tells of a source with queries: no network."""

from collections.abc import Iterator, Sequence

from pydantic import ValidationError

from config import Problem, Source, Tag, did_you_mean
from drivers.contract import DriverMisconfigured
from drivers.mes_sql.database import url_of
from drivers.mes_sql.probe import place_of
from drivers.mes_sql.settings import Settings
from drivers.mes_sql.statement import columns


def problems(source: Source, tags: Sequence[Tag]) -> list[Problem]:
    """The URL, and that each tag's query exists and gives its column."""
    try:
        settings = Settings.model_validate(source.options)
    except ValidationError:  # reported by the folder's check, key by key
        return []
    found = []
    try:
        url_of(source, settings)
    except DriverMisconfigured as error:
        found.append(Problem("line.toml", None, str(error)))
    for query in settings.query:
        if query.watermark.kind == "timestamp" and query.time is None:
            text = (
                f"{source.name}: query {query.name} is read in the order of a time, and has no `time`: if that is local time, say so"
                ' (time = { column = "' + str(query.watermark.column) + '", zone = "Europe/Paris" }), else rows of the hour that'
                " comes twice in autumn are found late"
            )
            found.append(Problem("line.toml", None, text, "warning"))
    return found + [problem for tag in tags for problem in _misplaced(tag, source, settings)]


def row_columns(source: Source, query: str) -> list[str] | None:
    """The columns of a query's SELECT list; None where the database alone knows them, or there is no such query."""
    settings = Settings.model_validate(source.options)
    return next((columns(one.sql) for one in settings.query if one.name == query), None)


def _misplaced(tag: Tag, source: Source, settings: Settings) -> Iterator[Problem]:
    """A tag whose query there is not, or whose query does not give its columns as far as the text of the SELECT tells."""
    name, column = place_of(tag.address)
    queries = {query.name: query for query in settings.query}
    if name not in queries:
        yield tag.place.problem(f"{tag.tag}: source {source.name} has no query {name!r} (there is {', '.join(sorted(queries))})")
        return
    given = columns(queries[name].sql)
    for what, wanted in {"": column, **{f" ({each})": one for each, one in tag.window_columns.items()}}.items():
        if given is not None and wanted.lower() not in (one.lower() for one in given):
            gives = f"gives no column {wanted!r}{did_you_mean(wanted, given)} (its SELECT gives {', '.join(given)})"
            yield tag.place.problem(f"{tag.tag}{what}: query {name} {gives}")
