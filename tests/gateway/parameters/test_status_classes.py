"""Each StatusCode that docs/validation/urs.md lists in 3.4 has the class that it says there."""

import re

import pytest
from kit.repository import DOCS

from gateway.parameters.series import quality, usable

PAGE = (DOCS / "validation" / "urs.md").read_text("utf-8")
LISTED = [
    (name, int(code, 16), said)
    for codes, said in re.findall(r"(?m)^\| ((?:Good|Uncertain|Bad)[^|]*[0-9A-F]{8}[^|]*) \| ([^|]*) \|", PAGE)
    for name, code in re.findall(r"(\w+) ([0-9A-F]{8})", codes)
]
CLASSES = {
    "good": {"good"},
    "**good-altered**": {"good-altered"},
    "**stale**": {"stale"},
    "uncertain": {"uncertain"},
    "uncertain-manual": {"uncertain"},
    "uncertain + drift": {"uncertain"},
    "aggregate-uncertain": {"uncertain"},
    "simulated": {"simulated"},
    "bad, value null": {"bad"},
}
INITIAL = 0x40920000
"""UncertainInitialValue is never the value of a step, so it counts as stale does."""


def test_the_table_is_read() -> None:
    assert len(LISTED) >= 23
    assert {said.strip() for _, _, said in LISTED} <= CLASSES.keys()


@pytest.mark.urs("URS-DAQ-05")
@pytest.mark.parametrize(("name", "code", "said"), LISTED, ids=[name for name, _, _ in LISTED])
@pytest.mark.parametrize("info", [0, 0x480], ids=["plain", "overflow"])
def test_each_listed_code_has_its_class(name: str, code: int, said: str, info: int) -> None:
    """The bits below the 16 that say what it is, such as Overflow, change no class."""
    expected = {"stale"} if code == INITIAL else CLASSES[said.strip()]
    assert {quality(code | info)} == expected
    assert usable(code | info) == (not expected & {"bad", "stale"})


@pytest.mark.urs("URS-DAQ-05")
@pytest.mark.parametrize(
    ("code", "expected"), [(0, "good"), (0x2FFF0000, "good"), (0x7FFF0000, "uncertain"), (0x80FF0000, "bad"), (0xFFFF0000, "bad")]
)
def test_an_unknown_code_has_the_class_of_its_severity(code: int, expected: str) -> None:
    assert quality(code) == expected
