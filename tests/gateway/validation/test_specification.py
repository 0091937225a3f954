"""The specification of a line's interfaces: from the code, complete, and as it is committed."""

import ast
import hashlib
import inspect
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from kit.commands import called
from kit.every_interface import every_interface
from kit.repository import ROOT
from openapi_spec_validator import OpenAPIV31SpecValidator

import config
from config import Line
from config.reports.data_dictionary import inventory
from gateway.access import Access
from gateway.alarms.codes import CODES
from gateway.intake import push
from gateway.intake.push_tokens import PushTokens
from gateway.interfaces import contracts, digest_of, whole
from gateway.interfaces.contract import release
from gateway.listening.bounds import Bounds
from gateway.operation.status import Status
from gateway.pages import server as page_server
from gateway.pages.door import Door
from gateway.validation.specification import files, openapi, reactions, specification
from gateway.validation.specification.committed import committed
from gateway.validation.specification.messages import MESSAGES
from gateway.validation.specification.reactions import of_push, to_pages, to_records
from gateway.validation.specification.release import digests
from gateway.validation.specification.schemas import bare, contract_digest, messages

ANEW = "run: python -m gateway.validation.specification ."


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    return config.load(every_interface(tmp_path_factory.mktemp("every") / "line"))


@pytest.fixture(scope="module")
def made(line: Line) -> dict[str, Any]:
    return specification(line)


@pytest.mark.urs("URS-VAL-01")
def test_the_committed_specification_is_that_of_the_code() -> None:
    texts = committed(ROOT)
    assert {name for name, text in texts.items() if (ROOT / name).read_text("utf-8") != text} == set(), ANEW
    folder = ROOT / "docs" / "specification" / "granulation-2"
    assert {path.relative_to(ROOT).as_posix() for path in folder.rglob("*.json")} == {name for name in texts if "/specification/" in name}


@pytest.mark.urs("URS-VAL-01")
def test_what_the_release_contributes_is_that_of_the_code() -> None:
    assert release() == digests(), ANEW


@pytest.mark.urs("URS-MAP-10", "URS-VAL-01")
def test_every_connection_of_the_inventory_is_specified_and_the_control_socket_beside_them(line: Line, made: dict[str, Any]) -> None:
    listed = [row["name"] for row in inventory(line)]
    assert sorted(row["id"].removeprefix("source:").removeprefix("uplink:") for row in made["interfaces"]) == sorted([*listed, "control"])
    for row in made["interfaces"]:
        missing = {name for name in ("direction", "partner", "protocol", "profile", "endpoint", "time_stamps", "retry") if not row[name]}
        assert missing == set(), row["id"]
        assert all(one["finding"] in {"", *CODES} for one in row["errors"])
        assert row["sha256"] == digest_of(contracts(line)[row["id"]])
    assert made["interface_sha256"] == whole({row["id"]: row["sha256"] for row in made["interfaces"]})


@pytest.mark.urs("URS-MAP-10")
def test_who_is_not_named_is_a_gap_and_makes_the_command_say_so(line: Line, made: dict[str, Any], tmp_path: Path) -> None:
    gaps = {gap.partition(": no ")[0]: gap for gap in made["gaps"]}
    assert "uplink:pages" not in gaps, "owner and contact are named"
    assert gaps["push"] == "push: no contact: nobody is named in line.toml"
    assert {"source:plc", "uplink:posts", "witness:far"} <= set(gaps)
    done = called("spec", line.folder, "--to", tmp_path / "out", "--form", "json")
    assert done.returncode == 1
    assert "gap: push: no contact" in done.stdout
    assert called("spec", ROOT / "config/examples/granulation-2").returncode == 0


@pytest.mark.urs("URS-VAL-01")
def test_the_folder_holds_what_its_sums_say_and_is_not_written_over(line: Line, tmp_path: Path) -> None:
    to = tmp_path / "out"
    called("spec", line.folder, "--to", to, "--form", "json")
    rows = (row.split("  ") for row in (to / "SHA256SUMS").read_text().splitlines())
    sums = {name: digest for digest, name in rows}
    held = {path.relative_to(to).as_posix(): path.read_bytes() for path in to.rglob("*") if path.is_file()}
    (document,) = (json.loads(held.pop(name)) for name in list(held) if name.startswith("interface-specification-"))
    assert {name: hashlib.sha256(content).hexdigest() for name, content in held.items() if name != "SHA256SUMS"} == sums
    assert document["facts"]["files"] == {"SHA256SUMS": hashlib.sha256(held["SHA256SUMS"]).hexdigest()}, "who signs it signs the files"
    assert (document["document"], document["result"]) == ("interface-specification", "finding")
    described = {json.loads(held["interfaces.json"])["interfaces"][n]["description"] for n in range(len(contracts(line)))} - {None}
    assert described <= set(held)
    assert {row["file"]: row["sha256"] for row in json.loads(held["interfaces.json"])["schemas"]} == {
        name: digest for name, digest in sums.items() if name.startswith("schemas/")
    }
    again = called("spec", line.folder, "--to", to, "--form", "json")
    assert (again.returncode, again.stderr) == (2, f"{to}: is not empty\n")


@pytest.mark.urs("URS-VAL-01")
def test_every_openapi_description_is_one(line: Line) -> None:
    described = {name: json.loads(text) for name, text in files(line).items() if name.startswith("openapi-")}
    assert sorted(described) == ["openapi-page.json", "openapi-push.json", "openapi-uplink-pages.json", "openapi-uplink-posts.json"]
    for name, description in described.items():
        assert [str(error) for error in OpenAPIV31SpecValidator(description).iter_errors()] == [], name


async def _never(_: object) -> None:
    raise AssertionError("nothing is asked here")


@pytest.mark.urs("URS-VAL-01")
def test_the_paths_of_page_and_push_are_those_that_are_served(line: Line) -> None:
    assert line.web is not None
    assert line.push is not None
    door = Door(line.gateway, Access.__new__(Access), secure=False)
    forms = page_server._forms(Status.__new__(Status), line, Access.__new__(Access), {}, door)
    page = page_server._application(Status.__new__(Status), line, door, forms, Bounds())
    orders = push.PushIn(line, PushTokens(line), _never, lambda: (1, 1), lambda: True).application(Bounds())

    def served(application: Any) -> set[tuple[str, str]]:
        routes = ((route.method.lower(), route.resource.canonical) for route in application.router.routes())
        return {(method, path) for method, path in routes if method != "head"}

    def told(description: dict[str, Any]) -> set[tuple[str, str]]:
        return {(method, path) for path, methods in description["paths"].items() for method in methods}

    assert told(openapi.page(line, line.web)) == {("get", path) for path in ("/metrics", "/status", "/values")} & served(page)
    assert told(openapi.push(line, line.push)) == {("put", "/equipment/mixer/context")}
    assert served(orders) == {("put", "/equipment/{name}/context")}


@pytest.mark.urs("URS-VAL-01")
def test_the_answers_of_push_are_those_that_its_program_gives() -> None:
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(push))) if isinstance(node, ast.Call)]
    given = {ast.literal_eval(call.args[0]) for call in calls if ast.unparse(call.func) == "_Refused"}
    assert given == set(push.REFUSALS)
    assert {row.when for row in of_push()} >= {str(status) for status in given}


@pytest.mark.urs("URS-VAL-01", "URS-UPL-04")
def test_each_status_of_an_answer_has_one_reaction() -> None:
    for table in (to_pages(), to_records()):
        runs = [run.split(" to ") for row in table for run in row.when.split(", ")]
        told = sorted(status for run in runs for status in range(int(run[0]), int(run[-1]) + 1))
        assert told == list(range(200, 600))
    assert next(row.finding for row in to_pages() if "409" in row.when.split(", ")) == "uplink-conflict"
    assert next(row.then for row in to_records() if row.when.startswith("202")).startswith("sends the same record again")


def test_words_for_people_bind_nobody() -> None:
    schema = messages()["uplink-receipt"]
    reworded = {**schema, "description": "other words", "examples": []}
    assert bare(reworded) == bare(schema)
    assert bare({**schema, "required": ["gateway"]}) != bare(schema)
    assert contract_digest("uplink-receipt") == digest_of(bare(schema))
    assert "description" in bare({"properties": {"description": {"type": "string"}}})["properties"], "a member of that name is no word"


@pytest.mark.parametrize("name", MESSAGES)
def test_each_example_is_taken_by_its_schema(name: str) -> None:
    schema = messages()[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    (example,) = schema["examples"]
    jsonschema.validate(example, schema)
    assert set(example) >= set(schema["required"])


def test_a_driver_that_is_one_file_beside_others_has_the_codes_of_that_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plant_driver.py").write_text('CODE = "value-unreadable"\n')
    (tmp_path / "somebody_else.py").write_text('CODE = "torn-value"\n')
    monkeypatch.syspath_prepend(tmp_path)
    assert reactions._codes_in("plant_driver") == {"value-unreadable"}
