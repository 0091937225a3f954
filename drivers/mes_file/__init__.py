"""Reads files that a legacy system drops into a folder, and hands their records over as rows.

Invariants: nothing in the folder is written, renamed or removed, and nothing outside it is read. A file is read when two scans in a row
found it unchanged, and whole or not at all: with one bad record all of it is refused, as an alarm. The same bytes are handed over once,
under whatever name they come again. A file's records are committed with how far it was read: a crash neither loses nor doubles one.
"""

from drivers.mes_file.driver import MesFileDriver

__all__ = ["MesFileDriver"]
