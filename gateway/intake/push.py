"""PUT /equipment/{name}/context: order parameters sent to the gateway (URS-CTX-01), by a known client, answered when they are on disk.

What is sent is the whole of what the equipment waits for: with a new order and an old batch standing side by side nobody could say
which is meant. A request that is refused stands in the journal too, as a finding.
"""

import asyncio
import hmac
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson
from aiohttp import web

from config import ConfigError, Equipment, Line, Problem, Push, place_of
from config.credentials import CredentialMissing, server_tls
from config.sections import PushClient
from gateway.entries.findings import Announcer, finding
from gateway.intake.push_tokens import PushTokens, token_of
from gateway.listening.answering import answered
from gateway.listening.bounds import Bounds
from gateway.listening.port import served

MAX_BODY_BYTES = 16_384
BODY_S = 5.0
MAX_TEXT = 256
MAX_WRONG_TOKENS = 5
LOCKED_S = 60.0
MAX_PEERS = 1_024

REFUSALS = {
    400: "the body is no JSON",
    401: "no header `Authorization: Bearer TOKEN` with a known token",
    403: "this client may not send for this equipment",
    404: "no equipment of this name waits for order parameters",
    408: f"the body did not come within {BODY_S:g} s",
    413: f"the body is longer than {MAX_BODY_BYTES} bytes",
    422: "not exactly the members that this equipment waits for, each a printable text or null",
    429: f"{MAX_WRONG_TOKENS} wrong tokens from this address: locked for {LOCKED_S:.0f} s, for wrong ones only; Retry-After says when",
    503: "the journal is full, or tokens are not read yet after a start: send again, Retry-After says when",
}
"""Status of an answer that takes nothing -> why. Each is a finding `push-refused`, too."""

Happened = Callable[[Mapping[str, Any]], Awaitable[None]]


class _Refused(Exception):
    """status: HTTP, one of REFUSALS; code: what the finding is named after."""

    def __init__(self, status: int, code: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.code, self.reason = status, code, reason


@dataclass(slots=True)
class _Doors:
    """Who knocked with a wrong token how often: bounded, the oldest goes."""

    wrong: dict[str, list[float]] = field(default_factory=dict)

    def locked(self, peer: str, now_s: float) -> bool:
        times = [at_s for at_s in self.wrong.get(peer, []) if now_s - at_s < LOCKED_S]
        return len(times) >= MAX_WRONG_TOKENS

    def was_wrong(self, peer: str, now_s: float) -> None:
        times = [at_s for at_s in self.wrong.pop(peer, []) if now_s - at_s < LOCKED_S]
        self.wrong[peer] = [*times, now_s][-MAX_WRONG_TOKENS:]
        while len(self.wrong) > MAX_PEERS:
            self.wrong.pop(next(iter(self.wrong)))


class PushIn:
    """The application: checks, appends, answers. happened: appends an event, on disk when awaited; place: (epoch, seq) of the next."""

    def __init__(
        self, line: Line, tokens: PushTokens, happened: Happened, place: Callable[[], tuple[int, int]], takes: Callable[[], bool]
    ) -> None:
        """takes: whether the journal has room."""
        self._happened, self._place, self._takes = happened, place, takes
        self._gateway = line.gateway
        self._units = {unit.name: unit for unit in line.equipment if unit.pushed}
        self._tokens = tokens
        self._doors = _Doors()
        self._announcer = Announcer(happened)

    def application(self, bounds: Bounds) -> web.Application:
        """One resource per equipment."""
        application = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[bounds.middleware(), answered()])
        application.add_routes([web.put("/equipment/{name}/context", self._put)])
        return application

    async def _put(self, request: web.Request) -> web.Response:
        peer = request.remote or "unknown"
        client: PushClient | None = None
        try:
            client = self._who(request, peer)
            unit = self._unit(client, request.match_info["name"])
            values = _values(unit, await _body(request))
            self._has_room()
        except _Refused as refused:
            self._tell(refused, peer, client)
            headers = {"Retry-After": "1" if refused.code == "starting" else "60"} if refused.status in (429, 503) else {}
            return web.json_response({"error": refused.reason}, status=refused.status, headers=headers)
        event = {"type": "context", "equipment": unit.name, "values": values, "who": f"push:{client.name}", "peer": peer}
        epoch, seq = self._place()
        await asyncio.shield(self._happened(event))
        return web.json_response({"gateway": self._gateway, "epoch": epoch, "seq": seq, "equipment": unit.name, "values": values})

    def _who(self, request: web.Request, peer: str) -> PushClient:
        """The client whose token it is; every token is compared, so that the time taken tells nothing."""
        now_s = time.monotonic()
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip().encode()
        right = [client for client, token in self._tokens.clients if hmac.compare_digest(token, given)]
        if not right and self._doors.locked(peer, now_s):  # a right one passes: who guesses must not lock out who knows, behind one address
            raise _Refused(429, "locked", f"{MAX_WRONG_TOKENS} wrong tokens: locked for {LOCKED_S:.0f} s")
        if not right and self._tokens.are_unread:
            raise _Refused(503, "starting", "the tokens are still being read; send again later")
        if not right:
            self._doors.was_wrong(peer, now_s)
            raise _Refused(401, "token", "a header `Authorization: Bearer TOKEN` with a known token is needed")
        return right[0]

    def _has_room(self) -> None:
        if not self._takes():
            raise _Refused(503, "full", "the journal is full; send again later")

    def _unit(self, client: PushClient, name: str) -> Equipment:
        unit = self._units.get(name)
        if unit is None:
            raise _Refused(404, "equipment", f"no equipment `{name[:60]}` waits for order parameters")
        if client.equipment and name not in client.equipment:
            raise _Refused(403, "equipment", f"client {client.name} may not send for {name}")
        return unit

    def _tell(self, refused: _Refused, peer: str, client: PushClient | None) -> None:
        """An order parameter that was not taken must not be missed by the plant alone."""
        count = self._announcer.due(refused.code)  # a storm of requests must not fill the journal
        if not count:
            return
        who = f"push:{client.name}" if client else "an unknown client"
        text = f"order parameters refused, {count} since last told: {who} at {peer}: {refused.reason}"
        self._happened(finding("push-refused", "alarm", text, {"status": refused.status, "peer": peer, "refusals": count}))


async def _body(request: web.Request) -> Any:
    try:
        async with asyncio.timeout(BODY_S):
            return orjson.loads(await request.read())
    except TimeoutError as error:
        raise _Refused(408, "body", f"the body has to be here within {BODY_S:g} s") from error
    except web.HTTPRequestEntityTooLarge as error:
        raise _Refused(413, "body", f"at most {MAX_BODY_BYTES} bytes") from error
    except orjson.JSONDecodeError as error:
        raise _Refused(400, "body", f"the body is no JSON: {error}") from error


def _values(unit: Equipment, body: Any) -> dict[str, str | None]:
    """Everything the equipment waits for, and nothing else: texts, or null for none."""
    wanted = unit.pushed
    if not isinstance(body, dict) or sorted(body) != sorted(wanted):
        raise _Refused(422, "values", f"an object with exactly these members is needed: {', '.join(wanted)}")
    for name in wanted:
        value = body[name]
        if value is None:
            continue
        if not isinstance(value, str) or not value.strip() or len(value) > MAX_TEXT or not value.isprintable():
            raise _Refused(422, "values", f"{name}: a text of 1 to {MAX_TEXT} printable characters, or null")
    return {name: body[name] for name in wanted}


def _tls(line: Line, push: Push) -> ssl.SSLContext | None:
    """Our own certificate, and whether clients need one. Raises ConfigError."""
    if push.tls is None:
        return None
    try:
        return server_tls(push.tls, line.folder)
    except (OSError, ssl.SSLError, CredentialMissing) as error:
        raise ConfigError([place_of(line, ("push", "tls")).problem(f"cert, key or ca can not be used: {error}")]) from error


def push_problems(line: Line) -> list[Problem]:
    """Return what is not there of [push] now: TLS files, without which nothing is taken, and tokens, each of one client."""
    if line.push is None:
        return []
    problems: list[Problem] = []
    checks: list[Callable[[], object]] = [partial(_tls, line, line.push)]
    checks += [partial(token_of, line, client) for client in line.push.client]
    for check in checks:
        try:
            check()
        except ConfigError as error:
            problems += error.problems
    return problems


class PushServer:
    """The port of [push]: TLS files that are missing are told when it begins to serve, not at the first order."""

    def __init__(self, line: Line, push: Push, tokens: PushTokens) -> None:
        """Raises ConfigError."""
        self._line, self._listen, self._tokens = line, push.listen, tokens
        self._tls = _tls(line, push)

    async def serve(
        self, happened: Happened, place: Callable[[], tuple[int, int]], takes: Callable[[], bool], opened: Callable[[], object]
    ) -> None:
        """Serve until cancelled; `opened` is called when it listens. Raises OSError if the address is taken."""
        bounds = Bounds()
        app = PushIn(self._line, self._tokens, happened, place, takes).application(bounds)
        async with served(app) as serving:
            await self._tokens.looked_at()
            await serving.at_port(self._listen, bounds, self._tls)
            opened()
            await asyncio.Event().wait()
