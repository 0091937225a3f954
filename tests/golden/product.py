"""Every name of the product that the golden cases use. A module that is moved or renamed is followed here, and nowhere else.

The keys of CLASSES are the names under which a line's parts stand in the frozen stories: they stay, whatever a class is called today.
"""

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from buffer import Journal
from buffer.archive.record import Proof, Record
from buffer.keys import Signer
from buffer.pages.html import html as archive_html
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
    examples,
    load,
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
from drivers.contract import BAD, Finding, Loss, Message
from gateway.clock import Clock
from gateway.clock.daemon_reading import Evidence
from gateway.clock.judge import Limits
from gateway.context import Fold
from gateway.entries.fold_input import EventInput, ReadingsInput
from gateway.intake.intake import Intake
from simulators.device import Truth
from simulators.ebr import Store
from simulators.ebr.pages.batchml import batchml
from simulators.ebr.pages.page import html as record_html
from simulators.ebr.record.record import batch_record
from simulators.line.plan import Plan
from simulators.line.rows import Filler, writes
from simulators.line.signals import moment, signals
from simulators.mes import MesDevice

__all__ = [
    "BAD",
    "CLASSES",
    "Clock",
    "EventInput",
    "Evidence",
    "Filler",
    "Finding",
    "Fold",
    "Intake",
    "Journal",
    "Limits",
    "Line",
    "Loss",
    "MesDevice",
    "Message",
    "Plan",
    "Proof",
    "ReadingsInput",
    "Record",
    "Store",
    "Truth",
    "archive_html",
    "batch_record",
    "batchml",
    "examples",
    "load",
    "moment",
    "record_html",
    "signals",
    "signer",
    "writes",
]

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


def signer(name: str, seed: bytes) -> Signer:
    """A signing key that is the same each time."""
    return Signer(name, Ed25519PrivateKey.from_private_bytes(seed))
