"""OPC UA sources: subscriptions that lose nothing, and gaps where something was lost. docs/opcua.md is for those who set one up.

What always holds
-----------------
1. Acknowledged means on disk: a notification is acknowledged to the server only when `emit` has committed its values
   (`subscription.handover`). Until then the server keeps it for Republish.
2. Every number of a subscription's message sequence is accounted for: handed over, fetched again (Republish), or declared as a loss.
3. What is lost is a gap of exactly the tags and the time concerned: an overrun queue, a message that can not be fetched or read, a
   subscription that the server does not hand over, a node that is not there. One bad node or message never stops the others.
4. No tag is ever mistaken for another. Namespaces and browse paths are looked up in each session; client handles carry a digest of the tag
   map; a subscription taken over must have our handles, plan and server start time.
5. Exactly the configured security policy and mode is used, with a server certificate that a person trusted. There is no downgrade.
6. Status codes, source and server times are stored as sent, to 100 ns.
7. asyncua's client does nothing by itself: no supervisor, no reconnect, no publish loop. A failure ends `OpcUaDriver.run`; the
   gateway's supervisor calls it again.

Life of a link
--------------
Connect (`session`): endpoint, certificates, channel, then the old session if the server still has it, else a new one. Take over the
subscriptions of before: in the same session they go on; in a new one they are transferred. Fetch again what was sent and never committed,
and only then publish (Part 4, 6.7). Make anew what could not be taken over; its gap ends as lost with the first values, or as filled where
the server's history has all of it (`subscription.history`). Publish until the link is gone, with `subscription.upkeep` beside it.

What outlives a lost link is in `subscription.session_state`; what outlives the process is the watermark in the journal, committed with
each message: endpoint, server start time, plan, and the subscriptions with the number expected next.

Rooms, each above those named after it: `commissioning` (before a line runs) and `subscription` over `decoding` over `session`; `plan` says
which monitored items a tag map needs, `settings` what a [[source]] may say, `asyncua_types` is the library's namespace in one place.
"""

from drivers.opcua.driver import OpcUaDriver

__all__ = ["OpcUaDriver"]
