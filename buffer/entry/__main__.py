"""Write the schemas of all entries into a folder: `python -m buffer.entry docs/schemas`."""

import sys
from pathlib import Path

from buffer.entry import write_schemas

write_schemas(Path(sys.argv[1]))
