"""The verification from time to time: journal, newest backup, archives, the EBR's store, checkpoints at witnesses (URS-AUD-06)."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from buffer import verify
from buffer.pages.blocks import Block, Heading, Table, Text
from buffer.restore.backup import gateway_of
from config import Line
from gateway.documents import draft
from gateway.documents.deviations import blocks_of_deviations, deviations_of
from gateway.validation.bundle import Bundle
from gateway.validation.check import Asked, Check, NotChecked, listed, result
from gateway.validation.iq import counts
from gateway.validation.run import Run, evidence_blocks, sign_off

KIND = "verification"
MOST_NAMED = 5


class Given(NamedTuple):
    """What is verified. line: None where the folder has errors. data: the journal. key: text with public keys; empty: none are known."""

    gateway: str
    line: Line | None
    data: Path
    key: str
    archives: Sequence[Path]
    store: Path | None


def verified(given: Given, bundle: Bundle, run: Run) -> dict[str, Any]:
    """Verify everything and return the draft of the document."""
    checks, took = [], {}
    for one in _asked(given, bundle.keep):
        begun = time.monotonic()
        checks.append(one.made())
        took[one.id] = f"{time.monotonic() - begun:.1f}"
    bundle.keep("checks.json", json.dumps([check._asdict() for check in checks], indent=1, ensure_ascii=False).encode())
    sums = bundle.facts()
    plain = [{**check._asdict(), "urs": list(check.urs), "took_s": took[check.id]} for check in checks]
    deviations = deviations_of(plain)
    known = {"keys": given.key.split(), "evidence": sums, **run.facts()}
    facts = {"checks": plain, "counts": counts(checks), "deviations": deviations, **known}
    blocks = [*run.blocks(), *_about(), *blocks_of_deviations(deviations), *_table(checks, took), *evidence_blocks(sums), *sign_off()]
    return draft(KIND, f"Verification of {given.gateway}", blocks, facts, result=result(checks))


def _asked(given: Given, keep: Callable[[str, bytes], object]) -> Iterator[Asked]:
    proved = partial(_proved, given.key, keep)
    good = "nothing changed, removed, inserted or reordered"
    yield Asked("journal", "Journal", ("URS-AUD-06",), good, partial(proved, "journal", given.data, ()))
    yield Asked("backup", "Newest backup", ("URS-OPS-01",), good, lambda: proved("backup", _newest_backup(given), ()))
    for number, archive in enumerate(given.archives, 1):
        yield Asked(
            f"archive-{number}", f"Archive {archive.name}", ("URS-AUD-06",), good, partial(proved, f"archive-{number}", archive, ())
        )
    if given.store is not None:
        yield Asked("store", "EBR's store", ("URS-AUD-06",), good, partial(proved, "store", given.store, ()))
    for witness in given.line.witnesses if given.line else ():
        says = "the journal contradicts none of its checkpoints"
        meets = partial(_witnessed, given, proved, witness.name, witness.endpoint)
        yield Asked(f"witness-{witness.name}", f"Witness {witness.name}", ("URS-AUD-05",), says, meets)


def _proved(key: str, keep: Callable[[str, bytes], object], name: str, place: Path, notes: Sequence[Path]) -> tuple[str, bool]:
    """Verify a place. Raises NotChecked where no key is known or nothing is there."""
    if not key:
        raise NotChecked("the line's public keys are not there: without them nothing is proved")
    if not place.exists():
        raise NotChecked(f"{place} is not there")
    report = verify.verify(place, key, checkpoint=notes or None)
    told = [*report.problems, *report.missing]
    signed = [f"epoch {one.epoch} through entry {one.through}" for one in report.signed]
    keep(f"{name}.txt", "".join(f"{text}\n" for text in [str(place), *signed, *told, *report.notes]).encode())
    counted = f"{report.entries} entries, {report.checkpoints} checkpoints, {report.signatures} signatures; {listed(signed, MOST_NAMED)}"
    return (f"{listed(told, MOST_NAMED)}; {counted}" if told else counted), report.exit_code == 0


def _newest_backup(given: Given) -> Path:
    if given.line is None or given.line.backup is None:
        raise NotChecked("line.toml has no [backup], or has errors")
    folder = (given.line.folder / given.line.backup.folder).resolve()
    # The name that the gateway gives, once it has verified a copy; one that is being made, or was cut, ends in `.part`.
    named = f"{given.gateway.replace('/', '-')}-*Z"
    found = sorted(place for place in folder.glob(named) if gateway_of(place) == given.gateway)
    if not found:
        raise NotChecked(f"{folder} holds no backup")
    return found[-1]


def _witnessed(given: Given, proved: Callable[..., tuple[str, bool]], name: str, endpoint: str) -> tuple[str, bool]:
    url = urlsplit(endpoint)
    if url.scheme != "file":
        raise NotChecked(f"{endpoint}: fetch its checkpoints and give them to `verify --checkpoint`")
    place = Path(unquote(url.path))
    if not place.is_dir() or not any(place.iterdir()):
        raise NotChecked(f"{place} holds no checkpoint")
    return proved(f"witness-{name}", given.data, (place,))


def _about() -> Iterator[Block]:
    yield Text("Each was verified by its hashes and by the signatures of the line's keys. Nothing was changed.")


def _table(checks: Sequence[Check], took: dict[str, str]) -> Iterator[Block]:
    yield Heading(1, "What was verified")
    rows = [[check.title, ", ".join(check.urs), check.expected, check.found, took[check.id], check.verdict] for check in checks]
    marked = frozenset(number for number, check in enumerate(checks) if check.verdict != "passed")
    yield Table(("What", "Requirement", "Expected", "Found", "Took, s", "Verdict"), (4, 3, 5, 10, 1.5, 2), rows, marked)
