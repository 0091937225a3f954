"""The digest of an interface changes with what its other side relies on, and with nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest
from kit.every_interface import every_interface

import config
from gateway.interfaces import canonical, contracts, digest_of, digests, whole

Edit = Callable[[str, str, str], set[str]]


@pytest.fixture
def edited(tmp_path: Path) -> Edit:
    """Change one text of a file; what comes back are the interfaces whose digest changed."""
    folder = every_interface(tmp_path / "line")
    before = digests(config.load(folder))

    def edit(file: str, old: str, new: str) -> set[str]:
        text = (folder / file).read_text()
        assert text.count(old) == 1
        (folder / file).write_text(text.replace(old, new))
        after = digests(config.load(folder))
        return {name for name in {*before, *after} if before.get(name) != after.get(name)}

    return edit


UPLINKS = {"uplink:pages", "uplink:posts", "uplink:topics", "uplink:messages"}


@pytest.mark.urs("URS-CFG-03")
@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("tags.csv", "1/holding/1,int16,Cel", "1/holding/2,int16,Cel", {"source:dryer"}),
        ("tags.csv", "int16,Cel,°C,0.1", "int16,K,K,0.1", {"source:dryer", *UPLINKS}),
        ("tags.csv", "float32,/min", "float64,/min", {"source:plc", *UPLINKS}),
        ("parameters.csv", "PM-1", "PM-2", UPLINKS),
        ("steps.csv", "MIX,mixer,phase", "MIX,mixer,operation", UPLINKS),
        ("line.toml", "batch_no FROM", "batch_no, order_no FROM", {"source:mes"}),
        ("line.toml", 'endpoint = "https://ebr.plant.example/api"', 'endpoint = "http://ebr.plant.example/api"', {"uplink:pages"}),
        ("line.toml", 'version = "3.1.1"', 'version = "5"', {"uplink:messages"}),
        ("line.toml", "order = { push = true }", 'order = { push = true, pattern = "[0-9]{10}" }', {"push"}),
        ("line.toml", "read_only_without_login = false", "", {"page"}),
        ("line.toml", 'name = "far"', 'name = "farther"', {"witness:far", "witness:farther"}),
    ],
)
def test_what_the_other_side_relies_on_changes_the_digest_of_exactly_its_interfaces(
    edited: Edit, file: str, old: str, new: str, changed: set[str]
) -> None:
    assert edited(file, old, new) == changed


@pytest.mark.urs("URS-VAL-01")
@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("line.toml", "https://ebr.plant.example/api", "https://ebr.other.example:8443/v2"),
        ("line.toml", "tcp://10.1.1.2:502", "tcp://10.9.9.9:5020"),
        ("line.toml", 'site = "lyon"', 'site = "basel"'),
        ("line.toml", "Europe/Paris", "Europe/Zurich"),
        ("line.toml", 'contact = "ebr@plant.example"', 'contact = "other@plant.example"'),
        ("line.toml", 'folder = "copies"', 'folder = "elsewhere"'),
        ("parameters.csv", "200,300", "210,290"),
    ],
)
def test_where_it_is_reached_who_answers_for_it_and_what_a_recipe_allows_change_no_digest(
    edited: Edit, file: str, old: str, new: str
) -> None:
    assert edited(file, old, new) == set()


def test_no_secret_and_no_account_stands_in_a_contract(tmp_path: Path) -> None:
    text = canonical(contracts(config.load(every_interface(tmp_path / "line")))).decode()
    assert "mes-token" not in text
    assert '"plc"}' not in text
    assert "client.key" not in text


def test_the_bytes_that_are_digested_are_the_same_in_every_language(tmp_path: Path) -> None:
    """A fraction is written in more than one way: there is none."""

    def fractions(value: object) -> list[float]:
        if isinstance(value, dict):
            return [found for one in value.values() for found in fractions(one)]
        if isinstance(value, list | tuple):
            return [found for one in value for found in fractions(one)]
        return [value] if isinstance(value, float) else []

    made = contracts(config.load(every_interface(tmp_path / "line")))
    assert fractions(made) == []
    assert made["source:mes"]["settings"]["query"][0]["watermark"]["overlap_s"] == "600.5"


def test_the_digest_of_all_changes_with_each(tmp_path: Path) -> None:
    parts = digests(config.load(every_interface(tmp_path / "line")))
    assert whole(parts) == digest_of(parts)
    assert len({whole(parts), *(whole({**parts, name: "0" * 64}) for name in parts)}) == len(parts) + 1
