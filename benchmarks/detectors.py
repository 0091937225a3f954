"""What detectors cost: lists by column of 1,000 tags of which 0, 10 and 100 % have limits, each with flat line, zeros, rate and jump.

CPU microseconds of one list, the middle of all; every value changes in each list, which is what asks most.
Usage: python benchmarks/detectors.py
"""

import dataclasses
import statistics
import time
from fractions import Fraction

from config import Source, Tag
from config.detectors import Limits, UnitJump
from gateway.intake.by_column import Stored
from gateway.intake.detectors import Detectors, Taking
from gateway.intake.readings import Instants

TAGS, LISTS, S, NOW = 1_000, 60, 10_000_000, 17_953_300_000_000_000
LIMITS = Limits(flat_after_s=60.0, zero_after_s=5.0, max_rate_per_s=1e6, unit_jumps=(UnitJump("10", Fraction(10)),), unit_jump_min=1e6)


def main() -> None:
    """Print the table."""
    source = Source(name="plc", driver="modbus", endpoint="tcp://127.0.0.1:502", rate_ms=1000)
    plain = [Tag(tag=f"t{number}", source="plc", address="a", type="float64") for number in range(TAGS)]
    layout = tuple(range(TAGS))
    for percent in (0, 10, 100):
        tags = [dataclasses.replace(tag, limits=LIMITS) if number % 100 < percent else tag for number, tag in enumerate(plain)]
        its = Detectors(source, tags)
        through, taken = [NOW] * TAGS, list[float]()
        for number in range(LISTS):
            listed = Stored(layout, [float(place + number + 1) for place in range(TAGS)], None, None, None)
            io = Instants(NOW + number * S, NOW + number * S + 20_000)
            begun = time.thread_time()
            its.by_column(listed, Taking("poll", io, trusts=True, offset=0, through=through.__getitem__))
            taken.append(time.thread_time() - begun)
            through[:] = [io.received] * TAGS
        begun = time.thread_time()
        its.look(NOW + LISTS * S, through.__getitem__)
        looked_s = time.thread_time() - begun
        print(f"{percent:3d} % with limits: {statistics.median(taken) * 1e6:8.1f} us a list, {looked_s * 1e6:8.1f} us a look each second")


if __name__ == "__main__":
    main()
