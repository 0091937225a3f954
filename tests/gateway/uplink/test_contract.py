"""The page for EBR vendors is true: the receiver printed in it works against a real journal."""

import random
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from kit.repository import DOCS, ROOT

from buffer import Body, Journal
from gateway.uplink.receipt import parse

PAGE = DOCS / "uplink.md"


@pytest.mark.urs("URS-UPL-02", "URS-UPL-03")
@pytest.mark.parametrize("seed", range(3))
def test_the_receiver_of_the_page_gives_receipts_that_the_journal_accepts(tmp_path: Path, seed: int) -> None:
    printed = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    receiver: dict[str, Any] = {}
    exec(printed[0], receiver)
    body = Body("ebr-gateway/event/1", orjson.dumps({"time": "2026-11-22T07:15:02.512345Z", "event": {"type": "finding"}})[1:])
    journal = Journal.open(tmp_path, "lyon/granulation-2", retain_s=86_400, max_bytes=2_000_000_000)
    journal.uplink("ebr", True)
    journal.append([body] * 50, urgent=True).result()
    entries = journal.read((0, 0), max_bytes=1 << 20)
    sent = [*entries, *random.Random(seed).sample(entries, 10)]
    random.Random(seed).shuffle(sent)
    for entry in sent:
        receipt = parse(orjson.dumps(receiver["take"](entry.payload)))
        if receipt.through:
            journal.acknowledge("ebr", receipt.epoch, receipt.through, receipt.digest)
    assert journal.cursor("ebr") == journal.last
    journal.close()


def test_the_page_names_every_finding_of_an_uplink() -> None:
    page = PAGE.read_text("utf-8")
    source = "".join(path.read_text("utf-8") for path in (ROOT / "gateway" / "uplink").glob("*.py"))
    codes = set(re.findall(r'(?:Refused|say|alarm)\(\s*"([a-z-]+)"', source))
    assert {"rejected", "no-receipts", "credentials"} <= codes, "the pattern finds what the source says"
    assert {code for code in codes if f"uplink-{code}" not in page} == set()
