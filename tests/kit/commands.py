"""Commands of `ebr-gateway` in the test's own process: the same words, the same answers, and no interpreter that has to start first."""

import contextlib
import io
import subprocess
from pathlib import Path

from gateway.cli import main


def called(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. For those that ask, read or check; that it works as a process is tested once for each command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([*map(str, words)])
            code: str | int | None = 0
        except SystemExit as end:
            code = end.code
    assert isinstance(code, int), code
    return subprocess.CompletedProcess([*map(str, words)], code, out.getvalue(), err.getvalue())
