"""Stands between one program and its files: lets each of its writes go on, or has it fail, or cuts the power.

    python -m gateway.validation.oq.keeper SOCKET FOLDER

Programs come to it by `gateway.validation.oq.watched`. FOLDER is the disk that is meant; what is written elsewhere goes on. It obeys its
standard input, an order a line as JSON with an `id`, and answers with that id:

    {"do": "fail", "error": "EROFS"}                from now on each write, flush and new name of the folder fails; EIO: no names
    {"do": "fail", "error": "EIO", "times": 1}      only the next of them
    {"do": "failed"}                                how many have failed
    {"do": "lie"}                                   from now on a flush of the folder is answered as done, and nothing of it is on the disk
    {"do": "mend"}                                  nothing fails any more, and no flush is a lie; answered with how many were
    {"do": "cut", "seed": 7, "after": 40, "torn": true}
                                                    kill the program at the 40th write or flush of the folder from now on, before it takes
                                                    effect, and leave what was flushed; torn: and some of what was not. Answered then;
                                                    "flush": true counts flushes alone
"""

import array
import errno
import json
import os
import random
import select
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.validation.oq.flushed import Disk
from gateway.validation.oq.kernel_calls import Notice, answered, received, text_at

NAMES = {
    "openat": 1, "open": 0, "rename": 0, "renameat": 1, "renameat2": 1, "unlink": 0, "unlinkat": 1, "mkdir": 0, "mkdirat": 1, "link": 0,
    "linkat": 1,
}  # fmt: skip
"""Calls that name a file, and which argument does; of those that end in "at" the one before is the folder."""
SECOND = {"rename": 1, "renameat": 3, "renameat2": 3}
OPENING = {"openat": 2, "open": 1}
"""Which argument has the flags."""
FLUSHES = ("fsync", "fdatasync")
TARGET = {"sendfile": 0, "copy_file_range": 2}
"""Which argument is the file that is written, where it is not the first."""
HERE = (-100) & 0xFFFFFFFF
"""AT_FDCWD: the folder in which the program stands."""
ORDERS, ENDS_WITHIN_S = 0, 30.0


@dataclass
class Failing:
    """How calls fail. error: number; times: so many are left, None: all."""

    error: int
    times: int | None

    def strikes(self, call: str) -> bool:
        """Say whether this call fails; counts it. A disk that fails (EIO) still knows its names."""
        if self.times == 0 or (self.error == errno.EIO and call in NAMES):
            return False
        self.times = None if self.times is None else self.times - 1
        return True


@dataclass
class Ordered:
    """A power cut that is ordered. answer: the number of the order; flush: it comes before one."""

    answer: Any
    after: int
    flush: bool
    chance: random.Random | None


@dataclass
class Keeper:
    """Answers calls. kill: ends a program by the id of one of its threads."""

    disk: Disk
    say: Callable[[dict[str, Any]], None]
    kill: Callable[[int], None]
    failing: Failing | None = None
    ordered: Ordered | None = None
    failed: int = 0
    lying: bool = False
    lied: int = 0
    unseen: set[int] = field(default_factory=set)

    def obey(self, order: dict[str, Any]) -> None:
        """Obey an order."""
        match order["do"]:
            case "fail":
                self.failing, self.failed = Failing(getattr(errno, order["error"]), order.get("times")), 0
            case "lie":
                self.lying, self.lied = True, 0
            case "mend":
                self.failing, self.lying = None, False
            case "cut":
                chance = random.Random(order["seed"]) if order.get("torn") else None  # noqa: S311 - no secret
                self.ordered = Ordered(order["id"], int(order["after"]), bool(order.get("flush")), chance)
                return
            case "failed":  # only how many have
                pass
            case _:
                self.say({"id": order["id"], "error": f"{order['do']} is no order"})
                return
        self.say({"id": order["id"], "failed": self.failed, "lied": self.lied})

    def error_of(self, notice: Notice) -> int | None:
        """Decide about a call: 0 lets it go on, another number fails it, None: it is never answered, for its program is dead."""
        names = self._names(notice)
        if not names:
            return 0
        if self.failing is not None and self.failing.strikes(notice.call):
            self.failed += 1
            return self.failing.error
        if self.ordered is not None and (notice.call in FLUSHES or not self.ordered.flush):
            self.ordered.after -= 1
            if self.ordered.after <= 0:
                self._cut(notice, self.ordered)
                return None
        self._note(notice, names)
        return 0

    def _cut(self, notice: Notice, ordered: Ordered) -> None:
        self.ordered = None
        self.kill(notice.process)
        cut = self.disk.cut(ordered.chance)
        self.say({"id": ordered.answer, "call": notice.call, "files": cut.files, "bytes": cut.bytes})

    def _note(self, notice: Notice, names: list[str]) -> None:
        if notice.call in FLUSHES and self.lying:
            self.lied += 1
        elif notice.call in FLUSHES:
            self.disk.flushed(names[0])
        elif notice.call in SECOND and len(names) == 2:
            self.disk.moved(*names)
        elif notice.call.startswith("unlink"):
            self.disk.removed(names[0])
        elif notice.call in OPENING and notice.arguments[OPENING[notice.call]] & os.O_CREAT:
            self.disk.created(names[0])

    def _names(self, notice: Notice) -> list[str]:
        """Return the files of the folder that a call is about, relative to it; none where it is about others, or can not be seen."""
        try:
            if notice.call not in NAMES:
                found = [str(Path(f"/proc/{notice.process}/fd/{notice.arguments[TARGET.get(notice.call, 0)]}").readlink())]
            else:
                at = [NAMES[notice.call], *([SECOND[notice.call]] if notice.call in SECOND else [])]
                found = [_named(notice, index) for index in at]
        except OSError:
            self.unseen.add(notice.process)
            return []
        inside = [Path(os.path.normpath(name)) for name in found]
        return [str(name.relative_to(self.disk.folder)) for name in inside if name.is_relative_to(self.disk.folder)]


def _named(notice: Notice, index: int) -> str:
    """Return the whole path of a name that a call gives. Raises OSError."""
    name = text_at(notice.process, notice.arguments[index])
    if name.startswith("/"):
        return name
    number = notice.arguments[index - 1] & 0xFFFFFFFF if notice.call.endswith(("at", "at2")) else HERE
    return f"{Path(f'/proc/{notice.process}', 'cwd' if number == HERE else f'fd/{number}').readlink()}/{name}"


def killed(thread: int) -> None:
    """Kill the process of a thread, and wait until none of its threads writes any more."""
    status = Path(f"/proc/{thread}/status").read_text("utf-8")
    process = int(next(line.split()[1] for line in status.splitlines() if line.startswith("Tgid:")))
    ended = os.pidfd_open(process)
    os.kill(process, signal.SIGKILL)
    is_over = select.select([ended], [], [], ENDS_WITHIN_S)[0]
    os.close(ended)
    if not is_over:  # it may write yet: what the disk holds then is of no power cut
        raise TimeoutError(f"process {process} did not end within {ENDS_WITHIN_S:g} s of SIGKILL")


def main() -> None:
    """Keep until the standard input ends."""
    place, folder = sys.argv[1:3]
    disk = Disk(Path(folder).resolve())
    disk.settle()
    keeper, waits = Keeper(disk, lambda told: _say(json.dumps(told)), killed), select.poll()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(place)
        door.listen()
        for watched in (door.fileno(), ORDERS):
            waits.register(watched, select.POLLIN)
        _say("keeping")
        while True:
            for ready, events in waits.poll():
                if ready == door.fileno():
                    waits.register(_taken_in(door), select.POLLIN)
                elif ready == ORDERS:
                    if not (lines := os.read(ORDERS, 65_536)):
                        return
                    for line in lines.splitlines():
                        keeper.obey(json.loads(line))
                elif events & select.POLLIN:
                    _answered(ready, keeper)
                else:  # nobody is left who could make a call
                    waits.unregister(ready)
                    os.close(ready)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _taken_in(door: socket.socket) -> int:
    with door.accept()[0] as program:
        _, ancillary, _, _ = program.recvmsg(1, socket.CMSG_SPACE(4))
        return array.array("i", ancillary[0][2])[0]


def _answered(by: int, keeper: Keeper) -> None:
    """Answer one call."""
    notice = received(by)
    if notice is not None and (error := keeper.error_of(notice)) is not None:
        answered(by, notice, error)


if __name__ == "__main__":
    main()
