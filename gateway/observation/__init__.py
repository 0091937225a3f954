"""Holds each day after go-live against the limits of [observation]: gathers the days from the journal, judges them, makes their reports.

Invariants. What is not known is a verdict of its own, and never within a limit: a day of which entries are missing, a source of which
nothing tells, a clock without a bound. Figures are of the journal through an entry that the report names: who reads to it again gets the
same. Readings are not parsed, and nothing is kept that grows with their number. A period is ended by a signature, never from here.
"""
