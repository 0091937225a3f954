"""Handles a connection's requests: by asyncua's processor, and around it by own code for services that it answers wrongly or not at all."""

import struct
from collections import deque
from typing import Any

from asyncua import ua as _ua
from asyncua.common.utils import ServiceError
from asyncua.server.uaprocessor import UaProcessor
from asyncua.ua.ua_binary import struct_from_binary

from simulators.opcua_plc.subscriptions import Subscriptions

ua: Any = _ua
_COUNTED = {
    ua.ObjectIds.ReadRequest_Encoding_DefaultBinary: ("read", "ReadParameters", "NodesToRead"),
    ua.ObjectIds.BrowseRequest_Encoding_DefaultBinary: ("browse", "BrowseParameters", "NodesToBrowse"),
    ua.ObjectIds.HistoryReadRequest_Encoding_DefaultBinary: ("history", "HistoryReadParameters", "NodesToRead"),
    ua.ObjectIds.TranslateBrowsePathsToNodeIdsRequest_Encoding_DefaultBinary: (
        "translate",
        "TranslateBrowsePathsToNodeIdsParameters",
        "BrowsePaths",
    ),
    ua.ObjectIds.CreateMonitoredItemsRequest_Encoding_DefaultBinary: ("items", "CreateMonitoredItemsParameters", "ItemsToCreate"),
}


class Request:
    """A PublishRequest that waits for its answer."""

    def __init__(self, processor: "Processor", handle: int, sequence_header: Any, results: list[int]) -> None:
        self.processor, self.handle, self.sequence_header, self.results = processor, handle, sequence_header, results

    def answer(self, type_id: int, body: bytes) -> None:
        """Send the answer: type id, ResponseHeader, body."""
        self.processor.send_raw(self.handle, self.sequence_header, type_id, body)

    def refuse(self, status: int) -> None:
        """Send a ServiceFault."""
        self.processor.send_raw(self.handle, self.sequence_header, 397, b"", status)


class Processor(UaProcessor):
    """The processor of one connection."""

    def __init__(self, internal_server: Any, transport: Any, limits: Any) -> None:
        super().__init__(internal_server, transport, limits)
        self.publish_queue: deque[Request] = deque()
        self._pages: dict[bytes, tuple[Any, int]] = {}

    def send_raw(self, handle: int, sequence_header: Any, type_id: int, body: bytes, result: int = 0) -> None:
        """Send a response whose body is encoded already."""
        head = b"\x01\x00" + struct.pack("<HqII", type_id, 0, handle, result) + b"\x00\xff\xff\xff\xff\x00\x00\x00"
        self._transport.write(self._connection.message_to_binary(head + body, request_id=sequence_header.RequestId))

    def open_secure_channel(self, algohdr: Any, seqhdr: Any, body: Any) -> None:
        """Open or renew the channel; refuse a renewal if a test wants that."""
        service = self.iserver.subscription_service
        if self._connection.is_open() and isinstance(service, Subscriptions) and service.switches.renewals_refused > 0:
            service.switches.renewals_refused -= 1
            self._transport.abort()
            return
        super().open_secure_channel(algohdr, seqhdr, body)  # type: ignore[no-untyped-call]

    async def _process_message(self, typeid: Any, requesthdr: Any, seqhdr: Any, body: Any) -> Any:
        service = self.iserver.subscription_service
        if not isinstance(service, Subscriptions):
            return await super()._process_message(typeid, requesthdr, seqhdr, body)  # type: ignore[no-untyped-call]
        if typeid.Identifier == ua.ObjectIds.CloseSessionRequest_Encoding_DefaultBinary:
            service.closed_sessions += 1
        type_number = typeid.Identifier if self.session is not None and self.session.is_activated() else 0
        if type_number == ua.ObjectIds.PublishRequest_Encoding_DefaultBinary:
            return self._publish(service, requesthdr, seqhdr, body)
        if type_number == ua.ObjectIds.RepublishRequest_Encoding_DefaultBinary:
            asked = struct_from_binary(_ua.RepublishParameters, body)
            message = service.republished(asked.SubscriptionId, asked.RetransmitSequenceNumber)
            self.send_raw(requesthdr.RequestHandle, seqhdr, 835, message)
            return True
        if type_number == ua.ObjectIds.TransferSubscriptionsRequest_Encoding_DefaultBinary:
            return self._transfer(service, requesthdr, seqhdr, body)
        if type_number == ua.ObjectIds.BrowseNextRequest_Encoding_DefaultBinary:
            return self._browse_next(requesthdr, seqhdr, body)
        if type_number in _COUNTED:
            self._check_count(service, *_COUNTED[type_number], body)
        if type_number == ua.ObjectIds.BrowseRequest_Encoding_DefaultBinary:
            return await self._browse(service, requesthdr, seqhdr, body)
        done = await super()._process_message(typeid, requesthdr, seqhdr, body)
        if typeid.Identifier == ua.ObjectIds.ActivateSessionRequest_Encoding_DefaultBinary and self.session is not None:
            service.attach(self.session.session_id, self)
        return done

    def _publish(self, service: Subscriptions, requesthdr: Any, seqhdr: Any, body: Any) -> bool:
        assert self.session is not None
        self.session.touch()
        acknowledged = struct_from_binary(_ua.PublishParameters, body).SubscriptionAcknowledgements
        mine = [s for s in service.subscriptions.values() if s.session_id == self.session.session_id]
        if not mine:
            raise ServiceError(ua.StatusCodes.BadNoSubscription)
        results = []
        for acknowledgement in acknowledged:
            subscription = service.subscriptions.get(acknowledgement.SubscriptionId)
            results.append(
                ua.StatusCodes.BadSubscriptionIdInvalid
                if subscription is None
                else subscription.acknowledge(acknowledgement.SequenceNumber)
            )
        self.publish_queue.append(Request(self, requesthdr.RequestHandle, seqhdr, results))
        if service.switches.publish_faults:
            self.publish_queue.pop().refuse(service.switches.publish_faults.pop(0))
        if len(self.publish_queue) > service.switches.most_publish_requests:
            oldest = self.publish_queue.popleft()
            oldest.refuse(ua.StatusCodes.BadTooManyPublishRequests)
        for subscription in mine:
            subscription.publish_now()
        return True

    def _transfer(self, service: Subscriptions, requesthdr: Any, seqhdr: Any, body: Any) -> bool:
        asked = struct_from_binary(_ua.TransferSubscriptionsParameters, body)
        assert self.session is not None
        response = ua.TransferSubscriptionsResponse()
        response.Parameters.Results = service.transfer(asked, self.session.session_id, self)
        self.send_response(requesthdr.RequestHandle, seqhdr, response)  # type: ignore[no-untyped-call]
        return True

    async def _browse(self, service: Subscriptions, requesthdr: Any, seqhdr: Any, body: Any) -> bool:
        assert self.session is not None
        asked = struct_from_binary(_ua.BrowseParameters, body)
        results = await self.session.browse(asked)
        response = ua.BrowseResponse()
        for description, result in zip(asked.NodesToBrowse, results, strict=True):
            node: Any = self.iserver.aspace._nodes.get(description.NodeId)  # noqa: SLF001
            name = None if node is None else node.attributes[ua.AttributeIds.BrowseName].value.Value.Value.Name
            if name in service.switches.browse_refused:
                result = ua.BrowseResult(StatusCode=ua.StatusCode(ua.StatusCodes.BadUserAccessDenied))  # noqa: PLW2901
            response.Results.append(self._paged(result, service.switches.browse_page, service.switches.browse_points))
        self.send_response(requesthdr.RequestHandle, seqhdr, response)  # type: ignore[no-untyped-call]
        return True

    def _browse_next(self, requesthdr: Any, seqhdr: Any, body: Any) -> bool:
        asked = struct_from_binary(_ua.BrowseNextParameters, body)
        response = ua.BrowseNextResponse()
        for point in asked.ContinuationPoints:
            result, page = self._pages.pop(point)
            response.Parameters.Results.append(self._paged(result, page))
        self.send_response(requesthdr.RequestHandle, seqhdr, response)  # type: ignore[no-untyped-call]
        return True

    def _paged(self, result: Any, page: int, points: int = 0) -> Any:
        """Cut a list of references, as servers do that send few at once (Part 4, 7.9); refuse it where no more can be kept open."""
        if 0 < page < len(result.References) and 0 < points <= len(self._pages):
            return ua.BrowseResult(StatusCode=ua.StatusCode(ua.StatusCodes.BadNoContinuationPoints))
        if 0 < page < len(result.References):
            rest = ua.BrowseResult(References=result.References[page:])
            result.References = result.References[:page]
            result.ContinuationPoint = b"%d" % (len(self._pages) + id(rest))
            self._pages[result.ContinuationPoint] = (rest, page)
        return result

    @staticmethod
    def _check_count(service: Subscriptions, limit: str, kind: str, member: str, body: Any) -> None:
        """Answer BadTooManyOperations beyond the server's limit, as small PLCs do."""
        most = service.switches.limits.get(limit)
        if most is not None and len(getattr(struct_from_binary(getattr(ua, kind), body.copy()), member)) > most:
            raise ServiceError(ua.StatusCodes.BadTooManyOperations)
