"""The line undisturbed, and without its gateway, its EBR, its devices or its journal for a while."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from gateway.demo.received import Gap
from gateway.demo.recompute import recomputed
from gateway.demo.truth import read
from gateway.validation.check import listed
from gateway.validation.oq.case import Told
from gateway.validation.oq.proofs import all_connected, compared, end_of, proved, states
from gateway.validation.oq.stage import Stage

PARAMETERS = "compute parameters from the devices' logs"
"""A step that a machine whose clock is not verified can not make: its parameters count as incomplete."""


AWAY = ("refused", "unreachable")
"""States of an uplink whose receiver is not the one that is meant, or is not there."""


async def delivery(stage: Stage, told: Told, seconds: float) -> None:
    """Run undisturbed, and compare what the EBR holds with the devices' own logs."""
    async with stage.running():
        told.step("start devices, EBR and gateway", f"{len(stage.served)} sources connected", states(stage), all_connected(stage))
        await stage.passes(seconds)
        await stage.at_rest()
    compared(stage, told, every=True)
    await proved(stage, told)
    status, text = await stage.command("recompute", str(stage.line.folder))
    told.step("decide everything again from the readings", "no difference, exit status 0", f"exit {status}: {end_of(text)}", status == 0)
    again = recomputed(stage.line, read(stage.folder / "truth"), stage.received())
    differ = [f"{one.record} {one.parameter}: {one.recorded} and {one.computed}" for one in again if not one.agrees]
    text = listed(differ) or (f"{len(again)} agree" if again else "no parameter was recorded that follows from the logs alone")
    told.step(PARAMETERS, "each as recorded", text, not differ if again else None)


async def killed(stage: Stage, told: Told, seconds: float) -> None:
    """Kill the gateway while it records (SIGKILL), start it again."""
    async with stage.running():
        await stage.passes(seconds / 2)
        before = stage.last()
        await stage.gateway.kill()
        told.step("kill the gateway (SIGKILL)", "it is gone", f"gone after entry {before[1]}", stage.gateway.pid is None)
        edited = stage.edit("\n# edited while nobody looked, by the operational qualification\n")
        await stage.passes(2)
        await stage.gateway.start()
        await stage.connected()
        after = stage.last()
        told.step("start it again", "it goes on after the last entry", f"epoch {after[0]}, entry {after[1]}", after > before)
        await stage.passes(seconds / 2)
        await stage.at_rest()
    got = stage.received()
    compared(stage, told)
    starts = [one["action"] for one in got.audits if one["action"] in ("start", "unclean-start")]
    told.step("read the audit trail", "start, unclean-start", ", ".join(starts), "unclean-start" in starts)
    configs = stage.events("config")
    sums = list(dict.fromkeys(str(one["sha256"])[:12] for one in configs))
    files = [str(file["name"]) for file in configs[-1].get("files", ())] if configs else []
    text = f"{len(sums)} configurations: {', '.join(sums)}; the last with {listed(files) or 'no file'}"
    told.step(
        f"read what became of {edited}, which was edited on disk meanwhile",
        "another configuration, told with its files",
        text,
        len(sums) == 2 and edited in files,
    )
    gaps = sorted({gap.source for gap in got.gaps.values()})
    told.step("read the gaps", "every source has one for the time it was down", listed(gaps), frozenset(gaps) >= stage.served)
    await proved(stage, told)


async def receiver_away(stage: Stage, told: Told, seconds: float) -> None:
    """Take the EBR away while the line runs, and bring it back."""
    async with stage.running():
        await stage.passes(seconds / 3)
        await stage.ebr.kill()
        before, held = stage.last(), stage.store.last()
        await stage.passes(seconds / 3)
        during = stage.last()
        told.step("kill the EBR and let the line run", "entries go on", f"{before[1]} to {during[1]}", during > before)
        told.step("read what the EBR holds meanwhile", "nothing more", f"entry {stage.store.last()[1]}", stage.store.last() == held)
        await stage.ebr.start()
        await stage.drained()
        told.step("start the EBR again", "it receives everything", f"entry {stage.store.last()[1]}", stage.store.last() >= during)
        await stage.passes(seconds / 3)
        await stage.at_rest()
    compared(stage, told)
    await proved(stage, told)


async def sources_away(stage: Stage, told: Told, seconds: float) -> None:
    """Take every device away while the line runs, and bring them back."""
    async with stage.running():
        await stage.passes(seconds / 2)
        await stage.plant.kill()
        lost = [name for name in sorted(stage.served) if _is_of_network(stage, name)]
        await stage.until(lambda: all(stage.states().get(name) == "lost" for name in lost), "the sources to be lost")
        told.step("kill all devices", f"lost: {listed(lost)}", states(stage), bool(lost))
        await stage.plant.start()
        await stage.connected()
        told.step("start them again", "connected", states(stage), all_connected(stage))
        await stage.plant.say("go")
        await stage.passes(seconds / 2)
        await stage.plant.say("still")
        await stage.observed()
        await stage.drained()
        gaps = [gap for gap in stage.received().gaps.values() if gap.source in lost]
        await stage.gateway.end()
    ended = sorted({gap.source for gap in gaps if gap.end is not None or gap.ends})
    told.step("read the gaps", f"one that has ended, of each: {listed(lost)}", listed(ended), ended == lost)
    open_ = [f"{gap.source} {gap.cause}: {listed(tags, 3)}" for gap in gaps if (tags := _still_open(stage, gap))]
    told.step("read which are open at the end", "none", listed(open_) or "none", not open_, gaps=[vars(gap) for gap in gaps])
    await proved(stage, told)


async def wrong_certificate(stage: Stage, told: Told, seconds: float) -> None:
    """Put somebody at the EBR's address whose certificate another authority signed."""
    stranger = stage.stranger()
    async with stage.running(stranger):
        await stage.passes(seconds / 3)
        state = await stage.seen(lambda: next((one for one in AWAY if one == stage.uplink_state()), None)) or stage.uplink_state()
        told.step("let the gateway meet the stranger", f"it is not let in: {' or '.join(AWAY)}", state, state in AWAY)
        received = sum(1 for _ in _rows(stage.folder / "stranger" / "ebr.db"))
        told.step("read what the stranger holds", "nothing", f"{received} entries", received == 0)
        await stranger.end()
        await stage.ebr.start()
        await stage.drained()
        told.step("start the right EBR", "it receives everything", f"entry {stage.store.last()[1]}", stage.store.last() > (0, 0))
        await stage.passes(seconds * 2 / 3)
        await stage.at_rest()
    compared(stage, told)


async def tampering(stage: Stage, told: Told, seconds: float) -> None:
    """Change what was recorded, in copies, and have each found."""
    async with stage.running():
        await stage.passes(seconds / 3)
        await stage.at_rest()
    copy = stage.folder / "copy"
    status, text = await stage.command("backup", str(stage.line.folder), "--to", str(copy))
    told.step("copy the journal", "the copy verifies", f"exit {status}: {end_of(text)}", status == 0)
    for name, how in (("one digit of one entry", _one_digit), ("one entry taken out", _one_gone)):
        forged = stage.folder / name.replace(" ", "-")
        shutil.copytree(copy, forged)
        where = how(forged)
        status, text = await stage.verified(forged)
        told.step(f"change the copy: {name} ({where})", "verify: exit status 1", f"exit {status}: {end_of(text)}", status == 1)
    status, text = await stage.verified(copy)
    told.step("look at the copy that nobody changed", "verify: good", f"exit {status}: {end_of(text)}", status == 0)


async def restored(stage: Stage, told: Told, seconds: float) -> None:
    """Lose the journal, restore it from a backup, and go on."""
    async with stage.running():
        await stage.passes(seconds / 3)
        copy = stage.folder / "copy"
        status, text = await stage.command("backup", str(stage.line.folder), "--to", str(copy))
        told.step("make a backup while it runs", "exit status 0", f"exit {status}: {end_of(text)}", status == 0)
        await stage.passes(seconds / 3)
        await stage.at_rest()
        held = stage.store.last()
        stage.line.data.rename(stage.folder / "lost")
        words = ("restore", str(stage.line.folder), "--from", str(copy), "--ebr", str(stage.folder / "ebr"))
        status, text = await stage.command(*words, "--reason", "operational qualification, the journal was lost")
        told.step("lose the journal, restore it with what the EBR has", "exit status 0", f"exit {status}: {end_of(text)}", status == 0)
        await stage.gateway.start()
        await stage.connected()
        after = stage.last()
        told.step("start the gateway", "a new epoch", f"epoch {after[0]}, before {held[0]}", after[0] > held[0])
        await stage.plant.say("go")
        await stage.passes(seconds / 3)
        await stage.at_rest()
    doubled = list(_doubles(stage.folder / "ebr" / "ebr.db"))
    told.step("read what the EBR holds", "no entry twice", listed(doubled) or "none twice", not doubled)
    status, text = await stage.verified(stage.line.data)
    told.step("verify the journal", "good", f"exit {status}: {end_of(text)}", status == 0, verify=text.splitlines())


def _is_of_network(stage: Stage, name: str) -> bool:
    """Return whether a source is lost with its device: a file or a database of files stays where it is."""
    return next(source.driver for source in stage.line.sources if source.name == name) in ("opcua", "modbus", "serial")


def _still_open(stage: Stage, gap: Gap) -> list[str]:
    """Name the tags of a gap that were not observed again. A gap may end tag by tag."""
    tags = [tag.tag for tag in stage.line.tags_of(gap.source)] if isinstance(gap.tags, str) else sorted(gap.tags)
    return [] if gap.end is not None else [tag for tag in tags if tag not in gap.ends]


def _rows(path: Path) -> Iterator[tuple[int, int]]:
    """Yield (epoch, seq) of a store's entries; none where there is no store."""
    if not path.exists():
        return
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        yield from db.execute("SELECT epoch, seq FROM entries")


def _doubles(path: Path) -> Iterator[str]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        for epoch, seq, count in db.execute("SELECT epoch, seq, count(*) FROM entries GROUP BY gateway, epoch, seq HAVING count(*) > 1"):
            yield f"{epoch}/{seq}: {count} times"


def _segment(copy: Path) -> sqlite3.Connection:
    """Open the segment of a copy that holds the most entries, to change it as a forger would."""
    found = max((copy / "segments").glob("*.db"), key=lambda path: path.stat().st_size)
    db = sqlite3.connect(found, isolation_level=None)
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f'DROP TRIGGER "{name}"')
    return db


def _one_digit(copy: Path) -> str:
    with closing(_segment(copy)) as db:
        seq, payload = db.execute("SELECT seq, payload FROM entries ORDER BY seq LIMIT 1 OFFSET 3").fetchone()
        changed = bytearray(payload)
        place = max(index for index, byte in enumerate(changed) if chr(byte).isdigit())
        changed[place] = ord("7") if changed[place] != ord("7") else ord("3")
        db.execute("UPDATE entries SET payload = ? WHERE seq = ?", (bytes(changed), seq))
    return f"entry {seq}"


def _one_gone(copy: Path) -> str:
    with closing(_segment(copy)) as db:
        (seq,) = db.execute("SELECT seq FROM entries ORDER BY seq LIMIT 1 OFFSET 3").fetchone()
        db.execute("DELETE FROM entries WHERE seq = ?", (seq,))
    return f"entry {seq}"
