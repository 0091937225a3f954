"""Run the command line under cProfile: python benchmarks/steady/profiled.py FILE WORDS..."""

import cProfile
import sys

if __name__ == "__main__" and len(sys.argv) > 1:
    from gateway.cli import main

    file, sys.argv = sys.argv[1], ["ebr-gateway", *sys.argv[2:]]
    profile = cProfile.Profile()
    try:
        profile.runcall(main)
    except SystemExit:
        pass
    finally:
        profile.dump_stats(file)
