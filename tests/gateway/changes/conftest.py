"""One desk for each test of this room."""

from pathlib import Path

import pytest
from kit.change_desk import Desk
from kit.production_line import production_line

from gateway.changes import baseline


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    taken = {"form": baseline.FORM, "software": "0", "files": {"gateway/x.py": "aa"}, "libraries": {}, "units": {}}
    monkeypatch.setattr(baseline, "installed", lambda line, units=(): taken)  # a thousand files need not be read for each of these
    return Desk(production_line(tmp_path / "line"))
