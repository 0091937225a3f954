"""OpenAPI 3.1 of what goes by HTTP: an uplink as this gateway calls it, [push] and the page as this gateway serves them."""

from collections.abc import Iterable, Mapping
from typing import Any

from config import Line, Push, Uplink
from config.sections import Web
from gateway.reconciliation.answer import MOST_SPANS, WIDTHS
from gateway.uplink.https import HELD
from gateway.validation.specification.messages import order_schemas
from gateway.validation.specification.reactions import Reaction, of_push, to_pages, to_records
from gateway.validation.specification.schemas import REF, Schema, components

OPENAPI = "3.1.0"
FORM_VERSION = "1"
"""As the schemas': within it the form only grows. Which release speaks it stands in the specification."""
LINES = "application/x-ndjson"
LONG_RUN = 20
HELD_ANSWERS = ("uplink-held-streams", "uplink-held-spans")
Json = dict[str, Any]


def uplink(line: Line, settings: Uplink) -> Json:
    """Return what the receiver of an HTTPS uplink has to serve."""
    paths = _entries() if settings.profile == "entries" else _records()
    names = (
        "entry-event",
        *(("entry-readings", "uplink-receipt") if settings.profile == "entries" else ("uplink-outcome",)),
        *HELD_ANSWERS,
    )
    about = "What the receiver serves and this gateway calls. Rules that bind both sides beyond each single request: docs/uplink.md."
    security: list[Json] = [] if settings.user is None else [{"basic": []}]
    schemes = {} if settings.user is None else {"basic": {"type": "http", "scheme": "basic"}}
    return _document(line, f"Uplink {settings.name}", about, _server(settings.endpoint), paths, components(names), (security, schemes))


def push(line: Line, settings: Push) -> Json:
    """Return what this gateway serves to who pushes order parameters."""
    bodies = {f"order-{name}": schema for name, schema in order_schemas(line).items()}
    paths = {
        f"/equipment/{name}/context": {"put": _pushed(name)} for name in order_schemas(line)
    }  # one path for each equipment: each has its own body
    scheme = "http" if settings.tls is None else "https"
    about = "Order parameters sent to the gateway, answered when they are on disk. PUT: the same again is harmless."
    security: tuple[list[Json], Json] = ([{"token": []}], {"token": {"type": "http", "scheme": "bearer"}})
    made = components(("push-answer", "error"), bodies)
    return _document(line, "Order parameters", about, f"{scheme}://{settings.listen}", paths, made, security)


def page(line: Line, settings: Web) -> Json:
    """Return what the page's port serves to programs: status and values as JSON, and metrics. All else is for people in a browser."""
    scheme = "http" if settings.tls is None else "https"
    about = (
        "Reading only; what else is served is for people in a browser. "
        "With `read_only_without_login = false` all but /metrics is for who has logged in at /login."
    )
    security: list[Json] = [] if settings.read_only_without_login else [{"session": []}]
    name = "session" if settings.tls is None else "__Host-session"
    schemes = {} if settings.read_only_without_login else {"session": {"type": "apiKey", "in": "cookie", "name": name}}
    made = components(("status", "values", "error"))
    return _document(line, "Page", about, f"{scheme}://{settings.listen}", _page(login=bool(security)), made, (security, schemes))


def requests(profile: str) -> list[str]:
    """List the requests of an HTTPS uplink, by method and path."""
    paths = _entries() if profile == "entries" else _records()
    return sorted(f"{method.upper()} {path}" for path, methods in paths.items() for method in methods)


def _document(
    line: Line, title: str, about: str, server: str, paths: Json, made: Mapping[str, Schema], security: tuple[list[Json], Json]
) -> Json:
    required, schemes = security
    return {
        "openapi": OPENAPI,
        "info": {"title": f"{line.gateway}: {title}", "version": FORM_VERSION, "description": about},
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{"url": server}],
        **({"security": required} if required else {}),
        "paths": paths,
        "components": {"schemas": dict(made), **({"securitySchemes": schemes} if schemes else {})},
    }


def _server(endpoint: str) -> str:
    return endpoint.rstrip("/")


def _entries() -> Json:
    where = [_in_path("site"), _in_path("line")]
    pages = [*where, *(_in_path(name, {"type": "integer", "minimum": 1}) for name in ("epoch", "first", "last"))]
    put = {
        "operationId": "putEntries",
        "summary": "Entries first to last of an epoch, one per line; the answer is the receipt",
        "parameters": [*pages, _held(), _packed()],
        "requestBody": _body(LINES, [REF + "entry-readings", REF + "entry-event"]),
        "responses": _responses(to_pages(), dict.fromkeys(("200", "400", "422"), "uplink-receipt")),
    }
    post = {
        "operationId": "postLive",
        "summary": "Copies for a display while receipts are behind: store nothing from them",
        "parameters": where,
        "requestBody": _body(LINES, [REF + "entry-readings", REF + "entry-event"]),
        "responses": {"204": {"description": "any answer will do; 429 and 5xx are a pause"}},
    }
    base = "/gateways/{site}/{line}"
    pages_of = f"{base}/epochs/{{epoch}}/entries/{{first}}-{{last}}"
    return {pages_of: {"put": put}, f"{base}/live": {"post": post}, f"{base}/reconcile": {"get": _reconcile(where, [])}}


def _reconcile(where: list[Json], more: list[Json]) -> Json:
    """Describe the question what is held: epochs without a query, counts and roots with one."""
    answers = [{"$ref": f"{REF}{name}"} for name in HELD_ANSWERS]
    numbers = ("epoch", "from", "to", "width")
    about = "without any: every epoch that is held; with all: the entries `from` to `to` of an epoch, cut at multiples of `width`"
    most = {"width": {"type": "integer", "enum": list(WIDTHS)}}
    return {
        "operationId": "getHeld",
        "summary": "What the receiver holds now, by count and Merkle root",
        "description": f"Query: {about}, at most {MOST_SPANS} of them. Computed from what lies there, never from what is remembered of it.",
        "parameters": [
            *where,
            *more,
            *(
                {"name": name, "in": "query", "required": False, "schema": most.get(name, {"type": "integer", "minimum": 1})}
                for name in numbers
            ),
        ],
        "responses": {
            "200": {"description": "what is held", "content": {"application/json": {"schema": {"oneOf": answers}}}},
            "404": {"description": "the question is not known: nothing is compared, and never taken for equal; `reconcile-overdue`"},
        },
    }


def _records() -> Json:
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "schema": {"type": "string"},
        "description": "The record's id, percent-encoded UTF-8: the same id is always the same bytes.",
    }
    post = {
        "operationId": "postRecord",
        "summary": "One record; the outcome is the status, or the body",
        "parameters": [key],
        "requestBody": _body("application/json", [REF + "entry-event"]),
        "responses": _responses(to_records(), dict.fromkeys(("200", "400", "409", "422"), "uplink-outcome")),
    }
    of = {"name": "of", "in": "query", "required": True, "schema": {"enum": ["records"]}, "description": "stands in the answer again"}
    held = _reconcile([_in_path("site"), _in_path("line")], [of])
    return {"/records": {"post": post}, "/gateways/{site}/{line}/reconcile": {"get": held}}


def _pushed(name: str) -> Json:
    answers = {"200": "push-answer"} | {row.when: "error" for row in of_push() if row.when.isdigit() and row.when != "200"}
    return {
        "operationId": f"putContext_{name}",
        "summary": f"The whole of what {name} waits for",
        "requestBody": _body("application/json", [f"{REF}order-{name}"]),
        "responses": _responses(of_push(), answers),
    }


def _page(*, login: bool) -> Json:
    def got(what: str, kind: str, schema: Json, *, is_open: bool = False) -> Json:
        refused = {"401": _answer("log in first: /login", "error")} if login and not is_open else {}
        other = {"421": _answer("asked for under a name that is not this machine's", "error")}
        answer = {"description": what, "content": {kind: {"schema": schema}}}
        return {"get": {"summary": what, "responses": {"200": answer, **refused, **other}, **({"security": []} if is_open else {})}}

    text = {"type": "string"}
    return {
        "/status": got("how the gateway is now", "application/json", {"$ref": f"{REF}status"}),
        "/values": got("the present value of each tag", "application/json", {"$ref": f"{REF}values"}),
        "/metrics": got("metrics in the Prometheus text format 0.0.4", "text/plain", text, is_open=True),
    }


def _in_path(name: str, schema: Json | None = None) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": schema or {"type": "string"}}


def _held() -> Json:
    run = r"[0-9]+/[0-9]+-[0-9]+"
    about = "Runs of consecutive entries that the gateway holds, epoch/first-last: what lies in none of them never comes."
    schema = {"type": "string", "pattern": f"^({run}(, {run})*)?$"}
    return {"name": HELD, "in": "header", "required": True, "description": about, "schema": schema}


def _packed() -> Json:
    about = "gzip, of bodies above 1,000 bytes; who answers 415 or 400 gets them plain."
    return {"name": "Content-Encoding", "in": "header", "required": False, "description": about, "schema": {"enum": ["gzip"]}}


def _body(kind: str, references: list[str]) -> Json:
    schema: Json = {"$ref": references[0]} if len(references) == 1 else {"oneOf": [{"$ref": one} for one in references]}
    if kind == LINES:
        schema = {"type": "string", "description": "JSON Lines: each line is one entry", "x-line": schema}
    return {"required": True, "content": {kind: {"schema": schema}}}


def _responses(reactions: Iterable[Reaction], schemas: Mapping[str, str]) -> Json:
    """Return an answer for each status, and for each class of which all is alike."""
    made: Json = {}
    for row in reactions:
        for status in _statuses(row.when):
            then = f"{row.then}; alarm `{row.finding}`" if row.finding and row.finding not in row.then else row.then
            made[status] = _answer(then, schemas.get(status) or (schemas.get("200") if status == "2XX" else None))
    return dict(sorted(made.items()))


def _statuses(when: str) -> Iterable[str]:
    for run in when.split(", "):
        first, _, last = run.partition(" to ")
        if last and int(last) - int(first) > LONG_RUN:  # of a class what is not named otherwise
            yield f"{first[0]}XX"
        else:
            yield from map(str, range(int(first), int(last or first) + 1))


def _answer(description: str, schema: str | None) -> Json:
    content = {} if schema is None else {"content": {"application/json": {"schema": {"$ref": f"{REF}{schema}"}}}}
    return {"description": description, **content}
