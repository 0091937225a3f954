"""The short way for one whole answer gives what the long way gives, or leaves the stream to it."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drivers.modbus.frames import Request, tcp_frame
from drivers.modbus.mbap import Frame, NotFrames, frames_in, heads_of, sole_answer

REQUESTS = st.builds(
    lambda unit, function, count: Request(unit, function, struct.pack(">BHH", function, 0, count), 2 * count),
    st.integers(0, 255),
    st.sampled_from([3, 4]),
    st.integers(1, 125),
)
ODD = st.sampled_from([(), ("unit",), ("padding",), ("padding", "unit")])


def answer(request: Request, transaction: int, data: bytes) -> bytes:
    head = struct.pack(">HHHBBB", transaction, 0, 3 + len(data), request.unit, request.function, len(data) & 0xFF)
    return head + data


def long_way(stream: bytes, heads: tuple[bytes, ...]) -> list[Frame] | str | None:
    try:
        return frames_in(stream, heads)
    except NotFrames:
        return "not frames"


@pytest.mark.urs("URS-DAQ-06")
@given(
    request=REQUESTS,
    transaction=st.integers(0, 0xFFFF),
    odd=ODD,
    noise=st.one_of(st.none(), st.tuples(st.integers(0, 300), st.binary(max_size=12))),
    planted=st.one_of(st.none(), st.integers(0, 250)),
    cut=st.integers(-6, 6),
)
@example(Request(1, 3, b"\x03\0\0\0\x02", 4), 7, (), None, 0, 0)
@example(Request(0, 3, b"\x03\0\0\0\x01", 2), 0, (), None, None, 0)
def test_the_short_way_is_the_long_way(
    request: Request, transaction: int, odd: tuple[str, ...], noise: tuple[int, bytes] | None, planted: int | None, cut: int
) -> None:
    heads = heads_of(request, transaction, odd)
    data = bytes(index & 0xFF for index in range(request.data_bytes))
    if planted is not None:  # the head of an answer inside of the data
        data = (data[:planted] + heads[planted % len(heads)] + data)[: request.data_bytes]
    stream = answer(request, transaction, data)
    if noise is not None:
        stream = stream[: noise[0]] + noise[1] + stream[noise[0] + len(noise[1]) :]
    stream = stream[:cut] if cut < 0 else stream + b"\0" * cut
    pdu = sole_answer(stream, request, transaction)
    if pdu is not None:
        if "padding" not in odd:  # with it the long way waits for the one byte more: such devices go that way alone
            assert long_way(stream, heads) == [Frame(transaction, stream[6], pdu)]
    elif not noise and planted is None and not cut and stream.find(stream[:5], 1) < 0:
        pytest.fail("a plain answer goes the short way")


@given(request=REQUESTS, transaction=st.integers(0, 0xFFFF))
def test_heads_are_those_of_the_question_with_another_length(request: Request, transaction: int) -> None:
    asked = tcp_frame(request, transaction)
    for odd, lengths in (((), (3 + request.data_bytes, 3)), (("padding",), (3 + request.data_bytes, 3, 4 + request.data_bytes, 4))):
        expected = [asked[:4] + struct.pack(">H", length) + asked[6:7] for length in lengths]
        assert list(heads_of(request, transaction, odd)) == expected
        assert list(heads_of(request, transaction, (*odd, "unit"))) == [head[:6] for head in expected]
