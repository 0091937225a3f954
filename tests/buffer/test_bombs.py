"""What unpacks to far more than it is does not fill the memory."""

import tracemalloc
from collections.abc import Callable

import pytest
import zstandard

from buffer import segment

MIB = 1 << 20


def bomb(mib: int, *, announced: bool) -> bytes:
    """So many MiB of zeros in a few kilobytes, with or without their size in the frame's head."""
    packing = zstandard.ZstdCompressor(level=3).compressobj(size=mib * MIB if announced else -1)
    return b"".join(packing.compress(bytes(MIB)) for _ in range(mib)) + packing.flush()


@pytest.mark.bar("S04")
@pytest.mark.urs("URS-SEC-09")
@pytest.mark.parametrize("announced", [True, False])
def test_a_stored_payload_that_is_a_bomb_is_damage_and_is_not_unpacked(announced: bool, figure: Callable[[str, object], None]) -> None:
    packed = bomb(256, announced=announced)
    tracemalloc.start()
    with pytest.raises(segment.Damaged, match="can not be unpacked"):
        segment.unpacked(zstandard.ZstdDecompressor(), 7, b"", packed)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    figure(
        "zstd bomb",
        f"{len(packed):,} bytes would be 256 MiB, size {'announced' if announced else 'unknown'}: peak {peak_bytes / MIB:.1f} MiB",
    )
    assert peak_bytes < 8 * MIB


@pytest.mark.bar("S04")
def test_a_bomb_that_says_less_than_it_is_is_damage_too() -> None:
    packed = bytearray(bomb(2, announced=True))
    assert zstandard.frame_content_size(bytes(packed)) == 2 * MIB
    at = packed.index((2 * MIB).to_bytes(4, "little"))
    packed[at : at + 4] = (1000).to_bytes(4, "little")
    with pytest.raises(segment.Damaged, match="can not be unpacked"):
        segment.unpacked(zstandard.ZstdDecompressor(), 7, b"", bytes(packed))
