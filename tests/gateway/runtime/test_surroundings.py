"""`check` tells before `run` does: what is not there, what is too small, what two want; causes before what follows; in plain words."""

import shutil
import socket
from pathlib import Path

import pytest
from kit.drop_line import drop_line

from config import examples
from gateway.runtime import assembly


def told(folder: Path, severity: str | None = None) -> list[str]:
    return [str(problem) for problem in assembly.check(folder)[1] if severity in (None, problem.severity)]


def one(texts: list[str], *words: str) -> str:
    found = [text for text in texts if all(word in text for word in words)]
    assert len(found) == 1, texts
    return found[0]


MODBUS = '[[source]]\nname = "{name}"\ndriver = "modbus"\nendpoint = "{endpoint}"\nbyte_order = "ABCD"\nrate_ms = 1000\n'
OPCUA = """
[[source]]
name = "plc"
driver = "opcua"
endpoint = "opc.tcp://127.0.0.1:4840"
namespaces = { plc = "urn:example:plc" }
security = { policy = "Basic256Sha256", mode = "SignAndEncrypt" }
user = "gateway"
password = { credential = "plc-password" }
"""


def with_tags(folder: Path, *rows: str) -> Path:
    with (folder / "tags.csv").open("a") as file:
        file.write("".join(f"{row}\n" for row in rows))
    return folder


@pytest.mark.urs("URS-SEC-05")
def test_a_sources_secret_and_certificate_that_are_not_there_are_warnings(tmp_path: Path) -> None:
    folder = with_tags(drop_line(tmp_path / "line", OPCUA), "plc.x,plc,plc:s=x,float64")
    texts = told(folder, "warning")
    one(texts, "line.toml:", "credential `plc-password` is not in", "source plc is misconfigured until it is")
    one(texts, "certs make LINE")
    (folder / "credentials").mkdir()
    (folder / "credentials" / "plc-password").touch(0o600)
    assert not any("plc-password" in text for text in told(folder))
    (folder / "credentials" / "plc-password").chmod(0o644)
    one(told(folder, "warning"), "chmod 600 it")


UPLINK = """
[[uplink]]
name = "second"
kind = "https"
endpoint = "https://ebr.example"
user = "gateway"
password = { credential = "ebr-password" }
tls = { ca = "ca.pem", cert = "client.pem", key = { credential = "ebr-key" } }
"""


@pytest.mark.urs("URS-SEC-05", "URS-UPL-08")
def test_secrets_and_certificates_of_an_uplink_that_are_not_there_are_warnings(tmp_path: Path) -> None:
    folder = drop_line(tmp_path / "line", UPLINK)
    texts = told(folder, "warning")
    for what in ("ca `ca.pem`", "cert `client.pem`", "credential `ebr-password`", "credential `ebr-key`"):
        one(texts, "line.toml:", what, "uplink second is refused until it is")
    (folder / "credentials").mkdir()
    for name in ("ca.pem", "client.pem", "credentials/ebr-password", "credentials/ebr-key"):
        (folder / name).touch(0o600)
    assert not any("refused until" in text for text in told(folder))


@pytest.mark.urs("URS-MAP-02")
def test_a_file_that_a_drivers_library_can_not_read_is_one_problem(tmp_path: Path) -> None:
    folder = with_tags(drop_line(tmp_path / "line", OPCUA), "plc.x,plc,plc:s=x,float64")
    (folder / "certs" / "own").mkdir(parents=True)
    for name in ("cert.der", "key.pem"):
        (folder / "certs" / "own" / name).write_bytes(b"no certificate")
    assert "line.toml:" in one(told(folder), "source plc can not be checked: ")


def test_a_pages_port_that_is_taken_is_a_warning(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        folder = drop_line(tmp_path / "line", f'[web]\nlisten = "127.0.0.1:{port}"\n')
        one(told(folder, "warning"), f"127.0.0.1:{port} is in use by another program")
    assert not told(folder)


@pytest.mark.urs("URS-BUF-05")
def test_a_journal_larger_than_its_disk_is_a_warning(tmp_path: Path) -> None:
    total = shutil.disk_usage(tmp_path).total
    one(told(drop_line(tmp_path / "a", f"[buffer]\nmax_bytes = {total + 1}\n"), "warning"), "max_bytes is", "will be full before")
    assert not told(drop_line(tmp_path / "b", f"[buffer]\nmax_bytes = {total}\n"))


def test_a_journal_where_a_disk_may_be_missing_is_a_warning(tmp_path: Path) -> None:
    mounted = tmp_path / "mnt" / "journals"
    folder = drop_line(tmp_path / "a", f'[buffer]\ndirectory = "{mounted / "line"}"\n')
    one(told(folder, "warning"), "line.toml:", f"{mounted} is not there: if a disk is mounted there later")
    mounted.mkdir(parents=True)
    assert not told(folder)


@pytest.mark.parametrize(
    ("endpoints", "why"),
    [
        (("rtu:///dev/ttyS1?baudrate=9600", "rtu:///dev/ttyS1?baudrate=19200"), "only one of them can open it"),
        (("tcp://10.0.0.1", "tcp://10.0.0.1:502"), "many devices take one"),
        (("tcp://10.0.0.1", "tcp://10.0.0.2"), ""),
    ],
)
def test_two_sources_at_one_device_are_a_warning(tmp_path: Path, endpoints: tuple[str, str], why: str) -> None:
    sources = "".join(MODBUS.format(name=name, endpoint=endpoint) for name, endpoint in zip(("m1", "m2"), endpoints, strict=True))
    folder = with_tags(drop_line(tmp_path / "line", sources), "m1.x,m1,1/holding/0,uint16", "m2.x,m2,1/holding/0,uint16")
    if why:
        one(told(folder, "warning"), "sources m1 and m2 are at one device", why)
    else:
        assert not told(folder)


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("1/holding/0,float32", "1/holding/1,float32", "shares 1 of its 2 registers with m1.a (1/holding/0)"),
        ("1/holding/0,float64", "1/holding/2,float64", "shares 2 of its 4 registers with m1.a"),
        ("1/holding/0,float32", "1/holding/2,float32", ""),
        ("1/holding/0,uint32", "1/holding/1,uint16", ""),  # a part of it, on purpose
        ("1/holding/0,float32", "2/holding/1,float32", ""),
        ("1/holding/0,float32", "1/input/1,float32", ""),
    ],
)
def test_registers_that_overlap_in_part_are_a_warning(tmp_path: Path, first: str, second: str, shared: str) -> None:
    folder = drop_line(tmp_path / "line", MODBUS.format(name="m1", endpoint="tcp://10.0.0.1"))
    texts = told(with_tags(folder, f"m1.a,m1,{first}", f"m1.b,m1,{second}"))
    if shared:
        assert one(texts, shared).startswith("tags.csv:4: ")
    else:
        assert not texts


@pytest.mark.urs("URS-MAP-02")
@pytest.mark.parametrize("damage", ["missing", "utf-16", "xlsx", "sep", "other columns"])
def test_a_map_that_can_not_be_read_is_the_first_line_and_what_follows_from_it_is_not_listed(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "line"
    examples.copy("granulation-2", folder)
    tags = folder / "tags.csv"
    text = tags.read_text()
    match damage:
        case "missing":
            tags.unlink()
        case "utf-16":
            tags.write_bytes(text.encode("utf-16"))
        case "xlsx":
            tags.write_bytes(b"PK\x03\x04\x14\x00\x06\x00" + bytes(200))
        case "sep":
            tags.write_text("sep=|\n" + text)
        case _:
            tags.write_text("Bezeichnung;Quelle;Typ\n" + text)
    texts = told(folder, "error")
    assert texts
    assert all(text.startswith("tags.csv") for text in texts), texts


@pytest.mark.urs("URS-MAP-02")
@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("a." * 4_000 + "b = 1\n", "nested too deeply"),
        ("[" + "a." * 4_000 + "b]\n", "nested too deeply"),
        ("x = " + "{a=" * 90 + "1" + "}" * 90 + "\n", "nested too deeply"),
        ("[buffer]\nmax_bytes = " + "9" * 400 + "\n", "max_bytes"),
        ("[buffer]\nmax_bytes = " + "9" * 5_000 + "\n", "too long"),
    ],
)
def test_a_key_or_a_number_beyond_all_bounds_is_one_problem(tmp_path: Path, more: str, words: str) -> None:
    folder = drop_line(tmp_path / "line")
    text = (folder / "line.toml").read_text()
    (folder / "line.toml").write_text(more + text if not more.startswith("[") else text + more)
    texts = told(folder)
    assert words in one(texts, "line.toml")
    assert len(texts[0]) < 300


@pytest.mark.urs("URS-MAP-02")
def test_no_sentence_of_a_library_is_shown(tmp_path: Path) -> None:
    """Wrong settings of every driver: what is said is ours."""
    wrong = """
[[source]]
name = "db"
driver = "mes_sql"
endpoint = "sqlite+aiosqlite:///x.db"
query = []
[[source]]
name = "plc"
driver = "opcua"
endpoint = "opc.tcp://127.0.0.1:4840"
security = { policy = "None" }
user = "me"
"""
    folder = with_tags(drop_line(tmp_path / "line", wrong), "db.x,db,q.x,string", "plc.x,plc,plc:s=x,float64")
    texts = told(folder, "error")
    assert texts
    for text in texts:
        assert not any(words in text for words in ("Value error", "Tuple should", ": : ", "List should", "Input should")), text
