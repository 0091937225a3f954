"""The archive's pages for people, and what binds them to the evidence."""

import hashlib
import itertools
import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kit.journals import GATEWAY, event, opened, resting_on

from buffer import keys, verify
from buffer.archive import packing, zipped
from buffer.archive.happenings import happenings
from buffer.archive.record import Record
from buffer.archive.texts import local_text
from buffer.entry.examples import EVENTS as EXAMPLES
from buffer.pages.blocks import Heading, NamedValues, Table, Text
from buffer.pages.html import html
from buffer.pages.pdf import pdf
from buffer.proofs import EpochTree, coded
from buffer.segment import Entry

BATCH = "B2026-0417"
SIGNS = "\u00b5g \u00b0C m\u00b2 \u00b1 \u2264 \u03a9 \u00e9\u00e8\u0142\u010d\u0151 \u0416"
HAN = "\u9020\u7c92"
NO_FONT_HAS = "\U00104321\U00104322"
"""Signs for private use: what a machine without a plant's fonts makes of its language."""
EVENTS = resting_on(4, EXAMPLES)  # where the batch starts, below


def parameter(name: str, **changes: Any) -> dict[str, Any]:
    return {**EVENTS["step"]["parameters"][0], "parameter": name, "name": name, **changes}


def step(name: str, **changes: Any) -> dict[str, Any]:
    record = f"{GATEWAY}/{BATCH}/granulator/{name}/1"
    return {**EVENTS["step"], "transition": "end", "record": record, "step": name, **changes}


def entries(events: Sequence[dict[str, Any]], *, time: str = "2026-11-22T07:15:02.512345Z") -> list[Entry]:
    """Entries that hold these events, as read from a journal; the first is number 3."""
    bodies = (json.dumps({"time": time, "event": event}).replace('"event": {', '"event":{') for event in events)
    return [Entry(7, seq, "", body.encode()) for seq, body in enumerate(bodies, 3)]


class Made:
    """A stopped journal with one small batch, and the archive of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.journal, self.zip = folder, folder / "journal", folder / "batch.zip"
        journal = opened(self.journal)
        self.signer = keys.create(self.journal / "checkpoint-key", GATEWAY)
        assert journal.opened.epoch_event is not None
        self.epoch = journal.opened.epoch
        journal.append([event(journal.opened.epoch_event), event(EVENTS["config"]), event(EVENTS["tagset"])])
        journal.append([event({**EVENTS["batch"], "transition": "start"})])
        journal.append([event(step("WET_MASS", parameters=[parameter(f"Speed {SIGNS}"), parameter(f"Note {HAN}", result="above")]))])
        journal.append([event(step("WET_MASS", revision=2, reason="late-data", parameters=[parameter("Speed", value="300.0")]))])
        journal.append([event(EVENTS["gap"]), event(EVENTS["alarm"]), event(EVENTS["material"]), event(EVENTS["sample"])])
        journal.append([event(EVENTS["batch"])], urgent=True).result()
        note = journal.checkpoint(self.signer, "batch-end")
        assert note is not None
        journal.append([event(note)], urgent=True).result()
        journal.close()
        self.make(self.zip)

    def make(self, target: Path) -> verify.Report:
        return packing.make(self.journal, BATCH, target, [self.signer.public], self.signer.note)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("made"))


def held(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def rewritten(target: Path, files: dict[str, bytes]) -> Path:
    """Everything that a forger without the key can put right put right."""
    inner = {name: content for name, content in files.items() if name not in {"SHA256SUMS", verify.SUMS_NOTE}}
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in inner.items()).encode()
    note = {verify.SUMS_NOTE: files[verify.SUMS_NOTE]} if verify.SUMS_NOTE in files else {}
    target.unlink(missing_ok=True)
    zipped.write_files(target, inner | {"SHA256SUMS": sums} | note)
    return target


@pytest.mark.urs("URS-OPS-03", "URS-AUD-08")
def test_html_and_pdf_show_the_record_and_the_evidence(made: Made) -> None:
    page = held(made.zip)["record.html"].decode()
    for text in ("WET_MASS", "300.0", "late-data", "revision 2", "Gaps", "Alarms", "Materials", "Samples", "Evidence", made.signer.public):
        assert text in page, text
    assert str(made.epoch) in page
    content = held(made.zip)["record.pdf"]
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")


def test_what_names_the_batch_after_its_end_does_not_lengthen_the_archive(made: Made, tmp_path: Path) -> None:
    folder = shutil.copytree(made.journal, tmp_path / "journal", ignore=shutil.ignore_patterns("ballast", "SHA256SUMS"))
    before = packing.spans_of(folder, BATCH)
    journal = opened(folder)
    sealed = {**EVENTS["checkpoint"], "batches": [{"batch": BATCH, "record": "r", "revision": 1, "seq": 5}]}
    released = {"type": "audit", "action": "release-hold", "who": "os:qa", "what": {"batch": BATCH}, "reason": "released"}
    journal.append([event(sealed), event(released)], urgent=True).result()
    journal.close()
    assert packing.spans_of(folder, BATCH) == before


def test_the_pages_are_the_same_bytes_for_the_same_entries_made_at_the_same_time(made: Made, tmp_path: Path) -> None:
    made.make(tmp_path / "again.zip")
    first, second = held(made.zip), held(tmp_path / "again.zip")
    dated = {"README.txt", "record.html", "record.pdf", "manifest.json", "SHA256SUMS", verify.SUMS_NOTE}
    assert {name for name in first if first[name] != second[name]} <= dated, "only the time of making differs"
    times = [json.loads(files["manifest.json"])["made"] for files in (first, second)]
    shown = [files["record.html"].decode() for files in (first, second)]
    for local in (True, False):
        zone = "Europe/Paris" if local else None
        shown[1] = shown[1].replace(local_text(times[1], zone), local_text(times[0], zone))
    assert shown[0] == shown[1]
    blocks, at = [Heading(1, "A")], datetime(2026, 11, 22, 8, tzinfo=UTC)
    assert pdf("Batch", "footer", blocks, at) == pdf("Batch", "footer", blocks, at)


@pytest.mark.urs("URS-OPS-03", "URS-AUD-08")
def test_the_head_says_what_it_is_when_it_was_made_and_by_what(made: Made) -> None:
    files = held(made.zip)
    at = json.loads(files["manifest.json"])["made"]
    page = " ".join(re.sub(r"<[^>]*>", " ", files["record.html"].decode()).split())
    for said in (
        f"Batch record {BATCH}", f"Number {GATEWAY}/{BATCH}, revision 1", f"Made at {local_text(at, 'Europe/Paris')} Europe/Paris",
        f"Software ebr-gateway {EVENTS['config']['software']}", f"version 12, SHA-256 {EVENTS['config']['sha256']}",
        "Meaning Name, printed User id and role Date and time, with UTC offset Signature Printed Reviewed Approved or rejected",
    ):  # fmt: skip
        assert said in page, said
    stamp = datetime.fromisoformat(at).astimezone(UTC).strftime("%Y%m%d%H%M%S")
    assert f"/CreationDate(D:{stamp}Z)".encode() in files["record.pdf"]
    assert b"D:2000" not in files["record.pdf"]


@pytest.mark.urs("URS-AUD-08")
def test_corrections_and_audit_trail_are_tables_for_people() -> None:
    moved = {**EVENTS["step"]["end"], "time": "2026-11-22T07:16:00.120Z"}
    changed = [
        {"path": "parameters/speed/value", "old": "251.5", "new": "300.0"},
        {"path": "end", "old": EVENTS["step"]["end"], "new": moved},
        {"path": "parameters/speed/gaps", "old": [], "new": ["g/1", "g/2"]},
        {"path": "parameters/speed/evidence", "old": {"from_seq": 1}, "new": {"from_seq": 2}},
    ]
    revised = step("WET_MASS", revision=2, reason="late-data", changed=changed)
    prune = {
        "type": "audit",
        "action": "prune",
        "who": "os:qa",
        "reason": "retention",
        "what": {"first": 1, "held": True, "of": {"batch": "B1"}},
    }
    blocks = list(Record(BATCH, GATEWAY, entries([revised, prune]), []).blocks())
    (corrected,) = [block for block in blocks if isinstance(block, Table) and "Before" in block.titles]
    assert [tuple(row[2:]) for row in corrected.rows] == [
        ("granulator/WET_MASS/1", "2", "late-data", "speed: value", "251.5", "300.0"),
        ("", "", "", "end", "2026-11-22 08:15:00.320+01:00", "2026-11-22 08:16:00.120+01:00"),
        ("", "", "", "speed: gaps", "none", "g/1, g/2"),
    ]
    (audit,) = [block for block in blocks if isinstance(block, Table) and "Why" in block.titles and "Action" in block.titles]
    assert [tuple(row[2:]) for row in audit.rows] == [
        ("prune", "os:qa", "first", "1", "retention"),
        ("", "", "held", "yes", ""),
        ("", "", "of", "batch B1", ""),
    ]
    assert not any("{" in cell for table in (corrected, audit) for row in table.rows for cell in row)


@pytest.mark.urs("URS-DAQ-11", "URS-AUD-08")
def test_gaps_are_grouped_by_source_and_cause_and_each_stands_below() -> None:
    gap = {**EVENTS["gap"], "start": "2026-11-22T07:14:41Z", "end": "2026-11-22T07:14:51Z"}
    later = {**gap, "gap": "dryer-plc/4690", "start": "2026-11-22T07:14:46Z", "end": "2026-11-22T07:14:58Z"}
    open_ = {**gap, "gap": "dryer-plc/4699", "transition": "open", "end": None, "outcome": None}
    blocks = list(Record(BATCH, GATEWAY, entries([gap, later, open_]), []).blocks())
    (alike,) = [block for block in blocks if isinstance(block, Table) and "Longest" in block.titles]
    assert [tuple(row) for row in alike.rows] == [
        ("dryer-plc", "link-lost", "lost", "2", "17 s", "12 s"),
        ("dryer-plc", "link-lost", "open", "1", "\u2013", "\u2013"),
    ]
    (each,) = [block for block in blocks if isinstance(block, Table) and "Outcome" in block.titles and "Gap" in block.titles]
    assert len(each.rows) == 3


@pytest.mark.urs("URS-TIME-02")
def test_a_result_bears_the_laboratorys_time_or_when_it_was_read() -> None:
    told = {**EVENTS["sample"]["results"][0], "seq": 2, "time": None}
    sample = {**EVENTS["sample"], "caused_by": 2, "results": [told, {**told, "key": "b", "time": "2026-11-23T10:00:00Z"}]}
    blocks = list(Record(BATCH, GATEWAY, entries([step("DRY"), sample], time="2026-11-24T06:00:00Z"), []).blocks())
    (samples,) = [block for block in blocks if isinstance(block, Table) and "Time of the results" in block.titles]
    assert samples.rows[0][-1] == "read 2026-11-24 07:00:00.000+01:00; 2026-11-23 11:00:00.000+01:00"


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler-utils is not installed")
def test_the_print_carries_the_records_signs_and_shows_what_it_can_not(tmp_path: Path) -> None:
    blocks: list[Heading | NamedValues | Table | Text] = [
        Heading(1, SIGNS),
        NamedValues([("Name", f"<b>{SIGNS}</b> & more")]),
        Table(("A",), (1,), [[NO_FONT_HAS]], frozenset({0})),
        Text("end", marked=True),
    ]
    (tmp_path / "a.pdf").write_bytes(pdf("Batch", "footer", blocks))
    text = subprocess.run(["pdftotext", "-layout", tmp_path / "a.pdf", "-"], capture_output=True, text=True, check=True).stdout
    assert text.count(SIGNS) == 2
    assert f"<b>{SIGNS}</b> & more" in text
    assert NO_FONT_HAS not in text
    assert "\ufffd\ufffd" in text
    assert "stands for a sign" in text
    assert "page 1 of 1" in text
    assert "<b>" not in html("Batch", blocks).replace("<body>", "")
    assert NO_FONT_HAS in html("Batch", blocks)


def test_a_column_is_as_wide_as_its_words_and_only_what_is_longer_than_any_word_breaks() -> None:
    page = html("Batch", [Table(("A", "B"), (1, 1), [["1234.5678 rpm", "f" * 64], ["dryer-plc/298", "two words of " + "40 " * 20]])])
    style, body = page.split("</style>")
    assert "th,td{border:1px solid #bbb;padding:.2em .5em;text-align:left;vertical-align:top;overflow-wrap:break-word}" in style
    assert body.count("class=long") == 1
    assert f"<td class=long>{'f' * 64}</td>" in body


@pytest.mark.parametrize(
    ("told", "where"),
    [({"source": "dryer-plc"}, "dryer-plc"), ({"source": "dryer-plc", "evidence": {"equipment": "dryer"}}, "dryer"), ({}, "line")],
)
def test_a_finding_says_where_it_was_made(told: dict[str, Any], where: str) -> None:
    finding = {
        "type": "finding",
        "code": "late-cycle",
        "severity": "warning",
        "text": "15 polls missed",
        "tags": [],
        "evidence": {},
        **told,
    }
    blocks = list(Record(BATCH, GATEWAY, entries([finding]), []).blocks())
    (table,) = [block for block in blocks if isinstance(block, Table) and "Where" in block.titles]
    assert [row[2:] for row in table.rows] == [["warning", where, "late-cycle", "15 polls missed"]]


def test_an_event_in_parts_is_one_again() -> None:
    parts = [
        {**EVENTS["step"], "parameters": [parameter(name)], "part": number, "of": 2, "sliced": ["parameters"]}
        for number, name in enumerate(("first", "second"), 1)
    ]
    (one,) = happenings(entries(parts))
    assert (one.where, [each["name"] for each in one.event["parameters"]]) == ("3-4", ["first", "second"])
    blocks = list(Record("B2026-0417", GATEWAY, entries(parts), []).blocks())
    assert any(isinstance(block, Table) and [row[0] for row in block.rows] == ["first", "second"] for block in blocks)


@pytest.mark.urs("URS-AUD-08", "URS-TIME-07")
def test_the_pages_say_by_how_much_the_clock_was_set_and_how_long_it_stood() -> None:
    stood = {"type": "clock", "kind": "suspend", "duration_s": 30.149, "of": "process"}
    blocks = Record(BATCH, GATEWAY, entries([EVENTS["clock"], stood]), []).blocks()
    (rows,) = [block.rows for block in blocks if isinstance(block, Table) and "Bound s" in block.titles]
    assert [(row[2], row[3]) for row in rows] == [("step", "+3.2 s"), ("suspend", "30.149 s, process")]


@pytest.mark.urs("URS-AUD-06")
@pytest.mark.parametrize(
    "name", ["record.html", "record.pdf", "README.txt", "verify.py", "configuration/12/line.toml", "keys.txt", "schemas/event-step.json"]
)
def test_a_page_that_was_changed_is_found_although_all_sums_are_right(made: Made, tmp_path: Path, name: str) -> None:
    files = held(made.zip)
    files[name] = files[name][:-2] + b"#" + files[name][-1:]
    report = verify.verify(rewritten(tmp_path / "forged.zip", files), made.signer.public)
    assert report.exit_code == 1, list(report.lines())


def test_without_the_note_the_pages_are_unproved_and_with_a_thiefs_they_are_bad(made: Made, tmp_path: Path) -> None:
    files = held(made.zip)
    note = files.pop(verify.SUMS_NOTE)
    report = verify.verify(rewritten(tmp_path / "a.zip", files), made.signer.public)
    assert (report.exit_code, "pages for people" in report.missing[0]) == (2, True)

    thief = keys.create(tmp_path / "thief", GATEWAY)
    files["record.html"] += b" "
    inner = {name: content for name, content in files.items() if name != "SHA256SUMS"} | {
        "keys.txt": (made.signer.public + "\n" + thief.public).encode()
    }
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in inner.items()).encode()
    files = inner | {verify.SUMS_NOTE: thief.note(packing.sums_text(GATEWAY, BATCH, sums)).encode()}
    assert note != files[verify.SUMS_NOTE]
    report = verify.verify(rewritten(tmp_path / "b.zip", files), made.signer.public)
    assert (report.exit_code, report.problems) == (1, [f"{verify.SUMS_NOTE} is not signed by the key"])


@pytest.mark.parametrize("change", ["double", "stranger", "bits", "end"])
def test_a_note_that_says_the_same_in_other_bytes_is_bad(made: Made, tmp_path: Path, change: str) -> None:
    files = held(made.zip)
    text, _, signature = files[verify.SUMS_NOTE].decode().rpartition("\n\n")
    match change:
        case "double":
            signature += signature
        case "stranger":
            signature += "\u2014 example.com/foo AAAA\n"
        case "bits":
            signature = (
                f"{signature[:-3]}{chr(ord(signature[-3]) + 1)}{signature[-2:]}"  # the last sign before = has bits that count for nothing
            )
        case _:
            signature = signature[:-1]
    files[verify.SUMS_NOTE] = f"{text}\n\n{signature}".encode()
    report = verify.verify(rewritten(tmp_path / "a.zip", files), made.signer.public)
    assert report.exit_code == 1, list(report.lines())


def test_after_a_rotation_the_archive_carries_what_hands_the_trust_on(made: Made, tmp_path: Path) -> None:
    journal_folder = shutil.copytree(made.journal, tmp_path / "journal", ignore=shutil.ignore_patterns("ballast", "SHA256SUMS"))
    new = keys.create(tmp_path / "new", GATEWAY)
    (journal_folder / verify.ROTATIONS_BESIDE).write_text(keys.rotation(made.signer, new)["what"]["note"])
    journal = opened(journal_folder)
    journal.append([event({**EVENTS["batch"], "revision": 2})], urgent=True).result()
    journal.append([event(journal.checkpoint(new) or {})], urgent=True).result()
    journal.close()
    packing.make(journal_folder, BATCH, tmp_path / "a.zip", [made.signer.public, new.public], new.note)
    for key in (made.signer.public, new.public):
        report = verify.verify(tmp_path / "a.zip", key)
        assert (report.exit_code, report.signatures) == (0, 2), list(report.lines())
    files = held(tmp_path / "a.zip")
    files.pop(verify.ROTATIONS_BESIDE)
    assert verify.verify(rewritten(tmp_path / "b.zip", files), made.signer.public).exit_code == 1


@pytest.mark.urs("URS-AUD-06")
def test_entries_left_out_between_others_of_the_batch_are_missed(made: Made, tmp_path: Path) -> None:
    """Any copy of the journal gives the proof for a range with a hole: that nothing was left out, only a range without holes says."""
    files = held(made.zip)
    del files[verify.SUMS_NOTE]
    proof = json.loads(files["proofs.json"])["epochs"][0]
    epoch, (first, last) = proof["epoch"], proof["ranges"][-1]
    lines = files[f"entries/{epoch}.jsonl"].splitlines(keepends=True)
    before = sum(high - low + 1 for low, high in proof["ranges"][:-1])
    naming = [number for number, line in enumerate(lines) if json.dumps(BATCH).encode() in line]
    cut = next(high for low, high in itertools.pairwise(naming) if low >= before and high - low > 1) - 1
    texts = [line.rstrip(b"\n") for line in lines]
    gone = first + cut - before
    proof["ranges"][-1:] = [[first, gone - 1], [gone + 1, last]]
    proof["previous"][str(gone + 1)] = json.loads(texts[cut + 1])["previous"]
    proof["digests"][str(gone - 1)] = hashlib.sha256(texts[cut - 1]).hexdigest()
    seqs = [seq for low, high in proof["ranges"] for seq in range(low, high + 1)]
    size = int(files[proof["checkpoint"]].split(b"\n")[1])
    proof["hashes"] = coded(EpochTree(made.journal, epoch).others([seq - 1 for seq in seqs], size))
    files[f"entries/{epoch}.jsonl"] = b"".join(lines[:cut] + lines[cut + 1 :])
    files["proofs.json"] = json.dumps({"epochs": [proof]}).encode()
    files["manifest.json"] = json.dumps({**json.loads(files["manifest.json"]), "entries": len(seqs)}).encode()
    report = verify.verify(rewritten(tmp_path / "hole.zip", files), made.signer.public)
    assert report.problems == []
    assert any(f"before entries [{gone + 1}], are not here" in one for one in report.missing), list(report.lines())


def test_a_table_of_many_columns_breaks_its_names_and_its_words_stay_the_same() -> None:
    """On a screen of 1,024 the columns of readings, gaps and entries lay outside of the page."""
    name = "granulator.impeller_speed, floor-scale/165, 3.940 a_b"
    titles = tuple(f"c{number}" for number in range(15))
    wide = html("x", [Table(titles, (1,) * 15, [[name] * 15])])
    assert "<table class=wide>" in wide
    assert "granulator.<wbr>impeller_<wbr>speed, floor-scale/<wbr>165, 3.940 a_b" in wide
    assert wide.replace("<wbr>", "").count(name) == 15
    narrow = html("x", [Table(titles[:5], (1,) * 5, [[name] * 5])])
    assert "<wbr>" not in narrow


@pytest.mark.urs("URS-SEC-03")
def test_what_production_did_because_it_was_accepted_stands_on_the_record() -> None:
    plain, weak = entries([step("WET_MASS"), step("DRY")])
    weak = Entry(weak.epoch, weak.seq, "", weak.payload[:-1] + b',"exceptions":["security:granulator-plc"]}')
    for held, expected in (([plain], None), ([plain, weak], "security:granulator-plc")):
        (facts,) = [block for block in list(Record(BATCH, GATEWAY, held, []).blocks())[:6] if isinstance(block, NamedValues)][:1]
        assert dict(facts.rows).get("Accepted exceptions") == expected


@pytest.mark.urs("URS-CFG-07")
def test_that_a_simulator_was_read_stands_on_the_record() -> None:
    plain, of_simulator = entries([step("WET_MASS"), step("DRY")])
    of_simulator = Entry(of_simulator.epoch, of_simulator.seq, "", of_simulator.payload[:-1] + b',"simulated":true}')
    for held, expected in (([plain], None), ([plain, of_simulator], "yes: values of this record come from simulators")):
        (facts,) = [block for block in list(Record(BATCH, GATEWAY, held, []).blocks())[:6] if isinstance(block, NamedValues)][:1]
        assert dict(facts.rows).get("Simulated") == expected
