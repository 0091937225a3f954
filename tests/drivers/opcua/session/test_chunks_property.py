"""A request is packed as asyncua packs it, to the byte, whatever the channel's security."""

from pathlib import Path
from typing import Any

import pytest
from asyncua import ua as _ua
from asyncua.common.connection import SecureConnection
from asyncua.crypto.security_policies import SecurityPolicyNone
from hypothesis import given
from hypothesis import strategies as st
from kit.opcua_chunk_fuzz import Signed

from drivers.opcua.session.wire import BoundedProtocol

ua: Any = _ua


def plain() -> Any:
    made: Any = BoundedProtocol(1.0, SecurityPolicyNone())._connection
    made.security_token = ua.ChannelSecurityToken(7, 3)
    return made


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("certificates")
    channel = Signed(folder)
    return {
        "None": plain(),
        "SignAndEncrypt": channel.ends()[0]._connection,
        "Sign": channel.ends(ua.MessageSecurityMode.Sign)[0]._connection,
    }


@pytest.mark.parametrize("mode", ["None", "Sign", "SignAndEncrypt"])
@given(
    bytes_=st.integers(0, 40_000) | st.integers(8_100, 8_200),
    request=st.integers(0, 0xFFFF_FFFF),
    number=st.integers(0, 0xFFFF_FFFF) | st.integers(0xFFFF_FFF0, 0xFFFF_FFFF),
)
def test_a_request_is_packed_to_the_byte(channels: dict[str, Any], mode: str, bytes_: int, request: int, number: int) -> None:
    connection = channels[mode]
    connection._limits.max_send_buffer = 8_192
    message = bytes(range(256)) * (bytes_ // 256 + 1)
    message = message[:bytes_]

    connection._sequence_number = number
    ours, after = connection.message_to_binary(message, request_id=request), connection._sequence_number
    connection._sequence_number = number
    theirs = SecureConnection.message_to_binary(connection, message, request_id=request)

    assert ours == theirs
    assert after == connection._sequence_number
