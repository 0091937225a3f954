"""What a case of the operational qualification is, and what it says: steps, each expected and actual, with the files they rest on."""

from gateway.validation.cases import Case, NotPlayed
from gateway.validation.steps import Step, Told, evidence

__all__ = ["Case", "NotPlayed", "Step", "Told", "evidence"]
