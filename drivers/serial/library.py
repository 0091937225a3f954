r"""Ready settings for instruments whose lines are known from their manuals: `instrument = "ohaus"` in place of a pattern.

Each tells whether the load is at rest: a form that does not say so is not here, for its numbers would all be Good. Lines of another
kind (totals, tare values, overload) do not match: they are gaps, and never weights. `kind` is what the line says the number is.
"""

from collections.abc import Mapping
from typing import Any

_NUMBER = r"[0-9]++(?:\.[0-9]++)?+"

LIBRARY: Mapping[str, Mapping[str, Any]] = {
    # A&D standard and CSV format (GX-A/GF-A, GC, BA-T): ST,+00123.45  g; second header of comparison, gross or net
    "a-and-d": {
        "pattern": r"(?:(?P<stable>ST|QT)|US),(?:(?P<kind>LO|OK|HI|--|GS|NT|G|N),)?+"
        rf"(?P<weight>[+-]{_NUMBER}),?+ *+(?P<unit>[A-Za-z%]++) *+"
    },
    # Ohaus (Explorer, Scout, Navigator): weight, unit, ? while unstable, a legend
    "ohaus": {
        "pattern": rf" *+(?P<weight>-?+ *+{_NUMBER}) *+(?P<unit>[A-Za-z%]++) *+(?P<moving>\??+) *+(?:(?P<kind>NET|G)|[0-9:]{{8}})?+ *+"
    },
    # Kern (PCB, FKB, PFB and others): M or blank, sign, ten for the weight, and the unit only while stable
    "kern": {"pattern": rf"[ M](?P<weight>[ -] *+{_NUMBER}) *+(?P<unit>(?P<stable>[A-Za-z%]++)?+)\.?+ *+"},
    # Kern GAB, KFB, KIB and other indicators: ST,GS,   1.234,kg
    "st-us": {
        "pattern": rf"(?:(?P<stable>ST|St)|US),(?P<kind>GS|NT|G|N)[, ] *+(?P<weight>[+-]?+ *+{_NUMBER})[, ]*+(?P<unit>[A-Za-z]++) *+"
    },
    # Radwag (AS, PS, WTB, PUE): the printed form, and the answers to S, SI, SU, SUI; "S A" says that the command is understood
    "radwag": {
        "pattern": rf"(?:(?:SUI|SU|SI|S) *+)?+(?P<moving>\??+) *+(?P<weight>-?+ *+{_NUMBER}) (?P<unit>[A-Za-z%]++) *+",
        "ignore": ["(?:SUI|SU|SI|S) *+A"],
    },
}
"""name -> keys of protocol line."""
