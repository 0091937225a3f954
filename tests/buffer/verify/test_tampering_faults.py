"""A few hundred forgeries of journal, journal.db, EBR store and archive: each verdict, and each first bad entry, is the right one."""

import random
import shutil
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kit import forger
from kit.journals import GATEWAY, change, opened
from kit.signed_journal import Made, reading

from buffer import keys
from buffer.restore import backup
from buffer.verify import Report, verify

Make = Callable[[Path], Path]
SEGMENT_NOT_THERE = """INSERT INTO segments
SELECT epoch, 8193, 12288, state, bytes, before, total, ticks, previous, digest, root, sha256 FROM segments WHERE first = 1"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A journal with segments as they are, not the short ones of the quick tests: forgeries sit at their ends."""
    return Made(tmp_path_factory.mktemp("made"))


class Forgery(NamedTuple):
    """What was done, how, the exit code that has to follow, and the first bad entry that has to be named (None: none can be)."""

    of: str
    what: str
    make: Make
    exit_code: int = 1
    bad: int | None = None


def of_streams(made: Made, entries: forger.Entries, generator: random.Random) -> Iterator[Forgery]:
    """Entries of a journal and of a store: at the ends of segments, and anywhere below the last signed checkpoint."""
    for what, (edit, distance) in forger.STREAM.items():
        for index in [0x64, 4094, 4095, 4096, *generator.sample(range(100, 5300), 4)]:
            changed = edit(entries, index)
            bad = first_checkpoint(changed) if distance is None else entries[index][0] + distance
            yield Forgery("journal", f"{what}, at {index}", partial(forger.into_journal, made, entries=changed), 1, bad)
            # A store that ends early is one that has not received more: only a checkpoint that somebody else kept tells.
            cut = what == "the end was cut"
            store = partial(forger.into_store, made, entries=changed)
            yield Forgery("store", f"{what}, at {index}", store, 2 if cut else 1, None if cut else bad)


def first_checkpoint(changed: forger.Entries) -> int:
    """Give the entry by which a stream that was chained anew contradicts a signature; one that became shorter lacks just this one."""
    return next(seq for seq, _, payload in changed if b'"type":"checkpoint"' in payload)


def of_archives(made: Made, zipped: Path, generator: random.Random) -> Iterator[Forgery]:
    """Lines of the entries, and every other file of an archive; all sums are put right."""
    with zipfile.ZipFile(zipped) as file:
        files = {name: file.read(name) for name in file.namelist()}
    name = f"entries/{made.epoch}.jsonl"
    lines = files[name].split(b"\n")[:-1]
    for _ in range(6):
        at = generator.randrange(8, len(lines) - 2)
        seqs = [forger.seq_of(line) for line in lines]
        for what, changed, bad in (
            ("an entry was changed", [*lines[:at], forger.other_value(lines[at]), *lines[at + 1 :]], seqs[at + 1]),
            ("an entry is missing", [*lines[:at], *lines[at + 1 :]], seqs[at]),
            ("two entries changed places", [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]], None),
            ("an entry stands twice", [*lines[: at + 1], *lines[at:]], None),
            ("an entry is no JSON", [*lines[:at], lines[at][:-1], *lines[at + 1 :]], None),
        ):
            yield Forgery("archive", what, partial(forger.into_archive, made, original=zipped, lines=changed), 1, bad)
    for other in sorted(set(files) - {"SHA256SUMS"}):
        without = {each: content for each, content in files.items() if each != other}
        if other != "SHA256SUMS.note":
            yield Forgery("archive", f"{other} is missing", partial(forger.packed, files=without))
            at = generator.randrange(len(files[other]))
            spoilt = files[other][:at] + bytes([files[other][at] ^ 4]) + files[other][at + 1 :]
            yield Forgery("archive", f"{other} was changed", partial(forger.packed, files=files | {other: spoilt}))


def of_the_catalogue(made: Made) -> Iterator[Forgery]:
    """Rows of journal.db, without its sums."""
    thief = keys.Signer(GATEWAY, Ed25519PrivateKey.generate())
    note = thief.note(keys.checkpoint_text(f"{GATEWAY}/{made.epoch}", 5000, bytes(32)))
    for what, sql, exit_code, bad in (
        ("a segment's digest", "UPDATE segments SET digest = zeroblob(32) WHERE first = 1", 1, None),
        ("a segment's sum", "UPDATE segments SET sha256 = zeroblob(32) WHERE first = 1", 1, None),
        ("a segment's root", "UPDATE segments SET root = zeroblob(32) WHERE first = 1", 1, None),
        ("a segment's end", "UPDATE segments SET last = 4095 WHERE first = 1", 1, None),
        ("what a segment follows", "UPDATE segments SET previous = zeroblob(32) WHERE first = 4097", 1, None),
        ("a segment that is not named", "DELETE FROM segments WHERE first = 1", 1, None),
        ("a segment that is not there", SEGMENT_NOT_THERE, 1, None),
        ("a segment that is called pruned", "UPDATE segments SET state = 'pruned' WHERE first = 1", 1, None),
        ("an epoch that is not named", "DELETE FROM epochs", 1, None),
        ("an epoch that did not begin here", "UPDATE epochs SET event = replace(event, 'created', 'restored')", 1, None),
        ("a checkpoint by another key", f"UPDATE checkpoints SET note = '{note}' WHERE size = 5306", 1, None),
        ("a checkpoint's root", "UPDATE checkpoints SET root = zeroblob(32) WHERE size = 5306", 1, None),
        ("a checkpoint's size", "UPDATE checkpoints SET size = 5300 WHERE size = 5306", 1, None),
        ("all checkpoints", "DELETE FROM checkpoints", 2, None),
        ("a cursor beyond the end", f"INSERT INTO cursors VALUES ('ebr', 1, {made.epoch}, 6000)", 1, 5409),
        ("a cursor of an epoch that never was", f"INSERT INTO cursors VALUES ('ebr', 1, {made.epoch + 9}, 10)", 1, None),
        ("whose journal it is", "UPDATE about SET value = 'lyon/other' WHERE name = 'gateway'", 1, None),
    ):  # fmt: skip

        def make(path: Path, sql: str = sql) -> Path:
            change(forger.copied(made, path), sql)
            return path

        yield Forgery("journal.db", what, make, exit_code, bad)


def of_files(made: Made, generator: random.Random) -> Iterator[Forgery]:
    """Bytes and files of a stopped journal, beside sums that nobody put right."""
    files = [path.relative_to(made.journal) for path in sorted(made.journal.rglob("*")) if path.is_file()]
    for name in files:
        if name.name in {"lock", "ballast"}:
            continue
        for _ in range(8):

            def make(path: Path, name: Path = name, bit: int = generator.randrange(8), share: float = generator.random()) -> Path:
                file = forger.copied(made, path) / name
                content = file.read_bytes()
                at = int(share * len(content))
                file.chmod(0o600)
                file.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
                return path

            yield Forgery("journal", f"a bit of {name} was turned", make)
        if name.suffix == ".db":

            def without(path: Path, name: Path = name) -> Path:
                (forger.copied(made, path) / name).unlink()
                return path

            yield Forgery("journal", f"{name} is missing", without)


def untouched(made: Made, zipped: Path, entries: forger.Entries) -> Iterator[tuple[str, Make]]:
    """What nobody forged, in every way that it lies somewhere."""
    with zipfile.ZipFile(zipped) as file:
        files = {name: file.read(name) for name in file.namelist()}
    yield "a copy", lambda path: forger.copied(made, path)
    yield "a copy without sums", lambda path: without_sums(forger.copied(made, path))
    yield "a journal that was written anew", lambda path: forger.into_journal(made, path, entries)
    yield "a store", lambda path: forger.into_store(made, path, entries)
    yield "an archive that was packed anew", lambda path: forger.packed(path, files)
    yield "an archive that was copied", lambda path: Path(shutil.copyfile(zipped, path))
    yield "a journal that went on", lambda path: gone_on(forger.copied(made, path))
    yield "a backup", lambda path: backed_up(made, path)


def without_sums(path: Path) -> Path:
    (path / "SHA256SUMS").unlink()
    return path


def gone_on(path: Path) -> Path:
    journal = opened(path)
    journal.append([reading(1)], urgent=True).result()
    journal.close()
    return path


def backed_up(made: Made, path: Path) -> Path:
    backup.backup(made.journal, path)
    return path


def wrong(forgery: Forgery, report: Report, epoch: int) -> str | None:
    """What is wrong with a verdict; None if nothing is."""
    if report.exit_code != forgery.exit_code:
        return f"{forgery.of}: {forgery.what}: exit {report.exit_code} in place of {forgery.exit_code}: {list(report.lines())[:4]}"
    if forgery.bad is not None and report.bad != (epoch, forgery.bad):
        return f"{forgery.of}: {forgery.what}: first bad {report.bad} in place of {forgery.bad}"
    return None


@pytest.mark.bar("F11")
@pytest.mark.urs("URS-AUD-05", "URS-AUD-06")
@pytest.mark.timeout(1800)
def test_each_forgery_is_found_and_nothing_else_is_accused(
    made: Made, zipped: Path, tmp_path: Path, figures: Callable[[str, str], None]
) -> None:
    generator, entries = random.Random(20261129), forger.entries_of(made)
    forgeries = [
        *of_streams(made, entries, generator),
        *of_archives(made, zipped, generator),
        *of_the_catalogue(made),
        *of_files(made, generator),
    ]
    faults = []
    for number, forgery in enumerate(forgeries):
        path = forgery.make(tmp_path / f"{number}.forged")
        faults += [text for text in [wrong(forgery, verify(path, made.signer.public), made.epoch)] if text]
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    accused = []
    for number, (what, make) in enumerate(untouched(made, zipped, entries)):
        report = verify(make(tmp_path / f"{number}.true"), made.signer.public)
        accused += [f"{what}: {list(report.lines())[:4]}"] if report.exit_code else []
    named = sum(forgery.bad is not None for forgery in forgeries)
    figures("forgeries", f"{len(forgeries)} forgeries: verdict or place wrong {len(faults)}, first bad entry known and named in {named}")
    figures("forgeries", f"8 ways in which nothing was forged: accused {len(accused)}")
    assert len(forgeries) >= 200
    assert (faults, accused) == ([], []), "\n".join([*faults, *accused])
