"""Which sources are asked for each tag at its rate, so that it is known how many samples are due in a gap."""

from importlib.metadata import EntryPoint
from typing import Any

import pytest

from config import Source
from drivers import asks, registry
from drivers.modbus.driver import ModbusDriver


@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize(
    ("driver", "options", "asked"),
    [
        ("modbus", {}, True),
        ("serial", {"protocol": "mt-sics"}, True),
        ("serial", {"protocol": "mt-sics", "command": "SIR"}, False),
        ("serial", {"protocol": "sbi"}, True),
        ("serial", {"protocol": "line", "pattern": r"(?P<weight>[0-9]++)"}, False),
        ("serial", {"protocol": "line", "pattern": r"(?P<weight>[0-9]++)", "request": "P\r\n"}, True),
        ("serial", {"protocol": "nonsense"}, False),
        ("opcua", {"security": {"policy": "None"}}, False),
        ("mes_sql", {}, False),
        ("mes_file", {}, False),
        ("not-installed", {}, False),
    ],
)
def test_a_source_is_asked_where_its_driver_sends_a_request_at_the_rate_of_its_tags(
    driver: str, options: dict[str, Any], asked: bool
) -> None:
    assert asks(Source(name="s", driver=driver, endpoint="x", options=options)) is asked


class Broken(ModbusDriver):
    """A third party's driver with a bug in this very answer."""

    @classmethod
    def asks(cls, source: Source) -> bool:
        raise RuntimeError(source.name)


@pytest.mark.urs("URS-DAQ-11")
def test_a_drivers_bug_in_its_answer_stops_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("broken", f"{__name__}:Broken", registry.GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda _: Broken)
    monkeypatch.setattr(registry, "_points", lambda: {"broken": point})
    assert asks(Source(name="s", driver="broken", endpoint="x")) is False
