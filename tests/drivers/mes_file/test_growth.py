"""Files that grow, are written anew or renamed: each record counts once, and what is compared is the record, not the file."""

import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest
from kit.collector import Journal, running
from kit.mes_file import CSV, TAGS, put, source

from drivers.mes_file import MesFileDriver
from drivers.restored_rows import MARK, row_mark

DAY = {"name": "results", "glob": "*.csv", "format": "csv"}
SNAPSHOT = {**CSV, "snapshot": True}


def told(journal: Journal) -> list[tuple[str, str, Any]]:
    return [(message.change, message.key, message.row.get("lod")) for message in journal.messages]


async def written(drop: Path, one: Any, *contents: str, journal: Journal | None = None) -> Journal:
    """Write day.csv again and again, in place, and let each content be read before the next comes."""
    journal = journal or Journal()
    async with running(MesFileDriver(one, TAGS), journal):
        for content in contents:
            (drop / "day.csv").write_bytes(content.encode())
            await journal.polled(4)
    return journal


@pytest.mark.urs("URS-DAQ-04")
async def test_each_line_that_is_appended_is_one_record_with_a_key_of_its_own(tmp_path, drop):
    lines = ["sample_id,lod\n", "S1,1\n", "S2,2\n", "S2,2\n", "S3,3\n"]
    journal = await written(drop, source(tmp_path, DAY), *("".join(lines[:count]) for count in range(2, 6)))
    origin = journal.messages[0].key.partition(":")[0]
    assert [message.key for message in journal.messages] == [f"{origin}:{number}" for number in range(1, 5)]
    assert [(message.change, message.row["sample_id"]) for message in journal.messages] == [("new", s) for s in ("S1", "S2", "S2", "S3")]
    assert [reading[1] for reading in journal.readings] == [1.0, 2.0, 2.0, 3.0]
    assert journal.findings == []


async def test_of_a_grown_file_with_a_key_only_what_is_new_or_changed_is_handed_over(tmp_path, drop):
    start = "sample_id,lod\nS1,1\nS2,2\n"
    journal = await written(drop, source(tmp_path), start, start + "S3,3\n", start + "S3,3\nS1,9\n", start + "S3,3\nS1,9\nS2,2\n")
    assert told(journal) == [("new", "S1", "1"), ("new", "S2", "2"), ("new", "S3", "3"), ("changed", "S1", "9")]


async def test_of_a_file_that_is_written_anew_only_changed_rows_are_changed(tmp_path, drop):
    journal = await written(
        drop,
        source(tmp_path),
        "sample_id,lod\nS1,1\nS2,2\nS3,3\n",
        "sample_id,lod\nS1,1\nS2,2.5\nS4,4\n",
        "sample_id,lod\nS1,1\nS2,2\nS3,3\n",
    )
    assert told(journal)[3:] == [("changed", "S2", "2.5"), ("new", "S4", "4"), ("changed", "S2", "2")]
    assert [code for code in journal.codes if code != "file-rewritten"] == []


async def test_a_row_that_is_missing_was_deleted_only_where_each_file_holds_all_rows(tmp_path, drop):
    contents = ("sample_id,lod\nS1,1\nS2,2\n", "sample_id,lod\nS2,2\n", "sample_id,lod\nS1,1\nS2,2\n")
    journal = await written(drop, source(tmp_path, SNAPSHOT), *contents)
    assert told(journal)[2:] == [("deleted", "S1", None), ("new", "S1", "1")]
    (drop / "day.csv").unlink()
    partial = await written(drop, source(tmp_path), *contents)
    assert told(partial)[2:] == []


async def test_a_key_that_stands_twice_in_a_file_does_not_flap(tmp_path, drop):
    journal = await written(drop, source(tmp_path), "sample_id,lod\nS1,1\nS1,2\n", "lod,sample_id\n1,S1\n2,S1\n7,S2\n")
    assert told(journal) == [("new", "S1", "1"), ("changed", "S1", "2"), ("new", "S2", "7")]


async def test_what_was_read_is_known_after_a_restart(tmp_path, drop):
    start = "sample_id,lod\nS1,1\nS2,2\n"
    for pattern in (CSV, DAY):
        journal = await written(drop, source(tmp_path, pattern), start)
        grown = await written(drop, source(tmp_path, pattern), start + "S3,3\n", journal=Journal(journal.watermark))
        assert [message.row["sample_id"] for message in grown.messages] == ["S3"]
        assert {key.partition(":")[0] for key in (m.key for m in grown.messages)} <= {journal.messages[0].key.partition(":")[0], "S3"}
        (drop / "day.csv").unlink()


async def test_a_record_whose_line_was_not_ended_is_waited_for_and_read_once(tmp_path, drop):
    journal = await written(drop, source(tmp_path, DAY), "sample_id,lod\nS1,1\nS2,12", "sample_id,lod\nS1,1\nS2,123.9\n")
    assert [message.row["lod"] for message in journal.messages] == ["1", "123.9"]


async def test_a_line_end_that_comes_before_the_next_line_ends_a_record(tmp_path, drop):
    pattern = {**DAY, "whole": "quiet:0.05"}
    journal = Journal()
    async with running(MesFileDriver(source(tmp_path, pattern), TAGS), journal):
        for content in (b"sample_id,lod\nS1,1", b"sample_id,lod\nS1,1\nS2,2"):
            (drop / "day.csv").write_bytes(content)
            await journal.until(lambda content=content: len(journal.messages) == content.count(b"\n"))
        (drop / "day.csv").write_bytes(b"sample_id,lod\nS1,1\nS2,25")
        await journal.until(lambda: journal.codes == ["file-rewritten"])
    assert [message.row["lod"] for message in journal.messages] == ["1", "2", "1", "25"]


@pytest.mark.bar("F42")
async def test_a_file_that_was_renamed_and_goes_on_is_not_read_again(tmp_path, drop):
    journal = await written(drop, source(tmp_path, DAY), "sample_id,lod\nS1,1\n")
    (drop / "day.csv").rename(drop / "day-1.csv")
    with (drop / "day-1.csv").open("a") as file:
        file.write("S2,2\n")
    again = await written(drop, source(tmp_path, DAY), "sample_id,lod\nS3,3\n", journal=Journal(journal.watermark))
    assert [message.row["sample_id"] for message in again.messages] == ["S2", "S3"]


async def test_an_earlier_content_under_the_same_name_is_another_content(tmp_path, drop):
    contents = ["sample_id,lod\nS1,1\n", "sample_id,lod\nS1,2\n", "sample_id,lod\nS1,1\n"]
    journal = await written(drop, source(tmp_path), *contents)
    assert told(journal) == [("new", "S1", "1"), ("changed", "S1", "2"), ("changed", "S1", "1")]


async def test_a_copy_of_what_a_grown_file_was_at_first_is_known(tmp_path, drop):
    start = "sample_id,lod\nS1,1\n"
    journal = Journal()
    async with running(MesFileDriver(source(tmp_path, DAY), TAGS), journal):
        put(drop, "day.csv", start.encode())
        await journal.until(lambda: len(journal.messages) == 1)
        with (drop / "day.csv").open("a") as file:
            file.write("S2,2\n")
        await journal.until(lambda: len(journal.messages) == 2)
        put(drop, "copy.csv", start.encode())
        await journal.until(lambda: journal.codes == ["file-again"])
    assert len(journal.messages) == 2


@pytest.mark.parametrize("pattern", [CSV, DAY])
@pytest.mark.parametrize("further", ["grown", "anew"])
async def test_a_crash_within_a_file_that_changes_meanwhile_loses_and_doubles_nothing(tmp_path, drop, pattern, further):
    lines = [f"S{number},{number}\n" for number in range(700)]
    put(drop, "day.csv", ("sample_id,lod\n" + "".join(lines[:600])).encode())
    journal = Journal()
    journal.fail_after = 2
    async with running(MesFileDriver(source(tmp_path, pattern), TAGS), journal) as task:
        await journal.until(task.done)
    assert len(journal.messages) == 400
    order = lines if further == "grown" else lines[::-1]
    (drop / "day.csv").write_bytes(("sample_id,lod\n" + "".join(order)).encode())
    journal.fail_after = None
    async with running(MesFileDriver(source(tmp_path, pattern), TAGS), journal):
        await journal.until(lambda: len({message.row["sample_id"] for message in journal.messages}) == 700)
        await journal.polled(3)
    if pattern is DAY and further == "anew":  # without a key nothing tells a record of before from one of now
        assert len(journal.messages) == 1100
    else:
        assert len(journal.messages) == 700


async def test_what_an_earlier_version_read_goes_on(tmp_path, drop):
    data = b"sample_id,lod\nS1,1\nS2,2\n"
    put(drop, "day.csv", data + b"S3,3\nS1,1\n")
    digest = sha256(data).hexdigest()[:32]
    former = {"results": {digest: ["day.csv", -1, 1, len(data), 1]}}
    journal = Journal(orjson.loads(orjson.dumps(former)))
    async with running(MesFileDriver(source(tmp_path), TAGS), journal):
        await journal.until(lambda: journal.messages != [])
        await journal.polled(3)
    assert told(journal) == [("new", "S3", "3")]
    assert "results" not in journal.watermark


async def test_a_line_costs_the_same_in_the_evening_as_in_the_morning(tmp_path, drop, figures):
    """The bytes that are committed with one line more, of a file of 20 lines and of one of 4,000."""
    sizes: list[int] = []

    class Counting(Journal):
        def __call__(self, *args: Any, **more: Any) -> Any:
            if more.get("messages"):
                sizes.append(len(orjson.dumps(more["watermark"])))
            return super().__call__(*args, **more)

    for count in (20, 4000):
        text = "sample_id,lod\n" + "".join(f"S{number},{number}\n" for number in range(count))
        journal = Counting()
        async with running(MesFileDriver(source(tmp_path), TAGS), journal):
            put(drop, "day.csv", text.encode())
            await journal.until(lambda count=count, journal=journal: len(journal.messages) == count)
            with (drop / "day.csv").open("a") as file:
                file.write("LAST,1\n")
            await journal.until(lambda count=count, journal=journal: len(journal.messages) == count + 1)
        (drop / "day.csv").unlink()
        figures("files", f"a line appended to {count} lines: {sizes[-1]} bytes of watermark")
    assert sizes[-1] < 4 * sizes[1]


async def test_more_records_than_are_compared_are_read_as_changed_and_that_is_said(tmp_path, drop):
    rows = "".join(f"S{number},{number}\n" for number in range(150))
    one = source(tmp_path, compared_rows=100)
    journal = await written(drop, one, "sample_id,lod\n" + rows, "sample_id,lod\nS0,0\n" + rows)
    assert [message.change for message in journal.messages] == ["new"] * 150 + ["changed"] * 151
    assert "read as changed" in journal.findings[-1].text


async def test_lines_that_the_journal_has_since_before_a_restore_are_not_read_again(tmp_path, drop):
    lines = [f"S{number},{number}\n" for number in range(6)]
    for pattern in (CSV, DAY):
        (drop / "day.csv").write_text("sample_id,lod\n" + "".join(lines[:2]))
        journal = Journal()
        async with running(MesFileDriver(source(tmp_path, pattern), TAGS), journal):
            await journal.until(lambda journal=journal: len(journal.messages) == 2)
            backup = dict(journal.watermark)
            (drop / "day.csv").write_text("sample_id,lod\n" + "".join(lines[:4]))
            await journal.until(lambda journal=journal: len(journal.messages) == 4)
        beyond = [row_mark(message.key, message.row) for message in journal.messages[2:]]
        (drop / "day.csv").write_text("sample_id,lod\n" + "".join(lines))
        restored = Journal({**backup, MARK: {"results": {"until_ns": time.time_ns(), "rows": beyond}}})
        async with running(MesFileDriver(source(tmp_path, pattern), TAGS), restored):
            await restored.until(lambda restored=restored: restored.messages != [])
            await restored.polled(3)
        assert restored.codes == ["file-recalled"]
        assert [message.row["sample_id"] for message in restored.messages] == ["S4", "S5"]
        assert restored.messages[-1].key.partition(":")[0] in (journal.messages[0].key.partition(":")[0], "S5")
        (drop / "day.csv").unlink()
