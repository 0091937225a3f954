"""Whether an EBR holds each entry of a journal once, byte for byte: counted by both, and by nothing that the program says of itself."""

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from hashlib import sha256
from typing import NamedTuple

import orjson

from buffer import read_journal
from gateway.validation.check import listed
from gateway.validation.oq.case import Told
from gateway.validation.oq.stage import Stage

Identity = tuple[int, int]
SHOWN = 5


class Once(NamedTuple):
    """What differs. missing: of the journal and not at the EBR; extra: the other way round; other: held with another content.

    strange: entries that the EBR was sent under an identity under which it holds another one.
    """

    held: int
    missing: list[Identity]
    extra: list[Identity]
    other: list[Identity]
    strange: int

    @property
    def good(self) -> bool:
        """Nothing differs."""
        return not (self.missing or self.extra or self.other or self.strange)


def held_of(payloads: Iterable[bytes]) -> dict[Identity, str]:
    """Return the digest of each entry, by its identity."""
    heads = ((orjson.loads(payload), payload) for payload in payloads)
    return {(head["epoch"], head["seq"]): sha256(payload).hexdigest() for head, payload in heads}


def differences(journal: Mapping[Identity, str], ebr: Mapping[Identity, str], strange: int = 0) -> Once:
    """Hold both against each other."""
    both = journal.keys() & ebr.keys()
    other = sorted(one for one in both if journal[one] != ebr[one])
    return Once(len(both), sorted(journal.keys() - ebr.keys()), sorted(ebr.keys() - journal.keys()), other, strange)


def strangers(stage: Stage) -> int:
    """Count the entries that the EBR put aside: another one was held in their place, or they did not continue the chain."""
    with closing(sqlite3.connect(f"file:{stage.folder / 'ebr' / 'ebr.db'}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT count(*) FROM suspects").fetchone()[0])


def compared_entries(stage: Stage) -> Once:
    """Hold the journal against the EBR's store."""
    journal = held_of(entry.payload for entry in read_journal(stage.data))
    return differences(journal, held_of(stage.store.entries()), strangers(stage))


def judge_once(told: Told, found: Once) -> None:
    """Say whether the EBR holds each entry of the journal once, and nothing else."""
    texts = [f"{found.held} held by both"]
    for name, of in (("missing", found.missing), ("more", found.extra), ("with another content", found.other)):
        texts.append(f"{name} {len(of)}" + (f" ({listed([f'{epoch}/{seq}' for epoch, seq in of[:SHOWN]])})" if of else ""))
    text = f"{', '.join(texts)}, put aside {found.strange}"
    told.step(
        "compare the EBR's entries with the journal's, byte for byte",
        "each once, none missing, none more",
        text,
        found.good if found.held else None,
    )
