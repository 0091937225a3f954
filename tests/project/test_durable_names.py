"""Whatever of the product gets its name by a rename goes through `buffer.durable`, or says here why it need not."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ELSEWHERE = {
    "buffer/durable.py": "the one place",
    "buffer/store.py": "the sums of a stopped journal: synced by the journal's own rule, which refuses a disk that can not",
    "buffer/repair/salvage.py": "damaged files are moved aside: both folders are synced by the journal's own rule",
    "buffer/restore/backup.py": "a restored journal is put in place: synced by the journal's own rule",
    "buffer/origin.py": "what was seen of a journal: an older one that a power cut brings back only tells less",
    "gateway/runtime/stamping.py": "a file that can not be read is set aside, as it is",
    "gateway/validation/oq/basic.py": "takes a journal away on the stage, as the case asks for",
    "gateway/validation/oq/clock.py": "tells a played clock how far it is off",
    "gateway/validation/pq_stage.py": "turns of the truth that simulators have written, before they are copied into the evidence",
    "gateway/access/gate.py": "no file by itself: the list of users is replaced by its own store",
    "gateway/context/records/final_records.py": "no file: runs of a step get another name",
}


def renames(path: Path) -> Iterator[int]:
    """Yield the lines on which a file or folder gets a name: of `str.replace`, which takes two texts, none.

    A method that is handed over, for another thread to call, is one too.
    """
    tree = ast.parse(path.read_text("utf-8"))
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("replace", "rename", "renames", "link", "hardlink_to"):
            of_os = isinstance(node.value, ast.Name) and node.value.id == "os"
            call = called.get(id(node))
            by_path = call is None or (len(call.args) == 1 and not call.keywords)
            if of_os or (by_path and node.attr in ("replace", "rename", "hardlink_to")):
                yield node.lineno


def test_a_rename_outside_of_the_one_place_is_named_with_its_reason() -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for package in ("gateway", "buffer")
        for path in sorted((ROOT / package).rglob("*.py"))
        if (lines := list(renames(path)))
    }
    assert {name: lines for name, lines in found.items() if name not in ELSEWHERE} == {}, "buffer.durable writes and places files"
    assert set(ELSEWHERE) <= set(found), "what is gone from there goes from here"
