"""Says that a message did not arrive, and how long anybody is waited for."""

WITHIN_S = 30.0
"""So long a server may take for one message."""


class NotDelivered(Exception):
    """A message did not arrive, as far as anybody knows; the text says why."""
