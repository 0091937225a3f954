"""axe-core, which finds what keeps people from using a page. It is no part of the product, and is fetched once, as a test's tool."""

import hashlib
import json
import shutil
import subprocess
from functools import cache
from typing import Any

import pytest
from kit.browser import Tab
from kit.repository import ROOT

VERSION, SHA256 = "4.14.1", "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
FOLDER = ROOT / ".venv" / "axe"
SCRIPT = FOLDER / "node_modules" / "axe-core" / "axe.min.js"
FETCHED_WITHIN_S = 120.0


@cache
def axe() -> str:
    """Give the script; skips the test where it is not there and can not be fetched."""
    if not SCRIPT.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("npm is not installed: axe-core can not be fetched")
        words = [npm, "install", "--prefix", str(FOLDER), "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", f"axe-core@{VERSION}"]
        try:
            done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=FETCHED_WITHIN_S)
        except subprocess.TimeoutExpired:
            pytest.skip("axe-core could not be fetched in time")
        if done.returncode:
            pytest.skip(f"axe-core could not be fetched: {done.stderr.strip()[-200:]}")
    content = SCRIPT.read_bytes()
    assert hashlib.sha256(content).hexdigest() == SHA256, "another script than the one that is meant"
    return content.decode()


async def violations(tab: Tab) -> list[str]:
    """What is against it in the page that is shown: rule, help, where."""
    await tab.run(f"{axe()}; 1")
    found: list[dict[str, Any]] = json.loads(await tab.run("axe.run(document).then((told) => JSON.stringify(told.violations))"))
    return [f"{one['id']}: {one['help']}: {'; '.join(str(node['target']) for node in one['nodes'])}" for one in found]
