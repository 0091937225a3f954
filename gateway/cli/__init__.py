"""The command line: parse, call one function, print.

Exit codes: 0 good; 1 a finding (tampering, difference, failed qualification); 2 the input or configuration is wrong; 3 something could not
be reached.
"""

import os
import sqlite3
import sys

from gateway.cli import clock, configuration, line, records, running, sources
from gateway.cli.base import NOT_REACHED, WRONG_INPUT, app, fail

__all__ = ["app", "clock", "configuration", "line", "main", "records", "running", "sources"]


def main() -> None:
    """Entry point: one readable line per problem, no tracebacks for what a user can mend."""
    import buffer
    import config
    import drivers
    from buffer import keys

    try:
        app()
    except (config.ConfigError, drivers.DriverMisconfigured, keys.KeyUnusable, FileNotFoundError) as error:
        fail(str(error), WRONG_INPUT)
    except buffer.JournalError as error:
        fail(str(error), NOT_REACHED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # a full disk, no permission, a share that is away
        fail(str(error) or type(error).__name__, NOT_REACHED)
    except sqlite3.Error as error:
        fail(f"a file of the journal can not be read: {error}", NOT_REACHED)
