"""Statuses by which a server refuses, grouped by what must be done (Part 4, 7.38)."""

from drivers.opcua.asyncua_types import status_name, ua

SESSION_GONE = {
    ua.StatusCodes.BadSessionIdInvalid,
    ua.StatusCodes.BadSessionClosed,
    ua.StatusCodes.BadSessionNotActivated,
    ua.StatusCodes.BadSecureChannelIdInvalid,
    ua.StatusCodes.BadSecureChannelClosed,
}
"""The server no longer has our session, or not on this channel."""
LATER = {
    ua.StatusCodes.BadServerHalted,
    ua.StatusCodes.BadShutdown,
    ua.StatusCodes.BadTooManyOperations,
    ua.StatusCodes.BadTimeout,
    ua.StatusCodes.BadRequestTimeout,
    ua.StatusCodes.BadResourceUnavailable,
    ua.StatusCodes.BadOutOfMemory,
    ua.StatusCodes.BadTcpServerTooBusy,
}
"""The server can not take the session up now, and may well have it still."""
TOO_MUCH = {0x80100000, 0x80080000, 0x80B80000, 0x80B90000, 0x80800000}
"""BadTooManyOperations, BadEncodingLimitsExceeded, BadRequestTooLarge, BadResponseTooLarge, BadTcpMessageTooLarge: ask for less at once."""
TOO_LARGE = TOO_MUCH - {0x80100000}
"""Those of them that speak of bytes."""
_HINTS = {
    ua.StatusCodes.BadTcpEndpointUrlInvalid: "the server knows itself by another host, port or path than the endpoint's: write that URL as "
    "`announced`"
}


def in_words(status: int) -> str:
    """Return the name of a status, and what to do where that is known."""
    name = status_name(status)
    return f"{name}; {_HINTS[status]}" if status in _HINTS else name
