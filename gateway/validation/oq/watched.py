"""Begins a program whose writing to files somebody else answers for: `python -m gateway.validation.oq.watched SOCKET COMMAND...`.

SOCKET is the keeper's (`gateway.validation.oq.keeper`). `--try` in its place only says whether the kernel does it here: exit 0, or a line.
"""

import array
import os
import socket
import sys

from gateway.validation.oq.kernel_calls import NotPossible, handed_over

CAN_NOT = 71


def main() -> None:
    """Hand the calls over and become the program."""
    place, *command = sys.argv[1:]
    with socket.socket(socket.AF_UNIX) as keeper:
        if place != "--try":
            keeper.connect(place)
        try:
            by = handed_over()
        except NotPossible as why:
            os.write(2, f"{why}\n".encode())
            os._exit(CAN_NOT)
        if place == "--try":
            os._exit(0)  # nothing is written on the way out: nobody would answer
        keeper.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [by]))])
    os.close(by)
    os.execvp(command[0], command)  # noqa: S606 - the gateway's own command


if __name__ == "__main__":
    main()
