"""Every name of the product that the golden cases use. A module that is moved or renamed is followed here, and nowhere else.

The keys of CLASSES are the names under which a line's parts stand in the frozen stories: they stay, whatever a class is called today.
"""

from typing import Any

from config import (
    Alarm,
    Code,
    CodeTable,
    Disposition,
    EbrField,
    Equipment,
    FromRow,
    FromTag,
    Line,
    Parameter,
    Source,
    Step,
    Tag,
)
from config.grammars.terms import Term
from config.lots.rules import LotRule, LotRules
from config.materials import Booking, Sampling
from config.problem import Place
from config.sections import (
    BufferSection,
    ClockSection,
    LineSection,
    MesSteps,
    Pushed,
    Route,
)
from config.units.scaling import Scaling
from gateway.context import Fold
from gateway.observed import Happened, Observed

__all__ = ["CLASSES", "Fold", "Happened", "Line", "Observed"]

CLASSES: dict[str, Any] = {
    "Alarm": Alarm,
    "Booking": Booking,
    "BufferSection": BufferSection,
    "ClockSection": ClockSection,
    "Code": Code,
    "CodeTable": CodeTable,
    "Disposition": Disposition,
    "EbrField": EbrField,
    "Equipment": Equipment,
    "FromRow": FromRow,
    "FromTag": FromTag,
    "Line": Line,
    "LineSection": LineSection,
    "LotRule": LotRule,
    "LotRules": LotRules,
    "MesSteps": MesSteps,
    "Parameter": Parameter,
    "Place": Place,
    "Pushed": Pushed,
    "Route": Route,
    "Sampling": Sampling,
    "Scaling": Scaling,
    "Source": Source,
    "Step": Step,
    "Tag": Tag,
    "Term": Term,
}
