"""Compares the records that the EBR holds with those that the batch's end lists, by digests of the bytes received."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

_MEMBER = b',"event":{'


def event_bytes(payload: bytes) -> bytes:
    """Cut the exact bytes of the `event` member, the last one, out of an entry."""
    return payload[payload.index(_MEMBER) + len(_MEMBER) - 1 : -1]


def content_sha256(parts: Iterable[bytes]) -> str:
    """Compute the digest of an event that arrived in numbered parts: over their concatenation, in order."""
    digest = sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def merkle_root(digests: Sequence[str]) -> str:
    """Compute the tree root (RFC 6962, 2.1) with content digests as leaves."""
    if not digests:
        return sha256().hexdigest()
    return _root([bytes.fromhex(digest) for digest in digests]).hex()


def _root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1  # the largest power of two below the number of leaves
    return sha256(b"\x01" + _root(leaves[:split]) + _root(leaves[split:])).digest()


def checked(end: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], bookings: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Compare the records listed by a batch's end with those held.

    Returns {"listed", "held", "differences": [text], "merkle_root_matches"}.
    """
    gateway = end["gateway"]
    listed = {item["record"]: item for item in end.get("records") or []}
    held = {step["record"]: step for step in steps if step["transition"] == "end" and step["gateway"] == gateway}
    differences = _differences(listed, held)
    if not end.get("not_listed"):
        booked = {item["record"]: item for item in bookings if item["gateway"] == gateway}
        differences += _differences({item["record"]: item for name in ("materials", "samples") for item in end.get(name) or []}, booked)
    root = merkle_root([item["content_sha256"] for item in end.get("records") or []])
    return {"listed": len(listed), "held": len(held), "differences": differences, "merkle_root_matches": root == end.get("merkle_root")}


def _differences(listed: Mapping[str, Mapping[str, Any]], held: Mapping[str, Mapping[str, Any]]) -> list[str]:
    differences = [f"{name} is listed but not held" for name in sorted(listed.keys() - held.keys())]
    differences += [f"{name} is held but not listed" for name in sorted(held.keys() - listed.keys())]
    for name in sorted(listed.keys() & held.keys()):
        ours, theirs = held[name], listed[name]
        if ours["revision"] != theirs["revision"]:
            differences.append(f"{name}: revision {ours['revision']} is held, {theirs['revision']} is listed")
        elif ours["content_sha256"] != theirs["content_sha256"]:
            differences.append(f"{name}: what is held has another digest than the one listed")
    return differences
