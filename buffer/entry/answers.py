"""What goes over an uplink beside entries: the gateway's announcement, and the answers of a receiver (docs/uplink.md)."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from buffer.entry.head import Gateway, Hex64, Open, Seq

Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Run = tuple[Seq, Seq, Seq]


class RejectedEntry(Open):
    """An entry that the receiver was handed and did not take."""

    seq: Seq
    code: Code
    retry: Literal["later", "after-change", "never"] = "after-change"
    reason: str = ""


class Receipt(Open):
    """Everything of (gateway, epoch) up to `through` is stored, or stands in `rejected`, none of which lies beyond `through`.

    digest: SHA-256 of the bytes of entry `through`; 64 zeros with `through` 0. rejected: the whole present list. stored_time: when that was
    stored, by the receiver's own clock: it proves nothing, and stands in the record beside the gateway's instants.
    """

    gateway: Gateway
    epoch: Seq
    through: Annotated[int, Field(ge=0)]
    digest: Hex64
    rejected: Annotated[list[RejectedEntry], Field(max_length=1_000)] = []
    stored_time: AwareDatetime | None = None


class Outcome(Open):
    """The outcome of one single record (profile records). code, reason: why it was rejected. ebr_ref: what the receiver calls it."""

    id: Annotated[str, StringConstraints(min_length=1)]
    outcome: Literal["stored", "duplicate", "rejected"]
    code: Code | None = None
    reason: str | None = None
    ebr_ref: str | None = None


class Online(Open):
    """Whether the gateway is connected, and what it holds: first and last entry of the current epoch, and all runs (epoch, first, last)."""

    online: bool
    gateway: Gateway
    epoch: Annotated[int, Field(ge=0)]
    first: Annotated[int, Field(ge=0)]
    last: Annotated[int, Field(ge=0)]
    held: list[Run] = []


ANSWERS: dict[str, tuple[type[Open], dict[str, object]]] = {
    "receipt": (
        Receipt,
        {
            "gateway": "lyon/granulation-2",
            "epoch": 1795332189,
            "through": 4711,
            "digest": "3b1c0de5f7a2894cb6d07e1f5c38a94e2d6b70813fce95a4417d28e0b9f6c3a5",
            "rejected": [{"seq": 4705, "code": "unknown-parameter", "retry": "after-change", "reason": "PM-0412 is not in recipe MBR-88"}],
            "stored_time": "2026-11-22T07:15:02.550786Z",
        },
    ),
    "outcome": (Outcome, {"id": "lyon/granulation-2/B2026-0417/granulator/WET_MASS/2#1", "outcome": "stored", "ebr_ref": "EBR-88123"}),
    "online": (
        Online,
        {
            "online": True,
            "gateway": "lyon/granulation-2",
            "epoch": 1795332189,
            "first": 1,
            "last": 4711,
            "held": [[1795332189, 1, 4711]],
        },
    ),
}
"""By name: the model, and an example."""
