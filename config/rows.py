"""From the CSV files of a line folder to objects: the door to the tables. What hangs together is checked in `config.checks`."""

from config.columns import CHOICES, INTEGERS, NUMBERS, TABLES
from config.rows_codes import alarms, codes, dispositions, ebr_fields
from config.rows_materials import materials, samples
from config.rows_steps import parameters, steps
from config.rows_tags import tags

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
