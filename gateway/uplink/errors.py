"""Errors of sending, grouped by what must happen next: wait, or let a person decide."""


class UplinkError(Exception):
    """Sending stopped. Nothing is lost: entries without a receipt stay in the journal and are sent again."""


class Unreachable(UplinkError):
    """The receiver can not be reached now; the supervisor waits and runs the uplink again.

    retry_after_s: the wait that the receiver asked for (RFC 9110, 10.2.3), at most 15 minutes; None if it asked for none.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NobodyListens(Unreachable):
    """The receiver's address answers at once that nobody listens there: a broker that starts, or is off. It is asked again soon."""


class Awaited(Unreachable):
    """The receiver answers, but can not take this yet and is to be given time: an order that it does not know so far."""


class Refused(UplinkError):
    """The receiver refuses, and waiting alone will not help: an alarm is raised and a person decides.

    code: a stable word for the finding and the status page: credentials, certificate, too-small, too-large, address, conflict, protocol,
    not-taken, schema-unsupported.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NotAccepted(Refused):
    """The receiver does not accept the schema or version of one record, (epoch, seq), and so of all like it. reason: its own words."""

    def __init__(self, position: tuple[int, int], reason: str) -> None:
        super().__init__("schema-unsupported", f"the receiver does not accept the schema of entry {position[1]}: {reason}".rstrip(": "))
        self.position, self.reason = position, reason
