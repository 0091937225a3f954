"""Random streams with cuts, merges, noise, floods and reopened ports: no Good value that the instrument did not say in full.

What no receiver can know is left out: digits that noise makes, a line of which the instrument itself leaves out the first characters, a
terminator in the middle of one. `make faults` runs each for EBR_FUZZ_S, 60 s if it is not set.
"""

import asyncio
import os
import random
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from kit.collector import Collector
from kit.how_long import FUZZ_S
from kit.serial_cable import Cable

from config import Source, Tag
from drivers.contract import BadReply, LinkLost
from drivers.serial import SerialDriver

TIMEOUT_S = 0.05
PATTERN = r"(?P<weight>[+-]?+[0-9]++\.[0-9]++) *+(?P<unit>k?+g)"
NOISE = bytes(byte for byte in range(256) if byte not in b"0123456789.+- \r\n")
DIALECTS: dict[str, dict[str, Any]] = {
    "line, listening": {"protocol": "line", "pattern": PATTERN},
    "line, printout": {
        "protocol": "line",
        "begin": "REPORT",
        "end": "END",
        "pause_s": 0.2,  # `stopped` stops for longer: else what follows it is of the same printout, a spoiled first line among it
        "pattern": [r"No (?P<number>[0-9]++)", PATTERN.replace("unit", "weight_unit")],
    },
    "line, asked": {"protocol": "line", "pattern": PATTERN, "request": "?\r\n"},
    "sbi": {"protocol": "sbi"},
    "mt-sics SI": {"protocol": "mt-sics", "command": "SI"},
    "mt-sics SIR": {"protocol": "mt-sics", "command": "SIR"},
}


class Judge(Collector):
    """Counts Good weights, and those that were never said in full, with the act that began to say them.

    wrote: what the instrument wrote last, each with how much of it the kernel took.
    """

    def __init__(self, said: set[str], begun: dict[str, str], wrote: deque[tuple[bytes, int]]) -> None:
        super().__init__()
        self.said, self.begun, self.wrote, self.good, self.wrong = said, begun, wrote, 0, list[str]()
        self.causes = Counter[str]()

    def __call__(self, readings, **_):
        for _, value, status, _, _ in readings:
            if status == 0:
                self.good += 1
                if str(value) not in self.said:
                    whole = next((text for text in self.begun if text.endswith(str(value))), "no line")
                    self.wrong.append(f"{value} of {whole} ({self.begun.get(whole)}), after {list(self.wrote)}")
        return self.done()

    def lost(self, loss):
        self.causes[loss.cause] += 1
        return self.done()

    def found(self, finding):
        return self.done()


class Instrument:
    """Says weights of which no part is a weight that it says, whole or spoiled."""

    def __init__(self, name: str, cable: Cable, rng: random.Random, wrote: deque[tuple[bytes, int]]) -> None:
        self._name, self._cable, self._rng = name, cable, rng
        self.said: set[str] = set()
        self.begun: dict[str, str] = {}
        self.did = Counter[str]()
        self.wrote = wrote
        self.reopen, self.reopened = asyncio.Event(), asyncio.Event()
        self.asks: asyncio.Queue[bytes] = asyncio.Queue()
        asyncio.get_running_loop().add_reader(cable.master, lambda: self.asks.put_nowait(os.read(cable.master, 200)))

    def _line(self) -> tuple[str, bytes]:
        rng = self._rng
        if self._name == "sbi":
            text = f"{rng.randrange(10_000, 99_999)}.{rng.randrange(100):02d}"
            return text, f"{rng.choice(['', 'N     '])}+ {text} kg \r\n".encode()
        text = f"{rng.randrange(10**8, 10**11)}.{rng.randrange(100):02d}"
        if self._name == "line, printout":
            return text, f"REPORT\r\nNo {rng.randrange(1000)}\r\n{text} kg\r\nEND\r\n".encode()
        return text, f"S S {text:>14} kg\r\n".encode() if self._name.startswith("mt-sics") else f"{text} kg\r\n".encode()

    async def _say(self, text: str, line: bytes, pieces: int = 1) -> bool:
        """Write a line; returns False if bytes were lost, as on a line without flow control. It is said if only its end was lost."""
        self.said.add(text)
        whole = await self._write(line[:-2], pieces)
        if not whole:
            self.said.discard(text)
        return await self._write(line[-2:]) and whole

    async def _write(self, data: bytes, pieces: int = 1) -> bool:
        """Write in pieces; returns False if bytes were lost."""
        cuts = sorted(self._rng.randrange(len(data) + 1) for _ in range(pieces - 1))
        for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True):
            taken = 0
            with suppress(BlockingIOError):
                taken = os.write(self._cable.master, data[a:b])
            self.wrote.append((data[a:b], taken))
            if taken != b - a:
                return False
            if pieces > 1:
                await asyncio.sleep(0)
        return True

    async def whole(self) -> None:
        text, line = self._line()
        self.begun[text] = "whole"
        await self._say(text, line, self._rng.choice([1, 1, 2, 5]))

    async def noise(self) -> None:
        await self._write(bytes(self._rng.choices(NOISE + b"\r\n" * 9, k=self._rng.randrange(1, 20))))

    async def spoiled(self) -> None:
        text, line = self._line()
        self.begun[text] = "spoiled"
        at = self._rng.randrange(1, len(line) - 2)
        await self._write(line[:at] + bytes(self._rng.choices(NOISE, k=self._rng.randrange(1, 5))) + line[at:])

    async def other(self) -> None:
        """Say a weight of another kind: gross, moving, in another unit, not at rest."""
        text, line = self._line()
        self.begun[text] = "other"
        spoils: list[Callable[[bytes], bytes]] = [lambda its: its.replace(b" kg", b" lb"), lambda its: its.replace(b".", b",")]
        spoils += [lambda its: b"G     " + its[-16:]] if self._name == "sbi" else [lambda its: its.replace(b"S S", b"S D")]
        if self._name.startswith("line"):
            spoils.pop()
        await self._write(self._rng.choice(spoils)(line))

    async def stopped(self) -> None:
        """Stop in the middle of a line or between two of a printout, and go on after a pause that is long enough to be one."""
        text, line = self._line()
        self.begun[text] = "stopped"
        ends = [at + 2 for at in range(len(line) - 2) if line[at : at + 2] == b"\r\n"]
        await self._write(line[: self._rng.choice([self._rng.randrange(1, len(line) - 2), *ends])])
        now = asyncio.get_running_loop().time
        began_s = seen_s = now()
        while now() - began_s < 0.25 + 0.25 + 3 * TIMEOUT_S:
            await asyncio.sleep(0.01)
            if now() - seen_s > TIMEOUT_S:  # this process stood still: nobody saw the pause, so it begins anew
                began_s = now()
            seen_s = now()

    async def attached(self) -> None:
        """Say a line in the middle of which the port is opened.

        It counts as said in full, for it is where all of it falls behind the opening. Its rest never is: no silence was before it.
        """
        text, line = self._line()
        self.begun[text] = "attached"
        self.said.add(text)
        at = self._rng.randrange(len(line) + 1)
        await self._write(line[:at])
        self.reopened.clear()
        self.reopen.set()
        await self.reopened.wait()
        await self._write(line[at:])

    async def flood(self) -> None:
        """Say more than the kernel keeps, while nobody reads."""
        for _ in range(2000):
            text, line = self._line()
            self.begun[text] = "flood"
            if not await self._say(text, line):
                break

    async def run(self) -> None:
        """Speak by itself, or answer, until cancelled."""
        asked = self._name in ("line, asked", "sbi", "mt-sics SI")
        acts = [self.whole] * 12 + [self.noise, self.noise, self.spoiled, self.other] + ([] if asked else [self.flood])
        while True:
            request = b""
            if asked or not self.asks.empty():
                request = await self.asks.get()
            if request.startswith(b"I4"):
                await self._write(b'I4 A "7"\r\n')
                continue
            act = self.stopped if self._rng.random() < 0.004 else self.attached if self._rng.random() < 0.02 else self._rng.choice(acts)
            self.did[act.__name__] += 1
            if asked and self._rng.random() < 0.05:
                await asyncio.sleep(self._rng.choice([0.4, 1.2, 2.5]) * TIMEOUT_S)  # late
            await act()
            if asked and self._rng.random() < 0.1:
                await self.noise()
            await asyncio.sleep(0 if self._rng.random() < 0.9 else 0.002)


@pytest.mark.bar("F31", "S13")
@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-06")
@pytest.mark.timeout(3 * FUZZ_S + 300)
@pytest.mark.parametrize("seconds", [1.0, pytest.param(FUZZ_S, marks=pytest.mark.faults)], ids=["short", "long"])
@pytest.mark.parametrize("name", DIALECTS)
async def test_no_good_value_that_the_instrument_did_not_say_in_full(name: str, seconds: float, figures: Any) -> None:
    seed = 31 if seconds <= 1 else random.SystemRandom().randrange(1 << 32)
    rng, cable = random.Random(seed), Cable()
    wrote = deque[tuple[bytes, int]](maxlen=200)
    instrument = Instrument(name, cable, rng, wrote)
    judge = Judge(instrument.said, instrument.begun, wrote)
    tag = Tag(tag="w", source="scale", address="weight", type="decimal", source_unit="kg")
    options = {"timeout_ms": round(TIMEOUT_S * 1000)} | DIALECTS[name]
    endpoint = f"serial://{os.ttyname(cable.slave)}"
    source = Source(name="scale", driver="serial", endpoint=endpoint, rate_ms=50, folder=Path("/"), options=options)
    driver = SerialDriver(source, [tag])
    driver._period_s = 0.002  # an instrument is asked each 50 ms at most; the fuzzer asks as often as it can
    opened = 0
    speaks = asyncio.create_task(instrument.run())
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s or not judge.good:
        opened += 1
        reads = asyncio.create_task(driver.run(judge))
        await asyncio.sleep(0)  # the port is open
        instrument.reopened.set()
        instrument.reopen.clear()
        waits = asyncio.create_task(instrument.reopen.wait())
        await asyncio.wait([reads, waits], timeout=rng.choice([0.02, 0.2, 2.0]), return_when=asyncio.FIRST_COMPLETED)
        for task in (reads, waits):
            task.cancel()
        with suppress(asyncio.CancelledError, LinkLost, BadReply):
            await reads
    speaks.cancel()
    with suppress(asyncio.CancelledError):
        await speaks
    cable.close()
    figures(
        "FUZZ",
        f"serial, {name}: {seconds:g} s, seed {seed}, acts {dict(instrument.did)}, port opened {opened} times, "
        f"{judge.good} weights taken as good, {len(judge.wrong)} of them not said in full; losses {dict(judge.causes)}",
    )
    assert judge.wrong == []
    assert judge.good
