"""The address space of a simulated PLC: made directly, because asyncua's way takes a millisecond per node."""

from collections.abc import Mapping
from typing import Any

from asyncua import ua as _ua
from asyncua.server.address_space import AttributeValue, NodeData

from config.grammars.addresses import OpcUaAddress

ua: Any = _ua
BUILT_IN = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 8: 8, 9: 9, 10: 10, 11: 11, 12: 12, 13: 13, 14: 14, 15: 15, 21: 21, 22: 22}
_KINDS = {"i": ua.NodeIdType.Numeric, "s": ua.NodeIdType.String, "g": ua.NodeIdType.Guid, "b": ua.NodeIdType.ByteString}


def node_id(address: OpcUaAddress, namespaces: Mapping[str, int], short: Mapping[str, str]) -> Any:
    """Make the NodeId of an address, with this server's namespace indexes."""
    uri = address.namespace_uri if address.namespace is None else short[address.namespace]
    index = (address.namespace_index or 0) if uri is None else namespaces[uri]
    return ua.NodeId(address.identifier, index, _KINDS[address.kind])


class OwnNodes(dict[Any, Any]):
    """A server's own nodes over those that all servers share, each copied at its first use.

    What a server changes it replaces, it never changes a value in place. Of six thousand standard nodes it asks for some hundreds.
    """

    def __init__(self, shared: Mapping[Any, Any]) -> None:
        super().__init__(shared)
        self._shared = frozenset(map(id, shared.values()))

    def __getitem__(self, node: Any) -> Any:
        data = super().__getitem__(node)
        if id(data) in self._shared:
            data = self[node] = _copied(data)
        return data

    def get(self, node: Any, default: Any = None) -> Any:
        """As of a dict."""
        return default if super().get(node) is None else self[node]

    def values(self) -> Any:
        """As of a dict: all of them are asked for now."""
        for node in self:
            self[node]
        return super().values()


def _copied(data: Any) -> Any:
    mine = NodeData(data.nodeid)
    mine.references = list(data.references)
    mine.attributes = {key: AttributeValue(attribute.value) for key, attribute in data.attributes.items()}
    mine.call = data.call
    return mine


def add_variable(space: Any, parent: Any, node: Any, name: Any, data_type: Any, *, rank: int = -1, access: int = 1) -> None:
    """Add a variable below `parent`, without a value yet. name: a QualifiedName."""
    qualified = name
    attributes = {
        ua.AttributeIds.NodeId: ua.Variant(node, ua.VariantType.NodeId),
        ua.AttributeIds.NodeClass: ua.Variant(ua.NodeClass.Variable, ua.VariantType.Int32),
        ua.AttributeIds.BrowseName: ua.Variant(qualified, ua.VariantType.QualifiedName),
        ua.AttributeIds.DisplayName: ua.Variant(ua.LocalizedText(name.Name), ua.VariantType.LocalizedText),
        ua.AttributeIds.DataType: ua.Variant(data_type, ua.VariantType.NodeId),
        ua.AttributeIds.ValueRank: ua.Variant(rank, ua.VariantType.Int32),
        ua.AttributeIds.AccessLevel: ua.Variant(access, ua.VariantType.Byte),
        ua.AttributeIds.UserAccessLevel: ua.Variant(access, ua.VariantType.Byte),
        ua.AttributeIds.MinimumSamplingInterval: ua.Variant(0.0, ua.VariantType.Double),
        ua.AttributeIds.Historizing: ua.Variant(False, ua.VariantType.Boolean),  # noqa: FBT003
    }
    _add(space, parent, node, attributes, qualified, ua.NodeClass.Variable, ua.ObjectIds.BaseDataVariableType, ua.ObjectIds.HasComponent)
    space[node].attributes[ua.AttributeIds.Value] = AttributeValue(ua.DataValue(ua.Variant()))


def put_property(space: Any, owner: Any, name: str, data_type: int, content: Any) -> None:
    """Give a variable a property (Part 3, 4.4.2), or another value of one that it has. content: of an ExtensionObject."""
    node = ua.NodeId(f"property:{owner.to_string()}:{name}", owner.NamespaceIndex)
    if node not in space:
        qualified = ua.QualifiedName(name, 0)
        attributes = {
            ua.AttributeIds.NodeId: ua.Variant(node, ua.VariantType.NodeId),
            ua.AttributeIds.NodeClass: ua.Variant(ua.NodeClass.Variable, ua.VariantType.Int32),
            ua.AttributeIds.BrowseName: ua.Variant(qualified, ua.VariantType.QualifiedName),
            ua.AttributeIds.DisplayName: ua.Variant(ua.LocalizedText(name), ua.VariantType.LocalizedText),
            ua.AttributeIds.DataType: ua.Variant(ua.NodeId(data_type), ua.VariantType.NodeId),
            ua.AttributeIds.ValueRank: ua.Variant(-1, ua.VariantType.Int32),
            ua.AttributeIds.AccessLevel: ua.Variant(1, ua.VariantType.Byte),
            ua.AttributeIds.UserAccessLevel: ua.Variant(1, ua.VariantType.Byte),
        }
        _add(space, owner, node, attributes, qualified, ua.NodeClass.Variable, ua.ObjectIds.PropertyType, ua.ObjectIds.HasProperty)
    space[node].attributes[ua.AttributeIds.Value] = AttributeValue(ua.DataValue(ua.Variant(content, ua.VariantType.ExtensionObject)))


def add_folder(space: Any, parent: Any, node: Any, name: Any) -> None:
    """Add a folder below `parent`. name: a QualifiedName."""
    qualified = name
    attributes = {
        ua.AttributeIds.NodeId: ua.Variant(node, ua.VariantType.NodeId),
        ua.AttributeIds.NodeClass: ua.Variant(ua.NodeClass.Object, ua.VariantType.Int32),
        ua.AttributeIds.BrowseName: ua.Variant(qualified, ua.VariantType.QualifiedName),
        ua.AttributeIds.DisplayName: ua.Variant(ua.LocalizedText(name.Name), ua.VariantType.LocalizedText),
        ua.AttributeIds.EventNotifier: ua.Variant(0, ua.VariantType.Byte),
    }
    _add(space, parent, node, attributes, qualified, ua.NodeClass.Object, ua.ObjectIds.FolderType, ua.ObjectIds.Organizes)


def add_type(space: Any, node: Any, encoding: Any, name: str) -> None:
    """Add a structure's data type and its binary encoding, which refer to each other (Part 5, 6.2; Part 6, 5.2.2.15)."""
    qualified = ua.QualifiedName(name, node.NamespaceIndex)
    attributes = {
        ua.AttributeIds.NodeId: ua.Variant(node, ua.VariantType.NodeId),
        ua.AttributeIds.NodeClass: ua.Variant(ua.NodeClass.DataType, ua.VariantType.Int32),
        ua.AttributeIds.BrowseName: ua.Variant(qualified, ua.VariantType.QualifiedName),
        ua.AttributeIds.IsAbstract: ua.Variant(False, ua.VariantType.Boolean),  # noqa: FBT003
    }
    structure = ua.NodeId(ua.ObjectIds.Structure)
    _add(space, structure, node, attributes, qualified, ua.NodeClass.DataType, 0, ua.ObjectIds.HasSubtype)
    binary = ua.QualifiedName("Default Binary", 0)
    attributes = {
        ua.AttributeIds.NodeId: ua.Variant(encoding, ua.VariantType.NodeId),
        ua.AttributeIds.NodeClass: ua.Variant(ua.NodeClass.Object, ua.VariantType.Int32),
        ua.AttributeIds.BrowseName: ua.Variant(binary, ua.VariantType.QualifiedName),
    }
    kind = ua.ObjectIds.DataTypeEncodingType
    _add(space, node, encoding, attributes, binary, ua.NodeClass.Object, kind, ua.ObjectIds.HasEncoding)
    space[node].references.append(_reference(ua.ObjectIds.HasSubtype, structure, None, ua.NodeClass.DataType, 0, forward=False))
    space[encoding].references.append(_reference(ua.ObjectIds.HasEncoding, node, qualified, ua.NodeClass.DataType, 0, forward=False))


def _add(space: Any, parent: Any, node: Any, attributes: Any, name: Any, node_class: Any, type_id: int, reference: int) -> None:
    data = NodeData(node)
    data.attributes = {key: AttributeValue(ua.DataValue(value)) for key, value in attributes.items()}
    data.references.append(
        _reference(ua.ObjectIds.HasTypeDefinition, ua.NodeId(type_id), None, ua.NodeClass.Unspecified, type_id, forward=True)
    )
    space[node] = data
    space[parent].references.append(_reference(reference, node, name, node_class, type_id, forward=True))


def _reference(kind: int, target: Any, name: Any, node_class: Any, type_id: int, *, forward: bool) -> Any:
    reference = ua.ReferenceDescription()
    reference.ReferenceTypeId, reference.IsForward, reference.NodeId = ua.NodeId(kind), forward, target
    reference.NodeClass, reference.TypeDefinition = node_class, ua.NodeId(type_id)
    if name is not None:
        reference.BrowseName, reference.DisplayName = name, ua.LocalizedText(name.Name)
    return reference
