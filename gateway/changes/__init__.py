"""Controlled configuration: which version of a line folder was proposed, by whom it was approved, and which one runs.

A version is the content of a line folder, frozen under its digest, with a number that is given once. What is done to it are acts, each
signed by the gateway in a person's name and chained to the one before; the state of every version follows from the acts alone (`states`,
`book`: pure). They lie beside the journal (`store`), and each is an audit event of the journal, too.

Invariants: nobody approves what he wrote, proposed or put into force in an emergency, by whatever way he asks; an act that does not fit its
place in the chain, its version, its content or its gateway counts for nothing, and nothing after it does; no act counts before its audit
event is durable; a production line runs a version that was put into force, and what its folder holds instead stops nothing (`choice`).
"""

from gateway.changes.acts import Act, Signed
from gateway.changes.baseline import Baseline, installed, software
from gateway.changes.book import Book, NotAllowed, Version
from gateway.changes.choice import Choice, choice
from gateway.changes.impact import OpenBatch
from gateway.changes.register import Register, Surroundings, missing
from gateway.changes.store import Store, known_act, place_of

__all__ = [
    "Act",
    "Baseline",
    "Book",
    "Choice",
    "NotAllowed",
    "OpenBatch",
    "Register",
    "Signed",
    "Store",
    "Surroundings",
    "Version",
    "choice",
    "installed",
    "known_act",
    "missing",
    "place_of",
    "software",
]
