"""Says where the reports of days lie beside the journal, and how their files are called. Pure."""

from collections.abc import Mapping
from typing import Any

from gateway.alarms.observation import KIND
from gateway.documents import file_name

FORMS = ("json", "html")
FOLDER = "observations"


def names(report: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of a report's files by their form. report: as the journal told of it (`gateway.alarms.observation.Observed`)."""
    name = file_name({"document": KIND, "made_at": {"time": report["made"]}, "id": str(report["id"])})
    return {form: f"{name}.{form}" for form in FORMS}
