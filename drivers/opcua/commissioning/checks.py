"""Check an OPC UA source before any connection."""

from collections.abc import Sequence

from config import Problem, Source, Tag
from config.grammars.addresses import AddressError, OpcUaAddress, parse
from drivers.opcua.session import certs, security
from drivers.opcua.settings import OpcUaSettings


def problems(source: Source, tags: Sequence[Tag]) -> list[Problem]:
    """Return endpoints, namespaces and types that can never work. The settings are valid already."""
    settings = OpcUaSettings.model_validate(source.options)
    problems_found = [
        Problem("line.toml", None, f"source {source.name}: endpoint {url!r} does not begin with opc.tcp://")
        for url in source.endpoints
        if not url.startswith("opc.tcp://")
    ]
    if settings.announced is not None and len(source.endpoints) > 1:
        text = f"source {source.name}: announced is the URL of one server, and there are {len(source.endpoints)} endpoints"
        problems_found.append(Problem("line.toml", None, text))
    for tag in tags:
        problems_found += _of_tag(settings, tag)
    if settings.security.policy != "None" and certs.own(security.folder(source, settings)) is None:
        text = f"source {source.name}: no certificate in {settings.certificates}/own; run `ebr-gateway certs make LINE`"
        problems_found.append(Problem("line.toml", None, text, "warning"))
    return problems_found


def _of_tag(settings: OpcUaSettings, tag: Tag) -> list[Problem]:
    try:
        address = parse("opcua", tag.address)
    except AddressError:
        return []  # the line folder's own check reports it
    assert isinstance(address, OpcUaAddress)
    problems_found = []
    unknown = [short for short in address.short_names if short not in settings.namespaces]
    problems_found += [tag.place.problem(f"{tag.tag}: namespace {short!r} is not among the source's namespaces") for short in unknown]
    if address.field and tag.deadband is not None:
        text = f"{tag.tag}: a server applies no deadband to a structure; every change of it is read, the deadband does nothing"
        problems_found.append(tag.place.problem(text, "warning"))
    if tag.type == "decimal":
        problems_found.append(tag.place.problem(f"{tag.tag}: OPC UA servers send no decimal; write float64 or an integer with scale"))
    return problems_found
