"""A disk that has room for a part of what is written: the kernel takes that part, and says so only to who asks."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def nearly_full(path: Path, room_bytes: int) -> Iterator[None]:
    """Let this process write no file further than where `path` ends and so many bytes more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + room_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
