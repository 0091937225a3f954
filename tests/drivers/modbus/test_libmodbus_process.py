"""Against a server that is not ours: Debian's libmodbus, compiled here, over TCP with four units and over RTU on a pair of terminals."""

import asyncio
import shutil
import subprocess
import time
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from kit.collector import Collector
from kit.processes import DEADLINE_S

from config import Source, Tag
from drivers.contract import LinkLost
from drivers.modbus import ModbusDriver

pytestmark = [
    pytest.mark.libmodbus,
    pytest.mark.skipif(
        shutil.which("cc") is None or not Path("/usr/include/modbus/modbus.h").exists(), reason="needs cc and libmodbus-dev"
    ),
]

SERVER = r"""
#include <errno.h>
#include <modbus/modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

static modbus_mapping_t *units[5];
static unsigned counter[5];
static int dead[5];

/* Each read of a unit counts: registers 100 (upper) and 101 (lower). All else is a pattern of unit and address. */
static void prepare(void) {
    for (int unit = 1; unit <= 4; unit++) {
        units[unit] = modbus_mapping_new(64, 64, 200, 200);
        for (int at = 0; at < 100; at++) {
            units[unit]->tab_registers[at] = unit * 1000 + at;
            units[unit]->tab_input_registers[at] = unit * 2000 + at;
        }
        for (int at = 0; at < 64; at++) units[unit]->tab_bits[at] = (at + unit) % 3 == 0;
        /* by hand: the float helpers of libmodbus 3.1.6 exchange the bytes of each register */
        float value = 251.5f * unit;
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        uint16_t upper = bits >> 16, lower = bits & 0xFFFF, *at = units[unit]->tab_registers + 110;
        at[0] = upper, at[1] = lower;
        at[2] = lower, at[3] = upper;
        at[4] = upper >> 8 | upper << 8, at[5] = lower >> 8 | lower << 8;
        at[6] = lower >> 8 | lower << 8, at[7] = upper >> 8 | upper << 8;
    }
}

static void answer(modbus_t *ctx, uint8_t *query, int size, int offset) {
    int unit = query[offset - 1];
    if (unit < 1 || unit > 4 || dead[unit]) return;
    if (query[offset] == 3) {
        counter[unit]++;
        units[unit]->tab_registers[100] = counter[unit] >> 16;
        units[unit]->tab_registers[101] = counter[unit] & 0xFFFF;
    }
    modbus_reply(ctx, query, size, units[unit]);
}

static void command(void) {
    char line[32];
    if (!fgets(line, sizeof line, stdin)) exit(0);
    int unit = line[1] - '0';
    if (unit >= 1 && unit <= 4) dead[unit] = line[0] == 'd';
}

int main(int argc, char **argv) {
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    prepare();
    if (!strcmp(argv[1], "rtu")) {
        modbus_t *ctx = modbus_new_rtu(argv[2], 115200, 'N', 8, 1);
        modbus_set_slave(ctx, 1);
        if (modbus_connect(ctx)) return 1;
        puts("ready"); fflush(stdout);
        for (;;) {
            int size = modbus_receive(ctx, query);
            if (size > 0) answer(ctx, query, size, modbus_get_header_length(ctx));
            else if (size < 0 && errno == EIO) return 0;
        }
    }
    modbus_t *ctx = modbus_new_tcp("127.0.0.1", atoi(argv[2]));
    int listener = modbus_tcp_listen(ctx, 4);
    if (listener < 0) return 1;
    puts("ready"); fflush(stdout);
    fd_set open, ready;
    FD_ZERO(&open); FD_SET(listener, &open); FD_SET(0, &open);
    int highest = listener;
    for (;;) {
        ready = open;
        if (select(highest + 1, &ready, NULL, NULL, NULL) < 0) return 1;
        for (int fd = 0; fd <= highest; fd++) {
            if (!FD_ISSET(fd, &ready)) continue;
            if (fd == 0) { command(); continue; }
            if (fd == listener) {
                int fresh = modbus_tcp_accept(ctx, &listener);
                FD_SET(fresh, &open);
                if (fresh > highest) highest = fresh;
                continue;
            }
            modbus_set_socket(ctx, fd);
            int size = modbus_receive(ctx, query);
            if (size > 0) answer(ctx, query, size, modbus_get_header_length(ctx));
            else if (size < 0) { close(fd); FD_CLR(fd, &open); }
        }
    }
}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The compiled server's path."""
    folder = tmp_path_factory.mktemp("libmodbus")
    (folder / "server.c").write_text(SERVER)
    subprocess.run(["cc", "-O1", "-o", folder / "server", folder / "server.c", "-lmodbus"], check=True)
    return folder / "server"


@asynccontextmanager
async def served(server, *arguments):
    """The running server; commands go to its standard input."""
    process = await asyncio.create_subprocess_exec(server, *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        async with asyncio.timeout(DEADLINE_S):
            assert (await process.stdout.readline()).strip() == b"ready"
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class Observed(Collector):
    """The gateway's side: every observation and every declared loss of each tag, in order of time."""

    def __init__(self, tags: int) -> None:
        super().__init__()
        self.events: list[list[tuple[int, str]]] = [[] for _ in range(tags)]  # (ns, "seen" | "lost")
        self.values: list[list[Any]] = [[] for _ in range(tags)]

    def __call__(self, readings, *, received_ns, requested_ns=0, alive=None, **_):
        for tag, value, status, _, _ in readings:
            if status == 0:
                self.values[tag].append(value)
        for tag in {reading[0] for reading in readings} | set(alive or ()):
            self.events[tag].append((requested_ns, "seen"))
        return self.done()

    def lost(self, loss):
        for tag in range(len(self.events)) if loss.tags is None else loss.tags:
            self.events[tag].append((time.monotonic_ns(), "lost"))
        return self.done()

    def silent_gaps(self, longest_s: float) -> int:
        """Intervals longer than this without an observation and without a declared loss in them."""
        gaps = 0
        for events in self.events:
            for (at, what), (then, _) in pairwise(events):
                gaps += what == "seen" and then - at > longest_s * 1e9 and not any(w == "lost" for t, w in events if at < t <= then)
        return gaps


def map_of_four_units() -> list[Tag]:
    rows = []
    for unit in (1, 2, 3, 4):
        rows += [
            (f"u{unit}.count", f"{unit}/holding/100:uint32", "uint32"),
            *[(f"u{unit}.h{at}", f"{unit}/holding/{at}:uint16", "uint16") for at in range(0, 100, 7)],
            *[(f"u{unit}.i{at}", f"{unit}/input/{at}:uint16", "uint16") for at in range(0, 100, 9)],
            *[
                (f"u{unit}.f{o}", f"{unit}/holding/{110 + 2 * i}:float32:{o}", "float32")
                for i, o in enumerate(("ABCD", "CDAB", "BADC", "DCBA"))
            ],
            *[(f"u{unit}.b{at}", f"{unit}/coil/{at}", "bool") for at in range(0, 64, 5)],
        ]
    return [Tag(tag=name, source="plc", address=address, type=kind) for name, address, kind in rows]


def expected(name: str):
    unit, what = int(name[1]), name[3:]
    if what[0] == "h":
        return unit * 1000 + int(what[1:])
    if what[0] == "i":
        return unit * 2000 + int(what[1:])
    if what[0] == "f":
        return 251.5 * unit
    return (int(what[1:]) + unit) % 3 == 0


def wrong_values(observed: Observed, tags: list[Tag]) -> int:
    """Good values that the server never had; of the counters, any that did not rise."""
    wrong = 0
    for tag, values in zip(tags, observed.values, strict=True):
        if tag.tag.endswith("count"):
            wrong += sum(b <= a for a, b in pairwise(values))
        else:
            wrong += sum(value != expected(tag.tag) for value in values)
    return wrong


@pytest.mark.urs("URS-DAQ-06", "URS-DAQ-11")
@pytest.mark.parametrize("polls", [40, pytest.param(300, marks=pytest.mark.faults)])
async def test_four_units_of_which_one_dies_and_the_server_restarts(server, unused_tcp_port, figures, polls):
    tags = map_of_four_units()
    source = Source(
        name="plc",
        driver="modbus",
        endpoint=f"tcp://127.0.0.1:{unused_tcp_port}",
        rate_ms=50,
        options={"timeout_ms": 200, "retry_s": 0.3, "retry_max_s": 0.6},
    )
    seen = Observed(len(tags))
    driver = ModbusDriver(source, tags)
    count = {unit: next(at for at, tag in enumerate(tags) if tag.tag == f"u{unit}.count") for unit in (1, 2, 3, 4)}
    third = {at for at, tag in enumerate(tags) if tag.tag.startswith("u3.")}

    async with served(server, "tcp", str(unused_tcp_port)) as process:
        task = asyncio.create_task(driver.run(seen))
        await seen.until(lambda: all(len(seen.values[at]) > 20 for at in count.values()))
        assert all(values[-1] == expected(tag.tag) for tag, values in zip(tags, seen.values, strict=True) if not tag.tag.endswith("count"))
        process.stdin.write(b"d3\n")
        await seen.until(lambda: len(seen.findings) == 1)
        died_ns = time.monotonic_ns()
        await seen.until(lambda: len([e for e in seen.events[count[1]] if e[0] > died_ns]) > polls)
        lives_ns = time.monotonic_ns()
        lost = {at for at, events in enumerate(seen.events) if any(what == "lost" for _, what in events)}
        process.stdin.write(b"l3\n")
        await seen.until(lambda: len(seen.findings) == 2)
        await seen.until(lambda: seen.events[count[3]][-1][1] == "seen" and seen.events[count[1]][-1][0] > died_ns)
    assert lost == third
    assert [finding.text.split(";")[0] for finding in seen.findings] == ["unit 3 does not answer", "unit 3 answers again"]
    before, dead = [], []
    for unit in (1, 2, 4):
        beats = [at for at, what in seen.events[count[unit]] if what == "seen"]
        before += [(b - a) / 1e6 for a, b in pairwise(beats) if b < died_ns]
        dead += [(b - a) / 1e6 for a, b in pairwise(beats) if died_ns < a and b < lives_ns]

    with pytest.raises(LinkLost):
        async with asyncio.timeout(DEADLINE_S):
            await task
    await seen.lost(type("All", (), {"tags": None}))  # what the supervisor declares
    for values in seen.values:
        values.clear()
    async with served(server, "tcp", str(unused_tcp_port)):
        task = asyncio.create_task(driver.run(seen))
        await seen.until(lambda: all(len(seen.values[at]) > 5 for at in count.values()))
        wrong, silent = wrong_values(seen, tags), seen.silent_gaps(1.5)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    figures(
        "dead units",
        f"libmodbus, 4 units, {len(tags)} tags at 20 Hz, one dies, server restarts: silent losses {silent}, wrong values {wrong}; "
        f"neighbours' cycle median {median(before):.1f} ms before, {median(dead):.1f} ms while it is dead, longest {max(dead):.1f} ms",
    )
    assert (wrong, silent) == (0, 0)


@pytest.mark.skipif(shutil.which("socat") is None, reason="needs socat")
async def test_rtu_against_libmodbus(server, tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    socat = await asyncio.create_subprocess_exec("socat", f"pty,raw,echo=0,link={ours}", f"pty,raw,echo=0,link={theirs}")
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not (ours.exists() and theirs.exists()):  # noqa: ASYNC110 - another process's files
                await asyncio.sleep(0.01)
        tags = [tag for tag in map_of_four_units() if tag.tag.startswith("u1.")]
        source = Source(name="bus", driver="modbus", endpoint=f"rtu://{ours}?baudrate=115200&parity=N", rate_ms=50, folder=tmp_path)
        seen = Observed(len(tags))
        async with served(server, "rtu", str(theirs)):
            task = asyncio.create_task(ModbusDriver(source, tags).run(seen))
            await seen.until(lambda: len(seen.values[0]) > 20)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        assert wrong_values(seen, tags) == 0
        assert all(values for values in seen.values)
        assert seen.silent_gaps(1.5) == 0
    finally:
        socat.terminate()
        await socat.wait()
