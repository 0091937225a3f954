"""Why sending stopped, by what must happen next: time cures, or a person decides."""


class UplinkError(Exception):
    """Sending stopped. Nothing is lost by it: what has no receipt stays in the journal and goes out again."""


class Unreachable(UplinkError):
    """Time may cure it: the supervisor waits and runs the uplink again.

    retry_after_s: what the receiver asked for (RFC 9110, 10.2.3), at most 15 minutes; None: it asked for nothing.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Refused(UplinkError):
    """The far side said no, and waiting alone will not help: an alarm, a person decides.

    code: a stable word for the finding and the status page: credentials, certificate, too-small, too-large, address, conflict,
    protocol, behind-held.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
