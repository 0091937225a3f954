"""The fault suites share a rig and an oracle; both lie beside them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
