"""The line folder: read, checked, and turned into objects. Imports no other package.

Invariants. A folder with one error gives no Line, and nothing of it is used; every problem is reported at once, with file and line. A
Line never changes: a new folder is a new Line. Units, transforms, lot numbers and regular expressions are proven
when the folder is read, before anything starts.

A name of this module is imported when it is first used: who asks where the journal is pays for no model of a folder.

Doors: this module; `sections`, `materials` and `comparisons`, the objects of line.toml and of the tables of materials and compare.csv;
`grammars` and `units`, which are pure; `credentials`, the secrets that a folder names, read while a line runs; `edited`, what was written
to a folder since it was read; `reports`; `locations`. Everything else is imported within config only.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from config import examples, exceptions
    from config.line import Alarm, Code, CodeTable, Disposition, EbrField, Identity, Line, Parameter, Step, Tag, origin_of, place_of
    from config.loading import digest, identity, load, read, sources
    from config.locations import data_directory, people_socket
    from config.problem import ConfigError, Place, Problem, did_you_mean
    from config.sections import Backup, Credential, Equipment, FromRow, FromTag, Model, Push, Pushed, Source, Uplink, Users, Witness
    from config.toml.text import parse_toml
    from config.units.scaling import Scaling

__all__ = [
    "Alarm",
    "Backup",
    "Code",
    "CodeTable",
    "ConfigError",
    "Credential",
    "Disposition",
    "EbrField",
    "Equipment",
    "FromRow",
    "FromTag",
    "Identity",
    "Line",
    "Model",
    "Parameter",
    "Place",
    "Problem",
    "Push",
    "Pushed",
    "Scaling",
    "Source",
    "Step",
    "Tag",
    "Uplink",
    "Users",
    "Witness",
    "data_directory",
    "did_you_mean",
    "digest",
    "examples",
    "exceptions",
    "identity",
    "load",
    "origin_of",
    "parse_toml",
    "people_socket",
    "place_of",
    "read",
    "sources",
]

_HOMES = {
    "config.problem": ("ConfigError", "Place", "Problem", "did_you_mean"),
    "config.locations": ("data_directory", "people_socket"),
    "config.sections": (
        *("Backup", "Credential", "Equipment", "FromRow", "FromTag", "Model", "Push", "Pushed", "Source", "Uplink", "Users", "Witness"),
    ),
    "config.toml.text": ("parse_toml",),
    "config.units.scaling": ("Scaling",),
    "config.line": (
        *("Alarm", "Code", "CodeTable", "Disposition", "EbrField", "Identity", "Line", "Parameter", "Step", "Tag", "origin_of", "place_of"),
    ),
    "config.loading": ("digest", "identity", "load", "read", "sources"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a name of this package at its first use (PEP 562). Raises AttributeError, or ImportError if its home is broken."""
    is_module = name in ("examples", "exceptions")
    home = f"config.{name}" if is_module else _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(home)
    except AttributeError as error:  # else Python would say that there is no such name, and not why
        raise ImportError(f"{home} can not be imported: {error}") from error
    return module if is_module else globals().setdefault(name, getattr(module, name))
