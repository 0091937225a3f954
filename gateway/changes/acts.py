"""Acts on a version, as they are signed: who did what to which content, when, and what he meant by it (21 CFR 11.50, 11.70).

An act is a C2SP signed note: a first line that names the form, the act as one line of JSON, and the gateway's Ed25519 signature over both.
The gateway signs what a person has done, who proved it by `auth`; what has a meaning, only with the password of that very act. The text
holds the digest of the version's content and that of the act before it, so it can be moved to no other content, version, gateway or place.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from buffer.keys import Signer
from buffer.verify import ACT, Key
from gateway.changes.states import Deed

Hex64 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class NotSigned(Exception):
    """A note is no act of this gateway as it stands there; the text says why."""


class Person(BaseModel):
    """Who did it. name: as it is printed beside a signature. auth: by which proof."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str
    name: str | None
    role: str
    auth: Literal["password", "os", "proxy"]


class Act(BaseModel):
    """One act. version, sha256: of the content. previous: digest of the note before it; None for the first.

    at, local, zone: when, in UTC and as people at the line read it. follows: the version in force then. of: the version whose content a
    rollback brings back. impact, baseline: digests of documents. batches: those that were open. key: id of the key that signs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    act: Deed
    gateway: str
    version: Annotated[int, Field(ge=1)]
    sha256: Hex64
    previous: Hex64 | None
    by: Person
    meaning: str | None = None
    reason: str | None = None
    change_no: str | None = None
    author: str | None = None
    follows: int | None = None
    of: int | None = None
    impact: Hex64 | None = None
    baseline: Hex64 | None = None
    batches: tuple[str, ...] = ()
    at: str
    local: str
    zone: str
    key: str


@dataclass(frozen=True, slots=True)
class Signed:
    """An act with the note that signs it."""

    act: Act
    note: str

    @property
    def digest(self) -> str:
        """The digest by which the next act names this one."""
        return hashlib.sha256(self.note.encode()).hexdigest()


def sign(act: Act, signer: Signer) -> Signed:
    """Sign an act. Its members stand in the order of their names, so equal acts have equal texts."""
    text = json.dumps(act.model_dump(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return Signed(act, signer.note(f"{ACT}\n{text}\n"))


def read(note: str, keys: Sequence[Key], gateway: str | None) -> Signed:
    """Read a note that one of these keys has signed. gateway: whose acts are meant, None for whichever. Raises NotSigned."""
    head, _, rest = note.partition("\n")
    text = rest.partition("\n")[0]
    if head != ACT:
        raise NotSigned("it is no act on a configuration")
    try:
        act = Act.model_validate_json(text)
    except ValidationError as error:
        raise NotSigned(f"it can not be read: {error.error_count()} of its members") from error
    if gateway is not None and act.gateway != gateway:
        raise NotSigned(f"it is of the gateway {act.gateway[:80]}")
    if not any(key.name == act.gateway and key.id.hex() == act.key and key.signed(note) for key in keys):
        raise NotSigned("its signature is not that of a key of this gateway")
    return Signed(act, note)
