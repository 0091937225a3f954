"""The journal of these tests has short segments, so that a judgement of it costs little: its bytes are judged some hundred times."""

from collections.abc import Iterator

import pytest
from kit.journals import short_segments
from kit.signed_journal import Made

ENTRIES = 1024


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """Two segments, while the tests of a file run."""
    with pytest.MonkeyPatch.context() as patched:
        short_segments(patched, ENTRIES)
        yield Made(tmp_path_factory.mktemp("made"), entries=1000)
