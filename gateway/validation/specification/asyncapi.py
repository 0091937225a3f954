"""AsyncAPI 3.0 of an uplink by MQTT, as this gateway is: it sends on the entries, it receives on the receipts."""

from typing import Any
from urllib.parse import urlsplit

from config import Line, Uplink
from gateway.uplink import topics
from gateway.uplink.bounded_client import MAX_PACKET_BYTES
from gateway.uplink.https import ATTEMPT_S
from gateway.uplink.mqtt import KEEPALIVE_S, SESSION_S
from gateway.uplink.records import TYPES
from gateway.validation.specification.openapi import FORM_VERSION
from gateway.validation.specification.schemas import REF, components

ASYNCAPI = "3.0.0"
BINDING = "0.2.0"
Json = dict[str, Any]

MESSAGES = {
    "readings": ("entry-readings", "An entry with readings of one source, its stored bytes"),
    "event": ("entry-event", "An entry with one event, its stored bytes"),
    "receipt": ("uplink-receipt", "Through which entry the receiver holds everything, proved by its digest"),
    "outcome": ("uplink-outcome", "What became of one record"),
    "online": ("uplink-online", "Whether the gateway is connected, and what it holds"),
    "question": ("uplink-held-question", "What the receiver holds now: which epochs, or counts and Merkle roots of a range"),
    "held-streams": ("uplink-held-streams", "The epochs of which entries are held"),
    "held-spans": ("uplink-held-spans", "How many entries of a range are held, and under which roots"),
    "held-not-told": ("uplink-held-not-told", "Why that can not be said: nothing is compared by it"),
}
REPLIES = {"questions": "answers"}
"""On which channel what is sent on another one is answered."""
Channel = tuple[str, tuple[str, ...], int, bool, str]
"""What the gateway does on it, which messages, QoS, whether retained, and what is to be known."""
ENTRIES: dict[str, Channel] = {
    "entries": ("send", ("readings", "event"), 1, False, "one entry a message; the same one may come again"),
    "receipts": ("receive", ("receipt",), 1, False, "after each entry, gathered for 100 ms at most; never retained"),
    "online": ("send", ("online",), 1, True, "retained; with a will that says `online` false"),
    "live": ("send", ("readings", "event"), 0, False, "copies while receipts are behind: store nothing from them"),
    "questions": ("send", ("question",), 1, False, "one at a time; expires when nobody waits for its answer any more (MQTT 5)"),
    "answers": ("receive", ("held-streams", "held-spans", "held-not-told"), 1, False, f"within {ATTEMPT_S:.0f} s, once; never retained"),
}
RECORDS: dict[str, Channel] = {
    "records": ("send", ("event",), 1, False, "one record a message; the next one after the outcome of this"),
    "receipts": ("receive", ("outcome",), 1, False, "the outcome of each record"),
    "online": ENTRIES["online"],
}


def uplink(line: Line, settings: Uplink) -> Json:
    """Return the channels of an MQTT uplink."""
    topic, table = topics.base(settings, line.gateway), ENTRIES if settings.profile == "entries" else RECORDS
    used = sorted({name for _, names, *_ in table.values() for name in names})
    schemas = {name: _draft_7(schema) for name, schema in components(MESSAGES[name][0] for name in used).items()}
    return {
        "asyncapi": ASYNCAPI,
        "info": {
            "title": f"{line.gateway}: Uplink {settings.name}",
            "version": FORM_VERSION,
            "description": "As the gateway is: what it sends you receive. Rules that bind both sides beyond each message: docs/uplink.md.",
        },
        "defaultContentType": "application/json",
        "servers": {"broker": _server(line, settings, topic)},
        "channels": {name: _channel(topic, name, row[1]) for name, row in table.items()},
        "operations": {f"{row[0]}_{name}": _operation(name, *row) for name, row in table.items()},
        "components": {"schemas": schemas, "messages": {name: _message(name) for name in used}, **_schemes(settings)},
    }


def _server(line: Line, settings: Uplink, topic: str) -> Json:
    url = urlsplit(settings.endpoint)
    client = settings.client_id or "_".join(("ebr-gateway", *line.gateway.split("/"), settings.name))
    will = {"topic": f"{topic}/online", "qos": 1, "message": '{"online":false, ...}', "retain": True}
    five = {"sessionExpiryInterval": SESSION_S, "maximumPacketSize": MAX_PACKET_BYTES} if settings.version == "5" else {}
    security = [] if settings.user is None else [{"$ref": "#/components/securitySchemes/user"}]
    return {
        "host": f"{url.hostname}:{url.port or (8883 if url.scheme == 'mqtts' else 1883)}",
        "protocol": "mqtt" if url.scheme == "mqtt" else "secure-mqtt",
        "protocolVersion": settings.version,
        **({"security": security} if security else {}),
        "bindings": {
            "mqtt": {
                "clientId": client,
                "cleanSession": False,
                "keepAlive": KEEPALIVE_S,
                "lastWill": will,
                **five,
                "bindingVersion": BINDING,
            }
        },
    }


def _schemes(settings: Uplink) -> Json:
    return {} if settings.user is None else {"securitySchemes": {"user": {"type": "userPassword"}}}


def _channel(topic: str, name: str, messages: tuple[str, ...]) -> Json:
    made: Json = {
        "address": f"{topic}/{name}",
        "messages": {one: {"$ref": f"#/components/messages/{one}"} for one in messages},
    }
    if name == "records":
        made["address"] += "/{equipment}/{type}"
        made["parameters"] = {
            "equipment": {"description": "the equipment's name, `line` where there is none; percent-encoded"},
            "type": {"enum": sorted(TYPES)},
        }
    if name == "answers":
        made["address"] += "/{asker}"
        made["parameters"] = {"asker": {"description": "of the connection that asks: another one each time"}}
    return made


def _operation(name: str, action: str, messages: tuple[str, ...], qos: int, retained: bool, about: str) -> Json:  # noqa: FBT001 - a row
    reply: Json = {"address": {"location": "$message.payload#/answer_to"}, "channel": {"$ref": f"#/channels/{REPLIES.get(name)}"}}
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{name}"},
        **({"reply": reply} if name in REPLIES else {}),
        "summary": about,
        "messages": [{"$ref": f"#/channels/{name}/messages/{one}"} for one in messages],
        "bindings": {"mqtt": {"qos": qos, "retain": retained, "bindingVersion": BINDING}},
    }


def _message(name: str) -> Json:
    schema, about = MESSAGES[name]
    correlated = {"correlationId": {"location": "$message.payload#/id"}} if schema.startswith("uplink-held-") else {}
    return {"name": name, "summary": about, "contentType": "application/json", **correlated, "payload": {"$ref": f"{REF}{schema}"}}


def _draft_7(schema: Any) -> Any:
    """Write tuples and discriminators as AsyncAPI's own schema language has them, which is that of draft 07."""
    if isinstance(schema, list):
        return [_draft_7(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    told = schema.get("discriminator")
    made = {"items" if name == "prefixItems" else name: _draft_7(one) for name, one in schema.items()}
    return made | {"discriminator": told["propertyName"]} if isinstance(told, dict) and "propertyName" in told else made
