"""Looks for the sign that a file is whole, in the folder and in what was read of it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from drivers.contract import UNFORESEEN, crashed
from drivers.mes_file.content import Refused, Unfinished
from drivers.mes_file.folder import Folder, NotAFile, NotWhole, Seen, Unreadable, printable
from drivers.mes_file.whole import SUMS, Whole, told_sum

LARGEST_SUM_BYTES = 4096
"""Of a file that holds a checksum."""


def missing_sign(sign: Whole, seen: Seen, companions: list[Seen], still_s: float) -> str | None:
    """Return which sign of a whole file is not there yet, as far as the folder shows it. still_s: how long the file has stood unchanged."""
    if still_s < sign.quiet_s:
        return f"it has stood unchanged for less than {sign.quiet_s:g} s (whole = quiet)"
    if sign.kind not in ("trigger", "checksum"):
        return None
    if not companions:
        return f"{' or '.join(map(printable, sign.companions(seen.name)[:2]))} is not there (whole = {sign.kind})"
    if sign.kind == "trigger" and all(found.mtime_ns < seen.mtime_ns for found in companions):
        return f"{printable(companions[0].name)} is older than the file (whole = trigger)"
    return None


def compare_sum(seen: Seen, data: bytes, beside: Seen, folder: Folder) -> None:
    """Compare a file with the checksum beside it.

    Raises Unfinished where there is none for it, or another one; NotWhole, NotAFile, Unreadable.
    """
    try:
        told = told_sum(folder.read(beside, LARGEST_SUM_BYTES).decode("ascii", "replace"), seen.name)
    except Unreadable as error:
        raise Unreadable(f"{printable(beside.name)}: {error}") from error
    algorithm = next(name for ending, name in SUMS.items() if beside.name.endswith(ending))
    found = hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()
    if told != found:
        raise Unfinished(f"{printable(beside.name)} says {told or 'nothing of it'}, its {algorithm} is {found}")


@contextmanager
def about_this_file(sign: Whole) -> Iterator[None]:
    """Turn whatever the content of a file makes its parsers raise into Refused, so that it stops this file alone. Not around an await.

    Where the end of the content is the sign, a content that ends too early stays Unfinished: more of it is to come.
    """
    try:
        yield
    except Unfinished as error:
        if sign.kind in ("line-end", "trailer"):
            raise
        raise Refused(str(error)) from error
    except (Refused, NotWhole, NotAFile, Unreadable):
        raise
    except UNFORESEEN as error:
        raise Refused(f"can not be read: {crashed(error).removeprefix('crashed: ')}") from error
