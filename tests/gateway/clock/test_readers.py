# ruff: noqa: E501 - recorded lines stay as they were said
"""The readers of the clock daemons, by what they really say."""

import re
from pathlib import Path

import pytest
from kit.repository import ROOT

from gateway.clock import chrony, ntpd, timesyncd
from gateway.clock.baseline import check_baseline, check_directives, directives
from gateway.clock.command import ask
from gateway.clock.daemon_reading import Unreadable
from gateway.clock.judge import Limits, judge
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
RECORDED = Path(__file__).parent / "recorded"
"""What real daemons said; each file's header names the version, the command and when it was asked."""


def recorded(name: str) -> tuple[str, int]:
    """The answer, and the wall clock (ns) when it was asked for."""
    lines = (RECORDED / name).read_text("utf-8").splitlines(keepends=True)
    header = "".join(line for line in lines if line.startswith("#"))
    asked = re.search(r"asked at (\d+)\.(\d{9})", header)
    assert asked is not None
    return "".join(line for line in lines if not line.startswith("#")), int(asked[1]) * 10**9 + int(asked[2])


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


@pytest.mark.urs("URS-TIME-04", "URS-TIME-05")
def test_ntpd_by_its_recorded_words():
    text, asked_ns = recorded("ntpd-good.txt")
    good = ntpd.parse(text, 10**12, asked_ns)
    assert good.synchronised
    assert good.bound_s == pytest.approx((0.038947 + 1.03 + 0.782 / 2 + 0.061603) / 1000, rel=0.02), "rv says the same"
    assert good.offset_s == pytest.approx(0.038947e-3)
    assert (good.reference, good.stratum, good.interval_s, good.leap, good.local) == ("10.9.0.4", 2, 8.0, "none", False)
    assert good.updated_ns is not None
    assert 0 < 10**12 - good.updated_ns < 8 * 10**9
    start = ntpd.parse(*order(recorded("ntpd-start.txt")))
    assert (start.synchronised, start.leap, start.updated_ns) == (False, "unsynchronised", None)
    assert "10.9.0.2 stratum 1 falseticker" in ntpd.parse(*order(recorded("ntpd-falseticker.txt"))).detail
    local = ntpd.parse(*order(recorded("ntpd-local.txt")))
    assert local.synchronised, "ntpd itself is content with its own oscillator"
    assert local.local
    assert judge(local, 0, asked_ns, Limits()).status == "unsynchronised"


@pytest.mark.urs("URS-TIME-05")
def test_ntpd_without_servers_is_in_holdover_though_it_says_that_all_is_well():
    text, asked_ns = recorded("ntpd-gone.txt")
    told = ntpd.parse(text, 10**12, asked_ns)
    assert (told.synchronised, told.leap) == (True, "none")
    assert judge(told, 10**12, asked_ns, Limits()).status == "holdover"
    assert told.detail.count("unusable") == 3


@pytest.mark.urs("URS-TIME-10")
@pytest.mark.parametrize(("bits", "leap"), [("01", "insert"), ("10", "delete"), ("11", "unsynchronised")])
def test_ntpds_leap_bits(bits, leap):
    """The recorded answer with the bits of the manual: NTPsec announces only in the last hours before a leap second."""
    text, asked_ns = recorded("ntpd-good.txt")
    assert ntpd.parse(text.replace("leap=00", f"leap={bits}"), 0, asked_ns).leap == leap


@pytest.mark.urs("URS-TIME-04")
def test_timesyncd_by_its_recorded_words():
    text, asked_ns = recorded("timesyncd-good.txt")
    told = timesyncd.parse(text, 10**12, asked_ns)
    assert told.synchronised
    assert told.offset_s == pytest.approx(73.5e-6)
    assert told.bound_s == pytest.approx((73.5 + 203 / 2 + 488 / 2 + 488 + 0) / 1e6), "delay 203 us, as timedatectl says itself"
    assert (told.reference, told.interval_s, told.stratum, told.leap) == ("10.9.0.2", 32.0, 1, "none")
    assert "single source" in told.detail
    wrong = timesyncd.parse(*order(recorded("timesyncd-wrong-server.txt")))
    assert wrong.offset_s == pytest.approx(5.0, abs=0.001)
    assert judge(wrong, 0, asked_ns, Limits()).status == "unsynchronised"
    with pytest.raises(Unreadable, match="no answer"):
        timesyncd.parse(*order(recorded("timesyncd-start.txt")))


@pytest.mark.urs("URS-TIME-05", "URS-TIME-10")
def test_timesyncd_tells_of_a_leap_second_and_of_a_server_that_is_gone():
    text, asked_ns = recorded("timesyncd-leap.txt")
    assert timesyncd.parse(text, 10**12, asked_ns).leap == "insert"
    text, asked_ns = recorded("timesyncd-gone.txt")  # it keeps its last message, with the jitter of a jump of five seconds before
    states = {
        seconds: judge(timesyncd.parse(text, 10**12, asked_ns + seconds * 10**9), 10**12, asked_ns, Limits(max_error_s=5.0)).status
        for seconds in (0, 49)
    }
    assert states == {0: "synchronised", 49: "holdover"}, "208 s and 257 s after the last answer, at a poll interval of 32 s"
    assert judge(timesyncd.parse(text, 0, asked_ns), 0, asked_ns, Limits()).status == "unsynchronised", "the jitter is in the bound"


def order(told: tuple[str, int]) -> tuple[str, int, int]:
    return told[0], 0, told[1]


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
    shipped = ROOT / "systemd" / "chrony-ebr-gateway.conf"
    assert check_directives(directives(shipped), leap_mode="slew") == []


@pytest.mark.parametrize(
    ("change", "severity", "why"),
    [
        (("rtcsync\n", ""), "error", "rtcsync"),
        (("leapsecmode slew", "leapsecmode system"), "warning", "leapsecmode system, but"),
        (("ntp4.example", "time2.google.com"), "error", "time2.google.com smears a leap second and ntp1.example does not"),
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
    shipped = (ROOT / "systemd" / "chrony-ebr-gateway.conf").read_text()
    assert change[0] in shipped
    (tmp_path / "chrony.conf").write_text(shipped.replace(*change))
    (one,) = check_baseline(tmp_path / "chrony.conf", leap_mode="slew")
    assert one.severity == severity
    assert why in one.text


def test_includes_of_a_configuration_are_followed(tmp_path):
    shipped = (ROOT / "systemd" / "chrony-ebr-gateway.conf").read_text()
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x.conf").write_text(shipped)
    (tmp_path / "chrony.conf").write_text(f"! a comment\nconfdir {tmp_path}/d\n")
    assert check_baseline(tmp_path / "chrony.conf", leap_mode="slew") == []
    assert check_baseline(tmp_path / "absent.conf")[0].severity == "error"
