"""`python -m buffer.entry docs/schemas` writes the schemas of all entries into that folder."""

import sys
from pathlib import Path

from buffer.entry import write_schemas

write_schemas(Path(sys.argv[1]))
