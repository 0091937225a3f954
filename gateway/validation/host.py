"""The machine that is qualified, as the checks see it: files below a root, accounts, commands. Reading only."""

import asyncio
import grp
import os
import pwd
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.clock.command import ask
from gateway.clock.daemon_reading import Unreadable
from gateway.validation.check import NotChecked

COMMAND_WITHIN_S = 60.0


def command(words: Sequence[str]) -> str:
    """Run a command and return what it printed. Raises NotChecked if it is not installed, fails or gives no answer."""
    try:
        return asyncio.run(ask(words, COMMAND_WITHIN_S))
    except (Unreadable, OSError) as error:
        raise NotChecked(str(error)) from error


@dataclass(frozen=True)
class Host:
    """root: where /etc, /usr, /opt and /proc stand. account: of the service. ports: declared beside the gateway's own, as ssh's 22."""

    root: Path = Path("/")
    account: str = "ebr-gateway"
    ports: tuple[int, ...] = ()
    command: Callable[[Sequence[str]], str] = command

    def path(self, name: str) -> Path:
        """Return the place of an absolute path on this machine."""
        return self.root / name.removeprefix("/")

    def service(self) -> tuple[int, frozenset[int]]:
        """Return the account's uid and the gids of all its groups. Raises NotChecked if there is none."""
        try:
            found = pwd.getpwnam(self.account)
        except KeyError:
            raise NotChecked(f"there is no account {self.account}") from None
        return found.pw_uid, frozenset([found.pw_gid, *(each.gr_gid for each in grp.getgrall() if self.account in each.gr_mem)])


def status(path: Path) -> os.stat_result:
    """Look at a file. Raises NotChecked where that is not allowed, FileNotFoundError."""
    try:
        return path.stat()
    except PermissionError:
        raise NotChecked(f"{path}: no permission to look; run it as root") from None


def mode_of(path: Path) -> str:
    """Write owner and mode of a file, as `ebr-gateway 0700`."""
    found = status(path)
    return f"{owner_of(found.st_uid)} {stat.S_IMODE(found.st_mode):04o}"


def owner_of(uid: int) -> str:
    """Name an account; its number where it has no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def may_write(path: Path, uid: int, gids: frozenset[int]) -> bool:
    """Return whether an account may write a file, by owner, group and mode; access lists and read-only mounts are not asked."""
    found = status(path)
    if uid == 0:
        return True
    bit = stat.S_IWUSR if found.st_uid == uid else stat.S_IWGRP if found.st_gid in gids else stat.S_IWOTH
    return bool(found.st_mode & bit)
