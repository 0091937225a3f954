"""The cost of stamping: one stamp and two conversions per list, at the rates of a busy line.

python benchmarks/clock.py
"""

import time

from gateway.clock import Clock
from gateway.clock.daemon_reading import Evidence

READINGS_PER_S, READINGS_PER_LIST, ROUNDS = 10_000, 100, 200_000


def measured(clock: Clock) -> float:
    """Seconds of CPU per list: what the intake asks of the clock for it."""
    now_ns = time.monotonic_ns()
    began_s = time.process_time()
    for _ in range(ROUNDS):
        clock.stamp()
        clock.ticks(now_ns)
        clock.ticks(now_ns)
    return (time.process_time() - began_s) / ROUNDS


def synchronised() -> Clock:
    """A clock with fresh evidence, whose bound has to be grown at each stamp."""
    clock = Clock()
    now_ns = time.monotonic_ns()
    clock.take(Evidence("bench", now_ns, synchronised=True, bound_s=0.001, updated_ns=now_ns, update=1.0, interval_s=64.0, rate=0.0))
    clock.look()
    return clock


def main() -> None:
    cost_s = min(measured(synchronised()) for _ in range(3))
    share = cost_s * READINGS_PER_S / READINGS_PER_LIST
    print(f"stamping: {cost_s * 1e6:.2f} us of CPU per list of {READINGS_PER_LIST} readings")
    print(f"at {READINGS_PER_S} readings/s: {share * 100:.3f} % of a core (one list per reading: {cost_s * READINGS_PER_S * 100:.2f} %)")


if __name__ == "__main__":
    main()
