"""A line of twelve sources of every kind, each of which can be broken in three ways, and what each of its devices has said.

A stand is a device and the ways to break it. It is moved by a rising number, so that a number which was said and is not in the journal
is a reading that was lost. `said` is kept on the device's side alone.
"""

import asyncio
import contextlib
import os
import sqlite3
import time
import tty
from pathlib import Path

from kit.databases import Server
from kit.opcua_authority import Authority
from kit.stands import Act, Networked, Stand, Terminal, secret

from config import Tag
from drivers.opcua.session import certs
from simulators.modbus_plc import Fault, ModbusPlc
from simulators.opcua_plc import OpcUaPlc
from simulators.scale import Scale, ScaleFault


class OpcUa(Networked):
    """A server; secured: with certificates, a name and a password."""

    def __init__(self, name: str, folder: Path, *, is_secured: bool = False) -> None:
        super().__init__(name, "opcua", f'plc:s="{name}"')
        self._folder, self._is_secured = folder, is_secured

    async def start(self) -> None:
        options = {"namespaces": {"plc": "urn:example:plc"}}
        users = certificate = None
        if self._is_secured:
            certs.make(self._folder / "certs")
            authority = Authority("Plant")
            certificate = authority.issue(self._folder / "server", "server", "urn:example:simulated-plc")
            authority.put(self._folder / "certs" / "trusted" / "certs")
            users = {"ebr": "right"}
        at = self.source(self._folder, "opc.tcp://127.0.0.1:0", **options)
        self._plc = OpcUaPlc(at, [self.tag()], self.said, users=users, certificate=certificate)  # type: ignore[arg-type] # a Truth in memory
        await self._plc.start()
        await self.connect("127.0.0.1", self._plc.port)
        if self._is_secured:
            self.without(secret(self._folder, self.name))

    async def stop(self) -> None:
        await self.disconnect()
        await self._plc.stop()

    async def move(self) -> None:
        self.number += 1
        self.said.add(self.number)
        await self._plc.set({f"{self.name}.n": float(self.number)}, int(time.time() * 10_000_000))

    def toml(self) -> str:
        security = (
            'security = { policy = "Basic256Sha256", mode = "SignAndEncrypt" }' if self._is_secured else 'security = { policy = "None" }'
        )
        user = [f'user = "ebr"\npassword = {{ credential = "{self.name}" }}'] if self._is_secured else []
        quick = 'keep_alive_s = 1.0\nrequest_timeout_s = 2.0\npublish_ms = 100\nnamespaces = { plc = "urn:example:plc" }'
        return self.section(f"opc.tcp://127.0.0.1:{self.cable.port}", security, quick, 'time_authority = "device"', *user)


class ModbusTcp(Networked):
    """A device at TCP; scheme: tcp, or rtu-tcp."""

    def __init__(self, name: str, folder: Path, scheme: str) -> None:
        super().__init__(name, "modbus", "1/holding/0:uint16", "uint16")
        self._folder, self._scheme = folder, scheme

    async def start(self) -> None:
        self._plc = ModbusPlc(self.source(self._folder, f"{self._scheme}://127.0.0.1:0"), [self.tag()], self.said)  # type: ignore[arg-type]
        await self._plc.start()
        await self.connect("127.0.0.1", self._plc.port)

    async def stop(self) -> None:
        await self.disconnect()
        await self._plc.stop()

    async def move(self) -> None:
        self.number += 1
        await self._plc.set({f"{self.name}.n": self.number}, int(time.time() * 10_000_000))

    def toml(self) -> str:
        return self.section(f"{self._scheme}://127.0.0.1:{self.cable.port}", "timeout_ms = 800", "retry_s = 1.0")


class ModbusRtu(Terminal):
    """A device at a serial bus."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name, "modbus", "1/holding/0:uint16", "uint16")
        self._endpoint = f"rtu://ports/{name}?baudrate=115200"
        self._device = ModbusPlc(self.source(folder, self._endpoint), [self.tag()], self.said)  # type: ignore[arg-type]
        self.broken_by(Fault("drop"), Fault("bad-crc"))

    def toml(self) -> str:
        return self.section(self._endpoint, "timeout_ms = 800", "retry_s = 1.0")


class Balance(Terminal):
    """A scale; protocol: mt-sics or sbi."""

    def __init__(self, name: str, folder: Path, protocol: str) -> None:
        super().__init__(name, "serial", "weight", "decimal")
        self._endpoint, self._protocol = f"serial://ports/{name}", protocol
        self._device = Scale(self.source(folder, self._endpoint, protocol=protocol), [self.tag()], self.said)  # type: ignore[arg-type]
        self.broken_by(ScaleFault("silent"), ScaleFault("noise"))

    async def move(self) -> None:
        await super().move()
        self.number %= 1400  # the scale's range

    def tag(self) -> Tag:
        return Tag(tag=f"{self.name}.n", source=self.name, address="weight", type="decimal", unit="kg")

    def toml(self) -> str:
        return self.section(self._endpoint, f'protocol = "{self._protocol}"', "timeout_ms = 800")


class Printer(Stand):
    """An instrument that is asked for a line, read by a pattern."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name, "serial", "n", "decimal")
        self._path, self._how, self._input = folder / "ports" / name, "", b""
        self._master = self._slave = -1

        def while_(how: str) -> tuple[Act, Act]:
            async def begin() -> None:
                self._how = how

            async def end() -> None:
                self._how = ""

            return begin, end

        self.ways = {"is unplugged": (self.stop, self.start), "is silent": while_("silent"), "answers rubbish": while_("rubbish")}

    async def start(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self._path.parent.mkdir(exist_ok=True)
        self._path.symlink_to(os.ttyname(self._slave))
        asyncio.get_running_loop().add_reader(self._master, self._asked)

    async def stop(self) -> None:
        if self._master < 0:
            return
        asyncio.get_running_loop().remove_reader(self._master)
        self._path.unlink()
        os.close(self._master)
        os.close(self._slave)
        self._master = -1

    async def move(self) -> None:
        self.number += 1

    def _asked(self) -> None:
        self._input += os.read(self._master, 100)
        while b"\r\n" in self._input:
            _, _, self._input = self._input.partition(b"\r\n")
            if self._how == "rubbish":
                os.write(self._master, b"E\xff#07 ?\r\n")
            elif not self._how:
                self.said.served("", 0, self.number)
                os.write(self._master, f"N {self.number}\r\n".encode())

    def toml(self) -> str:
        pattern = "pattern = '^N (?P<n>[0-9]++)$'\nrequest = \"?\\r\\n\"\ntimeout_ms = 800"
        return self.section(f"serial://ports/{self.name}", 'protocol = "line"', pattern)


QUERY = """[[source.query]]
name = "rows"
sql = "SELECT id, v FROM rows_{name} WHERE id > :since ORDER BY id"
key = "id"
watermark = {{ column = "id", kind = "sequence", overlap_s = 0 }}"""


class DatabaseServer(Networked):
    """A table of a database server, with a name and a password."""

    def __init__(self, name: str, folder: Path, server: Server, driver: str) -> None:
        super().__init__(name, "mes_sql", "rows.v", "int32", every=1)
        self._folder, self._server, self._driver = folder, server, driver
        self._user = f"ebr_{os.getpid()}"  # the server may be that of several processes

    async def start(self) -> None:
        self._run(f"CREATE TABLE rows_{self.name}(id int PRIMARY KEY, v int);")
        if self.name == "postgres":
            self._run(f"CREATE ROLE {self._user} LOGIN PASSWORD 'right'; GRANT SELECT ON rows_{self.name} TO {self._user};")
        else:
            self._run(f"CREATE USER '{self._user}'@'%' IDENTIFIED BY 'right'; GRANT SELECT ON *.* TO '{self._user}'@'%';")
        host, _, port = self._server.url.partition("@")[2].partition("/")[0].partition(":")
        await self.connect(host, int(port))
        self.without(secret(self._folder, self.name))

    async def stop(self) -> None:
        await self.disconnect()

    async def move(self) -> None:
        self.number += 1
        await asyncio.to_thread(self._run, f"INSERT INTO rows_{self.name} VALUES ({self.number}, {self.number});")
        self.said.add(self.number)

    def _run(self, sql: str) -> None:
        self._server.run(sql)

    def toml(self) -> str:
        base = self._server.url.rpartition("/")[2]
        scheme = self._server.url.partition("://")[0]
        endpoint = f"{scheme}+{self._driver}://127.0.0.1:{self.cable.port}/{base}"
        told = f'user = "{self._user}"\npassword = {{ credential = "{self.name}" }}\ntimeout_s = 2.0'
        return self.section(endpoint, told, QUERY.format(name=self.name))


class Sqlite(Stand):
    """A table of an SQLite file."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name, "mes_sql", "rows.v", "int32", every=1)
        self._path = folder / f"{name}.db"
        self._lock: sqlite3.Connection | None = None
        self._aside = self._path.with_suffix(".aside")
        self._is_away = False
        self.ways = {
            "is away": (self._away, self._back),
            "is locked": (self._locked, self._unlocked),
            "is no database": (self._rubbish, self._back),
        }

    async def start(self) -> None:
        with contextlib.closing(sqlite3.connect(self._path)) as made:
            made.execute(f"CREATE TABLE rows_{self.name}(id INTEGER PRIMARY KEY, v INTEGER)")
            made.commit()

    async def stop(self) -> None:
        """Nothing runs."""

    async def _away(self) -> None:
        self._is_away = True
        self._path.rename(self._aside)

    async def _rubbish(self) -> None:
        await self._away()
        self._path.write_bytes(b"no database at all\n" * 1000)

    async def _back(self) -> None:
        self._aside.replace(self._path)
        self._is_away = False

    async def _locked(self) -> None:
        self._lock = sqlite3.connect(self._path, isolation_level=None)
        self._lock.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._lock.execute("BEGIN EXCLUSIVE")

    async def _unlocked(self) -> None:
        assert self._lock is not None
        self._lock.execute("ROLLBACK")
        self._lock.close()
        self._lock = None

    async def move(self) -> None:
        if self._is_away or self._lock is not None:
            return
        self.number += 1
        with contextlib.closing(sqlite3.connect(self._path, timeout=10.0)) as one:
            one.execute(f"INSERT INTO rows_{self.name} VALUES (?, ?)", (self.number, self.number))
            one.commit()
        self.said.add(self.number)

    def toml(self) -> str:
        return self.section(f"sqlite+aiosqlite:///{self._path.name}", "timeout_s = 1.0", QUERY.format(name=self.name))


class Drop(Stand):
    """A drop folder."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name, "mes_file", "rows.v", "int32", every=1)
        self._path = folder / name
        self._aside = folder / f"{name}.aside"
        self.ways = {
            "is away": (self._away, self._back),
            "is no folder": (self._no_folder, self._back),
            "gets rubbish": (self._rubbish, self._cleaned),
        }

    async def start(self) -> None:
        self._path.mkdir()

    async def stop(self) -> None:
        """Nothing runs."""

    async def _away(self) -> None:
        self._path.rename(self._aside)

    async def _no_folder(self) -> None:
        await self._away()
        self._path.write_text("a file")

    async def _back(self) -> None:
        self._path.unlink(missing_ok=True)
        self._aside.rename(self._path)

    async def _rubbish(self) -> None:
        (self._path / "rubbish.csv").write_bytes(b"\x00\xff\xfe no table\n" * 50)

    async def _cleaned(self) -> None:
        (self._path / "rubbish.csv").unlink()

    async def move(self) -> None:
        if not self._path.is_dir():
            return
        self.number += 1
        part = self._path / f".{self.number}.part"
        part.write_text(f"id,v\n{self.number},{self.number}\n")
        self.said.add(self.number)
        part.rename(self._path / f"{self.number}.csv")

    def toml(self) -> str:
        pattern = '[[source.pattern]]\nname = "rows"\nglob = "*.csv"\nformat = "csv"\nkey = "id"'
        return self.section(f"file://{self._path.name}", pattern)


def stands(folder: Path, pg: Server, maria: Server) -> list[Stand]:
    """The twelve."""
    return [
        OpcUa("opcua-open", folder),
        OpcUa("opcua-secured", folder, is_secured=True),
        ModbusTcp("modbus-tcp", folder, "tcp"),
        ModbusTcp("modbus-rtu-tcp", folder, "rtu-tcp"),
        ModbusRtu("modbus-rtu", folder),
        Balance("scale-sics", folder, "mt-sics"),
        Balance("scale-sbi", folder, "sbi"),
        Printer("printer", folder),
        Sqlite("sqlite", folder),
        DatabaseServer("postgres", folder, pg, "asyncpg"),
        DatabaseServer("mariadb", folder, maria, "aiomysql"),
        Drop("drop", folder),
    ]
