"""NOTICE names every library that a plant gets, under the licence that the library states."""

import re
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOTICE = (ROOT / "NOTICE").read_text("utf-8")
LISTED = dict(re.findall(r"^([a-z0-9-]+) {2,}(\S.*)$", NOTICE, re.MULTILINE))


def identifiers(expression: str) -> set[str]:
    """The SPDX identifiers of a licence expression."""
    return set(re.findall(r"[A-Za-z0-9.-]+", expression)) - {"AND", "OR", "WITH"}


def test_the_list_is_that_of_the_lock_in_order() -> None:
    locked = re.findall(r"^([a-z0-9.-]+)(?:\[[a-z,]+\])?==", (ROOT / "locks" / "run.txt").read_text("utf-8"), re.MULTILINE)
    assert list(LISTED) == sorted(locked)


def test_no_library_states_a_licence_that_the_list_leaves_out() -> None:
    stated = {name: metadata.metadata(name).json.get("license_expression") for name in LISTED}
    left_out = {name: identifiers(str(text)) - identifiers(LISTED[name]) for name, text in stated.items() if text}
    assert {name: rest for name, rest in left_out.items() if rest} == {}
    assert len(left_out) > len(LISTED) / 3  # else metadata is kept elsewhere by now, and nothing was compared


def test_every_library_brings_its_licence_text_or_licences_holds_it() -> None:
    for name in LISTED:
        files = metadata.distribution(name).files or []
        brings = any(re.search(r"licen[cs]e|copying", file.name, re.IGNORECASE) for file in files)
        assert brings or (ROOT / "LICENSES" / f"{name}.txt").exists(), name


def test_what_a_licence_of_the_list_asks_for_is_said() -> None:
    """Copyleft in the list, also one that a new lock brings, needs its words in section 3."""
    asked = NOTICE.partition("3. What some of them ask for")[2]
    copyleft = {name for name, licence in LISTED.items() if re.search(r"GPL|MPL|EPL|CDDL|LicenseRef", licence)}
    assert "asyncua" in copyleft
    assert {name for name in copyleft if name not in asked} == set()
