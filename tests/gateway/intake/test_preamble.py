"""The configuration and the tag tables as events: cut to fit their entries, and whole again when put together."""

import dataclasses
from pathlib import Path

import orjson
import pytest

import config
from config import Line, examples
from gateway.entries.bodies import LARGEST_BODY_BYTES
from gateway.entries.tagset import tagset_of
from gateway.intake.preamble import config_events, pieces_of, tagset_events

VERSION = {"version": 3, "sha256": "ab"}


def line_of(folder: Path) -> Line:
    examples.copy("granulation-2", folder)
    return config.load(folder)


@pytest.mark.urs("URS-CFG-01", "URS-CTX-02")
def test_the_files_of_a_line_are_whole_again_from_parts_that_fit_their_entries(tmp_path: Path) -> None:
    line = line_of(tmp_path / "line")
    files = {**line.files, "empty.csv": b"", "steps \xb5g.csv": "\x01µg\n".encode() * 30_000}

    events = list(config_events(dataclasses.replace(line, files=files), VERSION))

    assert [(event["part"], event["of"]) for event in events] == [(n, len(events)) for n in range(1, len(events) + 1)]
    assert len(events) > 1
    assert all(len(orjson.dumps(event)) < LARGEST_BODY_BYTES for event in events)
    found: dict[str, str] = {}
    for piece in (piece for event in events for piece in event["files"]):
        found[piece["name"]] = found.get(piece["name"], "") + piece["text"]
    assert {name: text.encode() for name, text in found.items()} == files


@pytest.mark.urs("URS-CFG-01")
def test_a_file_of_any_bytes_is_kept_and_says_how_it_was_read() -> None:
    content = bytes(range(256)) * 40

    pieces = pieces_of("map.csv", content)

    assert {piece["encoding"] for piece in pieces} == {"latin-1"}
    assert "".join(piece["text"] for piece in pieces).encode("latin-1") == content
    assert "encoding" not in pieces_of("map.csv", "µ".encode())[0]


@pytest.mark.urs("URS-CTX-02")
def test_a_long_tag_table_is_cut_and_each_slice_says_where_it_begins(tmp_path: Path) -> None:
    line = line_of(tmp_path / "line")
    tag = line.tags[0]
    digest, table = tagset_of(line.sources[0], [dataclasses.replace(tag, tag=f"{tag.tag}{n}") for n in range(2_000)])

    events = list(tagset_events(tag.source, digest, table))

    assert len(events) > 1
    assert [event["first"] for event in events] == [sum(len(earlier["tags"]) for earlier in events[:n]) for n in range(len(events))]
    assert [row for event in events for row in event["tags"]] == table
    assert {(event["tagset"], event["of"]) for event in events} == {(digest, 2_000)}
