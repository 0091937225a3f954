"""Proves that the journal is whole, while the line runs and afterwards.

Signed checkpoints, the key, witnesses outside the machine, the audit trail, batches held for QA, copies on schedule, everything decided
again. Invariants: nothing that contradicts an earlier signature is signed; no hold is released, nothing is pruned and no key changes
without its entry in the journal; a witness or a copy that fails raises an alarm and never holds the line up.
"""
