"""Makes documents: one head, one body of plain data, one foot; as JSON, HTML and PDF of the same data, signed over the JSON.

A room that has something to say makes a draft (`draft`): what kind of document it is, and blocks (`buffer.pages.blocks`). The running
gateway, or who runs the command where none runs, puts the head on (`head`): clock, configuration and person are not told by who asks.
What is signed and recorded is the digest of the whole content but `sha256` and `signatures` (`content_of`).

Invariants: what a page shows stands in the JSON, and nothing is shown that is not signed, but for the signatures and when it was printed;
a head says `null` where something is not known, and never what is likely.
"""

from gateway.documents.content import (
    DOCUMENT,
    HEAD,
    NotADocument,
    content_of,
    draft,
    event_of,
    head,
    local_time,
    read,
    signed,
    unsigned,
    whole,
)
from gateway.documents.files import FORMS, file_name, written

__all__ = [
    "DOCUMENT",
    "FORMS",
    "HEAD",
    "NotADocument",
    "content_of",
    "draft",
    "event_of",
    "file_name",
    "head",
    "local_time",
    "read",
    "signed",
    "unsigned",
    "whole",
    "written",
]
