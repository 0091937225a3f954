"""AsyncAPI's own parser, which nobody here wrote: fetched by npm once, asked by node."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGE = "@asyncapi/parser"
VERSION = "3.6.6"
PROGRAM = """
import { Parser } from '@asyncapi/parser';
import { readFileSync } from 'fs';
const told = {};
for (const file of process.argv.slice(2)) {
  const { document, diagnostics } = await new Parser().parse(readFileSync(file, 'utf8'));
  told[file] = { understood: document !== undefined, version: document?.version() ?? null,
    errors: diagnostics.filter(one => one.severity === 0).map(one => `${one.path.join('/')}: ${one.message}`) };
}
console.log(JSON.stringify(told));
"""


def fetched() -> Path:
    """Return a folder in which node finds the parser; the test is skipped where there is none."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("needs node and npm")
    place = Path(os.environ.get("EBR_ASYNCAPI", Path.home() / ".cache" / "ebr-gateway" / "asyncapi"))
    place.mkdir(parents=True, exist_ok=True)
    (place / "package.json").write_text(json.dumps({"private": True, "dependencies": {PACKAGE: VERSION}}))
    (place / "parse.mjs").write_text(PROGRAM)
    if not (place / "node_modules" / PACKAGE).is_dir():
        words = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"]
        if subprocess.run(words, cwd=place, capture_output=True, check=False, timeout=300).returncode:
            pytest.skip(f"npm can not fetch {PACKAGE} here")
    return place


def parsed(*documents: Path) -> dict[str, dict[str, object]]:
    """Return what the parser says of each document: whether it understood it, of which version it is, its errors."""
    done = subprocess.run(
        ["node", "parse.mjs", *map(str, documents)], cwd=fetched(), capture_output=True, text=True, check=True, timeout=300
    )
    said: dict[str, dict[str, object]] = json.loads(done.stdout)
    return said
