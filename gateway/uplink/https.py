"""Sends pages of entries by HTTPS PUT; the answer is the receipt. PUT, because repeating a page must be harmless (RFC 9110, 9.2.2)."""

import asyncio
import gzip
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit

import aiohttp

from buffer import Entry, Rejected
from config import Uplink
from drivers.os_words import in_words, is_refused
from gateway.uplink import tls
from gateway.uplink.errors import NobodyListens, Refused, Unreachable
from gateway.uplink.http_status import outcome
from gateway.uplink.receipt import MAX_RECEIPT_BYTES
from gateway.uplink.records import Record, Records, Reply, answered
from gateway.uplink.transport import MAX_ENTRY_BYTES, Answer, Delivered, Online, Outcome, Room, Transport

PAGE_BYTES = 1_048_576
PAGE_ENTRIES = 1_000
CONNECT_S = 10.0
ATTEMPT_S = 30.0
HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "ebr-gateway"}
HELD = "EBR-Gateway-Held"
"""Header of each page: all runs of entries that the journal holds, `epoch/first-last`, with commas between (RFC 9110, 5.6.1)."""
SLOWEST_BYTES_PER_S = 2_000
"""A page may take ATTEMPT_S plus its bytes at this rate; an attempt that takes longer is given up and the next page is smaller."""


class Https(Transport):
    """Transport to one receiver behind `https://` (or `http://`, where the configuration allows plain text)."""

    def __init__(self, uplink: Uplink, gateway: str, folder: Path) -> None:
        super().__init__()
        self._uplink, self._secure = uplink, urlsplit(uplink.endpoint).scheme == "https"
        self.base = f"{uplink.endpoint.rstrip('/')}/gateways/{'/'.join(quote(part, safe='') for part in gateway.split('/'))}"
        self._identity = tls.Identity(uplink.tls if self._secure else None, folder, uplink.password)
        self._session: aiohttp.ClientSession | None = None
        self._page_bytes, self._page_entries = PAGE_BYTES, PAGE_ENTRIES
        self._gzip = uplink.compress and uplink.profile == "entries"  # for a single record it is not worth a receiver that can not unpack

    async def open(self, online: Online) -> None:
        """Make a session; the first page makes the connection. No proxy of the environment, no cookies, no redirects, no packed answers."""
        self.online = online
        password, headers = self._identity.password(), dict(HEADERS)
        if self._uplink.user is not None:  # RFC 7617, 2.1: UTF-8
            who = f"{self._uplink.user}:{password or ''}".encode()
            headers["Authorization"] = f"Basic {b64encode(who).decode()}"
        connector = aiohttp.TCPConnector(ssl=self._identity.context() if self._secure else False, limit=2)
        self._session = aiohttp.ClientSession(
            connector=connector, trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False,
            headers=headers,
        )  # fmt: skip

    def remarks(self) -> list[tls.Remark]:
        """Return what is to be said of the certificates."""
        return self._identity.remarks() if self._secure else []

    async def close(self) -> None:
        """Close every connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def room(self) -> Room:
        """Return room for one page: a smaller one while searching for the entry that the receiver does not accept."""
        return Room(self._page_entries, self._page_bytes)

    async def send(self, entries: Sequence[Entry]) -> int:
        """PUT one page. A page that is not accepted is halved until the one entry is found, which then counts as handed over."""
        page = self._cut(entries)
        first, last = page[0], page[-1]
        url = f"{self.base}/epochs/{first.epoch}/entries/{first.seq}-{last.seq}"
        held = {HELD: ", ".join(f"{epoch}/{low}-{high}" for epoch, low, high in self.online.held)}
        status, answer, headers = await self.exchange("PUT", url, b"\n".join(entry.payload for entry in page) + b"\n", held)
        what = outcome(status, headers.get("Retry-After"))
        if what == "smaller":
            return self._smaller(page)
        if what == "single" and self._gzip:  # many servers answer 400 to a body that they do not unpack
            return self._plain()
        if what == "plain":
            return self._plain()
        if what == "single" and len(page) > 1:
            self._page_entries = len(page) // 2
            return 0
        self._page_entries, self._page_bytes = min(2 * self._page_entries, PAGE_ENTRIES), min(2 * self._page_bytes, PAGE_BYTES)
        if what == "answer":
            self.inbox.append(Delivered((last.epoch, last.seq), last.digest))
        elif not self._uplink.receipts:  # no receipt can list it: the status is the only word on it
            self.inbox.append(Outcome((last.epoch, last.seq), Rejected(last.seq, f"http-{status}")))
            self.inbox.append(Delivered((last.epoch, last.seq), last.digest))
        about = f"answer {status} to entries {first.seq}-{last.seq}"
        self.inbox.append(Answer(answer, about, required=what == "answer", refused=what == "single"))
        return len(page)

    async def live(self, entries: Sequence[Entry]) -> None:
        """POST copies; the receiver's answer is ignored."""
        status, _, headers = await self.exchange("POST", f"{self.base}/live", b"\n".join(entry.payload for entry in entries) + b"\n")
        if status == 429 or status >= 500:
            outcome(status, headers.get("Retry-After"))

    async def tick(self) -> None:
        """Do nothing: there is nothing to keep alive between pages."""

    @property
    def outstanding(self) -> int:
        """Always 0: a page is answered before `send` returns."""
        return 0

    def stale(self) -> bool:
        """True if a file of certificate or password changed."""
        return self._identity.changed()

    def _cut(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Return the longest head of `entries` that is one page: contiguous, of one epoch, within the page's bytes; at least one entry."""
        size, first = 0, entries[0]
        for count, entry in enumerate(entries):
            size += len(entry.payload) + 1
            if count and (size > self._page_bytes or (entry.epoch, entry.seq) != (first.epoch, first.seq + count)):
                return entries[:count]
        return entries

    def _smaller(self, page: Sequence[Entry]) -> int:
        if len(page) == 1:
            raise Refused("too-large", f"the receiver takes no entry of {len(page[0].payload)} bytes; it must take {MAX_ENTRY_BYTES}")
        self._page_bytes = max(MAX_ENTRY_BYTES // 64, sum(len(entry.payload) for entry in page) // 2)
        return 0

    def _plain(self) -> int:
        if not self._gzip:
            raise Refused("protocol", "the receiver does not take JSON Lines (415)")
        self._gzip = False
        return 0

    async def exchange(
        self, method: str, url: str, body: bytes, more: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, Mapping[str, str]]:
        """Send one request and return (status, body, headers). One deadline covers all of it: a receiver that dribbles is cut off."""
        assert self._session is not None
        headers = {"Content-Type": "application/x-ndjson", **(more or {})}
        if self._gzip and len(body) > 1_000:
            body, headers["Content-Encoding"] = await asyncio.to_thread(gzip.compress, body, 1), "gzip"
        timeout = aiohttp.ClientTimeout(total=ATTEMPT_S + len(body) / SLOWEST_BYTES_PER_S, sock_connect=CONNECT_S)
        try:
            async with self._session.request(method, url, data=body, headers=headers, timeout=timeout, allow_redirects=False) as response:
                return response.status, await _read(response), response.headers
        except TimeoutError as error:
            self._page_bytes = max(MAX_ENTRY_BYTES // 64, self._page_bytes // 2)
            raise Unreachable("no answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            may_be_ours = self._secure and not is_refused(error)
            hint = " (a receiver that does not accept our certificate hangs up like this, too)" if may_be_ours else ""
            is_cut = isinstance(error, aiohttp.ServerDisconnectedError)
            why = "the receiver closed the connection" if is_cut else in_words(error, "the receiver")
            kind = NobodyListens if is_refused(error) else Unreachable
            raise tls.failure(error) or kind(f"{urlsplit(url).netloc}: {why}{hint}") from error


class HttpsRecords(Records):
    """Sends one record per POST, with an Idempotency-Key that is the same at every attempt."""

    def __init__(self, uplink: Uplink, gateway: str, folder: Path) -> None:
        self._way = Https(uplink, gateway, folder)
        super().__init__(self._way)
        self._url = f"{uplink.endpoint.rstrip('/')}/records"

    async def deliver(self, record: Record) -> Reply:
        """POST one record and return its outcome."""
        key = {"Content-Type": "application/json", "Idempotency-Key": quote(record.id, safe="/#-._~")}
        status, payload, headers = await self._way.exchange("POST", self._url, record.payload, key)
        return decided(status, payload, headers, record)


def decided(status: int, payload: bytes, headers: Mapping[str, str], record: Record) -> Reply:
    """Return the outcome that an answer to a record tells. Raises Unreachable: the same record again, later; Refused: a person decides."""
    reply = answered(status, payload, headers.get("Content-Type", ""), record)
    if reply is not None:
        return reply
    if status in (401, 403):
        raise Refused("credentials", f"the receiver does not let us in ({status})")
    outcome(status, headers.get("Retry-After"))
    raise Refused("protocol", f"the receiver answered {status} to a record")


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Read a body that may be a receipt, and unpack one that was packed though nobody asked; a longer one is none, and is not read on."""
    coding = response.headers.get("Content-Encoding", "identity").lower()
    if coding not in ("identity", "gzip", "x-gzip", "deflate"):
        return b""
    unpack = None if coding == "identity" else zlib.decompressobj(zlib.MAX_WBITS | 32)  # the header tells gzip and zlib apart
    body = b""
    async for chunk in response.content.iter_any():
        try:
            body += chunk if unpack is None else unpack.decompress(chunk, MAX_RECEIPT_BYTES + 1 - len(body))
        except zlib.error:
            return b""
        if len(body) > MAX_RECEIPT_BYTES or (unpack is not None and unpack.unconsumed_tail):
            response.close()
            return b""
    return body
