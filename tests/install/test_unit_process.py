"""The systemd unit: accepted by systemd's own checks, hardened, and such that the gateway can do its work under it."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.processes import DEADLINE_S
from kit.repository import ROOT

import config
from gateway.demo.processes import COMMAND

UNIT = ROOT / "systemd" / "ebr-gateway@.service"
MOST_EXPOSED = 2.0
WITHIN_S = 60.0

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


def _analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", "--no-pager", *arguments], capture_output=True, text=True, check=False)


def _settings(name: str) -> list[str]:
    return re.findall(rf"(?m)^{name}=(.*)$", UNIT.read_text())


@pytest.mark.bar("S16")
@needs_systemd
@pytest.mark.urs("URS-SEC-06")
def test_the_unit_is_hardened(figure: Callable[[str, object], None]) -> None:
    told = _analyze("security", "--offline=true", str(UNIT)).stdout
    score = re.search(r"Overall exposure level for .*: ([0-9.]+)", told)
    assert score is not None, told
    figure("exposure by systemd-analyze, most allowed", f"{score[1]}, {MOST_EXPOSED}")
    assert float(score[1]) <= MOST_EXPOSED <= 2.0, told


@needs_systemd
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """With a program that exists here in place of the installed one."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/ebr-gateway/bin/ebr-gateway", shutil.which("true") or "/bin/true"))
    done = _analyze("verify", str(unit))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.urs("URS-SEC-06")
def test_the_service_can_read_the_clock_but_has_no_capability_to_set_it() -> None:
    assert _settings("CapabilityBoundingSet") == [""]
    assert "adjtimex" in " ".join(_settings("SystemCallFilter"))
    assert _settings("ProtectClock") == ["no"]  # would forbid reading, too


def test_a_wrong_line_folder_is_not_tried_again() -> None:
    assert _settings("Restart") == ["always"]
    assert _settings("RestartPreventExitStatus") == ["2"]


def _started(line: Path, tmp_path: Path, *, wrapper: list[str]) -> tuple[subprocess.Popen[bytes], socket.socket]:
    (tmp_path / "notify").unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(tmp_path / "notify"))
    listener.settimeout(WITHIN_S)
    environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1500000"}
    with (tmp_path / "said").open("wb") as said:
        return subprocess.Popen([*wrapper, *COMMAND, "run", str(line)], env=environment, stderr=said), listener


def _beyond_signs_of_life(listener: socket.socket) -> bytes:
    """What is told next; signs of life may come at any time, also before a start is complete."""
    while (heard := listener.recv(100)) == b"WATCHDOG=1":
        pass
    return heard


@pytest.fixture
def line(tmp_path: Path) -> Path:
    """The example; none of its sources answers, which is an everyday start."""
    folder = tmp_path / "line"
    shutil.copytree(Path(config.__file__).parent / "examples" / "granulation-2", folder)
    toml = folder / "line.toml"
    text = toml.read_text()
    for port in ("48400", "50200", "18830"):
        text = text.replace(f":{port}", ":1")
    toml.write_text(text.replace("127.0.0.1:8080", "127.0.0.1:0"))
    return folder


NO_WRITABLE_CODE = "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"
"""prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN): what MemoryDenyWriteExecute= asks for, by the kernel itself."""


@pytest.mark.bar("F43")
@pytest.mark.urs("URS-OPS-05", "URS-SEC-06")
def test_the_gateway_tells_systemd_that_it_is_ready_alive_and_stopping(line: Path, tmp_path: Path) -> None:
    process, listener = _started(line, tmp_path, wrapper=[sys.executable, "-c", NO_WRITABLE_CODE])
    try:
        with listener:
            assert _beyond_signs_of_life(listener) == b"READY=1"
            assert listener.recv(100) == b"WATCHDOG=1"
            process.send_signal(signal.SIGTERM)
            assert _beyond_signs_of_life(listener) == b"STOPPING=1"
        assert process.wait(DEADLINE_S) == 0, (tmp_path / "said").read_text()
    finally:
        process.kill()
        process.wait()


@pytest.mark.urs("URS-OPS-05")
def test_a_start_that_folds_entries_again_asks_systemd_for_time(line: Path, tmp_path: Path) -> None:
    heard: list[list[bytes]] = []
    for _ in range(2):
        process, listener = _started(line, tmp_path, wrapper=[])
        try:
            with listener:
                heard.append([listener.recv(200)])
                while heard[-1][-1] != b"READY=1":
                    heard[-1].append(listener.recv(200))
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, (tmp_path / "said").read_text()
        finally:
            process.kill()
            process.wait()
    folding, over, _ = [word for word in heard[1] if word != b"WATCHDOG=1"]
    assert folding.startswith(b"EXTEND_TIMEOUT_USEC=120000000\nSTATUS=folding the journal: ")
    assert over == b"STATUS="


def _calls(name: str) -> set[str]:
    """The system calls of a group, its groups in it resolved."""
    words = [line.strip() for line in _analyze("syscall-filter", name).stdout.splitlines()[1:]]
    parts = [_calls(word) if word.startswith("@") else {word} for word in words if word and not word.startswith("#")]
    return set().union(*parts)


@pytest.mark.faults
@needs_systemd
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.urs("URS-SEC-06")
def test_the_gateway_needs_no_system_call_that_the_unit_forbids(line: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    process, listener = _started(line, tmp_path, wrapper=["strace", "-f", "-o", str(trace)])
    with listener:
        assert _beyond_signs_of_life(listener) == b"READY=1"
        for _ in range(10):  # what a running gateway does by itself, for some seconds
            assert listener.recv(100) == b"WATCHDOG=1"
        children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True).stdout.split()
        os.kill(int(children[0]), signal.SIGTERM)
        process.wait(WITHIN_S)
    used = set(re.findall(r"(?m)^\d+ +(\w+)\(", trace.read_text()))
    allowed = (
        (_calls("@system-service") - _calls("@privileged") - _calls("@resources")) | _calls("@default") | {"adjtimex", "clock_adjtime"}
    )
    assert used - allowed <= {"fchown"}  # SQLite gives files to their owner only where it runs as root
