"""Subscriptions: made, taken over, published, and looked after; history for gaps.

What always holds
-----------------
1. Messages of a subscription are taken in the order of their numbers: one that is missing is fetched again before the later one is taken,
   or declared as a loss where the gap begins.
2. An acknowledgement follows the commit of its message, and a watermark is committed with the message that it counts.
3. What went on without loss closes its gaps as filled (`Subscription.resumed`); after any loss it no longer does.
4. After a loss every tag concerned is read again, so that a value which no longer changes does not stay unknown.
5. Whatever a server revises or refuses is a finding: each can lose values.

`subscribe` makes subscriptions and items, and takes them over, `making` those of a plan where there may be fewer; `stream` is the publish
loop, `messages` takes what it brings; `handover` emits, and learns what may be acknowledged; `session_state` outlives the link; `alarms`
reads conditions; `history` fills gaps; `upkeep` is what a session needs beside.
"""
