"""Counts a broker's PUBACKs: through which entry everything was delivered, and for how long the oldest one has been waited for."""

from collections import OrderedDict

from gateway.uplink.transport import Delivered, Position


class Pubacks:
    """Messages without a PUBACK, in the order of sending. Pure; now_s: seconds of one clock."""

    def __init__(self) -> None:
        self._sent: OrderedDict[int, Delivered] = OrderedDict()  # mid -> what it carries
        self._done: set[int] = set()
        self._since_s = 0.0  # since when the oldest one is the oldest

    def __len__(self) -> int:
        return len(self._sent)

    def __contains__(self, mid: int) -> bool:
        return mid in self._sent

    def sent(self, mid: int, position: Position, digest: str, now_s: float) -> None:
        """Note a message that was handed to the socket."""
        if not self._sent:
            self._since_s = now_s
        self._sent[mid] = Delivered(position, digest)

    def came(self, mid: int, now_s: float) -> Delivered | None:
        """Note a PUBACK; return through where everything has now been acknowledged, None if that is not farther.

        A broker acknowledges in the order of sending (MQTT 5, 4.6). One that leaves the oldest out gets no more time by the others.
        """
        self._done.add(mid)
        delivered = None
        while self._sent and (first := next(iter(self._sent))) in self._done:
            delivered = self._sent.pop(first)
            self._done.remove(first)
            self._since_s = now_s
        return delivered

    def silent_s(self, now_s: float) -> float:
        """Return for how long the oldest message has been the oldest without a PUBACK; 0 if there is none."""
        return now_s - self._since_s if self._sent else 0.0
