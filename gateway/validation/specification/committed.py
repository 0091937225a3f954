"""What of a specification stands in the source tree: that of the bundled line, whole, but each schema once, in docs/schemas."""

from pathlib import Path

import config
from gateway.validation.specification.files import RULES, SUMS, files
from gateway.validation.specification.messages import MESSAGES

BUNDLED = "granulation-2"


def committed(tree: Path) -> dict[str, str]:
    """Return the text of each file by its path in the tree. The schemas of entries are written by `python -m buffer.entry docs/schemas`."""
    made = files(config.load(tree / "config" / "examples" / BUNDLED))
    own = {name: text for name, text in made.items() if not name.startswith("schemas/") and name not in (*RULES, SUMS)}
    told = {f"docs/specification/{BUNDLED}/{name}": text for name, text in own.items()}
    return {**told, **{f"docs/schemas/{name}.json": made[f"schemas/{name}.json"] for name in MESSAGES}}
