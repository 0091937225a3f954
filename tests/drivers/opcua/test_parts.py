"""The parts of the OPC UA driver that need no server: plan, settings, certificates, imports, profiles, numbers."""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from pydantic import ValidationError

from config import Source, Tag
from config.grammars.addresses import parse
from drivers import tag_lists
from drivers.opcua import OpcUaDriver
from drivers.opcua.plan import decoding, plan_of
from drivers.opcua.session import certs, server_limits, trust
from drivers.opcua.settings import OpcUaSettings
from drivers.opcua.subscription.subscribe import sequence_after, sequence_ahead


def source(**more: Any) -> Source:
    options = {"security": {"policy": "None"}, "namespaces": {"plc": "urn:x"}}
    return Source(**{"name": "plc", "driver": "opcua", "endpoint": "opc.tcp://127.0.0.1:4840", "options": options, **more})


def tags(count: int, **more: Any) -> list[Tag]:
    return [Tag(tag=f"t{i}", source="plc", address=f"plc:s=T{i}", **{"type": "float64", **more}) for i in range(count)]


def plan(told: list[Tag], **more: Any) -> Any:
    one = source(**more)
    return plan_of(one, OpcUaSettings.model_validate(one.options), told)


def test_subscriptions_hold_a_thousand_items_and_one_rate() -> None:
    told = [*tags(2500), Tag(tag="slow", source="plc", address="plc:s=Slow", type="float64", rate_ms=5000)]
    groups = plan(told, rate_ms=100).groups
    assert [(group.rate_ms, len(group.items)) for group in groups] == [(100, 1000), (100, 1000), (100, 500), (5000, 1)]
    assert [group.slots for group in groups] == [(0,), (1,), (2,), (3,)]
    assert len({item.handle for group in groups for item in group.items}) == 2501


@pytest.mark.parametrize(("rate", "tolerance", "queue"), [(100, 10, 200), (1000, 10, 20), (1000, 1, 10), (0, 10, 200)])
def test_queues_bridge_twice_the_tolerated_outage(rate: int, tolerance: float, queue: int) -> None:
    (group,) = plan(tags(1), rate_ms=rate, outage_tolerance_s=tolerance).groups
    assert group.items[0].queue == queue


def test_elements_of_one_array_share_an_item() -> None:
    told = [Tag(tag=f"t{i}", source="plc", address=f"plc:s=A#[{i}]", type="int16") for i in range(5)]
    one = plan(told)
    (group,) = one.groups
    assert len(group.items) == 1
    assert group.tags == (0, 1, 2, 3, 4)
    assert set(decoding(one, told)[1].values()) == {-1}


def test_a_deadband_goes_to_the_server_in_raw_units() -> None:
    from config.units.scaling import Scaling

    scaled = Tag(tag="t", source="plc", address="plc:s=T", type="int16", deadband="0.5", scaling=Scaling(Decimal("0.1"), Decimal(0), 1))
    (group,) = plan([scaled]).groups
    assert group.items[0].deadband == pytest.approx(5.0)


@pytest.mark.parametrize(("criticality", "trigger"), [("CPP", 2), ("CQA", 2), ("GMP", 1), ("none", 1)])
def test_critical_tags_are_triggered_by_time_too(criticality: Any, trigger: int) -> None:
    (group,) = plan(tags(1, criticality=criticality)).groups
    assert group.items[0].trigger == trigger


def test_handles_of_another_map_are_other_handles() -> None:
    first, second = plan(tags(3)), plan(tags(3, type="float32"))
    assert first.name != second.name
    assert not {i.handle for g in first.groups for i in g.items} & {i.handle for g in second.groups for i in g.items}


@pytest.mark.parametrize(
    "wrong",
    [
        {"user_certificate": "x", "security": {"policy": "None"}},
        {"password": {"credential": "x"}},
        {"user": "x", "user_certificate": "y"},
        {"security": {"policy": "Basic128Rsa15"}},
        {"security": {"mode": "None"}},
        {"unknown": 1},
    ],
)
def test_settings_that_can_not_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OpcUaSettings.model_validate(wrong)


def test_signed_and_encrypted_is_the_default() -> None:
    told = OpcUaSettings().security
    assert (told.policy, told.mode) == ("Basic256Sha256", "SignAndEncrypt")


def test_an_announced_url_is_of_one_server():
    both = source(endpoint=["opc.tcp://a", "opc.tcp://b"], options={"announced": "opc.tcp://c", "security": {"policy": "None"}})
    (told,) = [problem.message for problem in OpcUaDriver.check(both, [])]
    assert told.endswith("announced is the URL of one server, and there are 2 endpoints")


def test_check_names_what_can_not_work() -> None:
    wrong = [Tag(tag="a", source="plc", address="other:s=T", type="float64"), Tag(tag="b", source="plc", address="plc:s=T", type="decimal")]
    told = [problem.message for problem in OpcUaDriver.check(source(endpoint="http://x"), wrong)]
    assert len(told) == 3
    assert "opc.tcp" in told[0]
    assert "'other'" in told[1]
    assert "decimal" in told[2]


@pytest.mark.parametrize(("number", "expected", "ahead"), [(5, 5, 0), (7, 5, 2), (4, 5, -1), (1, 0xFFFFFFFF, 1), (0xFFFFFFFF, 1, -1)])
def test_sequence_numbers_wrap_without_zero(number: int, expected: int, ahead: int) -> None:
    assert sequence_ahead(number, expected) == ahead
    assert sequence_after(0xFFFFFFFF) == 1


def test_a_server_is_called_what_it_tells_and_nothing_else():
    told = {"manufacturer": "Plant", "product": None, "version": "1.2", "start_time": None}
    assert server_limits.in_words(told) == "Plant 1.2"
    assert server_limits.in_words(dict.fromkeys(told)) == "it does not tell what it is"


def test_limits_told_table_and_usual() -> None:
    nothing = dict.fromkeys(server_limits.LIMITS)
    assert server_limits.limits(nothing, {})["items"] == 500
    assert server_limits.limits({**nothing, "items": 37}, {})["items"] == 37
    assert server_limits.limits({**nothing, "items": 0}, {})["items"] == 1000
    assert server_limits.limits(nothing, {"product": "SIMATIC S7-1200 OPC UA Server"})["items"] == 100
    assert server_limits.limits(nothing, {"product": "SIMATIC.S7-1500.OPC-UA"})["items"] == 1000


def test_certificates_are_made_shown_and_trusted_by_the_beginning_of_their_digest(tmp_path: Path) -> None:
    made = certs.make(tmp_path / "line")
    server = certs.load(Path(certs.make(tmp_path / "server", "urn:server").file))
    assert (tmp_path / "line" / "own" / "key.pem").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        certs.make(tmp_path / "line")
    assert trust.judge(tmp_path / "line", server, "urn:server").refusal == "the server's certificate is not trusted"
    digest = certs.reject(tmp_path / "line", server)
    assert [one.kind for one in certs.show(tmp_path / "line")] == ["own", "rejected"]
    certs.trust(tmp_path / "line", digest[:8])
    assert [one.kind for one in certs.show(tmp_path / "line")] == ["own", "trusted"]
    assert trust.judge(tmp_path / "line", server, "urn:server").refusal is None
    assert "says it is urn:other" in str(trust.judge(tmp_path / "line", server, "urn:other").refusal)
    late = server.not_valid_after_utc + timedelta(days=1)
    assert "check both clocks" in str(trust.judge(tmp_path / "line", server, "urn:server", late).refusal)
    with pytest.raises(LookupError):
        certs.trust(tmp_path / "line", "0000")
    assert made.uri == certs.own(tmp_path / "line").uri


@pytest.mark.parametrize(("left", "warns"), [(90, False), (59, True), (30, True), (6, True), (-1, True)])
def test_expiry_is_warned_of_in_time(tmp_path: Path, left: int, warns: bool) -> None:
    certificate: x509.Certificate = certs.load(Path(certs.make(tmp_path).file))
    now = certificate.not_valid_after_utc - timedelta(days=left, minutes=-1)
    assert (certs.expiry_warning(certificate, now) is not None) is warns
    assert datetime.now(UTC) < certificate.not_valid_after_utc


KEPWARE = "Tag Name,Address,Data Type,Respect Data Type,Client Access,Scan Rate,Scaling,Raw Low,Raw High,Scaled Low,Scaled High,"
KEPWARE += """Scaled Data Type,Eng Units,Description
"Impeller.Speed","DB100.DBD0","Float",1,"R/W",100,,,,,,,"rpm","Impeller, speed"
"Level","DB100.DBW4","Short",1,"R/W",100,"Linear",0,27648,0,100,"Double","%",""
"Words","DB100.DBW6","Word Array",1,"R/W",100,,,,,,,,
"""
IGNITION = """{"name":"","tags":[{"name":"Dryer","tagType":"Folder","tags":[
 {"name":"Temp","tagType":"AtomicTag","valueSource":"opc","opcItemPath":"ns=1;s=[PLC]N7:0","dataType":"Float4","engUnit":"\u00b0C","engLow":0,"engHigh":120.5},
 {"name":"Calc","tagType":"AtomicTag","valueSource":"expr","dataType":"Int4"}]}]}"""
TIA = """DATA_BLOCK "DB_GRN"
{ S7_Optimized_Access := 'TRUE' }
VERSION : 0.1
   STRUCT
      Impeller : Struct
         Speed : Real := 0.0;   // Impeller speed
         "Set point" { ExternalWritable := 'False'} : Real;
      END_STRUCT;
      Phase : Int;
      Zones : Array[1..3] of Real;
      Recipe : "UDT_Recipe";
   END_STRUCT;
BEGIN
   Phase := 3;
END_DATA_BLOCK
"""
STUDIO = """remark,"CSV-Import-Export"
0.3
TYPE,SCOPE,NAME,DESCRIPTION,DATATYPE,SPECIFIER,ATTRIBUTES
TAG,,Temp,"Bed$Ntemperature","REAL","","(RADIX := Float)"
TAG,Main,Step,"","DINT","",""
TAG,,Zones,"","REAL[2]","",""
TAG,,Recipe,"","UDT_Recipe","",""
"""


@pytest.mark.parametrize(
    ("kind", "name", "text", "address", "rows", "left_out"),
    [
        ("kepware", "tags.csv", KEPWARE, "nsu=KEPServerEX;s=C.D.{name}", 2, ["Words"]),
        ("ignition", "tags.json", IGNITION, None, 1, ["Dryer/Calc"]),
        ("tia", "blocks.db", TIA, None, 6, ['"DB_GRN"."Recipe"']),
        ("studio5000", "tags.csv", STUDIO, "nsu=urn:x;s=[PLC]{name}", 4, ["Recipe"]),
    ],
)
def test_exports_become_rows_whose_addresses_parse(
    tmp_path: Path, kind: str, name: str, text: str, address: str | None, rows: int, left_out: list[str]
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    told = tag_lists.read(kind, tmp_path / name, "plc", address)
    assert len(told.rows) == rows
    assert list(told.left_out) == left_out
    assert len({row["tag"].lower() for row in told.rows}) == rows
    for row in told.rows:
        parse("opcua", row["address"])
    if kind == "tia":
        assert told.rows[0]["address"] == 'nsu=http://www.siemens.com/simatic-s7-opcua;s="DB_GRN"."Impeller"."Speed"'
        assert told.rows[1]["address"].endswith('"Impeller"."Set point"')
        assert [row["address"][-3:] for row in told.rows[3:]] == ["[1]", "[2]", "[3]"]
        assert told.rows[2] | {"tag": ""} == {
            "tag": "",
            "source": "plc",
            "address": 'nsu=http://www.siemens.com/simatic-s7-opcua;s="DB_GRN"."Phase"',
            "type": "int16",
            "description": "",
        }
    if kind == "kepware":
        assert (told.rows[1]["type"], told.rows[1]["eu_high"]) == ("float64", "100")


@pytest.mark.parametrize(
    ("kind", "text"), [("kepware", "a,b\n1,2\n"), ("ignition", "no json"), ("tia", "nothing"), ("studio5000", "x,y\n")]
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, kind: str, text: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(ValueError, match=r"not a|neither|tag export"):
        tag_lists.read(kind, tmp_path / "x.csv", "plc", "s={name}")


def test_a_hostile_export_takes_no_time(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text('DATA_BLOCK "A"\nSTRUCT\n' + "a" * 100_000 + " : " + "{" * 10_000 + "\nEND_STRUCT\n")
    begun = time.process_time()
    tag_lists.read("tia", tmp_path / "x.db", "plc")
    assert time.process_time() - begun < 20
