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
    # Kern GAB, KFB, KIB, Adam (continuous) and other indicators: ST,GS,   1.234,kg
    "st-us": {
        "pattern": rf"(?:(?P<stable>ST|St)|US),(?P<kind>GS|NT|G|N)[, ]?+ *+(?P<weight>[+-]?+ *+{_NUMBER})[, ]*+(?P<unit>[A-Za-z]++) *+"
    },
    # Radwag (AS, PS, WTB, PUE): the printed form, and the answers to S, SI, SU, SUI; "S A" says that the command is understood
    "radwag": {
        "pattern": rf"(?:(?:SUI|SU|SI|S) *+)?+(?P<moving>\??+) *+(?P<weight>-?+ *+{_NUMBER}) (?P<unit>[A-Za-z%]++) *+",
        "ignore": ["(?:SUI|SU|SI|S) *+A"],
    },
    # CAS (NT-200, CI-400, CI-600 and others), 22 bytes: stable, gross or net, device, a byte of lamps, 8 for the weight, unit
    "cas": {
        "pattern": rf"(?:(?P<stable>ST)|US),(?P<kind>GS|NT),[!-~][\x80-\xff],(?P<weight> *+[+-]?+ *+{_NUMBER}) ++(?P<unit>kg|lb|g|t) *+"
    },
    # CAS SW-II, Gram Zfoc, asked by DC1: SOH STX S weight unit BCC ETX EOT. The block check character is a byte and may be any
    "cas-bcc": {
        "pattern": rf"\x01\x02(?P<checked>(?:(?P<stable>S)|U)(?P<weight>[ -] *+{_NUMBER})(?P<unit>KG|LB|G))(?P<bcc>[\x00-\xff])",
        "request": "\x11",
        "terminator": "\x03\x04",
    },
    # Pharma Test PTB, hardness testers (PTB 111E): model, serial number, "Sample H", number of the tablet, result and unit
    "pharma-test": {
        "pattern": rf"PTB[0-9A-Z-]++[^0-9]*+[0-9]++[ ,;:]*+Sample H *+(?P<sample>[0-9]++)[ ,;:]*+(?P<hardness>{_NUMBER}) *+"
        r"(?P<unit>[A-Za-z]++) *+",
        "ignore": ["PTB[0-9A-Z-]++[^0-9]*+[0-9]++[ ,;:]*+Start *+"],
    },
}
"""name -> keys of protocol line."""
