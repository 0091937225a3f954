"""Turns the CSV files of a line folder into objects: the door to the tables. `config.checks.folder` checks them against each other."""

from config.csv.columns import CHOICES, INTEGERS, NUMBERS, TABLES
from config.csv.rows_codes import alarms, codes, dispositions, ebr_fields
from config.csv.rows_compare import compare
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
    "compare",
    "dispositions",
    "ebr_fields",
    "materials",
    "parameters",
    "samples",
    "steps",
    "tags",
]
