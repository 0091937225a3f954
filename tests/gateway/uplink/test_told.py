"""What an uplink says of its certificates: once while it is so, and anew when it is something else."""

from typing import Any

import pytest

from gateway.entries.findings import Announcer
from gateway.uplink.tls import Remark
from gateway.uplink.told import Told, finding_of

FIRST = Remark("certificate-ends", "warning", "client.pem: ends on 2026-12-05, within 7 days")
SECOND = Remark("certificate-ends", "warning", "ca.pem: ends on 2026-12-20, within 30 days")


class Desk:
    """Where findings go, and a clock that a test moves on."""

    def __init__(self) -> None:
        self.now_s, self.texts = 0.0, list[tuple[str, str]]()
        self.told = Told(Announcer(self.take, lambda *what: finding_of("ebr", *what), lambda: self.now_s))

    def take(self, event: dict[str, Any]) -> None:
        self.texts.append((event["code"], event["text"]))


@pytest.mark.urs("URS-UPL-08")
def test_a_second_certificate_within_a_minute_is_told_too() -> None:
    desk = Desk()
    desk.told.remark([FIRST])
    desk.now_s = 10.0
    desk.told.remark([SECOND, FIRST])
    assert desk.texts[1:] == [("uplink-certificate-ends", f"uplink ebr: {SECOND.text}; {FIRST.text}")]


def test_what_is_so_is_told_once_however_often_it_is_looked_at() -> None:
    desk = Desk()
    for _ in range(5):
        desk.told.remark([FIRST])
        desk.now_s += 3600.0
    assert len(desk.texts) == 1


def test_what_is_over_and_begins_again_is_told_again() -> None:
    desk = Desk()
    for remarks in ([FIRST], [], [FIRST]):
        desk.told.remark(remarks)
        desk.now_s += 10.0
    assert [code for code, _ in desk.texts] == ["uplink-certificate-ends", "uplink-certificate-ends-over", "uplink-certificate-ends"]


def test_an_alarm_of_the_same_code_keeps_its_minute() -> None:
    """A refused handshake is tried again each half minute; what is said of the file beside it is no reason to say it more often."""
    desk = Desk()
    for _ in range(4):
        desk.told.remark([Remark("certificate", "alarm", "client.pem: not valid now")])
        desk.told.alarm("certificate", "TLS handshake failed")
        desk.now_s += 20.0
    assert len(desk.texts) == 2
