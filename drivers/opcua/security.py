"""Who may be talked to, and as whom: exactly the configured policy and mode, and a certificate that somebody trusted by hand."""

import socket
from pathlib import Path
from typing import Any

from cryptography import x509

from config import Source
from drivers.contract import BadReply, DriverError, DriverMisconfigured
from drivers.opcua import certs
from drivers.opcua.lib import Client, policies, ua
from drivers.opcua.settings import OpcUaSettings
from drivers.opcua.wire import BoundedClient

POLICIES = {
    "Basic256Sha256": policies.SecurityPolicyBasic256Sha256,
    "Aes128_Sha256_RsaOaep": policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256_Sha256_RsaPss": policies.SecurityPolicyAes256Sha256RsaPss,
}


class Untrusted(DriverError):
    """The server's certificate is not trusted (yet)."""


def folder(source: Source, settings: OpcUaSettings) -> Path:
    """The managed folder of certificates."""
    return source.folder / settings.certificates


def application_uri(source: Source, settings: OpcUaSettings) -> str:
    """The URI in our own certificate, which the session must carry too (Part 4, 5.7.2); without one, a name of this machine."""
    own = certs.own(folder(source, settings))
    return own.uri if own else f"urn:{socket.gethostname()}:ebr-gateway"


async def apply(client: Any, source: Source, settings: OpcUaSettings, endpoint: str) -> None:
    """Prepare the client for a secured channel. Raises Untrusted, BadReply, DriverMisconfigured; leaves a None client alone."""
    if settings.user_certificate is not None:
        _user_certificate(client, source, settings.user_certificate)
    if settings.security.policy == "None":
        return
    place = folder(source, settings)
    own = certs.own(place)
    if own is None:
        raise DriverMisconfigured(f"no certificate of our own in {place / 'own'}: run `ebr-gateway certs LINE make`")
    offered = await _offered(client, settings, endpoint)
    server = x509.load_der_x509_certificate(first_of(offered.ServerCertificate or b""))
    refusal = certs.refusal(place, server, offered.Server.ApplicationUri)
    if refusal:
        digest = certs.reject(place, server)
        raise Untrusted(
            f"{endpoint}: {refusal}; the certificate lies in {place / 'rejected'}: `ebr-gateway certs LINE trust {digest[:16]}`"
        )
    policy = POLICIES[settings.security.policy]
    mode = ua.MessageSecurityMode[settings.security.mode]
    key = certs.load_key(own.key_file)
    client.security_policy = policy(server, own.certificate, key, mode)
    client.uaclient.set_security(client.security_policy)


async def _offered(client: Any, settings: OpcUaSettings, endpoint: str) -> Any:
    """The endpoint with exactly our policy and mode, asked for on a connection of its own."""
    asking = Client(endpoint, timeout=settings.request_timeout_s)
    asking.uaclient = BoundedClient(settings.request_timeout_s)
    asking.application_uri = client.application_uri
    asking.max_messagesize, asking.max_chunkcount = client.max_messagesize, client.max_chunkcount
    uri, mode = POLICIES[settings.security.policy].URI, ua.MessageSecurityMode[settings.security.mode]
    try:
        offers = await asking.connect_and_get_server_endpoints()
    finally:
        asking.disconnect_socket()
    for offer in offers:
        if offer.SecurityPolicyUri == uri and offer.SecurityMode == mode:
            return offer
    told = sorted({f"{str(offer.SecurityPolicyUri).rpartition('#')[2]}/{offer.SecurityMode.name.strip('_')}" for offer in offers})
    raise BadReply(f"{endpoint} does not offer {settings.security.policy}/{settings.security.mode}, only {', '.join(told)}")


def _user_certificate(client: Any, source: Source, name: str) -> None:
    path = source.folder / name
    key = path.with_suffix(".key.pem")
    if not path.is_file() or not key.is_file():
        raise DriverMisconfigured(f"user_certificate of source {source.name}: {path} and {key} must be there")
    client.user_certificate, client.user_private_key = certs.load(path), certs.load_key(key)


def first_of(chain: bytes) -> bytes:
    """The leaf of a DER certificate chain (Part 6, 6.2.6)."""
    if len(chain) < 4:
        raise BadReply("the server shows no certificate")
    return chain[: int.from_bytes(chain[2:4], "big") + 4]
