"""Take one batch out of the journal: entries, proofs, record, and a verifier, in one file."""
