"""Real PostgreSQL and MariaDB servers on loopback, in a folder that goes with them. A test whose server or driver is missing is skipped.

A server is started by the first worker of a run that needs it, and stopped by the last one; each worker has a database of its own.
"""

import fcntl
import importlib.util
import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import orjson
import pytest
from kit.processes import DEADLINE_S, free_port, until


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


@dataclass
class Started:
    """A server as it stands in a file, so that another process finds it, and can stop it."""

    pid: int
    folder: str
    url: str
    client: list[str]

    def stop(self) -> None:
        """End it in order, by force if it does not, and remove its folder."""
        try:
            watched = os.pidfd_open(self.pid)
        except ProcessLookupError:
            pass
        else:
            os.kill(self.pid, signal.SIGINT if "postgres" in self.url else signal.SIGTERM)  # PostgreSQL's SIGTERM waits for its clients
            if not select.select([watched], [], [], DEADLINE_S)[0]:
                os.kill(self.pid, signal.SIGKILL)
            os.close(watched)
        shutil.rmtree(self.folder, ignore_errors=True)


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


def _folder(user: str | None) -> Path:
    """A folder that another user can reach: pytest's own ones are root's alone."""
    folder = Path(tempfile.mkdtemp(prefix="db-", dir="/tmp"))  # a socket's path is short
    if user is not None:
        shutil.chown(folder, user)
    return folder


def _start(command: list[str], folder: Path, url: str, client: list[str], user: str | None) -> Started:
    """Start it and wait until it answers."""
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, user=user, start_new_session=True)  # its worker may end before it

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        return subprocess.run(client, input="SELECT 1;", capture_output=True, text=True, check=False).returncode == 0

    until(answers)
    process.returncode = 0  # the last one who needs the server stops it: this object does not look after it
    return Started(process.pid, str(folder), url, client)


@contextmanager
def _one_for_all(run: Path, name: str, start: Callable[[], Started]) -> Iterator[Started]:
    """The server of this run, whose processes share the folder `run`. Who uses it holds a share of the lock `users`."""
    state = run / f"{name}.json"
    with (run / f"{name}.lock").open("w") as turn, (run / f"{name}.users").open("w") as users:
        fcntl.flock(turn, fcntl.LOCK_EX)
        try:
            if not state.exists():
                state.write_bytes(orjson.dumps(asdict(start())))
            fcntl.flock(users, fcntl.LOCK_SH)
        finally:
            fcntl.flock(turn, fcntl.LOCK_UN)
        started = Started(**orjson.loads(state.read_bytes()))
        try:
            yield started
        finally:
            fcntl.flock(turn, fcntl.LOCK_EX)
            if _is_last(users):
                state.unlink()
                started.stop()


def _is_last(users: IO[str]) -> bool:
    """Give the share of the lock back; whether nobody else holds one."""
    try:
        fcntl.flock(users, fcntl.LOCK_UN)
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _start_postgres() -> Started:
    """PostgreSQL in UTF-8, everybody trusted. It refuses to be root, and runs as its package's user then."""
    folders = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    initdb, program, psql = _program("initdb", *folders), _program("postgres", *folders), _program("psql", *folders)
    user = "postgres" if os.geteuid() == 0 else None
    folder, port = _folder(user), free_port()
    made = ["-D", f"{folder}/data", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
    subprocess.run([initdb, *made], check=True, capture_output=True, user=user)
    command = [program, "-D", f"{folder}/data", "-p", str(port), "-k", str(folder), "-h", "127.0.0.1", "-c", "fsync=off"]
    url = f"postgresql://postgres@127.0.0.1:{port}/"
    return _start(command, folder, url, [psql, "-qAtX", "-v", "ON_ERROR_STOP=1", f"{url}postgres"], user)


def _start_mariadb() -> Started:
    """MariaDB, root without a password."""
    program, install, client = _program("mariadbd"), _program("mariadb-install-db"), _program("mariadb")
    user = "mysql" if os.geteuid() == 0 else None
    folder, port = _folder(user), free_port()
    as_user = [] if user is None else [f"--user={user}"]
    made = [f"--datadir={folder}/data", "--auth-root-authentication-method=normal", "--skip-test-db", "--debug-no-sync", *as_user]
    # Its own folder for temporary files: that of the tests may be closed to the account it runs as.
    own = {**os.environ, "TMPDIR": str(folder)}
    subprocess.run([install, "--no-defaults", f"--tmpdir={folder}", *made], check=True, capture_output=True, env=own)
    places = [f"--datadir={folder}/data", f"--port={port}", f"--socket={folder}/s", f"--pid-file={folder}/pid", "--bind-address=127.0.0.1"]
    places.append(f"--tmpdir={folder}")
    command = [program, "--no-defaults", *places, "--debug-no-sync", "--innodb-flush-log-at-trx-commit=0", *as_user]
    asked = [client, "--no-defaults", "-h127.0.0.1", f"-P{port}", "-uroot", "-N", "-B"]
    return _start(command, folder, f"mysql://root@127.0.0.1:{port}/", asked, None)


@contextmanager
def postgres(run: Path) -> Iterator[Server]:
    """A database of its own on the PostgreSQL server of this run (see `_one_for_all`)."""
    with _one_for_all(run, "postgres", _start_postgres) as one:
        name = f"mes_{os.getpid()}"
        Server(one.url, one.client).run(f"CREATE DATABASE {name};")
        yield Server(one.url + name, [*one.client[:-1], one.url + name])


@contextmanager
def mariadb(run: Path) -> Iterator[Server]:
    """The same on the MariaDB server."""
    with _one_for_all(run, "mariadb", _start_mariadb) as one:
        name = f"mes_{os.getpid()}"
        Server(one.url, one.client).run(f"CREATE DATABASE {name} CHARACTER SET utf8mb4;")
        yield Server(one.url + name, [*one.client, name])
