"""A simulated PLC with an OPC UA server: any source of a line folder, at the addresses of its tag map."""

import asyncio
import gc
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncua
from asyncua import ua as _ua
from asyncua.common.connection import TransportLimits
from asyncua.common.utils import Buffer
from asyncua.server import binary_server_asyncio
from asyncua.ua.ua_binary import variant_from_binary
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from config import Source, Tag
from config.grammars.addresses import OpcUaAddress, parse
from simulators.device import Truth
from simulators.opcua_plc import declared, encode, shapes, space
from simulators.opcua_plc.conditions import Conditions, Event
from simulators.opcua_plc.history import History
from simulators.opcua_plc.items import Value
from simulators.opcua_plc.own_clock import OwnClock
from simulators.opcua_plc.processor import Processor
from simulators.opcua_plc.subscriptions import Subscriptions
from simulators.opcua_plc.switches import Switches
from simulators.opcua_plc.users import Users

ua: Any = _ua
binary_server_asyncio.UaProcessor = Processor  # type: ignore[attr-defined] # falls back to asyncua's own behaviour for servers that are not ours
logging.getLogger("asyncua").setLevel(logging.CRITICAL)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POLICIES = [
    ua.SecurityPolicyType.NoSecurity,
    ua.SecurityPolicyType.Basic256Sha256_Sign,
    ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    ua.SecurityPolicyType.Aes128Sha256RsaOaep_Sign,
    ua.SecurityPolicyType.Aes128Sha256RsaOaep_SignAndEncrypt,
    ua.SecurityPolicyType.Aes256Sha256RsaPss_Sign,
    ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
]


class _Limits(TransportLimits):
    """A server's limits that its Acknowledge may keep to itself."""

    tells = True

    def create_acknowledge_and_set_limits(self, msg: Any) -> Any:
        """Answer a Hello."""
        answer = super().create_acknowledge_and_set_limits(msg)
        if not self.tells:
            answer.MaxMessageSize = answer.MaxChunkCount = ua.UInt32(0)
        return answer


_standard: dict[Any, Any] | None = None


class _Node:
    """One variable of the PLC: its tags (one, the elements of an array, or the fields of a structure) and its value."""

    def __init__(self, address: OpcUaAddress, tags: list[tuple[Tag, OpcUaAddress]]) -> None:
        self.address, self.tags = address, tags
        self.id: Any = None
        self.encoding: Any = None
        self.shape = _shape(tags) if any(address.field for _, address in tags) else None
        self.fields: dict[tuple[str, ...], Any] = {}  # a structure's raw values by path
        self.is_array = self.shape is None and bool(tags[0][1].index)
        self.type = encode.TYPE_NUMBERS[tags[0][0].type]
        size = max((address.index[0] for _, address in tags if address.index), default=0) + 1
        first = encode.FIRST.get(tags[0][0].type, 0)
        self.raw: Any = [first] * size if self.is_array else first
        self.value = Value(b"\x00", 0x80320000, None, None)  # BadWaitingForInitialData until the process has set it


def _shape(tags: Sequence[tuple[Tag, OpcUaAddress]]) -> shapes.Shape:
    shape = shapes.Shape()
    for tag, address in tags:
        shape.put(shapes.path_of(address.index, address.field), tag.type)
    return shape


class OpcUaPlc:
    """A Device. Port 0 takes a free port, told by `port` after start and kept over a restart.

    switches: what the server is made to do wrong. users: names and passwords; empty lets everybody in.
    certificate: (cert.der, key.pem) files, which switch the secured endpoints on. extra_namespaces stand before ours: change it between
    stop and start to move the index.
    """

    def __init__(
        self,
        source: Source,
        tags: Sequence[Tag],
        truth: Truth,
        *,
        users: Mapping[str, str] | None = None,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        parts = urlsplit(source.endpoints[0])
        self.host, self.port = parts.hostname or "127.0.0.1", 4840 if parts.port is None else parts.port
        self.switches, self.clock = Switches(), OwnClock()
        self.extra_namespaces: list[str] = []
        self.hidden: set[str] = set()  # tags whose node the server does not have at its next start
        self.renamed_manufacturer = "ebr-gateway"
        self.user_certificates: set[bytes] = set()  # DER of the users' certificates that are let in, from the next start on
        self.policies = list(_POLICIES)  # what a secured server offers from its next start on
        self._short: Mapping[str, str] = source.options.get("namespaces", {})
        self._truth, self._users, self._certificate = truth, dict(users or {}), certificate
        self._nodes = self._planned(tags)
        self._of_tag = {tag.tag: (node, tag, address) for node in self._nodes for tag, address in node.tags}
        self._by_id: dict[Any, _Node] = {}
        self._server: Any = None
        self._last_id = 1000  # of nodes that have a path and no id: another one at each start, as on servers that renumber
        self.history = History()
        self.subscriptions = Subscriptions(self.switches, self._value_of, self.clock)
        self.conditions = Conditions(self._happened)

    def _happened(self, event: Event) -> None:
        self.subscriptions.happened(event)  # those of today: a restart begins with others

    @staticmethod
    def _planned(tags: Sequence[Tag]) -> list[_Node]:
        grouped: dict[OpcUaAddress, list[tuple[Tag, OpcUaAddress]]] = {}
        for tag in tags:
            address = parse("opcua", tag.address)
            assert isinstance(address, OpcUaAddress)
            grouped.setdefault(address.node, []).append((tag, address))
        return [_Node(members[0][1], members) for members in grouped.values()]

    @property
    def url(self) -> str:
        """The URL at which it listens."""
        return f"opc.tcp://{self.host}:{self.port}"

    async def start(self) -> None:
        """See Device."""
        self._server = await self._made()
        for node in self._nodes:
            if not self.hidden.intersection(tag.tag for tag, _ in node.tags):
                self._place(node)
        await self._server.start()
        if self.port == 0:
            self.port = self._server.bserver.port

    async def stop(self) -> None:
        """See Device. Subscriptions are lost, as after a power cut."""
        server, self._server = self._server, None
        if server is None:
            return
        await self.subscriptions.delete_subscriptions(list(self.subscriptions.subscriptions))
        listening = None if server.bserver is None else server.bserver._server  # noqa: SLF001 - none if it was ended while it started
        if listening is not None:
            listening.close()  # nobody new: asyncua ends connections first, and then waits for one that came since
        for _ in range(3):  # those accepted just now are callbacks that have not run yet
            for transport in list(server.iserver.asyncio_transports):
                transport.abort()
            await asyncio.sleep(0)
        for session in list(server.iserver._external_sessions.values()):  # noqa: SLF001
            await session.close_session(delete_subs=True)
        await server.stop()
        self.subscriptions = Subscriptions(self.switches, self._value_of, self.clock)
        self._by_id.clear()

    async def set(self, values: Mapping[str, Any], ticks: int) -> None:
        """See Device. The source time of every value is `ticks` as this PLC's own clock shows it; None makes a tag Bad (sensor failure)."""
        touched: dict[int, tuple[_Node, int]] = {}
        ticks = self.clock.shown(ticks)
        for name, value in values.items():
            node, tag, address = self._of_tag[name]
            status = 0x808C0000 if value is None else 0
            raw = None if value is None else encode.raw_of(tag, value)
            self._truth.made(name, ticks, encode.meaning_of(tag, raw), status)
            if node.shape is not None:
                node.fields[shapes.path_of(address.index, address.field)] = raw
            elif node.is_array:
                node.raw[address.index[0]] = raw
            else:
                node.raw = raw
            touched[id(node)] = (node, status)
        for node, status in touched.values():
            self._store(node, status, ticks)

    def set_status(self, name: str, status: int, ticks: int) -> None:
        """Keep a tag's value under another status (Uncertain, SemanticsChanged, ...)."""
        node, tag, _ = self._of_tag[name]
        ticks = self.clock.shown(ticks)
        self._truth.made(name, ticks, encode.meaning_of(tag, node.raw), status)
        self._store(node, status, ticks)

    def set_variant(self, name: str, variant: bytes, ticks: int, status: int = 0) -> None:
        """Give the tag's node this encoded Variant: for types that the map does not expect."""
        node, _, _ = self._of_tag[name]
        node.value = Value(variant, status, self.clock.shown(ticks), self.clock.ticks())
        self.subscriptions.changed(node.id, node.value)

    def set_no_number(self, name: str, ticks: int) -> None:
        """Give a tag of floats NaN, as a division by zero in the PLC does, and say Good of it."""
        node, _, _ = self._of_tag[name]
        self._truth.made(name, self.clock.shown(ticks), None)
        self.set_variant(name, encode.variant(node.type, float("nan")), ticks)

    def set_other_type(self, name: str, value: str | float, ticks: int) -> None:
        """Give a tag a value as text, Int64 or Double, whatever its type was, and say Good of it: a program that was downloaded anew."""
        number = {str: "string", int: "int64", float: "float64"}[type(value)]
        self._truth.made(name, self.clock.shown(ticks), value)
        self.set_variant(name, encode.variant(encode.TYPE_NUMBERS[number], value), ticks)

    def declare(self, name: str, unit: str, ticks: int) -> None:
        """Say this unit of a tag from now on, and of its value that its semantics changed."""
        node, tag, _ = self._of_tag[name]
        declared.put(self._server.iserver.aspace, node.id, tag, unit)
        self.set_status(name, declared.SEMANTICS_CHANGED, ticks)

    def remove(self, name: str) -> None:
        """Remove a node, as a download to the PLC does; its monitored items report it."""
        node, _, _ = self._of_tag[name]
        self._by_id.pop(node.id, None)
        self.subscriptions.changed(node.id, Value(b"\x00", 0x80340000, None, self.clock.ticks()))
        self.subscriptions.watchers.pop(node.id, None)
        self._server.iserver.aspace._nodes.pop(node.id, None)  # noqa: SLF001

    def restore(self, name: str) -> None:
        """Add a removed node again."""
        node, _, _ = self._of_tag[name]
        self._place(node)

    def drop_subscriptions(self) -> None:
        """Forget all subscriptions, as after an internal reset of the server; sessions stay."""
        for number in list(self.subscriptions.subscriptions):
            subscription = self.subscriptions.subscriptions.pop(number)
            for item in subscription.items.values():
                self.subscriptions.unwatch(subscription, item)

    def _store(self, node: _Node, status: int, ticks: int) -> None:
        raw: Any = node.raw
        if node.tags[0][0].type.startswith("bcd") and raw is not None:
            raw = [encode.bcd(element) for element in raw] if node.is_array else encode.bcd(raw)
        variant = encode.variant(node.type, raw) if node.shape is None else shapes.variant(node.shape, node.fields, node.encoding)
        node.value = Value(variant, status, ticks, self.clock.ticks())
        if self.switches.history:
            self.history.keep(node.id, node.value)
        self.subscriptions.changed(node.id, node.value)

    def _value_of(self, node: Any) -> Value | None:
        """Find a node's value: our own as set, asyncua's (ServerStatus, ...) as it is."""
        ours = self._by_id.get(node)
        return None if ours is None else ours.value

    async def _made(self) -> Any:
        """Make a server with its standard nodes, from a copy made once per process (building them takes seconds)."""
        global _standard  # noqa: PLW0603 - a cache of something that never changes
        server: Any = asyncua.Server(user_manager=Users(self._users, self.user_certificates))  # type: ignore[attr-defined]
        internal = server.iserver
        if _standard is None:
            gc.disable()  # half a million objects that all stay: collecting on the way doubles the time
            try:
                await internal.load_standard_address_space()
                await internal._address_space_fixes()  # noqa: SLF001
            finally:
                gc.enable()
            _standard = internal.aspace._nodes  # noqa: SLF001
        internal.aspace._nodes = space.OwnNodes(_standard)  # noqa: SLF001
        await internal.setup_nodes()
        server.set_endpoint(f"opc.tcp://{self.host}:{self.port}/")
        server.set_server_name(self.renamed_manufacturer)
        if self.switches.message_bytes:
            server.limits = _Limits(65_535, 65_535, 1000, self.switches.message_bytes)
            server.limits.tells = self.switches.tells_message_bytes
        await self._described(server)
        internal.subscription_service = self.subscriptions
        internal.history_manager.read_history = self._read_history
        await self._secured(server)
        self._methods(server)
        now = internal.aspace[ua.NodeId(ua.ObjectIds.Server_ServerStatus_CurrentTime)]
        now.attributes[ua.AttributeIds.Value].value_callback = lambda _node, _attribute: ua.DataValue(ua.Variant(self.clock.utc()))
        internal.disabled_clock = True
        self._namespaces = {uri: await server.register_namespace(uri) for uri in [*self.extra_namespaces, *self._uris()]}
        return server

    def _uris(self) -> list[str]:
        named = [node.address.namespace_uri for node in self._nodes if node.address.namespace_uri is not None]
        return list(dict.fromkeys([*self._short.values(), *named]))

    async def _described(self, server: Any) -> None:
        await server.set_build_info(
            "urn:ebr-gateway:simulated-plc", self.renamed_manufacturer, "Simulated PLC", "1.0", "1", datetime.now(UTC)
        )
        limits = "Server_ServerCapabilities_OperationLimits_"
        operation_limits = {
            "read": "MaxNodesPerRead",
            "items": "MaxMonitoredItemsPerCall",
            "browse": "MaxNodesPerBrowse",
            "history": "MaxNodesPerHistoryReadData",
            "translate": "MaxNodesPerTranslateBrowsePathsToNodeIds",
        }
        for limit, name in operation_limits.items():
            node = server.get_node(ua.NodeId(getattr(ua.ObjectIds, limits + name)))
            await node.write_value(self.switches.limits.get(limit, 10_000), ua.VariantType.UInt32)

    async def _secured(self, server: Any) -> None:
        if self._certificate is None:
            server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
            return
        certificate, key = self._certificate
        await server.set_application_uri("urn:example:simulated-plc")
        server.iserver.certificate = x509.load_der_x509_certificate(certificate.read_bytes())
        server.iserver.private_key = serialization.load_pem_private_key(key.read_bytes(), None)
        server.set_security_policy(self.policies)

    def _methods(self, server: Any) -> None:
        async def resend(_: Any, number: Any) -> Any:
            subscription = self.subscriptions.subscriptions.get(number.Value)
            if subscription is None or not self.switches.resend_data:
                return ua.StatusCode(ua.StatusCodes.BadMethodInvalid)
            self.subscriptions.resend(subscription)
            return []

        async def monitored(_: Any, number: Any) -> Any:
            subscription = self.subscriptions.subscriptions.get(number.Value)
            if subscription is None or not self.switches.get_monitored_items:
                return ua.StatusCode(ua.StatusCodes.BadMethodInvalid)
            pairs: list[Any] = [*subscription.items.values(), *subscription.events.values()]
            lists = [[item.id for item in pairs], [item.handle for item in pairs]]
            return [ua.Variant(numbers, ua.VariantType.UInt32, is_array=True) for numbers in lists]

        async def refresh(_: Any, number: Any) -> Any:
            if not self.switches.condition_refresh:
                return ua.StatusCode(ua.StatusCodes.BadMethodInvalid)
            if self.switches.refreshes_in_progress > 0:
                self.switches.refreshes_in_progress -= 1
                return ua.StatusCode(ua.StatusCodes.BadRefreshInProgress)
            for event in self.conditions.refreshed():
                self.subscriptions.happened(event, only=number.Value)
            return []

        internal = server.iserver
        internal.isession.add_method_callback(ua.NodeId(ua.ObjectIds.ConditionType_ConditionRefresh), refresh)
        internal.isession.add_method_callback(ua.NodeId(ua.ObjectIds.Server_ResendData), resend)
        internal.isession.add_method_callback(ua.NodeId(ua.ObjectIds.Server_GetMonitoredItems), monitored)

    def _place(self, node: _Node) -> None:
        """Put a variable into the address space, in folders as its name says."""
        address_space = self._server.iserver.aspace
        if isinstance(node.address.identifier, tuple):
            names = [self._qualified(*part) for part in node.address.identifier]
            self._last_id += 1
            node.id = ua.NodeId(self._last_id, names[-1].NamespaceIndex)
        else:
            node.id = space.node_id(node.address, self._namespaces, self._short)
            parts = [part for part in str(node.address.identifier).replace('"', "").split(".") if part] or ["node"]
            names = [ua.QualifiedName(part, node.id.NamespaceIndex) for part in parts]
        parent = self._folder(names[:-1])
        access = 5 if self.switches.history else 1
        data_type, rank = ua.NodeId(node.type), 1 if node.is_array else -1
        if node.shape is not None:
            data_type, node.encoding = shapes.describe(address_space, node.shape, ".".join(n.Name for n in names), node.id.NamespaceIndex)
            rank = -1 if node.shape.element is None else 1
        space.add_variable(address_space, parent, node.id, names[-1], data_type, rank=rank, access=access)
        address_space[node.id].attributes[ua.AttributeIds.Value].value_callback = lambda _node, _attribute: _read(
            node.value, self.clock, self.switches.publish_bytes
        )
        self._by_id[node.id] = node

    def _folder(self, names: Sequence[Any]) -> Any:
        """Find the folder at the end of a path from the Objects folder on; missing ones are made."""
        parent = ua.NodeId(ua.ObjectIds.ObjectsFolder)
        for depth, name in enumerate(names, 1):
            folder = ua.NodeId("folder:" + ".".join(f"{part.NamespaceIndex}:{part.Name}" for part in names[:depth]), name.NamespaceIndex)
            if folder not in self._server.iserver.aspace:
                space.add_folder(self._server.iserver.aspace, parent, folder, name)
            parent = folder
        return parent

    def _qualified(self, prefix: str, name: str) -> Any:
        return ua.QualifiedName(name, int(prefix) if prefix.isdigit() else self._namespaces[self._short[prefix]])

    async def _read_history(self, params: Any) -> list[Any]:
        return self.history.read(params, self.switches)


def _read(value: Value, clock: OwnClock, most_bytes: int = 0) -> Any:
    """Convert a value for a Read, as asyncua wants it. What asyncua would never be done with, this server can not read either."""
    if 0 < most_bytes < len(value.variant):
        return ua.DataValue(StatusCode=ua.StatusCode(ua.StatusCodes.BadResponseTooLarge))
    if value.variant[:1] == b"\x80":
        return ua.DataValue(StatusCode=ua.StatusCode(ua.StatusCodes.BadEncodingError))
    variant = variant_from_binary(Buffer(value.variant))
    source = None if value.source is None else _EPOCH + timedelta(microseconds=value.source // 10)
    return ua.DataValue(variant, StatusCode=ua.StatusCode(value.status), SourceTimestamp=source, ServerTimestamp=clock.utc())
