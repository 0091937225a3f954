"""Salvage a damaged segment: write anew what its pages and its log still prove, and name what is lost.

Invariants
----------
1. What is damaged is kept, unchanged, in `damaged/`: it is evidence, and a later salvage may need it.
2. An entry is taken over only if its own digest proves it; it keeps its epoch, seq and bytes. So any page of any age may be tried.
3. What can not be proved is declared lost, by ranges; nothing is dropped silently.
4. Nothing takes effect in journal.db before all is done: a salvage that is cut short is done again, and reads every copy set aside.

`wal` judges a write-ahead log before SQLite opens it; `carve` reads rows without SQLite; `salvage` moves, rebuilds and declares. `opening`
calls them at a start; a running journal never repairs itself, so that there is one way of salvage instead of two (docs/journal.md, Start).
"""
