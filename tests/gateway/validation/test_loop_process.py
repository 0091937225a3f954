"""A loop is checked as a technician does it: a real device whose signal is forced, a gateway that runs, an EBR that gives receipts."""

import asyncio
import json
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from kit import persons
from kit.commands import called
from kit.processes import COMMAND, free_port, running, until

import config
from gateway.validation.bundle import document_of, problems
from simulators.device import Truth
from simulators.ebr import Ebr
from simulators.modbus_plc import ModbusPlc

LINE = """
[line]
site = "lyon"
name = "loops"
timezone = "Europe/Paris"
[[source]]
name = "plc"
driver = "modbus"
endpoint = "tcp://127.0.0.1:{plc}"
byte_order = "ABCD"
rate_ms = 50
[[equipment]]
name = "tank"
batch = {{ tag = "tank.batch" }}
batch_ends = "empty"
[[uplink]]
name = "ebr"
kind = "https"
endpoint = "http://127.0.0.1:{ebr}"
"""
TAGS = """tag,source,address,type,unit,scale,offset,eu_low,eu_high,criticality,instrument,equipment
tank.temp,plc,1/holding/0:int16,int16,Cel,0.1,0,0,100,CPP,TT-101,tank
tank.level,plc,1/holding/1:int16,int16,mm,,,,,CPP,LT-102,tank
tank.step,plc,1/holding/2:uint16,uint16,,,,,,,,tank
tank.batch,plc,1/holding/20:string8,string,,,,,,,,tank
"""
STEPS = "step,equipment,level,signal,active\nHEAT,tank,phase,tank.step,1\n"
PARAMETERS = "parameter,equipment,step,statistic,tag,ebr_field\nheat_temp,tank,HEAT,mean,tank.temp,PM-1\n"


class Stand:
    """The device, whose registers a test sets, and the EBR; in a thread of this process."""

    def __init__(self, tmp: Path) -> None:
        self.folder, ports = tmp / "line", {"plc": free_port(), "ebr": free_port()}
        self.folder.mkdir()
        for name, text in (("line.toml", LINE.format(**ports)), ("tags.csv", TAGS), ("steps.csv", STEPS), ("parameters.csv", PARAMETERS)):
            (self.folder / name).write_text(text)
        line = config.load(self.folder)
        persons.people(line.data)
        self.data = line.data
        self.plc = ModbusPlc(line.sources[0], line.tags, Truth(None))
        self._loop, self._ebr = asyncio.new_event_loop(), Ebr(tmp / "ebr", http=ports["ebr"])
        self._serving: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.done(self.plc.start())
        self.force(temp=20.0, level=0)

    def done(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def force(self, **values: Any) -> None:
        self.done(self.plc.set({f"tank.{name}": value for name, value in values.items()}, time.time_ns() // 100))

    def serve(self) -> None:
        async def begin() -> None:
            self._serving = asyncio.create_task(self._ebr.run())

        self.done(begin())

    def close(self) -> None:
        async def end() -> None:
            if self._serving is not None:
                self._serving.cancel()
                await asyncio.gather(self._serving, return_exceptions=True)
            await self.plc.stop()

        self.done(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def check(self, tmp: Path, forced: Callable[[], None] | None, *words: str | Path) -> tuple[int, str, str]:
        """Give the command, force the signal when it asks for it, and return status, output and errors."""
        command = [COMMAND, "loopcheck", self.folder, *words, "--stable-s", "0.5", *persons.options("engineer", tmp)]
        child = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert child.stderr is not None
        first = child.stderr.readline()
        if forced is not None and "now force" in first:
            forced()
        out, err = child.communicate(timeout=240)
        return child.returncode, out, first + err


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    made = Stand(tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.urs("URS-VAL-05")
def test_a_forced_signal_is_followed_from_the_device_to_the_ebr_and_the_list_grows(stand: Stand, tmp_path: Path) -> None:
    to, due = tmp_path / "loops", ("--calibration-due", "2999-01-01")
    stand.serve()
    with running(stand.folder):
        first = ("--tag", "tank.temp", "--inject", "12", "--unit", "mA", "--tolerance", "0.5%", "--to", to, *due)
        status, out, err = stand.check(tmp_path, lambda: stand.force(temp=50.2), *first)
        assert (status, out.count("passed: ")) == (0, 4), out + err
        document = document_of(to)
        (one,) = document["facts"]["loops"]
        assert (one["at_gateway"]["value"], one["at_gateway"]["raw"], one["difference"], one["instrument"]) == (
            "50.2",
            502,
            "0.2",
            "TT-101",
        )
        assert (one["fields"], one["persons"]) == (["PM-1: heat_temp (tank/HEAT, mean)"], ["engineer"])
        assert one["at_ebr"][0]["value"] == "50.2"
        held = json.loads(called("log", stand.folder, "--format", "jsonl").stdout.splitlines()[one["at_gateway"]["seq"] - 1])
        assert (held["seq"], held["schema"]) == (one["at_gateway"]["seq"], "ebr-gateway/readings/1")
        assert document["result"] == "not-complete", "the other CPP has no loop check yet"
        assert document["journal"][0]["last"] >= one["at_gateway"]["seq"]

        for witness, wrong in (("engineer", "is the tester"), ("qa", "its witness nobody")):
            told = called("loopcheck", stand.folder, *map(str, first), *persons.options("engineer", tmp_path), "--witness", witness)
            assert (told.returncode, wrong in told.stderr) == (2, True), told.stderr

        second = ("--tag", "tank.level", "--inject", "750", "--tolerance", "5", "--to", to, "--within-s", "4")
        status, out, err = stand.check(tmp_path, lambda: stand.force(level=760), *second)
        assert status == 1, out + err
        assert "failed: force 750 mm" in out
        assert "difference 10" in out
        assert "not checked: look at the calibration of LT-102" in out
        document = document_of(to)
        assert [one["tag"] for one in document["facts"]["loops"]] == ["tank.temp", "tank.level"]
        assert (document["result"], problems(to, document)) == ("finding", [])

        signing: tuple[str | Path, ...] = (
            "qualify",
            "sign",
            stand.folder,
            to,
            "--meaning",
            "executed",
            *persons.options("engineer", tmp_path),
        )
        assert called(*signing).returncode == 0
        again = called("loopcheck", stand.folder, *(str(word) for word in first), *persons.options("engineer", tmp_path))
        assert (again.returncode, "is signed" in again.stderr) == (2, True)


@pytest.mark.urs("URS-VAL-05")
def test_a_value_of_before_counts_for_nothing_and_without_a_receipt_the_ebr_is_not_checked(stand: Stand, tmp_path: Path) -> None:
    stand.force(temp=50.3)
    with running(stand.folder):
        until(lambda: "50.3" in called("values", stand.folder).stdout)
        words = ("--tag", "tank.temp", "--inject", "50", "--tolerance", "1", "--within-s", "3", "--calibration-due", "2999-01-01")
        status, out, err = stand.check(tmp_path, None, *words)
        assert (status, "not checked: force 50 Cel" in out) == (1, True), out + err
        assert "passed: force" not in out
        status, out, err = stand.check(tmp_path, lambda: stand.force(temp=50.1), *words)
        assert (status, "passed: force 50 Cel" in out) == (1, True), out + err
        assert "not checked: follow entry" in out
        assert "no receipt of it within 3 s" in out
    told = called("loopcheck", stand.folder, *words, "--user", "engineer")
    assert (told.returncode, told.stderr.count("\n")) == (3, 1)
