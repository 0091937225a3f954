"""A time daemon of the copy's own, without any right to set a clock: synchronised, with a false server, without servers, gone, and back."""

import os
import pwd
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from gateway.demo.processes import Child, ending
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339
from gateway.validation.oq.case import NotPlayed, Told
from gateway.validation.oq.proofs import compared, proved
from gateway.validation.oq.stage import Stage
from simulators.line.endpoints import free_ports
from simulators.ntp import NtpResponder

SYNCHRONISED_WITHIN_S, FALSE_WITHIN_S, HOLDOVER_WITHIN_S, UNKNOWN_WITHIN_S = 90.0, 90.0, 240.0, 150.0
"""A holdover is told after eight update intervals of 16 s, a daemon that can not be read after 60 s."""
STATES = frozenset({"synchronised", "holdover", "unsynchronised", "unknown"})
"""What an event says that the clock is from then on; other events of a clock say what happened to it."""
FALSE_S = 5.0
ALARM_WITHIN_S = 30.0
SERVERS = 3
MORE_PLACES = ("/usr/sbin", "/sbin", "/usr/local/sbin")
INSTALL = "chrony is not installed, of which the copy has a daemon of its own (apt-get install chrony), and play it again"


def programs() -> tuple[str, str] | None:
    """Find chrony's daemon and its command; None where it is not installed. They need not be on the path of an ordinary account."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *MORE_PLACES])
    daemon, command = shutil.which("chronyd", path=path), shutil.which("chronyc", path=path)
    return None if daemon is None or command is None else (daemon, command)


def configuration(servers: Sequence[NtpResponder], port: int, folder: Path) -> str:
    """Write the daemon's configuration: asked by us alone, and listening to nobody else."""
    lines = [f"server {one.host} port {one.port} iburst minpoll 0 maxpoll 0" for one in servers]
    own = [f"cmdport {port}", "bindcmdaddress 127.0.0.1", "bindcmdaddress /", "port 0", f"pidfile {folder / 'chronyd.pid'}"]
    return "\n".join([*lines, *own, "maxclockerror 50", ""])


async def time_daemon(stage: Stage, told: Told, seconds: float) -> None:
    """Have the gateway read a daemon whose servers are simulated; make one false, silence all, kill the daemon, and bring all back."""
    if (found := programs()) is None:
        raise NotPlayed(INSTALL)
    async with _servers() as servers, _daemon(stage, found, servers) as daemon, stage.running():
        daemon.wanted = False  # that it is gone is what is looked at
        await _walked(stage, told, servers, daemon, seconds)
        await stage.at_rest()
    looked = [orjson.loads(payload) for payload in stage.store.entries()]
    judge_marks(told, spans(looked))
    judge_alarm(told, looked)
    compared(stage, told)
    await proved(stage, told)


async def _walked(stage: Stage, told: Told, servers: Sequence[NtpResponder], daemon: Child, seconds: float) -> None:
    judge_state(
        told, "synchronise the daemon with three servers", await _reached(stage, "synchronised", SYNCHRONISED_WITHIN_S), "synchronised"
    )
    servers[0].faults.offset_s = FALSE_S
    judge_false(told, await stage.seen(lambda: _false(stage), FALSE_WITHIN_S))
    await stage.passes(seconds / 6)
    servers[0].faults.offset_s = 0.0
    for server in servers:
        server.faults.silent = True
    judge_state(told, "silence every server", await _reached(stage, "holdover", HOLDOVER_WITHIN_S), "holdover")
    await stage.passes(seconds / 6)
    await daemon.kill()
    judge_state(told, "kill the daemon", await _reached(stage, "unknown", UNKNOWN_WITHIN_S), "unknown")
    await stage.passes(ALARM_WITHIN_S)
    for server in servers:
        server.faults.silent = False
    (stage.folder / "chronyd.pid").unlink(missing_ok=True)
    await daemon.start()
    daemon.wanted = False
    judge_state(told, "start daemon and servers again", await _reached(stage, "synchronised", SYNCHRONISED_WITHIN_S), "synchronised")
    await stage.passes(seconds / 6)


@asynccontextmanager
async def _servers() -> AsyncIterator[list[NtpResponder]]:
    async with AsyncExitStack() as stack:
        made = [NtpResponder(f"127.0.0.{number}") for number in range(2, 2 + SERVERS)]
        for server in made:
            await server.start()
            stack.push_async_callback(server.stop)
        yield made


@asynccontextmanager
async def _daemon(stage: Stage, found: tuple[str, str], servers: Sequence[NtpResponder]) -> AsyncIterator[Child]:
    """Run the daemon, and have the copy's gateway ask this one: what it takes for chronyc asks at the daemon's own port."""
    program, command = found
    port, folder = next(free_ports()), stage.folder
    (folder / "chrony.conf").write_text(configuration(servers, port, folder), "utf-8")
    asks = folder / "bin" / "chronyc"
    asks.parent.mkdir()
    asks.write_text(f'#!/bin/sh\nexec {command} -h 127.0.0.1 -p {port} "$@"\n', "utf-8")
    asks.chmod(0o700)
    stage.gateway.environment = {"PATH": f"{asks.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    words = [program, "-x", "-d", "-U", "-u", pwd.getpwuid(os.geteuid()).pw_name, "-f", str(folder / "chrony.conf")]
    daemon = Child("the time daemon", words, folder / "logs" / "chronyd.log")
    async with ending([daemon]):
        await daemon.start()
        await stage.passes(2.0)
        if daemon.returncode is not None:
            raise NotPlayed(f"chronyd does not run here: {daemon.log.read_text(errors='replace').strip()[-200:] or 'no reason was given'}")
        yield daemon


class Reached(NamedTuple):
    """How the clock was when it was waited for: its state, and whether an event told of it. None: it did not come."""

    status: str
    told: bool


async def _reached(stage: Stage, status: str, within_s: float) -> Reached:
    """Wait until the gateway says this of its clock, and an event is in the record."""
    await stage.seen(lambda: _clock(stage).get("status") == status and newest(stage.events("clock")) == status, within_s)
    return Reached(str(_clock(stage).get("status")), newest(stage.events("clock")) == status)


def newest(events: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the state that was told last: an equal one before another is not this one."""
    return next((str(one["kind"]) for one in reversed(events) if one["kind"] in STATES), None)


def _clock(stage: Stage) -> Mapping[str, Any]:
    now = stage.now()
    return {} if now is None else now["clock"]


def judge_state(told: Told, action: str, found: Reached, status: str) -> None:
    """Say whether the clock came to this state, and whether the record tells."""
    text = f"{found.status}; {'an event tells it' if found.told else 'no event tells it'}"
    told.step(action, f"{status}; an event tells it", text, found.status == status and found.told)


def _false(stage: Stage) -> Mapping[str, Any] | None:
    """Return what is said of the clock once a server is named as false."""
    clock = _clock(stage)
    return clock if "falseticker" in str((clock.get("reference") or {}).get("detail")) else None


def judge_false(told: Told, clock: Mapping[str, Any] | None) -> None:
    """Say whether a server that is wrong is named, and the times do not follow it."""
    bound_s = None if clock is None else clock.get("bound_s")
    text = "it is not named" if clock is None else f"{clock['reference']['detail']}; {clock['status']}, within {bound_s} s"
    good = clock is not None and clock["status"] == "synchronised" and bound_s is not None and bound_s < FALSE_S / 2
    told.step(f"have one server {FALSE_S:g} s wrong", "named as falseticker; synchronised by the others", text, good)


# ---- what the record says


class Span(NamedTuple):
    """A time in which the clock had one state, as events tell it; statuses: of the entries of readings in it."""

    kind: str
    statuses: Sequence[str]


def spans(entries: Sequence[Mapping[str, Any]]) -> list[Span]:
    """Cut the record at the events of the clock's states."""
    return list(_spans(entries))


def _spans(entries: Sequence[Mapping[str, Any]]) -> Iterator[Span]:
    kind, statuses = "", list[str]()
    for entry in entries:
        event = entry.get("event") or {}
        if event.get("type") == "clock" and event["kind"] in ("synchronised", "holdover", "unsynchronised", "unknown"):
            if kind:
                yield Span(kind, statuses)
            kind, statuses = event["kind"], []
        elif "readings" in entry:
            statuses.append(entry["clock"]["status"])
    if kind:
        yield Span(kind, statuses)


def judge_marks(told: Told, found: Sequence[Span]) -> None:
    """Say whether readings went on in each state, and none claims more than it."""
    for kind, claims in (("holdover", ("synchronised",)), ("unknown", ("synchronised", "holdover"))):
        statuses = [status for span in found if span.kind == kind for status in span.statuses]
        wrong = sum(status in claims for status in statuses)
        text = f"{len(statuses)} entries of readings, {wrong} say {' or '.join(claims)}"
        told.step(f"read how sure the times are in {kind}", "readings go on; each says so", text, wrong == 0 if statuses else None)


def judge_alarm(told: Told, entries: Sequence[Mapping[str, Any]]) -> None:
    """Say whether an alarm came in time once no daemon could be read, and an event ends the time of which nobody was sure."""
    began = next((_time(one) for one in entries if _event(one, "clock", kind="unknown") and _was_sure(one)), None)
    alarm = next((_time(one) for one in entries if _event(one, "finding", code="clock-unverified") and _after(one, began)), None)
    over = any(_event(one, "clock", kind="recovered") and _after(one, alarm) for one in entries)
    told_of = "recovered" if over else "no event ends it"
    text = "no alarm" if alarm is None or began is None else f"after {(alarm - began) / TICKS_PER_S:.0f} s; {told_of}"
    good = alarm is not None and began is not None and alarm - began <= ALARM_WITHIN_S * TICKS_PER_S and over
    expected = f"clock-unverified within {ALARM_WITHIN_S:.0f} s; an event, recovered, ends it"
    told.step("read what is told of the time without a daemon", expected, text, good if began is not None else None)


def _time(entry: Mapping[str, Any]) -> int:
    return from_rfc3339(entry["time"])


def _was_sure(entry: Mapping[str, Any]) -> bool:
    return entry["event"].get("was") in ("synchronised", "holdover")


def _event(entry: Mapping[str, Any], type_: str, **members: str) -> bool:
    event = entry.get("event") or {}
    return event.get("type") == type_ and all(event.get(name) == value for name, value in members.items())


def _after(entry: Mapping[str, Any], ticks: int | None) -> bool:
    return ticks is not None and _time(entry) >= ticks
