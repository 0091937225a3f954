"""Holds one uplink while its receiver does not accept a schema or version, and asks it now and then with the next entry alone."""

import asyncio

from buffer import Journal
from gateway.uplink.errors import NotAccepted
from gateway.uplink.patience import Patience, Standstill
from gateway.uplink.status import Status
from gateway.uplink.told import Told
from gateway.uplink.transport import Transport
from gateway.uplink.unaccepted import Unaccepted, before, words
from gateway.uplink.window import Window


class Hold:
    """The hold of one uplink. stands: nothing is sent now but the question."""

    def __init__(
        self,
        journal: Journal,
        transport: Transport,
        window: Window,
        patience: Patience,
        standstill: Standstill,
        told: Told,
        status: Status,
        unaccepted: Unaccepted,
    ) -> None:
        self._journal, self._transport, self._window, self._patience = journal, transport, window, patience
        self._standstill, self._told, self._status, self._unaccepted = standstill, told, status, unaccepted
        self.stands = False

    def look(self) -> bool:
        """Begin or end it by what the receiver said last; True while it stands: nothing is due then."""
        stood, self.stands = self.stands, self._unaccepted.refusal is not None
        if self.stands and not stood:  # of what was sent behind it nobody knows what became: it is sent once more
            self._window.again()
            self._patience.begin_anew()
        elif stood and not self.stands:
            self._status.state, self._status.detail = "forwarding", ""
            self._standstill.excuse()
            self._told.progress()
        return self.stands

    async def ask(self) -> bool:
        """Say that the uplink is held, and ask if it is time. True if the question went out."""
        refusal = self._unaccepted.refusal
        assert refusal is not None
        if self._status.state == "held" and not self._unaccepted.may_ask:
            return False
        entries = await asyncio.to_thread(self._journal.read, before(refusal), max_bytes=1, max_entries=1)
        if self._status.state != "held":
            self._status.state, self._status.detail = "held", words(refusal, entries)
            self._told.alarm("schema-unsupported", self._status.detail, entry=list(refusal.position))
        if not self._unaccepted.may_ask or self._transport.room().entries < 1 or not entries:
            return False
        self._unaccepted.asked()
        try:
            await self._transport.send(entries)
        except NotAccepted as error:
            self._unaccepted.refuse(error.position, error.reason)
            return False
        return True
