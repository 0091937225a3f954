"""Proofs that the journal is whole: signatures while the line runs, the key, who outside keeps them, copies, everything decided again."""
