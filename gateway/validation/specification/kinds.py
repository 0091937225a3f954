"""What is so of every interface of a kind: protocol and profile, time, retries, what a site tries, what the other side looks at anew.

Numbers are those of the modules that hold to them.
"""

from collections.abc import Mapping
from typing import NamedTuple

from gateway.changes.impact import TESTS
from gateway.evidence.witness import ANSWER_WITHIN_S, MOST_WAITING
from gateway.intake.push import BODY_S, MAX_BODY_BYTES
from gateway.listening.bounds import BURST, REQUESTS_PER_S
from gateway.listening.port import IN_ALL, PER_PEER
from gateway.operation.views import MADE_PER_S
from gateway.reconciliation.answer import MOST_SPANS
from gateway.uplink.bounded_client import MAX_PACKET_BYTES
from gateway.uplink.forward import REFUSED_WAIT_S
from gateway.uplink.http_status import LONGEST_RETRY_AFTER_S
from gateway.uplink.https import ATTEMPT_S, CONNECT_S, HELD, PAGE_BYTES, PAGE_ENTRIES, SLOWEST_BYTES_PER_S
from gateway.uplink.mqtt import ACK_SILENCE_S, KEEPALIVE_S, MAX_INFLIGHT, MIN_PACKET_BYTES, SESSION_S
from gateway.uplink.patience import ALARM_AFTER_S
from gateway.uplink.receipt import MAX_RECEIPT_BYTES, MAX_REJECTED
from gateway.uplink.records import ORDER_AGAIN_S, ORDER_PATIENCE_S, TYPES
from gateway.uplink.transport import MAX_ENTRY_BYTES, MAX_RUNS
from gateway.uplink.unaccepted import ASK_EVERY_S, SCHEMA_UNSUPPORTED

__all__ = ["KINDS", "SOURCE", "Kind"]


class Kind(NamedTuple):
    """Facts of a kind of interface. change: kind of the changed object (`gateway.changes.impact.TESTS`) whose tests apply.

    reassess: what may change, and what the other side has to look at then.
    """

    direction: str
    partner: str
    protocol: str
    profile: tuple[str, ...]
    time: str
    retry: str
    quarantine: str
    change: str
    reassess: tuple[tuple[str, str], ...]
    tests: tuple[tuple[str, str], ...]

    @property
    def required(self) -> tuple[str, ...]:
        """What has to be shown again after a change."""
        return TESTS.get(self.change, ())


_SOURCE_TIME = (
    "Time stamps of the source come in with its values where the protocol has them, beside when the gateway asked and when the answer came "
    "(UTC); which of them is the event time says the tag's time authority. None is sent to the source, and its clock is not set."
)
_READ_ONLY = "read only: nothing is written to the source, no value, no setting, no clock"
_SOURCE_RETRY = (
    "a link that is lost opens a gap of its tags at the last observation; tried again after 0.5 to 10 s, for ever; the first observation "
    "closes the gap"
)
_SOURCE_QUARANTINE = "none: one bad element (value, row, file, message) becomes a Bad reading, a finding or a gap, and stops no other"
_SOURCE_REASSESS = (
    ("an address, type, unit, scale or code table of a tag", "that the device still says this there: `probe`, loop check of the tag"),
    ("a rate, a query, a pattern", "the load on the device, database or share"),
    ("protection or account", "rights of the account: read only, nothing else"),
)
_SOURCE_TESTS = (
    ("`ebr-gateway probe LINE`", "each tag ok: type, unit and address as in the map"),
    ("cut the link, restore it", "a gap of exactly its tags, from the last observation before to the first after; nothing else is touched"),
    ("give one value that can not be right", "a Bad reading or a finding for that element alone"),
    ("loop check of each critical tag", "the value in the record is the one at the instrument, within its tolerance"),
)


def _source(protocol: str, *profile: str) -> Kind:
    return Kind(
        *("in", "device or system that is read", protocol, (_READ_ONLY, *profile), _SOURCE_TIME, _SOURCE_RETRY, _SOURCE_QUARANTINE),
        change="source",
        reassess=_SOURCE_REASSESS,
        tests=_SOURCE_TESTS,
    )


SOURCE = _source("as its driver's package says", "a driver of another distribution: ask its maker for what it does on the wire")

_UPLINK_TIME = (
    "Every time goes from the gateway to the receiver: RFC 3339 in UTC, `time` of the entry with the clock's state and bound beside it, "
    "ticks of 100 ns since `time_base` in readings. No time of the receiver comes back, and none is taken from it."
)
_UPLINK_RETRY = (
    "at least once: an entry is sent again until a receipt proves it, in the order (epoch, seq); after `resend_after_s` without progress "
    f"the whole window, then one entry at a time; alarm after {ALARM_AFTER_S:.0f} s without progress; refused: every {REFUSED_WAIT_S:.0f} s"
)
_UPLINK_QUARANTINE = (
    f"an entry that a receipt lists in `rejected` (at most {MAX_REJECTED:,}) waits here, and keeps its segment from being pruned, until a "
    "receipt no longer lists it, or a person has it sent again or disposes of it (`ebr-gateway quarantine`); its batch stays incomplete. "
    f"One with the code `{SCHEMA_UNSUPPORTED}` is no quarantine: nothing more is sent, what is read is stored, the receiver is asked with "
    f"that entry every {ASK_EVERY_S:.0f} s, and from there on all comes when it is accepted"
)
_UPLINK_REASSESS = (
    ("a schema", "the receiver's parser, and every computation on the members that changed"),
    ("a field, its unit, type or precision", "the mapping of this field, its limits and its display"),
    ("a step, booking, sample or alarm", "the master record that names it"),
    ("an answer and what follows it", "the receiver's error handling"),
    ("protection, account, version of the protocol", "certificates, access list, broker or proxy"),
)
_UPLINK_TESTS = (
    ("run one batch", "the receiver holds every entry; `ebr-gateway status` shows 0 entries without a receipt"),
    ("cut the link for longer than `resend_after_s`, restore it", "nothing lost, nothing twice in the record; live copies meanwhile"),
    ("have the receiver reject one entry", "alarm `uplink-rejected`, `ebr-gateway quarantine list` shows it, later entries flow"),
    (
        f"have the receiver refuse one schema and version (`{SCHEMA_UNSUPPORTED}`), then accept it",
        f"alarm `uplink-{SCHEMA_UNSUPPORTED}`, the uplink is `held`, storing goes on; then everything comes, once",
    ),
    ("send a receipt with a wrong digest", "alarm `uplink-receipt-digest-mismatch`, nothing moves"),
    ("show a certificate that the other side does not trust", "alarm `uplink-certificate`, nothing is sent"),
    ("send the same page twice", "success, held once"),
    ("change one entry in a copy of the receiver's store, `ebr-gateway reconcile LINE --ebr COPY`", "the entry is named; exit 1"),
)
_MQTT = (
    f"QoS 1, at most {MAX_INFLIGHT} messages without PUBACK, or the broker's Receive Maximum; entries not retained, no expiry",
    f"keep-alive {KEEPALIVE_S} s; session kept {SESSION_S} s (MQTT 5); without any PUBACK for {ACK_SILENCE_S:.0f} s connected anew",
    f"Maximum Packet Size: the broker has to take {MIN_PACKET_BYTES:,} bytes; the gateway takes {MAX_PACKET_BYTES:,} and says so",
    "client id `ebr-gateway_SITE_LINE_UPLINK` unless configured",
    "publishes on `entries`, `online` (retained, with a will) and `live`, or on `online` and `records/#`; subscribes to `receipts`",
    "asks on `questions` and waits on `answers/+`, on a connection of its own: client id with `_reconcile_` and 16 digits, no session",
)
_HTTPS = (
    "HTTP/1.1; redirects are never followed, no cookies, no proxy of the environment; answers are asked for unpacked",
    f"one page at a time: at most {PAGE_ENTRIES:,} entries and {PAGE_BYTES:,} bytes (one entry may be longer than a page)",
    f"connects within {CONNECT_S:.0f} s; an attempt may take {ATTEMPT_S:.0f} s and its bytes at {SLOWEST_BYTES_PER_S:,} B/s",
    f"Retry-After is honoured up to {LONGEST_RETRY_AFTER_S:.0f} s",
)
_ENTRIES = (
    f"an entry is at most {MAX_ENTRY_BYTES:,} bytes; the stored bytes are sent as they are",
    f"a receipt is at most {MAX_RECEIPT_BYTES:,} bytes; only receipts acknowledge, a transport's acknowledgement (PUBACK, 2xx) never does",
    f"runs that are held: the oldest {MAX_RUNS} from the receiver's place on, in `online` or in the header `{HELD}`",
)
_RECORDS = (
    f"records one after the other: the entries with an event of type {', '.join(sorted(TYPES))}, each as its stored bytes; no chain",
    f"an order or batch that is not known yet: asked again every {ORDER_AGAIN_S:.0f} s for {ORDER_PATIENCE_S / 60:.0f} minutes",
)


def _held(where: str) -> str:
    return (
        f"asked what it holds, by count and Merkle root: {where}, on demand, and with `reconcile = true` each day and within an hour "
        f"after a batch's end; an answer has at most {MOST_SPANS} roots and {MAX_RECEIPT_BYTES:,} bytes, and comes within "
        f"{ATTEMPT_S:.0f} s; with `reconcile = true` nothing is pruned before it was found equal"
    )


_HELD = _held("GET /gateways/{site}/{line}/reconcile")
_HELD_BY_MQTT = _held("a question on `questions`, its answer on the topic that it names")


def _uplink(protocol: str, *profile: str) -> Kind:
    return Kind(
        *("out; receipts in", "electronic batch record", protocol, profile, _UPLINK_TIME, _UPLINK_RETRY, _UPLINK_QUARANTINE),
        change="uplink",
        reassess=_UPLINK_REASSESS,
        tests=_UPLINK_TESTS,
    )


_PORT = (
    f"at most {IN_ALL} connections, {PER_PEER} from one address",
    f"{REQUESTS_PER_S:.0f} requests a second from one address after a burst of {BURST}; faster ones wait",
)
_NO_TIME = "no time goes either way as data; the entry that follows has the gateway's time"
_NONE = "none"

KINDS: Mapping[str, Kind] = {
    "driver-opcua": _source(
        "OPC UA 1.05 binary over TCP (OPC 10000-4, 10000-6)",
        "a client with one session: subscriptions with monitored items, history reads after a gap, alarms and conditions where configured",
        "acknowledges a notification only when what it brought is on disk",
    ),
    "driver-modbus": _source(
        "Modbus Application Protocol V1.1b3 over TCP, RTU over TCP, or a serial line",
        "functions 01, 02, 03, 04 and no other; reads of the tag map, as few as limits allow",
    ),
    "driver-serial": _source(
        "lines of an instrument on a serial line, a terminal server (TCP) or RFC 2217",
        "MT-SICS, SBI, or lines as they come; of commands the one that asks for a value, as configured",
    ),
    "driver-mes_sql": _source(
        "SQL, by the database's own protocol",
        "one SELECT for each query of line.toml, in a transaction that only reads, above a watermark",
    ),
    "driver-mes_file": _source(
        "files in a folder: CSV, fixed columns, JSON, JSON Lines, XML (B2MML)",
        "a file is read when it is whole; none is renamed, moved or removed",
    ),
    "uplink-mqtt-entries": _uplink("MQTT", *_MQTT, *_ENTRIES, _HELD_BY_MQTT),
    "uplink-mqtt-records": _uplink("MQTT", *_MQTT, *_RECORDS),
    "uplink-https-entries": _uplink("HTTPS", *_HTTPS, *_ENTRIES, _HELD),
    "uplink-https-records": _uplink("HTTPS", *_HTTPS, *_RECORDS),
    "push": Kind(
        direction="in",
        partner="system that sends order parameters",
        protocol="HTTPS",
        profile=(*_PORT, f"a body of at most {MAX_BODY_BYTES:,} bytes, here within {BODY_S:.0f} s; answered when it is on disk"),
        time="none comes in: an order is of the time at which it is taken, which its entry has",
        retry="the sender's: the same body again is harmless; 408, 429 and 503 ask for it",
        quarantine="none: what is refused stands in the journal as finding `push-refused`, and is not taken",
        change="push",
        reassess=(
            ("the identities that an equipment is pushed, or their patterns", "what the sender puts into the body"),
            ("protection or token", "certificate and token of the sender"),
        ),
        tests=(
            ("push one order", "200 with its place; the same in `ebr-gateway log LINE`"),
            ("push with a wrong token, an unknown equipment, a member too many", "401, 404, 422; finding `push-refused`; nothing is taken"),
            (
                "stop the gateway while pushing",
                "200 and the entry is there, or no answer; the same body again is right in both cases",
            ),
        ),
    ),
    "page": Kind(
        direction="out",
        partner="persons at the line, the site's monitoring",
        protocol="HTTPS",
        profile=(*_PORT, f"reading only, but for alarms by who is logged in; made anew at most {MADE_PER_S:.0f} times a second"),
        time=_NO_TIME,
        retry="the asker's",
        quarantine=_NONE,
        change="web",
        reassess=(("a member of the status, a metric", "dashboards and alarm rules of the site's monitoring"), ("login", "accounts")),
        tests=(("ask for /status and /metrics from the monitoring", "they are read; problems is empty when all is in order"),),
    ),
    "control": Kind(
        direction="in",
        partner="`ebr-gateway` of this same release, on this machine",
        protocol="HTTP/1.1 over a Unix socket",
        profile=("0600 beside the journal; the one of [users] 0660 of its group", "no contract with other programs: use `ebr-gateway`"),
        time=_NO_TIME,
        retry="the asker's",
        quarantine=_NONE,
        change="users",
        reassess=(("a command, or a role that may give it", "work instructions that name it"),),
        tests=(("each role gives a command that it may, and one that it may not", "done; refused and in the audit trail"),),
    ),
    "witness": Kind(
        direction="out",
        partner="keeper of signed checkpoints outside the machine",
        protocol="HTTPS PUT, or a file in a folder",
        profile=(
            "PUT {endpoint}/{site}/{line}/{epoch}/{size}, body: the checkpoint as a C2SP signed note (text/plain)",
            "200, 201, 204: kept; 409: another one is held there",
            f"answers within {ANSWER_WITHIN_S:.0f} s; of more than {MOST_WAITING:,} that wait the oldest go: newer ones prove what they do",
        ),
        time="none as data; the note names epoch and size",
        retry="alarm `witness-away`, tried again every few seconds; nothing else waits for it",
        quarantine=_NONE,
        change="witness",
        reassess=(("form of the note, key", "who verifies by them"),),
        tests=(("`ebr-gateway verify LINE --checkpoint FOLDER`", "good; after a journal is set back: bad"),),
    ),
    "notify": Kind(
        direction="out",
        partner="persons, by e-mail or a webhook",
        protocol="SMTP or HTTPS POST",
        profile=("e-mail with STARTTLS or TLS; a webhook gets JSON: gateway, subject, text, alarms",),
        time="local and UTC of each alarm, in words",
        retry="alarm `notify-failed`, tried again; told once it arrives",
        quarantine=_NONE,
        change="notify",
        reassess=(("form of the message", "who reads it by a program"),),
        tests=(("`ebr-gateway alarms test-message LINE --to NAME`", "the message arrives"),),
    ),
    "ntp": Kind(
        direction="in",
        partner="time server",
        protocol="NTP (RFC 5905), as an SNTP client",
        profile=("asked only to compare: the clock itself is set by the operating system",),
        time="the server's time comes in and is compared with the gateway's; it stamps nothing",
        retry="asked again at each round; a server that does not answer is no evidence",
        quarantine=_NONE,
        change="clock",
        reassess=(("the servers", "that they are those of the site"),),
        tests=(("`ebr-gateway time LINE`", "synchronised, with a bound below the limit"),),
    ),
    "backup": Kind(
        direction="out",
        partner="folder for copies of the journal",
        protocol="files",
        profile=("a copy that was verified, or none; the oldest go",),
        time="none",
        retry="alarm `backup-failed`, tried again after minutes",
        quarantine=_NONE,
        change="backup",
        reassess=(("the form of the journal", "who reads the copies by another program: use `ebr-gateway restore`"),),
        tests=(("restore a copy elsewhere and `ebr-gateway verify` it", "good"),),
    ),
}
"""By the name of the release's part in a contract."""
