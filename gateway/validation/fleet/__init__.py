"""Lines and sites beside each other: what of one line's qualification evidence can be used again for another, and what is in the way.

`taken` reads the facts of a line where it stands, `facts` is their form, which also goes from site to site as a file. `differences` finds
what differs, `classes` by which names; `compared` adds the qualification and decides, `written` writes it down. `triggers` reads the page
docs/validation/requalification.md: what a difference asks for is what it says, and the tests are those of `gateway.changes.impact`.

Invariants: what is not known is never equal to anything; a line that can not be read keeps no other from being compared,
but the first, whose evidence is to be used again: no other takes its place.
"""
