"""The copies of one batch's record, made from its entries."""

import json
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from kit.copies_compared import Told
from kit.pages_read import printed, seen

from buffer.archive.record import Record
from buffer.pages.html import html as archive_html
from buffer.pages.pdf import pdf as archive_pdf
from buffer.segment import Entry
from simulators.ebr import Store
from simulators.ebr.pages.batchml import batchml
from simulators.ebr.pages.page import html
from simulators.ebr.record.record import batch_record


class Copies:
    """The copies of one batch, made from its entries."""

    def __init__(self, payloads: Sequence[bytes], folder: Path, batch: str = "B1") -> None:
        store = Store(folder / "ebr")
        store.take(list(payloads))
        store.close()
        self.batch = batch
        self.record, series = batch_record(folder / "ebr" / "ebr.db", batch)
        self.page_html = html(self.record, series)
        self.xml = ET.fromstring(batchml(self.record, series))
        heads = [json.loads(payload) for payload in payloads]
        entries = [Entry(item["epoch"], item["seq"], "", payload) for item, payload in zip(heads, payloads, strict=True)]
        (self.gateway,) = self.record["gateways"]
        self.blocks = list(Record(batch, self.gateway, entries, []).blocks())
        self.archive_html = archive_html(f"Batch {batch}", self.blocks)
        self.pdf = folder / "record.pdf"
        self.pdf.write_bytes(archive_pdf(f"Batch {batch}", self.gateway, self.blocks))

    def told(self) -> Told:
        """What they say, item by item."""
        return Told.of(self.record, self.page_html, self.archive_html, self.xml, self.pdf)

    @property
    def page(self) -> str:
        """The words of the EBR's page."""
        return seen(self.page_html)

    @property
    def archive(self) -> str:
        """The words of the archive's page."""
        return seen(self.archive_html)

    @property
    def printed(self) -> str:
        """The words of the archive's PDF."""
        return printed(self.pdf)
