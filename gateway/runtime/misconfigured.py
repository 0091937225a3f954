"""Waits for a person: what is asked again of a source that waiting alone does not cure, at a slow pace and when its files change."""

import asyncio
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from config import Source
from config.credentials import FOLDER_VARIABLE

ASK_AGAIN_S = 60.0
LOOK_EVERY_S = 1.0
MOST_FILES = 2_000
LONGEST_NAME = 255

Stamps = tuple[tuple[str, int, int, int], ...]
"""Of each file: (path, mode, size in bytes, ns of its last change, of content or of rights)."""


def stamps(source: Source) -> Stamps:
    """Look at the files that a source's secrets and certificates may stand in, also those that are not there yet."""
    return tuple(entry for place in _places(source) for entry in _below(place))


async def changed(source: Source, before: Stamps, *, within_s: float = ASK_AGAIN_S) -> None:
    """Return when the files of a source differ from `before`, or when it is to be asked again in any case."""
    due_s = time.monotonic() + within_s
    while time.monotonic() < due_s and await asyncio.to_thread(stamps, source) == before:  # noqa: ASYNC110 - files tell nobody
        await asyncio.sleep(LOOK_EVERY_S)


def _places(source: Source) -> Iterator[Path]:
    """Yield the folders of credentials, that of certificates, and what else of the line folder the source's options name."""
    secrets = (os.environ.get("CREDENTIALS_DIRECTORY"), os.environ.get(FOLDER_VARIABLE))
    yield from (Path(place) for place in secrets if place)
    yield source.folder / "credentials"
    yield source.folder / "certs"
    for value in source.options.values():
        if isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and "://" not in value and "\0" not in value:
            yield source.folder / value


def _below(place: Path) -> Iterator[tuple[str, int, int, int]]:
    left = MOST_FILES
    for path in _walk(place):
        try:
            status = path.stat()
        except (OSError, ValueError):
            continue
        yield str(path), status.st_mode, status.st_size, max(status.st_mtime_ns, status.st_ctime_ns)
        left -= 1
        if not left:
            return


def _walk(place: Path) -> Iterable[Path]:
    yield place
    for folder, _, names in os.walk(place):
        yield from (Path(folder) / name for name in names)
