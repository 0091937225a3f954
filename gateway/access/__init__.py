"""Says which person may do what to a line, and who it was.

Invariants: whoever changes something is a person with a fitting role, where persons are asked for, else the account that the kernel names,
and is called no more than that; no change of a user happens before its audit event is durable; a user is never removed or renamed; no
password stands in the journal, in an answer but the one that gives it out, or in a process's arguments; a damaged list of users lets
nobody in.
"""

from gateway.access.actor import Actor, Peer, Vouched, account, myself, of_the_gateway, peer_of
from gateway.access.boottime import boottime_s
from gateway.access.gate import Access, Refused, replaced
from gateway.access.offline import Offline, alone, forget, stated, take_over, waiting
from gateway.access.pam import PamAway
from gateway.access.roles import LEAST_REASON, ROLES, RULES, Rule
from gateway.access.signatures import NotSigned
from gateway.access.store import UsersUnreadable
from gateway.access.users import Directory, NotPossible, User

__all__ = [
    "LEAST_REASON",
    "ROLES",
    "RULES",
    "Access",
    "Actor",
    "Directory",
    "NotPossible",
    "NotSigned",
    "Offline",
    "PamAway",
    "Peer",
    "Refused",
    "Rule",
    "User",
    "UsersUnreadable",
    "Vouched",
    "account",
    "alone",
    "boottime_s",
    "forget",
    "myself",
    "of_the_gateway",
    "peer_of",
    "replaced",
    "stated",
    "take_over",
    "waiting",
]
