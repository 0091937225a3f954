"""The columns of each CSV file of a line folder, and the closed lists of words."""

from config.csv.tables import Columns
from config.detectors import COLUMNS as DETECTOR_COLUMNS

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bcd16", "bcd32")
FLOATS = ("float32", "float64")
NUMBERS = (*INTEGERS, *FLOATS, "decimal")
TYPES = ("bool", *INTEGERS[:8], *FLOATS, "decimal", "string", "datetime", "bytes", "bcd16", "bcd32")
AGGREGATES = ("mean", "min", "max", "sum", "median", "last", "count")
STATISTICS = (
    "value_at_start",
    "value_at_end",
    "first",
    "last",
    "min",
    "max",
    "range",
    "mean",
    "stdev",
    "integral",
    "delta",
    "total",
    "duration",
    "time_above",
    "time_below",
    "time_outside",
    "count_changes",
    "sample",
    "trend",
)

CHOICES: dict[str, tuple[str, ...]] = {
    "type": TYPES,
    "store": ("change", "all"),
    "between": ("hold", "linear"),
    "aggregate_stamp": ("start", "end"),
    "criticality": ("CPP", "CQA", "GMP", "none"),
    "time_authority": ("device", "server", "gateway"),
    "level": ("unit_procedure", "operation", "phase"),
    "occurs": ("1", "0..1", "1..n", "0..n"),
    "activity": ("production", "cleaning", "changeover", "maintenance", "qualification", "idle"),
    "kind": ("consume", "produce", "move"),
    "statistic": STATISTICS,
    "when": ("step", "run", "operation", "batch", "event"),
    "include": ("running", "all"),
    "limit_source": ("none", "map", "tag", "mes", "ebr"),
    "origin": ("automatic", "entered-at-source", "by-lims", "by-ebr"),
    "value_origin": ("automatic", "manual", "transcribed", "imported"),
    "severity": ("info", "warning", "alarm"),
    "disposition": ("accepted", "manual-entry", "not-applicable", "later"),
    "rule": ("number", "text", "time", "not-compared"),
    "legacy_origin": ("automatic", "manual", "transcribed"),
}
"""The closed lists of words, by column; one meaning in every table."""

TAGS = Columns(
    required=("tag", "source", "address", "type"),
    optional=(
        "unit",
        "source_unit",
        "codes",
        "rate_ms",
        "max_silence_s",
        "deadband",
        "store",
        "between",
        "raw_low",
        "raw_high",
        "eu_low",
        "eu_high",
        "scale",
        "offset",
        "not_available",
        "aggregate",
        "aggregate_start",
        "aggregate_end",
        "aggregate_count",
        "aggregate_stamp",
        "criticality",
        "time_authority",
        "instrument",
        "value_origin",
        "equipment",
        "description",
        *DETECTOR_COLUMNS,
    ),
    numbers=frozenset(
        {"rate_ms", "max_silence_s", "deadband", "raw_low", "raw_high", "eu_low", "eu_high", "scale", "offset", *DETECTOR_COLUMNS}
        - {"unit_jumps"}
    ),
    words=frozenset({"description"}),
)
STEPS = Columns(
    required=("step", "equipment", "level"),
    optional=("signal", "active", "parent", "key", "recipe", "recipe_version", "occurs", "order", "activity", "description"),
    numbers=frozenset({"order"}),
)
PARAMETERS = Columns(
    required=("parameter", "equipment", "statistic"),
    optional=(
        "ebr_field",
        "name",
        "step",
        "recipe",
        "recipe_version",
        "tag",
        "when",
        "event",
        "include",
        "skip_first_s",
        "unit",
        "decimals",
        "target",
        "low",
        "high",
        "alert_low",
        "alert_high",
        "limit_source",
        "min_covered",
        "max_window_s",
        "required",
        "criticality",
        "origin",
        "given_by",
        "description",
    ),
    numbers=frozenset({"skip_first_s", "decimals", "target", "low", "high", "alert_low", "alert_high", "min_covered", "max_window_s"}),
    formulas=frozenset({"target", "low", "high", "alert_low", "alert_high"}),
)
_OCCASION = ("active", "where", "step", "recipe", "recipe_version", "batch")
MATERIALS = Columns(
    required=("booking", "kind", "equipment", "trigger"),
    optional=(
        *_OCCASION,
        "material",
        "lot",
        "output_lot",
        "to",
        "quantity",
        "gross",
        "tare",
        "at_rest",
        "source_unit",
        "unit",
        "decimals",
        "target",
        "tolerance",
        "performed_by",
        "occurs",
        "ebr_field",
        "description",
    ),
    numbers=frozenset({"decimals", "tolerance"}),
    formulas=frozenset(
        {"batch", "material", "lot", "output_lot", "to", "quantity", "gross", "tare", "source_unit", "target", "tolerance", "performed_by"}
    ),
    words=frozenset({"description", "material"}),
)
SAMPLES = Columns(
    required=("sampling", "equipment", "trigger", "sample"),
    optional=(
        *_OCCASION,
        "performed_by",
        "results",
        "results_key",
        "occurs",
        "ebr_field",
        "description",
    ),
    formulas=frozenset({"batch", "sample", "performed_by"}),
)
CODES = Columns(required=("table", "version", "code", "text"), optional=("state",), numbers=frozenset({"code"}), words=frozenset({"text"}))
ALARMS = Columns(required=("alarm", "tag", "active"), optional=("bit", "severity", "equipment", "text"), numbers=frozenset({"bit"}))
EBR_FIELDS = Columns(required=("ebr_field",), optional=("name", "type", "unit", "required", "owner", "description"))
DISPOSITIONS = Columns(
    required=("gap", "disposition", "reason", "accepted_by", "accepted_on"), optional=(), words=frozenset({"gap", "reason", "accepted_on"})
)

COMPARE = Columns(
    required=("ebr_field",),
    optional=(
        "legacy",
        "where",
        "run",
        "unit",
        "tolerance",
        "time",
        "time_tolerance_s",
        "rule",
        "min_covered",
        "legacy_origin",
        "description",
    ),
    numbers=frozenset({"time_tolerance_s", "min_covered"}),
    words=frozenset({"description", "legacy", "where", "run", "time"}),
)

TABLES: dict[str, Columns] = {
    "tags.csv": TAGS,
    "steps.csv": STEPS,
    "parameters.csv": PARAMETERS,
    "materials.csv": MATERIALS,
    "samples.csv": SAMPLES,
    "codes.csv": CODES,
    "alarms.csv": ALARMS,
    "ebr-fields.csv": EBR_FIELDS,
    "dispositions.csv": DISPOSITIONS,
    "compare.csv": COMPARE,
}
"""Every table of a line folder."""
