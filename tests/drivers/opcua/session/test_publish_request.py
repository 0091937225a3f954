"""The request that is encoded by hand is what asyncua makes of the same."""

from typing import Any

from asyncua import ua as _ua
from asyncua.ua.ua_binary import nodeid_to_binary, struct_to_binary
from hypothesis import given
from hypothesis import strategies as st

from drivers.opcua.session.publish_request import publish_request

ua: Any = _ua
NUMBERS = st.integers(0, 0xFFFF_FFFF)
TOKENS = st.one_of(
    st.integers(0, 0xFFFF_FFFF).map(lambda number: ua.NodeId(number, 1)),
    st.binary(max_size=40).map(lambda octets: ua.NodeId(octets, 1, ua.NodeIdType.ByteString)),
    st.uuids().map(lambda number: ua.NodeId(number, 0, ua.NodeIdType.Guid)),
)


@given(TOKENS, NUMBERS, st.lists(st.tuples(NUMBERS, NUMBERS), max_size=5))
def test_a_publish_request_is_encoded_as_the_library_does(token: Any, handle: int, acknowledgements: list[tuple[int, int]]) -> None:
    request = ua.PublishRequest()
    request.RequestHeader.AuthenticationToken, request.RequestHeader.RequestHandle = token, handle
    request.Parameters.SubscriptionAcknowledgements = [ua.SubscriptionAcknowledgement(*each) for each in acknowledgements]
    now = ua.datetime_to_win_epoch(request.RequestHeader.Timestamp)

    assert publish_request(nodeid_to_binary(token), now, handle, acknowledgements) == struct_to_binary(request)
