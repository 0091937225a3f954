"""From the CSV files of a line folder to objects: the door to the tables. What hangs together is checked in `config.checks.folder`."""

from config.csv.columns import CHOICES, INTEGERS, NUMBERS, TABLES
from config.csv.rows_codes import alarms, codes, dispositions, ebr_fields
from config.csv.rows_materials import materials, samples
from config.csv.rows_steps import parameters, steps
from config.csv.rows_tags import tags

__all__ = [
    "CHOICES",
    "INTEGERS",
    "NUMBERS",
    "TABLES",
    "alarms",
    "codes",
    "dispositions",
    "ebr_fields",
    "materials",
    "parameters",
    "samples",
    "steps",
    "tags",
]
