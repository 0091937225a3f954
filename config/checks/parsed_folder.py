"""All objects of a folder that was read, before they are checked against each other; and a check that several parts share."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from config.comparisons import Comparison
from config.line import Alarm, CodeTable, Disposition, EbrField, Parameter, Step, Tag
from config.materials import Booking, Occasion, Sampling
from config.problem import Problem, did_you_mean
from config.toml.document import Sections
from config.toml.text import Document


@dataclass(slots=True)
class ParsedFolder:
    """All objects of a folder, each read by itself; references between them are not checked yet."""

    document: Document
    sections: Sections
    tags: list[Tag]
    steps: list[Step]
    parameters: list[Parameter]
    codes: Mapping[str, CodeTable]
    alarms: list[Alarm] = field(default_factory=list)
    materials: list[Booking] = field(default_factory=list)
    samples: list[Sampling] = field(default_factory=list)
    ebr_fields: list[EbrField] = field(default_factory=list)
    dispositions: list[Disposition] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)

    rejected: Mapping[str, set[str]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    def was_rejected(self, file: str, name: str) -> bool:
        """True if the table has a row of this name that was rejected, or can not be read at all: that is reported there, and not again."""
        return file in self.broken or name in self.rejected.get(file, ())

    @property
    def environment(self) -> str:
        """The environment of [line]; development if line.toml does not name one."""
        return self.sections.line.environment if self.sections.line else "development"

    @property
    def equipment_names(self) -> list[str]:
        """Names of all [[equipment]] tables, refused ones included: one mistake is reported once."""
        return _names(self.document, "equipment")

    @property
    def source_names(self) -> list[str]:
        """Names of all [[source]] tables, refused ones included."""
        return _names(self.document, "source")


def _names(document: Document, key: str) -> list[str]:
    tables = document.data.get(key, [])
    names = [table.get("name") for table in tables if isinstance(table, dict)] if isinstance(tables, list) else []
    return [name for name in names if isinstance(name, str)]


def unknown_tag(
    parts: ParsedFolder, row: Step | Parameter | Alarm | Occasion, column: str, name: str, tags: Mapping[str, Tag]
) -> Iterable[Problem]:
    """Yield a problem if there is no such tag. Names are compared as written, upper and lower case included."""
    if name not in tags and not parts.was_rejected("tags.csv", name):
        close = next((tag for tag in tags if tag.casefold() == name.casefold()), None) if len(tags) < 20_000 else None
        yield row.place.problem(f"{column}: unknown tag `{name[:80]}`" + (f", did you mean `{close}`?" if close else _near(name, tags)))


def _near(name: str, tags: Mapping[str, Tag]) -> str:
    return did_you_mean(name, list(tags)) if len(tags) < 2000 else ""
