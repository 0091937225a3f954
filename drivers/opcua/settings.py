"""The keys of a [[source]] with driver = "opcua", and the reading of its password."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from config import Credential, Source, credentials
from config.grammars.addresses import OpcUaAddress, parse
from drivers.contract import DriverMisconfigured

Policy = Literal["None", "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"]
MOST_ITEMS = 1000
"""Items per subscription: a server's retransmission queue counts messages, so smaller subscriptions reach further back."""


class Security(BaseModel):
    """security = { policy = "..", mode = ".." }. Exactly this is used or nothing: there is no negotiation and no downgrade."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: Policy = "Basic256Sha256"
    mode: Literal["Sign", "SignAndEncrypt"] = "SignAndEncrypt"


class AlarmSource(BaseModel):
    """alarms = [{ notifier = "..", equipment = ".." }]: an object whose conditions are reported, and the equipment that they concern."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    notifier: str = "i=2253"  # an address of tags.csv's grammar; the Server object hears everything
    equipment: str | list[str]  # names of [[equipment]]; "line" is all
    warning_from: Annotated[int, Field(ge=1, le=1001)] = 334  # severity (1 to 1000) from which a condition is a warning
    alarm_from: Annotated[int, Field(ge=1, le=1001)] = 667

    @property
    def equipments(self) -> tuple[str, ...]:
        """The names of the equipment, one or several."""
        return (self.equipment,) if isinstance(self.equipment, str) else tuple(self.equipment)

    @model_validator(mode="after")
    def _readable(self) -> "AlarmSource":
        address = parse("opcua", self.notifier)
        if not isinstance(address, OpcUaAddress) or address.index or address.field:
            raise ValueError(f"notifier {self.notifier!r}: a node is meant, without element or field")
        if self.warning_from > self.alarm_from:
            raise ValueError("warning_from lies above alarm_from")
        return self


class AcceptedCertificate(BaseModel):
    """accepted_certificates = [{ sha256 = "..", faults = [".."] }]: faults of one certificate that are let pass, and nothing else of it.

    dates: it has expired, or is not valid yet. uri: it is another application's, or none's. key: RSA of 1024 to 2047 bits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    faults: Annotated[tuple[Literal["dates", "uri", "key"], ...], Field(min_length=1)]


class OpcUaSettings(BaseModel):
    """The keys of an OPC UA source beside those that every source has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    security: Security = Security()
    announced: Annotated[str, Field(pattern=r"^opc\.tcp://[^\s/]+(/\S*)?$")] | None = None  # URL of the server's own, behind NAT
    user: str | None = None
    password: Credential | None = None
    user_certificate: str | None = None  # certificate identity: PEM or DER, relative to the folder; its key beside it as <name>.key.pem
    namespaces: dict[str, str] = {}
    certificates: str = "certs"  # the managed folder: own/, trusted/, issuers/, rejected/
    revocation: Literal["told", "required"] = "told"  # a missing or outdated revocation list of an authority: a finding, or a refusal
    accepted_certificates: Annotated[list[AcceptedCertificate], Field(max_length=16)] = []  # see there; production wants a named person
    publish_ms: Annotated[int, Field(ge=10, le=10_000)] | None = None  # publishing interval; default from the rate
    keep_alive_s: Annotated[float, Field(ge=0.2, le=60)] = 2.0  # a silent link is found after 1.5 of these
    request_timeout_s: Annotated[float, Field(ge=0.5, le=120)] = 10.0
    queue_size: Annotated[int, Field(ge=2, le=100_000)] | None = None  # per item; default from rate and outage_tolerance_s
    retry_bad_nodes_s: Annotated[float, Field(ge=0.2)] = 30.0
    channel_lifetime_s: Annotated[float, Field(ge=1)] = 3600.0
    alarms: list[AlarmSource] = []
    history: bool = True  # read the server's history after a gap, where it keeps one

    @model_validator(mode="after")
    def _identity(self) -> "OpcUaSettings":
        if self.password is not None and self.user is None:
            raise ValueError("password without user")
        if self.user is not None and self.user_certificate is not None:
            raise ValueError("user and user_certificate: one identity only")
        if self.user_certificate is not None and self.security.policy == "None":
            raise ValueError("user_certificate with security policy None would be shown to a server that nobody knows; choose a policy")
        return self

    @model_validator(mode="after")
    def _certificates(self) -> "OpcUaSettings":
        named = [each.sha256 for each in self.accepted_certificates]
        if len(set(named)) < len(named):
            raise ValueError("accepted_certificates: a certificate stands twice; write all its faults into one row")
        if named and self.security.policy == "None" and self.user is None:
            raise ValueError("accepted_certificates: with security policy None no certificate is looked at")
        return self


def password(source: Source, credential: Credential | None) -> str | None:
    """Return the secret that a credential names. Raises DriverMisconfigured."""
    if credential is None:
        return None
    try:
        return credentials.read(credential, source.folder)
    except credentials.CredentialMissing as error:
        raise DriverMisconfigured(str(error)) from error
