# ruff: noqa: E501 - recorded lines stay as they were said
"""The readers of the clock daemons, by what they really say."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.clock import chrony, ntpd, timesyncd
from gateway.clock.baseline import check_baseline, check_directives, directives
from gateway.clock.command import ask
from gateway.clock.evidence import Unreadable
from gateway.clock.kernel import KernelClock, KernelReader, evidence_from, kernel_clock

# Recorded from chronyd 4.3 (Debian 12), three servers on loopback, the first one five seconds off since the third answer.
CHRONY_START = """00000000,,0,0.000000000,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,1.000000000,1.000000000,0.0,Not synchronised
^,?,127.0.0.2,1,0,3,0,-0.000861107,-0.000861107,0.001631420
"""
CHRONY_GOOD = """7F000004,127.0.0.4,2,1795367029.355827515,0.000057131,-0.000010601,0.000009189,0.192,-0.076,32.418,0.000643542,0.000558225,1.0,Normal
^,+,127.0.0.2,1,0,177,1,-0.000033119,-0.000033119,0.000849802
^,+,127.0.0.3,1,0,177,1,-0.000004389,-0.000004389,0.000820608
^,*,127.0.0.4,1,6,177,1,0.000004116,-0.000006485,0.000811073
"""
CHRONY_FALSETICKER = """7F000004,127.0.0.4,2,1795367037.518169323,0.000052854,0.000001929,0.000006685,-0.620,0.024,3.166,0.000622681,0.000604691,1.0,Normal
^,x,127.0.0.2,1,0,377,1,-4.999995708,-4.999995708,0.000800734
^,+,127.0.0.3,1,0,377,1,0.000000340,0.000000340,0.000827487
^,*,127.0.0.4,1,0,377,1,-0.000033971,-0.000032042,0.000855868
"""
CHRONY_LOCAL = (
    "7F7F0101,,10,1795364506.603026263,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,0.000000000,0.000000000,0.0,Normal\n"
)
# Formed after ntpq(1) and org.freedesktop.timesync1(5); not recorded from running daemons.
NTPD = """leap=00, stratum=2, rootdelay=0.540, rootdisp=1.250, offset=-0.310,
refid=192.0.2.7, reftime=ed3b5a2f.80000000 2026-02-17T10:20:31.500Z, sys_jitter=0.050, tc=6
"""
TIMESYNCD = """(uuuuittayttttbtt) 0 4 4 2 -25 10757 274 4 161 178 195 212 1795367000000100 1795367000003100 1795367000003200 1795367000001200 false 12 345
s "ntp.example"
t 64000000
"""


@pytest.mark.urs("URS-TIME-04")
def test_chrony_by_its_recorded_words():
    now_ns = 1795367030_000000000
    good = chrony.parse(CHRONY_GOOD, 5_000_000_000, now_ns)
    assert good.synchronised
    assert good.bound_s == pytest.approx(0.000057131 + 0.000558225 + 0.000643542 / 2)
    assert good.offset_s == 0.000057131
    assert good.updated_ns == pytest.approx(5_000_000_000 - 644_172_485, abs=1000)
    assert good.interval_s == 64.0, "the selected source's poll exponent counts, not only the last interval"
    assert (good.reference, good.stratum, good.leap) == ("127.0.0.4", 2, "none")
    assert good.rate == pytest.approx(-0.192e-6)
    start = chrony.parse(CHRONY_START, 0, now_ns)
    assert not start.synchronised
    assert start.leap == "unsynchronised"
    local = chrony.parse(CHRONY_LOCAL, 0, now_ns)
    assert local.local
    assert not local.synchronised
    assert "127.0.0.2 stratum 1 falseticker" in chrony.parse(CHRONY_FALSETICKER, 0, now_ns).detail


@pytest.mark.parametrize("leap", ["Insert second", "Delete second"])
@pytest.mark.urs("URS-TIME-10")
def test_chrony_announces_a_leap_second(leap):
    told = chrony.parse(CHRONY_GOOD.replace("Normal", leap), 0, 0)
    assert told.leap == leap.split()[0].lower()
    assert told.synchronised


@pytest.mark.parametrize("text", ["", "506 Cannot talk to daemon", "a,b,c", CHRONY_GOOD.replace("0.000057131", "x"), "\0"])
def test_what_is_not_understood_is_unreadable(text):
    for parse in (chrony.parse, ntpd.parse, timesyncd.parse):
        with pytest.raises(Unreadable):
            parse(text, 0, 0)


def test_ntpd_in_milliseconds():
    told = ntpd.parse(NTPD, 10**12, int(datetime(2026, 2, 17, 10, 20, 41, 500_000, UTC).timestamp() * 1e9))
    assert told.synchronised
    assert told.bound_s == pytest.approx((0.310 + 1.250 + 0.270 + 0.050) / 1000)
    assert told.offset_s == -0.00031
    assert (told.reference, told.interval_s) == ("192.0.2.7", 64.0)
    assert not ntpd.parse(NTPD.replace("leap=00", "leap=11"), 0, 0).synchronised
    assert not ntpd.parse(NTPD.replace("reftime=ed3b5a2f.80000000", "reftime=00000000.00000000"), 0, 0).synchronised
    assert ntpd.parse(NTPD.replace("192.0.2.7", "LOCL"), 0, 0).local


def test_timesyncd_by_its_four_time_stamps():
    told = timesyncd.parse(TIMESYNCD, 10**12, 1795367010_000000000)
    assert told.synchronised
    assert told.offset_s == pytest.approx(0.0025)
    assert told.bound_s == pytest.approx(0.0025 + 0.0005 + 0.0053785 + 0.000274 + 0.000345)
    assert (told.reference, told.interval_s, told.stratum) == ("ntp.example", 64.0, 2)
    assert "single source" in told.detail
    assert not timesyncd.parse(TIMESYNCD.replace("false", "true"), 0, 0).synchronised
    with pytest.raises(Unreadable, match="no answer"):
        timesyncd.parse(TIMESYNCD.replace("1795367000001200", "0"), 0, 0)


def test_the_kernel_is_read_by_any_user():
    clock = kernel_clock()
    assert 0 <= clock.state <= 5
    assert clock.maxerror_us >= 0
    assert evidence_from(clock, 7).at_ns == 7


@pytest.mark.parametrize(
    ("state", "status", "synchronised", "leap"),
    [
        (0, 0x2001, True, "none"),
        (1, 0x2011, True, "insert"),
        (2, 0x2021, True, "delete"),
        (0, 0x0040, False, "unsynchronised"),
        (5, 0, False, "unsynchronised"),
    ],
)
def test_the_kernels_flags(state, status, synchronised, leap):
    told = evidence_from(KernelClock(state, status, 1500, 300, -2_000_000, 37), 0)
    assert (told.synchronised, told.leap) == (synchronised, leap)
    assert told.bound_s == pytest.approx(0.0015 + 0.0003 + 0.002)


async def test_the_kernel_reader_and_commands_that_fail():
    assert (await KernelReader().read()).reader == "kernel"
    for command, why in ((["no-such-program"], "not installed"), (["false"], "exit code 1"), (["sleep", "30"], "no answer within")):
        with pytest.raises(Unreadable, match=why):
            await ask(command, deadline_s=0.2)


def test_the_shipped_baseline_has_no_shortcoming():
    shipped = Path(__file__).parents[2] / "systemd" / "chrony-ebr-gateway.conf"
    assert check_directives(directives(shipped)) == []


@pytest.mark.parametrize(
    ("change", "severity", "why"),
    [
        (("rtcsync\n", ""), "error", "rtcsync"),
        (("maxclockerror 50", "maxclockerror 1"), "error", "maxclockerror"),
        (("makestep 1.0 3", "makestep 1.0 -1"), "error", "any time"),
        (("makestep 1.0 3\n", ""), "warning", "makestep is missing"),
        (("maxdistance 0.5\n", ""), "warning", "maxdistance"),
        (("rtcsync\n", "rtcsync\nlocal stratum 10\n"), "error", "local"),
        (("server ntp4.example iburst\n", ""), "warning", "3 servers"),
        (("leapsecmode slew\n", ""), "warning", "leapsecmode"),
        (("rtcsync\n", "rtcsync\ncmdport 0\n"), "error", "cmdport"),
        (("logchange 0.1\n", ""), "warning", "logchange"),
    ],
)
def test_each_shortcoming_of_a_configuration_is_named(tmp_path, change, severity, why):
    shipped = (Path(__file__).parents[2] / "systemd" / "chrony-ebr-gateway.conf").read_text()
    assert change[0] in shipped
    (tmp_path / "chrony.conf").write_text(shipped.replace(*change))
    (one,) = check_baseline(tmp_path / "chrony.conf")
    assert one.severity == severity
    assert why in one.text


def test_includes_of_a_configuration_are_followed(tmp_path):
    shipped = (Path(__file__).parents[2] / "systemd" / "chrony-ebr-gateway.conf").read_text()
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x.conf").write_text(shipped)
    (tmp_path / "chrony.conf").write_text(f"! a comment\nconfdir {tmp_path}/d\n")
    assert check_baseline(tmp_path / "chrony.conf") == []
    assert check_baseline(tmp_path / "absent.conf")[0].severity == "error"
