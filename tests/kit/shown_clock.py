"""The wall clock that a process sees, set by a test while it runs (libfaketime); its monotonic clock is the machine's."""

from pathlib import Path

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
"""Debian's faketime; none where it is not installed."""


class ShownClock:
    """What the clock shows, by a file that the process looks at."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.show("+0")

    def show(self, offset: str) -> None:
        """Show the machine's time and this many seconds ("+3600", "+0")."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(offset + "\n")
        fresh.rename(self._file)

    def environment(self) -> dict[str, str]:
        """What a process must be started with to see it."""
        shown = {"FAKETIME_TIMESTAMP_FILE": str(self._file), "FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        return {"LD_PRELOAD": str(LIBRARIES[0]), "DONT_FAKE_MONOTONIC": "1", **shown}
