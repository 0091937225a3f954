"""Qualifies an installation: each check expected and found, as a document with its evidence.

Nothing here writes to a line's record, but for the documents that it makes. What could not be checked is `not checked`, with the reason,
and what was not executed is listed as that: neither is ever counted as passed.
"""
