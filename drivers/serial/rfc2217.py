"""The client's side of RFC 2217, a serial port behind Telnet: options, line settings, and what the converter notifies. Pure.

(RFC 854 and 855, Telnet and its options; RFC 856, binary; RFC 2217, COM port control option.)
"""

from drivers.contract import LinkLost
from drivers.serial.settings import SerialEndpoint

_SE, _SB, _WILL, _WONT, _DO, _DONT, _IAC = 240, 250, 251, 252, 253, 254, 255
_BINARY, _SUPPRESS_GO_AHEAD, _COM_PORT = 0, 3, 44
_BAUDRATE, _DATASIZE, _PARITY, _STOPSIZE, _CONTROL, _LINESTATE_MASK, _PURGE = 1, 2, 3, 4, 5, 10, 12
_ANSWER = 100  # what the converter answers to a command is its number and this
_NOTIFY_LINESTATE = 106
_DAMAGED = 0x02 | 0x04 | 0x08 | 0x10  # overrun, parity, framing, break (RFC 2217, 3: NOTIFY-LINESTATE)
_LONGEST = 64
_NAMES = {_BAUDRATE: "baudrate", _DATASIZE: "bytesize", _PARITY: "parity", _STOPSIZE: "stopbits", _CONTROL: "flow"}
_OURS = {(_DO, _BINARY), (_DO, _COM_PORT), (_WILL, _BINARY), (_WILL, _SUPPRESS_GO_AHEAD), (_DO, _SUPPRESS_GO_AHEAD)}


class Telnet:
    """One connection: takes what arrives, gives the instrument's bytes, and collects what is to be sent back.

    replies: bytes to send; the reader empties it. damaged: notifications of lost or damaged bytes so far.
    """

    def __init__(self, endpoint: SerialEndpoint) -> None:
        flow = 2 if endpoint.xonxoff else 3 if endpoint.rtscts else 1
        self._wanted = {
            _BAUDRATE: endpoint.baudrate.to_bytes(4, "big"),
            _DATASIZE: bytes([endpoint.bytesize]),
            _PARITY: bytes([{"N": 1, "O": 2, "E": 3}[endpoint.parity]]),
            _STOPSIZE: bytes([endpoint.stopbits]),
            _CONTROL: bytes([flow]),
        }
        self._open = dict(self._wanted)
        self._pending = b""
        self.damaged = 0
        self.replies = bytearray()
        for verb, option in ((_WILL, _COM_PORT), (_WILL, _BINARY), (_DO, _BINARY), (_DO, _SUPPRESS_GO_AHEAD)):
            self.replies += bytes([_IAC, verb, option])

    @property
    def is_settled(self) -> bool:
        """True once the converter has confirmed every line setting."""
        return not self._open

    def unconfirmed(self) -> str:
        """Name the line settings that the converter has not confirmed."""
        return ", ".join(_NAMES[command] for command in self._open)

    def feed(self, data: bytes) -> bytes:
        """Take what arrived; return the instrument's bytes in it. Raises LinkLost if the converter refuses, or speaks something else."""
        stream, self._pending = self._pending + data, b""
        said = bytearray()
        while stream:
            plain, mark, rest = stream.partition(bytes([_IAC]))
            said += plain
            if not mark:
                break
            taken = self._command(rest, said)
            if taken is None:  # the rest of it is still to come
                self._pending = mark + rest
                if len(self._pending) > 2 * _LONGEST:
                    raise LinkLost("what is sent there is no RFC 2217")
                break
            stream = rest[taken:]
        return bytes(said)

    @staticmethod
    def encoded(data: bytes) -> bytes:
        """Encode bytes for the instrument."""
        return data.replace(b"\xff", b"\xff\xff")

    def _command(self, rest: bytes, said: bytearray) -> int | None:
        """Take a command behind its IAC; return how many bytes it has, None if it is not whole."""
        if not rest:
            return None
        verb = rest[0]
        if verb == _IAC:
            said.append(_IAC)
            return 1
        if verb == _SB:
            end = _end_of(rest)
            if end is None:
                return None
            self._suboption(rest[1 : end - 2].replace(b"\xff\xff", b"\xff"))
            return end
        if verb not in (_WILL, _WONT, _DO, _DONT):
            return 1
        if len(rest) < 2:
            return None
        self._negotiate(verb, rest[1])
        return 2

    def _negotiate(self, verb: int, option: int) -> None:
        if option == _COM_PORT and verb == _DO:
            # What the converter has kept from before is nobody knows how old; 1 is its buffer of received bytes.
            for command, value in [*self._wanted.items(), (_LINESTATE_MASK, bytes([_DAMAGED])), (_PURGE, b"\x01")]:
                self.replies += bytes([_IAC, _SB, _COM_PORT, command]) + self.encoded(value) + bytes([_IAC, _SE])
        elif option == _COM_PORT and verb == _DONT:
            raise LinkLost("the converter does not speak RFC 2217; is it meant by tcp://?")
        elif (verb, option) not in _OURS and verb in (_WILL, _DO):
            self.replies += bytes([_IAC, _DONT if verb == _WILL else _WONT, option])

    def _suboption(self, body: bytes) -> None:
        if len(body) < 3 or body[0] != _COM_PORT:
            return
        command, value = body[1] - _ANSWER, body[2:]
        if body[1] == _NOTIFY_LINESTATE:
            self.damaged += bool(value[0] & _DAMAGED)
        elif command in self._open and command != _CONTROL and value != self._wanted[command]:
            asked, done = (int.from_bytes(each, "big") for each in (self._wanted[command], value))
            raise LinkLost(f"the converter sets {_NAMES[command]} {done} where {asked} is asked (as RFC 2217 codes it)")
        elif command in self._open and value == self._wanted[command]:
            del self._open[command]


def _end_of(rest: bytes) -> int | None:
    """Find the place behind the IAC SE that ends a suboption; an IAC in it is doubled."""
    at = 1
    while (at := rest.find(bytes([_IAC]), at)) >= 0 and at + 1 < len(rest):
        if rest[at + 1] == _SE:
            return at + 2
        at += 2
    return None
