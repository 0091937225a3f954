"""Prepares the demo's folder: a copy of the bundled line with free ports, and folders beside it."""

import fcntl
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import IO, Literal

from config import Line, load
from simulators import pki
from simulators.line.endpoints import NETWORK, free_ports, moved
from simulators.line.place import copied
from simulators.line.toml import Place
from simulators.line.toml import Setting as Setting_

EXAMPLE = "granulation-2"
MARK = "demo.json"
By = Literal["mqtt", "https"]
SCHEMES: dict[By, str] = {"mqtt": "mqtts", "https": "https"}
CLIENT_FILES = {"ca": "../tls/ca.crt", "cert": "../tls/client.crt", "key": "../tls/client.key"}


class NotOurs(Exception):
    """The folder holds something that no demo made."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Times at which the demo causes its faults, in seconds of the plant's time."""

    cut_at_s: float
    cut_for_s: float
    kill_at_s: float
    down_for_s: float


@dataclass(frozen=True, slots=True)
class Setting:
    """Folders, ports and speed of one demo.

    ebr: port where the broker, or the EBR itself, listens; uplink: port of the cable in front of it. web: port of the gateway's own page;
    page: of the EBR's. mark: a file that is locked while the demo runs.
    """

    folder: Path
    line: Line
    seed: int
    batch_s: float
    faults: Faults
    by: By
    ebr: int
    uplink: int
    ntp: int
    page: int
    web: int
    mark: IO[str] = field(repr=False)

    @property
    def tls(self) -> Path:
        """Folder of the certificates of both ends, made for this demo alone."""
        return self.folder / "tls"

    @property
    def truth(self) -> Path:
        """Folder of the ground-truth logs, one per source."""
        return self.folder / "truth"

    @property
    def store(self) -> Path:
        """Folder of the reference EBR's store."""
        return self.folder / "store"

    def log(self, name: str) -> Path:
        """Return the file to which a process writes its output."""
        return self.folder / "logs" / f"{name}.log"


def faults(seed: int, batch_s: float) -> Faults:
    """Choose the times of cut and kill somewhere in the middle of the batch; sometimes one falls into the other."""
    random = Random(f"faults {seed}")  # noqa: S311 - repeatable, no secret
    cut_for_s = random.uniform(0.06, 0.12) * batch_s
    return Faults(random.uniform(0.25, 0.6) * batch_s, cut_for_s, random.uniform(0.35, 0.8) * batch_s, random.uniform(0.5, 2.0))


def prepare(folder: Path, seed: int, batch_s: float, page: int | None, by: By = "mqtt") -> Setting:
    """Make the folder anew with the line and fresh certificates in it. Raises NotOurs."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).exists():
            raise NotOurs(f"{folder}: is not empty and no demo made it; give --dir a new folder")
        _unlocked(folder)
        shutil.rmtree(folder)
    (folder / "logs").mkdir(parents=True)
    (folder / "truth").mkdir()
    mark = _marked(folder, {"made by": "ebr-gateway demo", "seed": seed, "batch_s": batch_s})
    ports = free_ports()
    ebr, uplink, ntp, web = (next(ports) for _ in range(4))
    pki.make(folder / "tls")
    line = _line(folder / "line", ports, f"{SCHEMES[by]}://127.0.0.1:{uplink}", by, ntp, web)
    return Setting(folder, line, seed, batch_s, faults(seed, batch_s), by, ebr, uplink, ntp, page or next(ports), web, mark)


def _unlocked(folder: Path) -> None:
    """Raise NotOurs while another demo runs in this folder."""
    with (folder / MARK).open("a") as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise NotOurs(f"{folder}: another demo runs there; give --dir another folder") from error


def _marked(folder: Path, what: dict[str, object]) -> IO[str]:
    mark = (folder / MARK).open("w")
    fcntl.flock(mark, fcntl.LOCK_EX)
    mark.write(json.dumps(what) + "\n")
    mark.flush()
    return mark


def _line(to: Path, ports: Iterator[int], uplink: str, by: By, ntp: int, web: int) -> Line:
    bundled = load(example())
    endpoints = {each.name: moved(each, next(ports)) for each in bundled.sources if each.endpoints[0].split(":", 1)[0] in NETWORK}
    (receiver,) = bundled.uplinks
    more: dict[Place, dict[str, Setting_]] = {
        ("web", None): {"listen": f"127.0.0.1:{web}"},
        ("clock", None): {"servers": [f"127.0.0.1:{ntp}"]},
        ("uplink", 0): {"kind": by, "tls": dict(CLIENT_FILES), "version": "5" if by == "mqtt" else None},
    }
    return copied(bundled, to, endpoints, {receiver.name: uplink}, more)


def example() -> Path:
    """Return the folder of the bundled line."""
    import config

    return Path(config.__file__).parent / "examples" / EXAMPLE
