"""A Modbus TCP device whose holding registers all count up by one each time the last of them was read. It knows function code 3 alone.

Run: python -m steady.modbus PORT REGISTERS; "go" and "still" on standard input.
"""

import asyncio
import struct
import sys
from array import array

HEAD = struct.Struct(">HHHBBHH")


class Device(asyncio.Protocol):
    """One connection. The registers are the process's."""

    registers = array("H")
    counts = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport, self.gathered = transport, b""

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self.gathered += data
        while len(self.gathered) >= HEAD.size:
            transaction, _, _, unit, code, start, count = HEAD.unpack_from(self.gathered)
            self.gathered = self.gathered[HEAD.size :]
            if code != 3 or not 1 <= count <= 125 or start + count > len(self.registers):
                self.transport.write(struct.pack(">HHHBBB", transaction, 0, 3, unit, code | 0x80, 2))
                continue
            part = self.registers[start : start + count]
            part.byteswap()
            self.transport.write(struct.pack(">HHHBBB", transaction, 0, 3 + 2 * count, unit, code, 2 * count) + part.tobytes())
            if self.counts:
                for place in range(start, start + count):
                    self.registers[place] = (self.registers[place] + 1) & 0x7FFF


async def main(port: int, registers: int) -> None:
    """Serve until standard input ends."""
    Device.registers = array("H", [0] * registers)
    server = await asyncio.get_running_loop().create_server(Device, "127.0.0.1", port)
    print("serving", flush=True)
    while word := await asyncio.to_thread(sys.stdin.readline):
        Device.counts = word.strip() == "go"
        print(word.strip(), flush=True)
    server.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
