"""Choose channel and identity: exactly the configured policy and mode, and a server certificate that a person trusted."""

import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from config import Source
from drivers.contract import BadReply, DriverError, DriverMisconfigured
from drivers.opcua.asyncua_types import Client, policies, ua
from drivers.opcua.session import certs, trust
from drivers.opcua.session.wire import BoundedClient
from drivers.opcua.settings import OpcUaSettings

POLICIES = {
    "Basic256Sha256": policies.SecurityPolicyBasic256Sha256,
    "Aes128_Sha256_RsaOaep": policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256_Sha256_RsaPss": policies.SecurityPolicyAes256Sha256RsaPss,
}


class Untrusted(DriverError):
    """The server's certificate is not trusted (yet)."""


def folder(source: Source, settings: OpcUaSettings) -> Path:
    """Return the managed folder of certificates."""
    return source.folder / settings.certificates


def application_uri(source: Source, settings: OpcUaSettings) -> str:
    """Return the URI in our own certificate, which the session must carry too (Part 4, 5.7.2); without one, a name of this machine."""
    own = certs.own(folder(source, settings))
    return own.uri if own else f"urn:{socket.gethostname()}:ebr-gateway"


def client_of(settings: OpcUaSettings, endpoint: str) -> Any:
    """Make a client that connects to an endpoint and names it as the server does (`announced`)."""
    client = Client(settings.announced or endpoint, timeout=settings.request_timeout_s)
    client.uaclient = BoundedClient(settings.request_timeout_s)
    if settings.announced is not None:
        url = urlsplit(endpoint)
        client.uaclient.reached_at = (url.hostname or "", url.port or 4840)
    return client


async def apply(client: Any, source: Source, settings: OpcUaSettings, endpoint: str) -> tuple[x509.Certificate, ...]:
    """Prepare the client for channel and identity; return the authorities that the server showed.

    With policy None the client is left alone, but for a password: the server whose key hides it must be a trusted one, too. Raises
    Untrusted, BadReply, DriverMisconfigured.
    """
    client._encrypt_password = partial(_hidden_password, client)  # noqa: SLF001
    if settings.user_certificate is not None:
        _user_certificate(client, source, settings.user_certificate)
    place = folder(source, settings)
    if settings.security.policy == "None":
        if settings.user is None:
            return ()
        client.hides_password_for, *sent = await _trusted(client, settings, endpoint, place)
        return tuple(sent)
    own = certs.own(place)
    if own is None:
        raise DriverMisconfigured(f"no certificate of our own in {place / 'own'}: run `ebr-gateway certs make LINE`")
    server, *sent = await _trusted(client, settings, endpoint, place)
    policy = POLICIES[settings.security.policy]
    mode = ua.MessageSecurityMode[settings.security.mode]
    key = certs.load_key(own.key_file)
    client.security_policy = policy(server, own.certificate, key, mode)
    client.uaclient.set_security(client.security_policy)
    return tuple(sent)


async def _trusted(client: Any, settings: OpcUaSettings, endpoint: str, place: Path) -> list[x509.Certificate]:
    """Return the certificate that the server shows for our endpoint, and its authorities. Raises Untrusted, BadReply."""
    offered = await _offered(client, settings, endpoint)
    server, *sent = chain_of(offered.ServerCertificate or b"")
    judged = _judged(place, settings, server, offered.Server.ApplicationUri, sent)
    if judged.refusal:
        digest = certs.reject(place, server)
        raise Untrusted(f"{endpoint}: {judged.refusal}; the certificate lies in {place / 'rejected'}: {_way_out(judged, digest)}")
    return [server, *sent]


def _way_out(judged: trust.Judgement, digest: str) -> str:
    """Say how a certificate that is refused can be let pass by a person, if it can."""
    if judged.fault is not None:
        whose, kind = judged.fault
        row = f'accepted_certificates = [{{ sha256 = "{whose}", faults = ["{kind}"] }}]'
        return f"it is not accepted, trusted or not, unless somebody takes that upon himself: {row} in the source (docs/opcua.md)"
    trusting = judged.refusal is not None and judged.refusal.startswith(trust.NOT_TRUSTED)
    return f"`ebr-gateway certs trust LINE {digest[:16]}`" if trusting else "it is not accepted, trusted or not"


def refusal_of(
    place: Path, settings: OpcUaSettings, server: x509.Certificate, uri: str | None = None, sent: Sequence[x509.Certificate] = ()
) -> str | None:
    """Return the reason why a server's certificate is not accepted, or None. A folder that can not be read accepts nothing."""
    return _judged(place, settings, server, uri, sent).refusal


def _judged(
    place: Path, settings: OpcUaSettings, server: x509.Certificate, uri: str | None, sent: Sequence[x509.Certificate]
) -> trust.Judgement:
    try:
        judgement = trust.judge(place, server, uri, sent=sent, accepted=accepted_of(settings))
    except trust.UnreadableFile as error:
        return trust.Judgement(str(error))
    if judgement.refusal is None and judgement.doubts and settings.revocation == "required":
        return trust.Judgement(f'{judgement.doubts[0]}, and revocation = "required"', judgement.doubts)
    return judgement


def accepted_of(settings: OpcUaSettings) -> trust.Accepted:
    """Return the faults of single certificates that the line folder lets pass."""
    return {each.sha256: each.faults for each in settings.accepted_certificates}


async def _offered(client: Any, settings: OpcUaSettings, endpoint: str) -> Any:
    """Return the endpoint with exactly our policy and mode, asked for on a connection of its own. Raises BadReply."""
    asking = client_of(settings, endpoint)
    asking.application_uri = client.application_uri
    asking.max_messagesize, asking.max_chunkcount = client.max_messagesize, client.max_chunkcount
    is_plain = settings.security.policy == "None"
    uri = policies.SecurityPolicyNone.URI if is_plain else POLICIES[settings.security.policy].URI
    mode = ua.MessageSecurityMode.None_ if is_plain else ua.MessageSecurityMode[settings.security.mode]
    try:
        offers = await asking.connect_and_get_server_endpoints()
    finally:
        made = asking.uaclient.made
        if made is not None and made.transport is not None:
            made.transport.abort()  # not closed: a peer that takes nothing would keep the socket open for ever
    for offer in offers:
        if offer.SecurityPolicyUri == uri and offer.SecurityMode == mode:
            return offer
    offered = sorted({f"{str(offer.SecurityPolicyUri).rpartition('#')[2]}/{offer.SecurityMode.name.strip('_')}" for offer in offers})
    wanted = "None/None" if is_plain else f"{settings.security.policy}/{settings.security.mode}"
    raise BadReply(f"{endpoint} does not offer {wanted}, only {', '.join(offered)}")


def _user_certificate(client: Any, source: Source, name: str) -> None:
    path = source.folder / name
    key = path.with_suffix(".key.pem")
    if not path.is_file() or not key.is_file():
        raise DriverMisconfigured(f"user_certificate: {path} and {key} must be there")
    client.user_certificate, client.user_private_key = certs.load(path), certs.load_key(key)


def chain_of(chain: bytes) -> list[x509.Certificate]:
    """Split a DER certificate chain into the leaf and what follows it (Part 6, 6.2.6). Raises BadReply."""
    certificates: list[x509.Certificate] = []
    while len(chain) >= 4 and len(certificates) < trust.DEEPEST:
        size = int.from_bytes(chain[2:4], "big") + 4
        try:
            certificates.append(x509.load_der_x509_certificate(chain[:size]))
        except ValueError as error:
            raise BadReply(f"the server's certificate can not be read: {error}") from error
        chain = chain[size:]
    if not certificates:
        raise BadReply("the server shows no certificate")
    return certificates


def choose_identity(client: Any, settings: OpcUaSettings) -> None:
    """Keep those of the server's identity policies that protect ours: no password in the clear, no broken algorithm. Raises BadReply."""
    kind = (
        ua.UserTokenType.UserName
        if settings.user
        else ua.UserTokenType.Certificate
        if settings.user_certificate
        else ua.UserTokenType.Anonymous
    )
    offered = [token for token in client._policy_ids if token.TokenType == kind]  # noqa: SLF001
    if not offered:
        shown = ", ".join(sorted({token.TokenType.name for token in client._policy_ids}))  # noqa: SLF001
        raise BadReply(f"the server takes no identity of the kind {kind.name}, only {shown or 'none'}")
    if kind == ua.UserTokenType.Anonymous:
        return
    good = {policy.URI for policy in POLICIES.values()}
    is_plain = settings.security.policy == "None"
    hidden = not is_plain and settings.security.mode == "SignAndEncrypt" and kind == ua.UserTokenType.UserName
    # A token without a policy of its own has the channel's (Part 4, 7.42).
    acceptable = [token for token in offered if token.SecurityPolicyUri in good or (not token.SecurityPolicyUri and not is_plain)]
    acceptable += [token for token in offered if hidden and token.SecurityPolicyUri == policies.SecurityPolicyNone.URI]
    if not acceptable:
        shown = ", ".join(sorted({str(token.SecurityPolicyUri or "").rpartition("#")[2] or "the channel's policy" for token in offered}))
        where = "with security policy None" if is_plain else f"in mode {settings.security.mode}"
        raise BadReply(f"the server takes {kind.name} with {shown} only: that would not protect it {where}")
    client._policy_ids = acceptable  # noqa: SLF001


def show_trusted_key(client: Any) -> None:
    """Let a password be hidden with the key of the server that was trusted, and no other. For policy None, before the session is activated.

    Raises Untrusted if the session is with another server than the one that was asked.
    """
    server = client.hides_password_for.public_bytes(serialization.Encoding.DER)
    if client.security_policy.peer_certificate not in (None, b"", server):
        raise Untrusted("the server that made the session shows another certificate than the one that is trusted")
    client.security_policy.peer_certificate = server


def _hidden_password(client: Any, password: str, policy_uri: str) -> tuple[bytes, str]:
    """Encrypt length, password and the server's nonce block by block (Part 4, 7.41.2.2); return it with the algorithm's URI.

    asyncua encrypts one block: tokens that serve as passwords are longer.
    """
    policy = next(policy for policy in POLICIES.values() if policy_uri == policy.URI)
    key: Any = x509.load_der_x509_certificate(client.security_policy.peer_certificate).public_key()
    secret = password.encode() + (client._server_nonce or b"")  # noqa: SLF001
    plain = len(secret).to_bytes(4, "little") + secret
    size = key.key_size // 8 - _PADDING[policy.AsymmetricEncryptionURI]
    blocks = [plain[at : at + size] for at in range(0, len(plain), size)]
    return b"".join(policy.encrypt_asymmetric(key, block) for block in blocks), policy.AsymmetricEncryptionURI


_PADDING = {"http://www.w3.org/2001/04/xmlenc#rsa-oaep": 42, "http://opcfoundation.org/UA/security/rsa-oaep-sha2-256": 66}
"""Bytes that OAEP adds to a block: twice the digest, and two (RFC 8017, 7.1)."""
