"""Reads files that a legacy system drops into a folder, and hands their records over as rows.

Invariants: nothing in the folder is written, renamed or removed, and nothing outside it is read. A file is read when two scans in a row
found it unchanged and the sign is there that it is whole, and whole or not at all: with one bad record all of it is refused, as an alarm.
A record is handed over once, under whatever name its file comes again and however it grows; its records are committed with how far it was
read, so that a crash neither loses nor doubles one. What is not read is said.

The way of a file: `folder` (which stand there), `signs` and `whole` (is it whole), `content` and `formats` (its records), `delivery` (what
of them is news, against the `ledger`), `values` (of tags); `reader` does it for one pattern, `driver` for the folder.
"""

from drivers.mes_file.driver import MesFileDriver

__all__ = ["MesFileDriver"]
