"""Goes on with the numbers of batches where the last simulation of this folder ended: a plant that was switched off makes no batch twice.

What is kept is the highest number of a batch that was begun, in `simulated/batches.json` of the line folder, beside the certificates of
simulated servers.
"""

import json
from pathlib import Path

from simulators.line.plan import FIRST_BATCH

KEPT = Path("simulated") / "batches.json"


class Numbering:
    """The numbers of one line folder. first: of the first batch of this run. note: what people have to know of it; "" if nothing."""

    def __init__(self, folder: Path, *, is_part: bool = False, first: int | None = None) -> None:
        """is_part: single sources are served beside the rest of the line, so the batch is the one that is on the line now.

        first: as somebody wants it; None: it goes on.
        """
        self._path, self._is_part, self._last = folder / KEPT, is_part, 0
        self.note = ""
        try:
            self._last = int(json.loads(self._path.read_bytes())["last"])
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._say(str(error))
        goes_on = FIRST_BATCH if not self._last else self._last if is_part else self._last + 1
        self.first = goes_on if first is None else first
        self._last = 0 if first is not None else self._last

    def begun(self, number: int) -> str:
        """Note that this batch was begun. Returns what people have to know now, once: that it could not be kept."""
        if self._is_part or number <= self._last:
            return ""
        self._last = number
        try:
            self._path.parent.mkdir(exist_ok=True)
            aside = self._path.with_suffix(".part")
            aside.write_text(json.dumps({"last": number}) + "\n")
            aside.replace(self._path)
        except OSError as error:
            return self._say(str(error))
        return ""

    def _say(self, why: str) -> str:
        said, again = self.note, "the next `simulate` begins with the first batch again, and its lots are there twice"
        self.note = f"the numbers of batches can not be kept ({why}): {again}; --first-batch says where it shall begin"
        return "" if said else self.note
