"""Which sources say of themselves that they are simulators: `config.grammars.simulated` has the sign, this reads it."""

import time
from collections.abc import Callable
from pathlib import Path

from config import Line, Source, exceptions
from config.grammars.simulated import PREFIX, signs
from drivers.contract import DriverMisconfigured

SOCKETS = Path("/proc/net/unix")
FRESH_S = 1.0


class Simulators:
    """What the simulators on this machine say now; read at most once a second, whatever the number of sources."""

    def __init__(self, line: Line, path: Path = SOCKETS, clock: Callable[[], float] = time.monotonic) -> None:
        """line: in production its simulators are refused, but for those that QA has accepted. clock: monotonic seconds."""
        accepted = {each.source for each in exceptions.accepted(line) if each.deviation.name == f"simulated:{each.source}"}
        self._is_production, self._accepted = line.line.environment == "production", accepted
        self._path, self._clock = path, clock
        self._read_s: float | None = None
        self._said: frozenset[str] = frozenset()

    def is_one(self, source: Source) -> bool:
        """Return whether what serves one of its endpoints says that it is a simulator."""
        names = signs(source.endpoints, source.folder)
        return bool(names) and not self._now().isdisjoint(names)

    def look_again(self, source: Source) -> None:
        """Read the list anew, unless it names this source: one from before a connection proves nothing of who answers it."""
        if signs(source.endpoints, source.folder) and not self.is_one(source):
            self._read_s = None

    def check(self, source: Source) -> None:
        """Refuse a simulator in production. Raises DriverMisconfigured."""
        if self._is_production and source.name not in self._accepted and self.is_one(source):
            raise DriverMisconfigured(
                f"{source.endpoints[0]} is a simulator, as it says itself, and this is a production line: end the simulator, or let"
                " `endpoint` name the device"
            )

    def _now(self) -> frozenset[str]:
        if self._read_s is None or self._clock() - self._read_s >= FRESH_S:
            self._read_s, self._said = self._clock(), self._read()
        return self._said

    def _read(self) -> frozenset[str]:
        """Read the names of sockets without a file. Where there is no such list, nobody says anything."""
        try:
            text = self._path.read_text("utf-8", errors="replace")
        except OSError:
            return frozenset()
        names = (line.rpartition("@")[2].strip() for line in text.splitlines() if f"@{PREFIX}" in line)
        return frozenset(names)
