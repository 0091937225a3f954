"""The EBR's HTTP side: takes entries by PUT and answers with the receipt; serves the pages for people."""

import asyncio
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import orjson
from aiohttp import web

from simulators.ebr import reconcile
from simulators.ebr.base import read_header
from simulators.ebr.entry import Unreadable, read
from simulators.ebr.receive.injected_faults import InjectedFaults
from simulators.ebr.receive.receiver import Receiver

MAX_BODY_BYTES = 16_777_216
RECORD_FILES = ("record.html", "record.json", "record.xml")

_FOLDER = re.compile(r"[A-Za-z0-9%_~-][A-Za-z0-9%._~-]{0,250}")


def application(receiver: Receiver, folder: Path, index: Callable[[], str], *, receives: bool = True) -> web.Application:
    """Make the whole site; its pages alone unless it `receives`. index: makes the index page as HTML, in a worker thread."""
    app = web.Application(client_max_size=MAX_BODY_BYTES)

    async def entries(request: web.Request) -> web.Response:
        return await _entries(request, receiver)

    async def record_in(request: web.Request) -> web.Response:
        return await _record(request, receiver)

    async def live(request: web.Request) -> web.Response:
        for line in (await request.read()).splitlines():
            receiver.copy(line)
        return web.Response(status=204)

    async def start(_: web.Request) -> web.Response:
        return web.Response(text=await asyncio.to_thread(index), content_type="text/html")

    async def state(_: web.Request) -> web.Response:
        return web.Response(body=orjson.dumps(await asyncio.to_thread(receiver.state)), content_type="application/json")

    async def record(request: web.Request) -> web.StreamResponse:
        batch, name = request.match_info["batch"], request.match_info["name"]
        path = folder / "batches" / batch / name
        if not _FOLDER.fullmatch(batch) or name not in RECORD_FILES or not await asyncio.to_thread(path.is_file):
            raise web.HTTPNotFound
        return web.FileResponse(path)

    async def held(request: web.Request) -> web.StreamResponse:
        return await _held(request, receiver)

    app.router.add_get("/gateways/{site}/{line}/reconcile", held)
    if receives:
        app.router.add_put("/gateways/{site}/{line}/epochs/{epoch:\\d{1,15}}/entries/{first:\\d{1,15}}-{last:\\d{1,15}}", entries)
        app.router.add_post("/gateways/{site}/{line}/live", live)
        app.router.add_post("/records", record_in)
    app.router.add_get("/", start)
    app.router.add_get("/state", state)
    app.router.add_get("/batches/{batch}/{name}", record)
    return app


async def _entries(request: web.Request, receiver: Receiver) -> web.Response:
    """Take one page of entries: refuse it whole, or store it whole and answer with a receipt."""
    script, body = receiver.script, await request.read()
    if len(body) > script.largest_page_bytes:
        return web.Response(status=413)
    if script.drops():
        return _hang_up(request)
    if script.page_times > 0:
        script.page_times -= 1
        headers = {} if script.page_retry_after is None else {"Retry-After": script.page_retry_after}
        return web.Response(status=script.page_status, headers=headers, body=script.page_body, content_type="text/html")
    lines = body.splitlines()
    try:
        _check_range(request, lines)
    except Unreadable as error:
        return web.json_response({"error": str(error)}, status=400)
    poisoned = any(line_seq in script.refuse for line_seq in _seqs(request)) and script.poison_422
    if poisoned and len(lines) > 1:
        return web.json_response({"error": "an entry of this page is not accepted"}, status=422)
    gateway = _gateway(request)
    await receiver.hear(gateway, read_header(request.headers["EBR-Gateway-Held"]) if "EBR-Gateway-Held" in request.headers else None)
    taken = await receiver.take(lines)
    taken.answered = {(gateway, int(request.match_info["epoch"]))}
    receipts = await receiver.receipts(taken)
    return web.json_response(receipts[0], status=422 if poisoned else 200) if receipts else _hang_up(request)


async def _held(request: web.Request, receiver: Receiver) -> web.StreamResponse:
    """Say what is held of a gateway: its epochs, or of a range counts and roots. Reading alone, so the pages' port answers it, too."""
    gateway, asked, path = _gateway(request), request.query, receiver.store.path
    of = asked.get("of", "entries")
    try:
        if set(asked) - {"of"}:
            epoch, first, last = (int(asked[name]) for name in ("epoch", "from", "to"))
            width = int(asked.get("width", reconcile.WIDEST))
            told = await asyncio.to_thread(reconcile.spans, path, gateway, epoch, first, last, width, of)
        else:
            told = await asyncio.to_thread(reconcile.streams, path, gateway, of)
    except (KeyError, ValueError) as error:
        return web.json_response({"error": f"not understood: {error}"}, status=400)
    return await _shaped(request, receiver.script, told)


async def _shaped(request: web.Request, script: InjectedFaults, told: dict[str, Any]) -> web.StreamResponse:
    """Answer with the injected faults."""
    if script.reconcile_dribbles:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.05)
    if script.reconcile_body is not None:
        return web.Response(body=script.reconcile_body, content_type="application/json")
    if script.miscounts and "spans" in told:
        told = {**told, "spans": [[count + script.miscounts, root] for count, root in told["spans"]]}
    return web.json_response(told)


def _gateway(request: web.Request) -> str:
    return f"{unquote(request.match_info['site'])}/{unquote(request.match_info['line'])}"


async def _record(request: web.Request, receiver: Receiver) -> web.Response:
    """Take one record under its Idempotency-Key."""
    script, payload = receiver.script, await request.read()
    if script.drops():
        return _hang_up(request)
    if script.page_times > 0:
        script.page_times -= 1
        return web.Response(status=script.page_status, body=script.page_body, content_type="text/html")
    answer = await receiver.take_record(unquote(request.headers.get("Idempotency-Key", "")), payload)
    if script.drops_receipt():
        return _hang_up(request)
    return web.json_response(answer, status={"stored": 201, "duplicate": 409, "conflict": 409, "rejected": 422}[answer["outcome"]])


def _seqs(request: web.Request) -> range:
    return range(int(request.match_info["first"]), int(request.match_info["last"]) + 1)


def _check_range(request: web.Request, lines: list[bytes]) -> None:
    """Refuse a page that does not hold exactly the range in its address: a receipt for a range needs all of it."""
    info = request.match_info
    gateway, epoch = _gateway(request), int(info["epoch"])
    heads = [(entry.gateway, entry.epoch, entry.seq) for entry in map(read, lines)]
    if heads != [(gateway, epoch, seq) for seq in _seqs(request)[: len(lines) + 1]]:
        raise Unreadable("the page does not hold the entries that its address names")


def _hang_up(request: web.Request) -> web.Response:
    """Break the connection instead of answering."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def serve_http(app: web.Application, host: str, port: int, tls: ssl.SSLContext | None) -> web.AppRunner:
    """Listen; returns when clients can connect. The caller cleans the runner up."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, host, port, ssl_context=tls, reuse_address=True).start()
    return runner
