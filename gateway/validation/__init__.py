"""Qualifies an installation: what is installed (IQ), what it does (OQ), how it performs (PQ), and proofs that are made again.

Nothing here writes to a line's record, but for the documents that it makes. What could not be checked is `not checked`, with the reason,
and what was not executed is listed as that: neither is ever counted as passed.
"""
