"""Compares the record of a batch with that of the legacy system, or with what people wrote by hand, field by field (URS-OBS-05).

The gateway's side is read from the journal alone (`record`), the other side from a file or a query (`legacy`, `manual`); what belongs to
what (`pairing`) and whether it is the same (`judging`) is decided by the rules of compare.csv and [parallel_run], which are part of the
approved configuration (`rules`). A difference that a person has explained stays a difference (`explained`).

Invariants: each value of either side is in exactly one row, or in the list of what is compared with nothing; a number is exact, and
converted only where its unit is declared; what one side does not say is not guessed, and is no match.
"""

from gateway.operation.explaining import ACTION
from gateway.validation.parallel_run.comparing import Comparable, NotComparable, compared
from gateway.validation.parallel_run.document import KIND, drafted, text

__all__ = ["ACTION", "KIND", "Comparable", "NotComparable", "compared", "drafted", "text"]
