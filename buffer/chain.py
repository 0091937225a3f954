"""Digests of entries, and the Merkle tree over them (RFC 6962, section 2.1).

The chain (`previous` in each entry) is a receiver's cheap check; the tree makes short proofs. Both hash the same bytes: an entry as stored
and sent.
"""

import hashlib
from collections.abc import Sequence

NO_DIGEST = "0" * 64
"""`previous` of an epoch's first entry."""


def digest(payload: bytes) -> bytes:
    """Return the SHA-256 of an entry's bytes: 32 bytes."""
    return hashlib.sha256(payload).digest()


def leaf(payload: bytes) -> bytes:
    """Return the leaf hash SHA-256(0x00 || entry) (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x00" + payload).digest()


def node(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node SHA-256(0x01 || left || right) (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(size: int) -> int:
    """Return the largest power of two smaller than `size` (size > 1): where RFC 6962 divides a tree."""
    return 1 << (size - 1).bit_length() - 1


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes; over none, the SHA-256 of nothing (RFC 6962, 2.1)."""
    if not leaves:
        return hashlib.sha256().digest()
    level = list(leaves)
    while len(level) > 1:  # an odd last node rises unchanged: the same tree as the recursion of RFC 6962, without its slices
        level = [node(*level[at : at + 2]) if at + 1 < len(level) else level[at] for at in range(0, len(level), 2)]
    return level[0]


def inclusion(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Return the audit path of leaf `index`, from the leaf upwards (RFC 6962, 2.1.1)."""
    if len(leaves) <= 1:
        return []
    cut = split(len(leaves))
    if index < cut:
        return [*inclusion(index, leaves[:cut]), root(leaves[cut:])]
    return [*inclusion(index - cut, leaves[cut:]), root(leaves[:cut])]


def root_from_inclusion(index: int, size: int, leaf_hash: bytes, path: Sequence[bytes]) -> bytes:
    """Compute the root to which an audit path leads.

    Raises ValueError if the path has not the length that `index` and `size` ask for.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    if size == 1:
        if path:
            raise ValueError("audit path too long")
        return leaf_hash
    if not path:
        raise ValueError("audit path too short")
    cut = split(size)
    if index < cut:
        return node(root_from_inclusion(index, cut, leaf_hash, path[:-1]), path[-1])
    return node(path[-1], root_from_inclusion(index - cut, size - cut, leaf_hash, path[:-1]))


def consistency(old: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Return the proof that the tree over the first `old` leaves is a prefix of the tree over all (RFC 6962, 2.1.2)."""
    return _consistency(old, leaves, whole=True) if 0 < old < len(leaves) else []


def _consistency(old: int, leaves: Sequence[bytes], *, whole: bool) -> list[bytes]:
    if old == len(leaves):
        return [] if whole else [root(leaves)]
    cut = split(len(leaves))
    if old <= cut:
        return [*_consistency(old, leaves[:cut], whole=whole), root(leaves[cut:])]
    return [*_consistency(old - cut, leaves[cut:], whole=False), root(leaves[:cut])]


class Tree:
    """A tree that grows leaf by leaf; it keeps one hash per bit of its size, not the leaves."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[tuple[int, bytes]] = []  # (leaves below, hash), largest first

    def append(self, hash_: bytes, leaves: int = 1) -> None:
        """Add a leaf hash, or the root of a complete subtree of `leaves` (a power of two that divides the size so far).

        Raises ValueError where such a subtree can not begin.
        """
        if self.size % leaves:
            raise ValueError(f"a subtree of {leaves} leaves can not begin at leaf {self.size}")
        self.size += leaves
        while self._peaks and self._peaks[-1][0] == leaves:
            hash_ = node(self._peaks.pop()[1], hash_)
            leaves *= 2
        self._peaks.append((leaves, hash_))

    def root(self) -> bytes:
        """Return the root over all leaves appended so far."""
        if not self._peaks:
            return root([])
        hash_ = self._peaks[-1][1]
        for _, left in reversed(self._peaks[:-1]):
            hash_ = node(left, hash_)
        return hash_
