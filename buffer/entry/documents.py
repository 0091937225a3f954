"""Documents of persons, as entries of the journal, and what they put under them."""

from typing import Literal

from pydantic import AwareDatetime

from buffer.entry.head import Hex64, Name, Open


class Signature(Open):
    """A person's electronic signature under a JSON object, which stands in the same entry (docs/security.md, Signatures).

    over: SHA-256 of the object as canonical JSON: UTF-8, members sorted by code points, no white space. note: a C2SP signed note by the
    gateway's key; its text is `ebr-gateway/signature/1`, over, user, name, role, meaning, time and local, one a line. auth: how the person
    proved who it is, at that moment.
    """

    user: Name
    name: Name
    role: Literal["viewer", "operator", "engineer", "qa", "admin"]
    auth: Literal["password"]
    meaning: Name
    time: AwareDatetime
    local: AwareDatetime
    over: Hex64
    note: Name
