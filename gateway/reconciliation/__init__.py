"""Compares what the journal holds with what the receiver says that it holds: by range, count and Merkle root, down to the entry.

Invariants. What the receiver did not answer, says that it keeps no more, or answered to something else, is never counted as equal: it is
not compared, with the reason. A journal is never in memory: at most one segment of 4,096 leaf hashes is, and an answer has its bounds.
The receiver's word moves nothing in the journal; only retention waits for it, where the uplink declares `reconcile = true`.
"""
