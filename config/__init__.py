"""The line folder: read, checked, and turned into objects. Imports no other package.

Invariants. A folder with one error gives no Line, and nothing of it is used; every problem is reported at once, with file and line. A
Line never changes: a new folder is a new Line. Units, transforms, lot numbers and regular expressions are proven
when the folder is read, before anything starts.

Doors: this module; `sections` and `materials`, the objects of line.toml and of the tables of materials; `grammars` and `units`, which are
pure; `credentials`, the secrets that a folder names, read while a line runs; `reports`. Everything else is imported within config only.
"""

from config import examples, exceptions
from config.line import Alarm, Code, CodeTable, Disposition, EbrField, Identity, Line, Parameter, Step, Tag, place_of
from config.load import data_directory, identity, load, people_socket, read
from config.problem import ConfigError, Place, Problem, did_you_mean
from config.sections import Backup, Credential, Equipment, FromRow, FromTag, Model, Push, Pushed, Source, Uplink, Users, Witness
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
    "examples",
    "exceptions",
    "identity",
    "load",
    "people_socket",
    "place_of",
    "read",
]
