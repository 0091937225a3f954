"""Debian's saslauthd with a PAM of its own: real daemon, real libpam, and a list of passwords in a file (cwrap's pam_wrapper)."""

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any, Self

import pytest
from kit.processes import until

SASLAUTHD = shutil.which("saslauthd") or "/usr/sbin/saslauthd"
WRAPPER = next(Path("/usr/lib").glob("*/libpam_wrapper.so"), None)
MATRIX = next(Path("/usr/lib").glob("*/pam_wrapper/pam_matrix.so"), None)
PASSWORDS = {"nobody": "mauve kettle 71", "daemon": "copper lantern 12", "mail": "violet ladder 55"}
"""Of accounts that every machine has; here they have passwords for as long as the daemon runs."""


def PAM(test: Any) -> Any:  # noqa: N802 - a mark, as those of pytest
    """Mark a test that needs saslauthd and pam_wrapper."""
    missing = not Path(SASLAUTHD).exists() or WRAPPER is None or MATRIX is None
    return pytest.mark.skipif(missing, reason="Debian's sasl2-bin and libpam-wrapper are not installed")(test)


class PamSite:
    """A saslauthd that looks at passwords in `folder`. socket: where it is asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self.socket = folder / "mux"
        (folder / "pam.d").mkdir()
        lines = [f"{kind} required {MATRIX} passdb={folder / 'passwords'}" for kind in ("auth", "account")]
        (folder / "pam.d" / "ebr-gateway").write_text("\n".join(lines) + "\n")
        (folder / "passwords").write_text("".join(f"{user}:{word}:ebr-gateway\n" for user, word in PASSWORDS.items()))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        own = {"LD_PRELOAD": str(WRAPPER), "PAM_WRAPPER": "1", "PAM_WRAPPER_SERVICE_DIR": str(self._folder / "pam.d")}
        with (self._folder / "log").open("ab") as log:  # in a session of its own: it ends its whole process group, and not ours
            words = [SASLAUTHD, "-d", "-a", "pam", "-n", "1", "-m", str(self._folder)]
            self._process = subprocess.Popen(words, env={**os.environ, **own}, stdout=log, stderr=log, start_new_session=True)
        until(self._listens)
        return self

    def _listens(self) -> bool:
        """Whether it takes connections: the socket is there a moment before."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait()
        self.socket.unlink(missing_ok=True)

    def asked(self) -> int:
        """How many passwords it has looked at."""
        return (self._folder / "log").read_text(errors="replace").count("[mech=pam]")
