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


class HeldStream(Open):
    """One epoch of which the receiver holds entries: the first, the last, and how many."""

    epoch: Seq
    first: Seq
    last: Seq
    entries: Annotated[int, Field(ge=0)]


QuestionId = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class HeldQuestion(Open):
    """The question by MQTT what the receiver holds: every epoch; with epoch, from, to and width counts and roots of a range.

    id: stands in the answer again; by MQTT 5 it is the correlation data, too. answer_to: the topic on which the answer is waited for; by
    MQTT 5 it is the response topic, too.
    """

    id: QuestionId
    answer_to: Annotated[str, StringConstraints(min_length=1)]
    gateway: Gateway
    epoch: Seq | None = None
    from_: Annotated[Seq | None, Field(alias="from")] = None
    to: Seq | None = None
    width: Annotated[int, Field(ge=1, le=4_096)] | None = None


class HeldNotTold(Open):
    """The answer by MQTT of a receiver that can not say what it holds: nothing is compared by it. error: why, in words."""

    id: QuestionId
    gateway: Gateway
    error: Annotated[str, StringConstraints(min_length=1)]


class HeldStreams(Open):
    """Every epoch of a gateway of which the receiver holds entries, as it holds them now. id: by MQTT, that of the question."""

    id: QuestionId | None = None
    gateway: Gateway
    streams: Annotated[list[HeldStream], Field(max_length=1_000)]


class RefusedEntry(Open):
    """An entry of the range that the receiver refused, and that is not held."""

    seq: Seq
    code: Code


class AbsentRange(Open):
    """Entries of the range that are not held, and why: never had, as the gateway did not hold them any more; or pruned by a rule."""

    first: Seq
    last: Seq
    why: Literal["never-had", "pruned"]


class HeldSpans(Open):
    """What the receiver holds of entries `from` to `to` of an epoch, as it lies there now, cut at multiples of `width`.

    spans: of each cut, in order, how many entries are held, and the RFC 6962 root over SHA-256(0x00 and the entry's bytes) of each, in the
    order of their numbers; of none the SHA-256 of nothing. A refused entry is not held: it stands in `rejected`. id: by MQTT, that of the
    question.
    """

    id: QuestionId | None = None
    gateway: Gateway
    epoch: Seq
    from_: Annotated[Seq, Field(alias="from")]
    to: Seq
    width: Annotated[int, Field(ge=1, le=4_096)]
    spans: Annotated[list[tuple[Annotated[int, Field(ge=0)], Hex64]], Field(max_length=64)]
    rejected: Annotated[list[RefusedEntry], Field(max_length=1_000)] = []
    absent: Annotated[list[AbsentRange], Field(max_length=1_000)] = []


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
    "held-question": (
        HeldQuestion,
        {
            "id": "5f0c1b2f6a7e8899aabbccddeeff0011",
            "answer_to": "ebr/lyon/granulation-2/answers/1b4f0e9851971998",
            "gateway": "lyon/granulation-2",
            "epoch": 1795332189,
            "from": 1,
            "to": 4711,
            "width": 4096,
        },
    ),
    "held-not-told": (
        HeldNotTold,
        {"id": "5f0c1b2f6a7e8899aabbccddeeff0011", "gateway": "lyon/granulation-2", "error": "not understood: width is missing"},
    ),
    "held-streams": (
        HeldStreams,
        {"gateway": "lyon/granulation-2", "streams": [{"epoch": 1795332189, "first": 1, "last": 4711, "entries": 4710}]},
    ),
    "held-spans": (
        HeldSpans,
        {
            "gateway": "lyon/granulation-2",
            "epoch": 1795332189,
            "from": 1,
            "to": 4711,
            "width": 4096,
            "spans": [
                [4096, "9d0e6b2fb1d24a0c4f9c7a55e1b6d3a8c0f2e4a697b81d3c5e7f90a1b2c3d4e5"],
                [614, "1b4c7d0a3e6f9205c8b1e4d7a0f3c6998257e4b1d0c3f6a9827d5e8b1a4c7f02"],
            ],
            "rejected": [{"seq": 4705, "code": "unknown-parameter"}],
            "absent": [],
        },
    ),
}
"""By name: the model, and an example."""
