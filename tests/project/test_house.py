"""docs/house.md against the code: every name exists, every room is named, every signature is the code's."""

import importlib
import inspect
import re
import tomllib
from collections.abc import Iterator

import pytest
from kit.repository import ROOT

import buffer

PAGE = (ROOT / "docs" / "house.md").read_text("utf-8")
PACKAGES = ("gateway", "drivers", "buffer", "config", "simulators")
COMING: set[str] = set()


def exists(dotted: str) -> bool:
    """Whether a dotted name is a module, or a chain of attributes of one."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for name in parts[cut:]:
            if not hasattr(found, name):
                return False
            found = getattr(found, name)
        return True
    return False


def named(pattern: str) -> list[str]:
    return sorted(set(re.findall(pattern, PAGE)))


def rooms() -> Iterator[str]:
    yield from (str(folder.parent.relative_to(ROOT)) for folder in (ROOT / "gateway").glob("*/__init__.py"))


@pytest.mark.parametrize("dotted", named(rf"`((?:{'|'.join(PACKAGES)})(?:\.\w+)+)`"))
def test_each_dotted_name_exists(dotted: str) -> None:
    assert exists(dotted)


@pytest.mark.parametrize("path", named(rf"`((?:{'|'.join(PACKAGES)}|tests|docs)/[\w./]+)`"))
def test_each_path_exists(path: str) -> None:
    assert (ROOT / path).exists() != (path in COMING), "a room to come is named so that it is known when it is there"


def test_the_floors_of_the_gateway_are_the_layers_that_are_checked() -> None:
    floors: dict[int, set[str]] = {}
    for floor, room in re.findall(r"(?m)^\| (\d+) \| `gateway/(\w+)` \|", PAGE):
        floors.setdefault(int(floor), set()).add(room)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["name"] == "rooms of the gateway")
    assert [floors[floor] for floor in sorted(floors, reverse=True)] == [set(layer.split(" | ")) for layer in layers]
    assert {f"gateway/{room}" for floor in floors.values() for room in floor} == set(rooms())


def test_the_journal_is_listed_as_it_is() -> None:
    listed = re.findall(r"(?m)^    ((?:journal|Journal)\.\w+.*)$", PAGE)
    assert listed == list(journal_members())


def journal_members() -> Iterator[str]:
    """Each public member of the journal with its parameters, as the page lists them."""
    for name, member in vars(buffer.Journal).items():
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            yield f"journal.{name}"
            continue
        is_static = isinstance(member, classmethod | staticmethod)
        signature = inspect.signature(member.__get__(None, buffer.Journal) if is_static else member)
        plain = [
            parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values() if parameter.name != "self"
        ]
        text = str(inspect.Signature(plain)).replace("<built-in function monotonic>", "time.monotonic")
        yield f"{'Journal' if is_static else 'journal'}.{name}{text}"


def test_a_name_that_is_gone_is_found() -> None:
    assert not exists("gateway.intake.Nobody")
    assert not exists("gateway.nowhere")
