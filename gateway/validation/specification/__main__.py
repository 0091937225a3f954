"""Write everything in a source tree that is made from the code: `python -m gateway.validation.specification TREE`.

gateway/interfaces/release.json, the schemas in docs/schemas that are no entries, and docs/specification, which is that of the bundled line.
"""

import sys
from pathlib import Path

from gateway.validation.specification.release import write


def main(tree: Path) -> None:
    """Write them, the digests first: the specification holds them."""
    write(tree)
    from gateway.interfaces.contract import release

    release.cache_clear()
    from gateway.validation.specification.committed import committed

    for name, text in committed(tree).items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
