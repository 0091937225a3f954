"""Real PostgreSQL and MariaDB servers on loopback, in a folder that goes with them. A test whose server or driver is missing is skipped."""

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from kit.processes import DEADLINE_S


@dataclass
class Server:
    """A server that answers. url: of its database, without a driver's name; client: the command that takes SQL from its input."""

    url: str
    client: list[str]

    def run(self, sql: str) -> str:
        """What the server's own client prints; raises if it fails."""
        done = subprocess.run(self.client, input=sql, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def endpoint(self, driver: str) -> str:
        """The endpoint of a source, with the driver's name."""
        return self.url.replace("://", f"+{driver}://", 1)


def needs(*packages: str) -> None:
    """Skip the test without these Python packages."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs the Python package {package}")


def _program(name: str, *folders: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([*folders, os.environ.get("PATH", ""), "/usr/sbin"]))
    if found is None:
        pytest.skip(f"needs {name}")
    return found


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def _served(command: list[str], server: Server, log: Path, user: str | None) -> Iterator[Server]:
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, user=user) as process:
        try:
            deadline = time.monotonic() + DEADLINE_S
            while subprocess.run(server.client, input="SELECT 1;", capture_output=True, text=True, check=False).returncode != 0:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
            yield server
        finally:
            process.terminate()
            try:
                process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


@contextmanager
def _folder(user: str | None) -> Iterator[Path]:
    """A folder that another user can reach: pytest's own ones are root's alone."""
    folder = Path(tempfile.mkdtemp(prefix="db-", dir="/tmp"))  # a socket's path is short
    try:
        if user is not None:
            shutil.chown(folder, user)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres() -> Iterator[Server]:
    """PostgreSQL in UTF-8, everybody trusted. It refuses to be root, and runs as its package's user then."""
    folders = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    initdb, program, psql = _program("initdb", *folders), _program("postgres", *folders), _program("psql", *folders)
    user = "postgres" if os.geteuid() == 0 else None
    with _folder(user) as folder:
        data, port = folder / "data", _port()
        made = ["-D", str(data), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run([initdb, *made], check=True, capture_output=True, user=user)
        command = [program, "-D", str(data), "-p", str(port), "-k", str(folder), "-h", "127.0.0.1", "-c", "fsync=off"]
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        client = [psql, "-qAtX", "-v", "ON_ERROR_STOP=1", url]
        with _served(command, Server(url, client), folder / "log", user) as server:
            yield server


@contextmanager
def mariadb() -> Iterator[Server]:
    """MariaDB with a database `mes`, root without a password."""
    program, install, client = _program("mariadbd"), _program("mariadb-install-db"), _program("mariadb")
    user = "mysql" if os.geteuid() == 0 else None
    with _folder(user) as folder:
        data, port = folder / "data", _port()
        as_user = [] if user is None else [f"--user={user}"]
        made = [f"--datadir={data}", "--auth-root-authentication-method=normal", "--skip-test-db", *as_user]
        subprocess.run([install, "--no-defaults", *made], check=True, capture_output=True)
        places = [f"--datadir={data}", f"--port={port}", f"--socket={folder}/s", f"--pid-file={folder}/pid", "--bind-address=127.0.0.1"]
        asked = [client, "--no-defaults", "-h127.0.0.1", f"-P{port}", "-uroot", "-N", "-B"]
        start = Server("", asked)
        with _served([program, "--no-defaults", *places, *as_user], start, folder / "log", None):
            start.run("CREATE DATABASE mes CHARACTER SET utf8mb4;")
            yield Server(f"mysql://root@127.0.0.1:{port}/mes", [*asked, "mes"])
