"""A configuration as entries hold it: the files of the line folder in `config` events, read back into a line."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import config
from config import Line

Files = dict[str, bytes]


def add_part(files: Files, event: Mapping[str, Any]) -> None:
    """Add the pieces of one `config` event to those of the parts before it."""
    for piece in event["files"]:
        files[piece["name"]] = files.get(piece["name"], b"") + piece["text"].encode(piece.get("encoding", "utf-8"))


def line_of(files: Mapping[str, bytes]) -> Line:
    """Read the files as a line. Raises ConfigError: this version does not take what an earlier one took."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / Path(name).name).write_bytes(content)
        return config.load(Path(folder))
