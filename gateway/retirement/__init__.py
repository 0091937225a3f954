"""Takes a line out of service for good: what stands in the way, the steps in their order, the documents of it (docs/retirement.md).

`looked` says what stands in the way, `steps` does what follows, one step after the other; `gateway.changes.retired` remembers how far it
came, so that a kill between any two of them loses nothing. What a step that was cut has appended or written stays, and the step is done
again from its beginning.

Invariants: nothing is erased before everything that has to be read later was verified where it will lie; the key that signs is the last
thing that is erased, after the last signature; what could not be looked at (a witness, a receiver, a secret kept elsewhere) is said to be
not known, and never counts as done.
"""
