"""Run the command line, and count the CPU time of the event loop's thread by function between two SIGUSR2.

Run: python benchmarks/steady/profiled.py FILE WORDS...; FILE is read by pstats.
"""

import cProfile
import signal
import sys
import time

from gateway.cli import main

if __name__ == "__main__":
    file, sys.argv = sys.argv[1], ["ebr-gateway", *sys.argv[2:]]
    profile = cProfile.Profile(time.thread_time)
    turns = iter((profile.enable, lambda: (profile.disable(), profile.dump_stats(file))))
    signal.signal(signal.SIGUSR2, lambda *_: next(turns)())
    main()
