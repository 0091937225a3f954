"""What must stand before the readings of a journal's segment: the configuration and every source's tag table, as events. Pure.

They are cut so that each piece fits an entry, and without loss whatever a file's encoding.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version as version_of
from typing import Any

from config import Line
from gateway.entries.bodies import LARGEST_BODY_BYTES, slices

PIECE_CHARACTERS = 8_000


def software_version() -> str:
    """Give the installed distribution's version."""
    return version_of("ebr-gateway")


def config_events(line: Line, version: Mapping[str, Any], change: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
    """Give the files of the line folder.

    version: the configuration's number and digest, as in the head of every entry, and the digest of what its interfaces promise.
    change: what it changes, where the events begin a configuration; None where they only state it again.
    """
    pieces = [("files", piece) for name, content in line.files.items() for piece in pieces_of(name, content)]
    pieces += [("diff", item) for item in (change or {}).get("diff", ())]
    parts = list(slices(pieces, LARGEST_BODY_BYTES - 4_096))
    for number, (_, part) in enumerate(parts, 1):
        yield {
            "type": "config",
            **version,
            "software": software_version(),
            "part": number,
            "of": len(parts),
            **({} if change is None else {**change, "diff": [item for kind, item in part if kind == "diff"]}),
            "files": [item for kind, item in part if kind == "files"],
        }


def tagset_events(source: str, digest: str, table: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Give the tag table of a source, which its readings cite by the digest."""
    for first, part in slices(table, LARGEST_BODY_BYTES - 2_048):
        yield {
            "type": "tagset",
            "tagset": digest,
            "source": source,
            "first": first,
            "of": len(table),
            "tags": list(part),
        }


def pieces_of(name: str, content: bytes) -> list[dict[str, str]]:
    """Cut a file into pieces of text: UTF-8, else Latin-1, in which every byte is a character, and the piece says so."""
    try:
        text, encoding = content.decode("utf-8"), {}
    except UnicodeDecodeError:
        text, encoding = content.decode("latin-1"), {"encoding": "latin-1"}
    starts = range(0, max(len(text), 1), PIECE_CHARACTERS)
    return [{"name": name, "text": text[at : at + PIECE_CHARACTERS], **encoding} for at in starts]
