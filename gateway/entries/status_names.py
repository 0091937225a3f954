"""Names of status codes (OPC UA Part 6, Annex A.2; meanings: Part 4, 7.39, and Part 8, 6.3): those that readings usually bear."""

NAMES = {
    0x00000000: "Good",
    0x00960000: "GoodLocalOverride",
    0x00A50000: "GoodNoData",
    0x40000000: "Uncertain",
    0x408F0000: "UncertainNoCommunicationLastUsableValue",
    0x40900000: "UncertainLastUsableValue",
    0x40910000: "UncertainSubstituteValue",
    0x40920000: "UncertainInitialValue",
    0x40930000: "UncertainSensorNotAccurate",
    0x40940000: "UncertainEngineeringUnitsExceeded",
    0x40950000: "UncertainSubNormal",
    0x80000000: "Bad",
    0x80010000: "BadUnexpectedError",
    0x80020000: "BadInternalError",
    0x80040000: "BadResourceUnavailable",
    0x80050000: "BadCommunicationError",
    0x80070000: "BadDecodingError",
    0x80080000: "BadEncodingLimitsExceeded",
    0x800A0000: "BadTimeout",
    0x80310000: "BadNoCommunication",
    0x80320000: "BadWaitingForInitialData",
    0x80340000: "BadNodeIdUnknown",
    0x803A0000: "BadNotReadable",
    0x803C0000: "BadOutOfRange",
    0x803D0000: "BadNotSupported",
    0x80740000: "BadTypeMismatch",
    0x80890000: "BadConfigurationError",
    0x808A0000: "BadNotConnected",
    0x808B0000: "BadDeviceFailure",
    0x808C0000: "BadSensorFailure",
    0x808D0000: "BadOutOfService",
    0x809B0000: "BadNoData",
}
UNCERTAIN, BAD = 0x40000000, 0x80000000
SUB_CODE = 0xFFFF0000
"""The upper half names the reason; the lower one holds flags, as of limits (Part 4, 7.39)."""


def status_name(status: int) -> str:
    """Return the name of a status; of one without a name its severity and number."""
    known = NAMES.get(status & SUB_CODE)
    if known is not None:
        return known
    severity = "Good" if status < UNCERTAIN else "Uncertain" if status < BAD else "Bad"
    return f"{severity} (0x{status & SUB_CODE:08X})"


def severity(status: int) -> str:
    """Return `good`, `uncertain` or `bad`."""
    return "good" if status < UNCERTAIN else "uncertain" if status < BAD else "bad"
