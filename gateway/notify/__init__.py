"""Tells persons of alarms that wait for them, by e-mail, by a webhook or over an MQTT broker, and again somebody else if nobody comes.

Invariants: whom an alarm was told to is in the record, so a restart tells nobody twice, and a crash at most once more; what can not be
delivered is tried again without end and is an alarm itself; a message never holds the line up.
"""

from gateway.notify.notifier import Notifier
from gateway.notify.undelivered import NotDelivered

__all__ = ["NotDelivered", "Notifier"]
