"""Check [clock]: servers that can be asked, and all of one kind in the way they handle a leap second (URS-TIME-10)."""

from config.checks.parsed_folder import ParsedFolder
from config.grammars.time_server import host_of, smears
from config.problem import did_you_mean
from config.sections import ClockSection

LEAST_SERVERS = 3


def check(parts: ParsedFolder) -> None:
    """Add the problems of [clock] and of time authorities to the document."""
    clock = parts.sections.clock
    _authorities(parts)
    if clock is None:
        return
    _servers(parts, clock)
    refused = parts.document.error if parts.environment == "production" else parts.document.warning
    smeared = [server for server in clock.servers if server in clock.smeared_servers or smears(server)]
    plain = [server for server in clock.servers if server not in smeared]
    if smeared and plain:
        refused(("clock", "servers"), f"`{smeared[0]}` smears a leap second and `{plain[0]}` does not: never mix them")
    elif smeared and clock.leap_mode in ("step", "slew"):
        refused(("clock", "leap_mode"), f"leap_mode {clock.leap_mode}, but `{smeared[0]}` smears a leap second")
    elif plain and clock.leap_mode == "smear":
        refused(("clock", "leap_mode"), f"leap_mode smear, but `{plain[0]}` is not known to smear (smeared_servers names those that do)")


TELL_NO_TIME = ("modbus", "serial")
"""Drivers of devices whose protocols carry no time stamps."""


def _authorities(parts: ParsedFolder) -> None:
    """Refuse a time authority that its source can not be: it must be able to stamp values (URS-TIME-12)."""
    silent = {source.name: source.driver for _, source in parts.sections.source if source.driver in TELL_NO_TIME}
    for at, source in parts.sections.source:
        if source.name in silent and source.time_authority != "gateway":
            text = f"a {source.driver} source tells no time: time_authority must be gateway, not {source.time_authority}"
            parts.document.error((*at, "time_authority"), text)
    for tag in parts.tags:
        if tag.source in silent and tag.time_authority in ("device", "server"):
            text = f"tag `{tag.tag}`: a {silent[tag.source]} source tells no time: time_authority must be gateway, not {tag.time_authority}"
            parts.document.problems.append(tag.place.problem(text))


def _servers(parts: ParsedFolder, clock: ClockSection) -> None:
    for at, server in enumerate(clock.servers):
        if host_of(server) is None:
            parts.document.error(("clock", "servers"), f"`{server[:80]}` is no server: write host, host:port or [v6 address]:port")
        if server in clock.servers[:at]:
            parts.document.error(("clock", "servers"), f"`{server[:80]}` stands twice: its word would count twice")
    for server in clock.smeared_servers:
        if server not in clock.servers:
            parts.document.error(("clock", "smeared_servers"), f"`{server[:80]}` is none of servers{did_you_mean(server, clock.servers)}")
    if 0 < len(clock.servers) < LEAST_SERVERS:
        text = f"{len(clock.servers)} of at least {LEAST_SERVERS} servers: with fewer nobody knows which one is wrong; nothing is concluded"
        parts.document.warning(("clock", "servers"), text)
