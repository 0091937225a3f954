"""Puts one line's gateway together and keeps it running: what runs, how it starts, what is tried again, and how it stops.

Invariants:

- One failed source or uplink never ends the process, nor does a witness or a backup: `supervise` tries each again by itself, and a bug in
  a driver counts as a failure of its source alone (`isolate`). It stands in the journal as a gap or a finding.
- Of what may fail in operation, only the journal ends the process (`StorageFault`): nothing may go on as if entries were durable. Two more
  ends are meant: a bug outside the drivers, for the program is crash-only, and a configured address that can not be opened, for a page
  that is not there must be noticed. systemd starts it again; that is safe because a reading counts as read only when it is on disk.
- Start: check the folder whole, open and recover the journal, make the clock, replay the fold; then append epoch, configuration, tag
  tables, start, key and gaps, in this order, before the first task runs. Tasks start in the order of their tables (`tasks`), sources last.
- Stop: cancel the sources, append heartbeat and stop, sign, give the receivers five seconds, cancel uplinks and the rest, close the
  journal. What was not sent is sent after the next start.
- Objects are made once and handed to each other by constructor; nothing is patched in afterwards.
"""
