"""What signals and rows say about where a batch is: ids and changes that settle, occupancy, steps, and the context of an entry.

`settle` reads signals and holds their changes back; what counts goes to `steps_from_signals` and `occupancy`. `rows` decides
which MES row is in force, `identity` reads who an equipment works for, `sight` tells whether anybody saw a signal, `steps_from_rows` makes
steps of MES rows, `contexts` puts an entry's context together.
"""
