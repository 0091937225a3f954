"""For how long `make faults` and `make attacks` look for what nobody thought of, so that a release can wait for them."""

import os

FUZZ_S = float(os.environ.get("EBR_FUZZ_S", "60"))
"""Seconds for each suite of random input, from another seed each time. A night has time for EBR_FUZZ_S=600 and more."""
FUZZ_CPU_S = FUZZ_S / 3
"""The same of what does nothing but compute, in seconds of processor time: where others compute, too, that is minutes."""
