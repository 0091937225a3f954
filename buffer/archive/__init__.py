"""Take one batch out of the journal: entries, proofs, record and verifier, in one zip that needs nothing of the gateway.

Invariants
----------
1. Entries are the stored bytes, whole, from the first to the last that names the batch: only a range without holes proves that nothing
   was left out.
2. The entries are evidence; record.html and record.pdf are copies for reading, bound to them by the signed sums of all files.
3. Equal content gives an equal file.

`packing` makes the zip, `record` turns events into blocks (`blocks`), which `html` and `pdf` show alike.
"""
