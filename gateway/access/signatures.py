"""Electronic signatures of persons: bound to what was signed by its SHA-256, to this gateway by its key (21 CFR 11.50, 11.70, 11.200).

What is signed is any JSON object without fractions; its digest is over `canonical`, which everybody can make again. A signature says who
(user, printed name, role), what it means, and when, in UTC and beside the line; all of this stands in a signed note (C2SP signed-note)
with the digest, so a signature can not be cut out and put under something else. It stands in the entry that holds what was signed.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from buffer.keys import Signer
from buffer.times import rfc3339
from buffer.verify import Key
from gateway.access.actor import Actor

FORM = "ebr-gateway/signature/1"
MOST_MEANING = 100
MEMBERS = ("user", "name", "role", "meaning", "time", "local")
"""In this order, one a line, they follow FORM and the digest in the text of the note."""


class NotSigned(Exception):
    """Somebody can not sign; the text says why, for him."""


def canonical(content: Mapping[str, Any]) -> bytes:
    """Write a JSON object as its signed bytes: UTF-8, members sorted by code points, no white space, nothing escaped that need not be.

    Raises ValueError where two programs could write it differently: a fraction, a name that is no text, half a surrogate pair.
    """
    _only_plain(content)
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def digest(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 that a signature is over, as 64 hexadecimal digits. Raises ValueError, as `canonical` does."""
    return sha256(canonical(content)).hexdigest()


def sign(content: Mapping[str, Any], by: Actor, meaning: str, signer: Signer, *, now: int, site_zone: str) -> dict[str, Any]:
    """Return the signature (`buffer.entry.Signature`) of a person under `content`.

    by: the actor of the command, whose password came with it. now: ticks. Raises NotSigned; ValueError, as `canonical` does.
    """
    may_sign(by)
    if not (3 <= len(meaning) <= MOST_MEANING and meaning.isprintable() and meaning == meaning.strip()):
        raise NotSigned(f"the meaning of a signature is one line of 3 to {MOST_MEANING} characters, as `reviewed and approved`")
    stated = {**{name: by.who[name] for name in ("user", "name", "role", "auth")}, "meaning": meaning, **_when(now, site_zone)}
    over = digest(content)
    return {**stated, "over": over, "note": signer.note(_text(stated, over))}


def may_sign(by: Actor) -> None:
    """Raise NotSigned for who is no person, and for who did not give the password with this very command (21 CFR 11.200(a)(1)).

    The one rule for everything that is signed with a meaning, whoever keeps the password: the line's list of users or the operating system.
    """
    if by.who["kind"] != "person":
        raise NotSigned(f"{by.who['user']} is an account and no person: say who you are with --user")
    if not by.password_now:
        raise NotSigned("a signature needs your password with this very command")


def problem(signature: Mapping[str, Any], content: Mapping[str, Any], public: str) -> str | None:
    """Say why this is no signature under `content`; None if it is one. public: the verifier key of the gateway at that time."""
    try:
        over, text, key = digest(content), _text(signature, str(signature["over"])), Key.parse(public)
        note = str(signature["note"])
    except (KeyError, ValueError) as error:
        return f"can not be read: {error}"
    if signature["over"] != over:
        return "is over something else: what was signed was changed, or never signed"
    if not note.startswith(f"{text}\n") or not key.signed(note) or note.partition("\n\n")[0] + "\n" != text:
        return "was not made by this gateway's key, or says something else than it did"
    return None


def _text(signature: Mapping[str, Any], over: str) -> str:
    return "\n".join([FORM, over, *(str(signature[name]) for name in MEMBERS), ""])


def _when(now: int, site_zone: str) -> dict[str, str]:
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=now // 10)
    return {"time": rfc3339(now // 10 * 10), "local": instant.astimezone(ZoneInfo(site_zone)).isoformat(timespec="milliseconds")}


def _only_plain(value: Any) -> None:
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise ValueError("a member's name is no text")
        for one in value.values():
            _only_plain(one)
    elif isinstance(value, list | tuple):
        for one in value:
            _only_plain(one)
    elif not (value is None or isinstance(value, str | bool | int)):
        raise ValueError(f"{type(value).__name__} {str(value)[:40]} can not be signed: give numbers with fractions as texts")
