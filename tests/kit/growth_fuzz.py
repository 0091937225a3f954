"""A drop folder whose file grows, is written anew, renamed and cut while the gateway is killed and started; and what must come of it.

The oracle keeps what the messages say of each key, and what the file says of it: when the folder is at rest they agree, and no message
told what was known already. Without a key, a file that only grows gives each of its lines once, in order.
"""

import contextlib
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from kit.collector import Journal

from drivers.mes_file import reader as reading
from drivers.mes_file.folder import Folder
from drivers.mes_file.reader import FileReader
from drivers.mes_file.settings import FileSettings, Pattern
from drivers.restored_rows import RestoredRows
from drivers.rows import Mapped

HEAD = "id,v\n"
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


class Plant:
    """One file, what was written to it, and the gateway that reads it."""

    def __init__(self, dice: random.Random, folder: Path) -> None:
        self.dice, self.path = dice, folder / "day.csv"
        self.keyed = dice.random() < 0.7
        self.snapshot = self.keyed and dice.random() < 0.5
        self.pattern = Pattern(name="p", glob="*.csv", format="csv", key="id" if self.keyed else None, snapshot=self.snapshot)
        self.settings = FileSettings(pattern=(self.pattern,), compared_rows=1000)
        self.folder = Folder(folder)
        self.journal = Journal()
        self.rows: list[tuple[str, str]] = []
        self.ever: dict[str, str] = {}  # what the file said last of each key that stood in a whole state of it
        self.doubled = 0  # messages that told what was known
        self.heard = 0
        self.known: dict[str, str] = {}
        self.start()

    def start(self) -> None:
        self.reader = FileReader(self.pattern, self.settings, Mapped([], lambda _: ("", "")), self.journal, RestoredRows({}))

    def write(self, *, cut: bool = False) -> None:
        """Write the file anew; cut: within its last line."""
        text = HEAD + "".join(f"{key},{value}\n" for key, value in self.rows)
        self.path.write_text(text[: -self.dice.randrange(1, 3)] if cut and self.rows else text)

    def append(self, count: int) -> None:
        for _ in range(count):
            self.rows.append((f"K{self.dice.randrange(30)}", str(self.dice.randrange(5))))

    def change(self) -> None:
        """Change, remove or move rows, as a system does that writes its file anew; a key stands there once then."""
        last = dict(self.rows)
        for _ in range(self.dice.randrange(1, 4)):
            if last and self.dice.random() < 0.5:
                last[self.dice.choice(list(last))] = str(self.dice.randrange(5))
            elif last:
                last.pop(self.dice.choice(list(last)))
        self.rows = list(last.items())
        self.dice.shuffle(self.rows)

    async def look(self, fail_after: int | None = None) -> None:
        """Look until nothing is unread, or until the disk is full: then the gateway starts again."""
        self.journal.fail_after = fail_after
        with contextlib.suppress(OSError):
            for _ in range(3):
                scan = self.folder.scan(self.reader.takes)
                for seen in self.reader.unread(scan):
                    await self.reader.look(self.folder, seen, scan, 1.0, None, 0)
        if fail_after is not None:
            self.start()
        self.journal.fail_after = None
        self._hear()

    def _hear(self) -> None:
        """Take what the messages say of each key."""
        for message in self.journal.messages[self.heard :]:
            before, now = self.known.get(message.key), message.row.get("v")
            assert message.change == ("deleted" if now is None else "new" if before is None else "changed"), (message, before)
            self.doubled += before == now
            if now is None:
                del self.known[message.key]
            else:
                self.known[message.key] = now
        self.heard = len(self.journal.messages)


async def fuzz(seed: int, seen: Counter[str]) -> None:
    """Play one story, and compare at each rest. Raises AssertionError, which names the seed."""
    dice = random.Random(seed)
    before, reading.PIECE_ROWS = reading.PIECE_ROWS, dice.choice((1, 2, 3, 50))
    try:
        with tempfile.TemporaryDirectory(dir=MEMORY) as place:
            plant = Plant(dice, Path(place))
            await (_keyed(plant, seen) if plant.keyed else _growing(plant, seen))
            plant.folder.close()
    except AssertionError as error:
        error.add_note(f"seed {seed}")
        raise
    finally:
        reading.PIECE_ROWS = before


def told(seen: Counter[str]) -> str:
    """Say what was done."""
    what = f"{seen['records']} records told once, {seen['changed']} of them changed, {seen['deleted']} deleted"
    return f"{what}; {seen['crashes']} starts after a full disk; {seen['rests']} times compared with the file"


async def _keyed(plant: Plant, seen: Counter[str]) -> None:
    for _ in range(plant.dice.randrange(2, 9)):
        plant.append(plant.dice.choice((0, 1, 1, 5)))
        if plant.dice.random() < 0.4:
            plant.change()
        if plant.dice.random() < 0.2:
            plant.write(cut=True)
            await plant.look()
        plant.write()
        whole = list(plant.rows)
        if plant.dice.random() < 0.3:
            await plant.look(fail_after=plant.dice.randrange(3))
            seen["crashes"] += 1
            if plant.dice.random() < 0.5:
                plant.append(2)  # it grows while the gateway is down
                plant.write()
                whole = list(plant.rows)
        elif plant.dice.random() < 0.2:
            plant.start()
        await plant.look()
        now = dict(whole)
        told = {key: plant.known.get(key) for key in now}
        assert told == now, (told, now)
        assert not plant.snapshot or plant.known == now, (plant.known, now)
        assert plant.doubled == 0
        seen["rests"] += 1
    seen["records"] += len(plant.journal.messages)
    seen["changed"] += sum(message.change == "changed" for message in plant.journal.messages)
    seen["deleted"] += sum(message.change == "deleted" for message in plant.journal.messages)


async def _growing(plant: Plant, seen: Counter[str]) -> None:
    for _ in range(plant.dice.randrange(2, 9)):
        plant.append(plant.dice.choice((1, 1, 2, 7)))
        if plant.dice.random() < 0.3:
            plant.write(cut=True)
            await plant.look()
        plant.write()
        if plant.dice.random() < 0.3:
            await plant.look(fail_after=plant.dice.randrange(3))
            seen["crashes"] += 1
        if plant.dice.random() < 0.2:
            new = plant.path.with_name(f"day-{plant.dice.randrange(10**6)}.csv")
            plant.path.rename(new)
            plant.path = new
            await plant.look()
        await plant.look()
        rows: list[Any] = [(message.row["id"], message.row["v"]) for message in plant.journal.messages]
        assert rows == plant.rows, (rows, plant.rows)
        assert len({message.key for message in plant.journal.messages}) == len(rows)
        seen["rests"] += 1
    seen["records"] += len(plant.journal.messages)
