"""Own questions to NTP servers: what they measure, what they refuse, and a site server that is wrong and sure of itself."""

import asyncio
import struct

import pytest
from kit.processes import DEADLINE_S

from gateway.clock import Clock, Limits
from gateway.clock.daemon_reading import Evidence
from gateway.clock.sntp import PACKET, CrossCheck, NoAnswer, answer_from, ask, request
from gateway.clock.system_clocks import SystemTimes
from simulators.ntp import NtpResponder


@pytest.fixture
async def servers():
    made = [NtpResponder() for _ in range(4)]
    for server in made:
        await server.start()
    yield made
    for server in made:
        await server.stop()


def names(servers) -> list[str]:
    return [f"{server.host}:{server.port}" for server in servers]


def claim(bound_s: float) -> Evidence:
    return Evidence(reader="chrony", at_ns=SystemTimes().monotonic_ns(), synchronised=True, bound_s=bound_s, reference="site")


@pytest.mark.urs("URS-TIME-04")
@pytest.mark.parametrize("offset_s", [0.0, 2.5, -3600.0])
async def test_the_measured_offset_is_within_its_radius(servers, offset_s):
    server = servers[0]
    server.faults.offset_s = offset_s
    answer = await ask(names(servers)[0])
    assert abs(answer.offset_s - offset_s) <= answer.radius_s
    assert answer.radius_s < 0.1


async def test_an_asymmetric_path_stays_within_the_radius(servers):
    servers[0].faults.delay_s = 0.2
    answer = await ask(names(servers)[0])
    assert 0.09 < abs(answer.offset_s) <= answer.radius_s


@pytest.mark.parametrize(
    ("fault", "why"),
    [({"leap": 3}, "not synchronised"), ({"stratum": 0, "reference": b"RATE"}, "refused: RATE"), ({"stratum": 16}, "not synchronised")],
)
async def test_an_unusable_server_is_not_used(servers, fault, why):
    for name, value in fault.items():
        setattr(servers[0].faults, name, value)
    with pytest.raises(NoAnswer, match=why):
        await ask(names(servers)[0])


async def test_a_silent_server_and_a_closed_port(servers, monkeypatch):
    monkeypatch.setattr("gateway.clock.sntp.ANSWER_S", 0.2)
    servers[0].faults.silent = True
    with pytest.raises(NoAnswer, match="no answer"):
        await ask(names(servers)[0])
    await servers[1].stop()
    with pytest.raises(NoAnswer):
        await ask(names(servers)[1])


def test_an_answer_to_another_question_is_refused():
    server = NtpResponder()
    data = server.answer(request(12345))
    assert data is not None
    with pytest.raises(NoAnswer, match="does not belong"):
        answer_from(data, 54321, "s", server.time_s(), server.time_s(), 0)
    with pytest.raises(NoAnswer, match="too short"):
        answer_from(data[:40], 12345, "s", 0, 0, 0)
    with pytest.raises(NoAnswer, match="mode 3"):
        answer_from(struct.pack("!B", 4 << 3 | 3) + data[1:], 12345, "s", 0, 0, 0)
    assert server.answer(b"x" * PACKET.size) is None


@pytest.mark.urs("URS-TIME-05")
async def test_a_site_server_that_is_wrong_and_sure_of_itself_is_caught(servers):
    """The daemon follows a server that is 5 s off and claims a bound of 2 ms. The others do not agree: the state becomes unknown."""
    check = CrossCheck(names(servers))
    for server in servers:
        server.faults.offset_s = 5.0  # all of them tell true time; the system clock was led astray by the site server
    await check.ask_all()
    clock = Clock(Limits(), cross=check)
    clock.take(claim(0.002))
    clock.look()
    assert clock.stamp().status == "unknown"
    assert "agree that UTC is +4.99" in clock.describe()["reason"]
    assert "UTC is" in clock.describe()["reason"]


async def test_one_falseticker_among_four_changes_nothing_and_is_named(servers):
    check = CrossCheck(names(servers))
    servers[2].faults.offset_s = -30.0
    await check.ask_all()
    clock = Clock(Limits(), cross=check)
    clock.take(claim(0.002))
    clock.look()
    assert clock.stamp().status == "synchronised"
    told = clock.describe()["cross_check"]["servers"]
    assert [one["agrees"] for one in told] == [True, True, False, True]


async def test_two_servers_are_too_few_to_say_anything(servers):
    check = CrossCheck(names(servers)[:2])
    for server in servers:
        server.faults.offset_s = 5.0
    await check.ask_all()
    assert check.holds_against(claim(0.002)) == ""


async def test_no_majority_says_nothing(servers):
    check = CrossCheck(names(servers))
    for number, server in enumerate(servers):
        server.faults.offset_s = 10.0 * number
    await check.ask_all()
    assert check.holds_against(claim(0.002)) == ""


async def test_the_watch_asks_and_ends(servers):
    check = CrossCheck(names(servers))
    task = asyncio.create_task(check.watch())
    async with asyncio.timeout(DEADLINE_S):
        while not all(server.asked for server in servers):  # noqa: ASYNC110 - the servers have no event to wait for
            await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
