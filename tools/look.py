"""Draw the pages as a technician sees them: each state of `tests/kit/line_states.py`, at the panel and the phone, light and dark.

docs/images/page.png is source-down-panel.png.

Usage: python tools/look.py FOLDER [STATE ...]
"""

import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from kit.browser import SIZES, tab
from kit.line_states import STATES, observed, tags
from kit.served_pages import Shown, served

PAGES = {
    "observation": "/observation",
    "tags": "/tags?still",
    "trend": "/trend?tag=granulator.impeller_speed",
    "journal": "/journal?still",
    "clock": "/clock?still",
}


async def main(folder: Path, names: list[str], profile: Path) -> None:
    """Save FOLDER/STATE-SIZE[-dark].png."""
    shown = Shown(STATES["good"][1](), tags())
    period, shown.reports = observed(profile)
    async with served(shown, data=profile) as address, tab(profile) as one:
        for name in names or [*STATES, *PAGES]:
            shown.now = {**STATES.get(name, STATES["good"])[1](), **({"observation": period} if name in PAGES else {})}
            for size, (width, height) in SIZES.items():
                for dark in (False, True):
                    await one.show(width, height, dark=dark, touch=size == "phone")
                    await one.open(f"{address}{PAGES.get(name, '/?still')}")
                    if name == "trend":
                        await one.comes("document.querySelector('#trend canvas')")
                    await one.picture(folder / f"{name}-{size}{'-dark' if dark else ''}.png")
        print(*one.errors, sep="\n")


if __name__ == "__main__":
    to = Path(sys.argv[1])
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as its:
        asyncio.run(main(to, sys.argv[2:], Path(its)))
