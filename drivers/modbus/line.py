"""Opens a serial line as a transport: pyserial for the settings, the event loop for the bytes.

pymodbus's own serial transport is not used: it sets the port twice, reports some failures as other exceptions, and hides the port.
"""

import asyncio
import os
import termios
from collections.abc import Callable

import serial

from drivers.contract import LinkLost, port_not_opened
from drivers.modbus.settings import Endpoint
from drivers.os_words import in_words

_CHUNK = 4096


class SerialLine:
    """An open serial port. Calls `received` with the bytes that arrive, and `lost` once with the reason when the port is gone."""

    def __init__(self, endpoint: Endpoint, path: str, received: Callable[[bytes], None], lost: Callable[[Exception], None]) -> None:
        """Open the port. Raises LinkLost if it does not exist, is in use, or refuses the settings."""
        self._path, self._received, self._lost = path, received, lost
        is_terminal = os.path.realpath(path).startswith("/dev/pts/")  # a pseudo-terminal has no parity and refuses one
        try:
            self._serial = serial.Serial(
                path,
                baudrate=endpoint.baudrate,
                bytesize=endpoint.bytesize,
                parity="N" if is_terminal else endpoint.parity,
                stopbits=endpoint.stopbits,
                timeout=0,
                write_timeout=0,
                exclusive=True,
            )
        except (OSError, ValueError, termios.error) as error:  # serial.SerialException is an OSError, termios.error is not
            raise port_not_opened(f"{path}: {_why(error)}", error) from error
        self._fd = self._serial.fileno()
        asyncio.get_running_loop().add_reader(self._fd, self._readable)

    def write(self, data: bytes) -> None:
        """Write a request of eight bytes. The kernel takes it whole, or the port is broken and `lost` is called."""
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            self._fail(f"{self._path}: {in_words(error)}")
            return
        if written != len(data):
            self._fail(f"{self._path}: the port does not take what is sent")

    def abort(self) -> None:
        """Close the port at once; `lost` is not called."""
        if self._serial.is_open:
            asyncio.get_running_loop().remove_reader(self._fd)
            self._serial.close()

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(f"{self._path}: {in_words(error)}")
            return
        if data:
            self._received(data)
        else:
            self._fail(f"{self._path}: hung up")

    def _fail(self, why: str) -> None:
        self.abort()
        self._lost(LinkLost(why))


def _why(error: Exception) -> str:
    """Say why a port could not be opened; pyserial's sentence holds the path twice more."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number and "could not open port" in str(error) else str(error)
