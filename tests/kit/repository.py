"""Where things of the repository lie that tests look at: its documents, schemas, benchmarks, and what is installed with the product."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SCHEMAS = DOCS / "schemas"
BENCHMARKS = ROOT / "benchmarks"
EXAMPLES = ROOT / "config" / "examples"
