"""Ports that others may reach: so much of the process, and no more, for each of them and for all.

Descriptors and the event loop are shared with the journal and the sources. A neighbour who needs no right to connect must not be able to
use them up: connections are bounded per port and per peer, requests have a pace and a deadline, and what is too much is refused or waits.

Doors: `port`, `bounds` and `answering`, which serve what aiohttp serves, and `pace`. There is none for all of them: a line that has no
port of its own does not load aiohttp, which with what it imports is an eighth of its memory (docs/decisions/0167).
"""
