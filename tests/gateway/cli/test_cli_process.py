"""The command line as a user meets it: exit codes, one readable line per problem. Each command is run as a process at least once."""

import contextlib
import csv
import http.client
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.commands import called
from kit.drop_line import drop_line, dropped, events, stored
from kit.processes import COMMAND, DEADLINE_S, command, free_port, running, until

import config
from config import examples


def line_in(path: Path) -> Path:
    """A line whose only source is a drop folder, and whose EBR is away; its path is longer than the 107 bytes of a socket's address."""
    line = path / ("a-plant-" * 12) / "line"
    uplink = f'[[uplink]]\nname = "ebr"\nkind = "mqtt"\nendpoint = "mqtt://127.0.0.1:{free_port()}"\n'
    return drop_line(line, f'[web]\nlisten = "127.0.0.1:{free_port()}"\n{uplink}')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return line_in(tmp_path)


@pytest.fixture
def gateway(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The line's gateway, ready to be asked."""
    with running(folder) as process:
        yield process


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The line folder of a running gateway that tests only ask."""
    folder = line_in(tmp_path_factory.mktemp("asked"))
    with running(folder) as gateway:
        yield folder
        assert gateway.poll() is None


def test_a_warning_of_the_folder_is_told_by_check_and_by_run_and_by_no_other_command(folder: Path) -> None:
    text = (folder / "line.toml").read_text()
    (folder / "line.toml").write_text(f'{text}\n[clock]\nservers = ["127.0.0.1:1"]\n')

    assert "1 of at least 3 servers" in command("check", folder).stdout
    for arguments in (("config", "inventory", folder), ("config", "dictionary", folder), ("config", "diff", folder, "--against", folder)):
        result = command(*arguments)
        assert (result.returncode, result.stderr) == (0, ""), arguments
    with running(folder):
        pass
    assert "1 of at least 3 servers" in folder.with_name(f"{folder.name}.log").read_text()


@pytest.mark.urs("URS-MAP-03", "URS-CTX-10")
def test_check_tells_of_whom_no_source_says_who_works_there_and_who_accepted_it(tmp_path: Path) -> None:
    line = tmp_path / "line"
    assert called("new", line).returncode == 0

    told = called("check", line)
    assert told.returncode == 0, told.stdout
    assert "operator:mixer: no source tells who works at mixer" in told.stdout
    assert "gaps: 1 operator; 0 accepted, 1 open" in told.stdout

    row = "operator:mixer,accepted,No login there,QA process owner,2026-11-20"
    (line / "dispositions.csv").write_text(f"gap,disposition,reason,accepted_by,accepted_on\n{row}\n")
    assert "gaps: 1 operator; 1 accepted, 0 open" in called("check", line).stdout


def test_probe_says_that_the_gateway_runs_where_a_device_can_not_be_reached(folder: Path, gateway: subprocess.Popen[bytes]) -> None:
    text = (folder / "line.toml").read_text()
    (folder / "line.toml").write_text(f'{text}\n[[source]]\nname = "plc"\ndriver = "modbus"\nendpoint = "tcp://127.0.0.1:{free_port()}"\n')
    held = "the gateway of this line is running"

    running_now = called("probe", folder, "--source", "plc")
    assert (running_now.returncode, held in running_now.stdout) == (3, True), running_now

    gateway.send_signal(signal.SIGTERM)
    assert gateway.wait(DEADLINE_S) == 0
    stopped = called("probe", folder, "--source", "plc")
    assert (stopped.returncode, held in stopped.stdout) == (3, False), stopped


@pytest.mark.urs("URS-MAP-02")
def test_check_names_every_problem_at_once_with_its_place(folder: Path) -> None:
    (folder / "tags.csv").write_text(
        "tag,source,address,type\na,nowhere,results.x,decimal\nA,lims,results.y,decimal\nb,lims,results.z,float99\n"
    )

    result = called("check", folder)

    assert result.returncode == 2
    assert [line.split(": ")[0] for line in result.stdout.splitlines()] == ["tags.csv:2", "tags.csv:3", "tags.csv:4"]
    assert "Traceback" not in result.stderr


def test_check_of_a_good_folder_exits_0_and_of_none_2(folder: Path, tmp_path: Path) -> None:
    assert called("check", folder).returncode == 0
    missing = called("check", tmp_path / "missing")
    assert (missing.returncode, "Traceback" in missing.stderr) == (2, False)


@pytest.mark.urs("URS-MAP-02")
def test_a_setting_of_the_driver_is_checked_with_its_place(folder: Path) -> None:
    text = (folder / "line.toml").read_text().replace('format = "csv"', 'format = "xls"')
    (folder / "line.toml").write_text(text)
    number = next(n for n, line in enumerate(text.splitlines(), 1) if "xls" in line)

    result = called("check", folder)

    assert result.returncode == 2
    assert f"line.toml:{number}:" in result.stdout


def test_new_makes_a_folder_once(tmp_path: Path) -> None:
    assert command("new", tmp_path / "mine").returncode == 0
    assert called("check", tmp_path / "mine").returncode == 0
    assert called("new", tmp_path / "mine").returncode == 2


def test_new_calls_the_line_as_its_folder(tmp_path: Path) -> None:
    """Two lines of one name are one line to an EBR, which makes one record of both."""
    for folder, name in (("mixer-1", "mixer-1"), ("Mischer 2 (neu)", "mischer-2-neu")):
        assert called("new", tmp_path / folder).returncode == 0
        assert f"my-site/{name}:" in called("check", tmp_path / folder).stdout
    nameless = called("new", tmp_path / "---")
    assert (nameless.returncode, (tmp_path / "---").exists()) == (2, False)
    assert "a line is called as its folder" in nameless.stderr


@pytest.mark.parametrize("like", [name for name in examples.names() if name != "new"])
def test_a_line_that_begins_as_an_example_is_called_as_its_folder_and_is_good_in_either_separator(tmp_path: Path, like: str) -> None:
    assert called("new", tmp_path / "mine", "--like", like, "--separator", ";").returncode == 0
    checked = called("check", tmp_path / "mine").stdout
    assert "/mine: " in checked
    assert "error" not in checked
    assert (tmp_path / "mine" / "tags.csv").read_text("utf-8").startswith("tag;source;")
    example, mine = config.load(examples.folder(like)), config.load(tmp_path / "mine")
    assert (mine.tags, mine.parameters, mine.steps) == (example.tags, example.parameters, example.steps)


def test_a_line_like_nothing_there_is_names_what_there_is(tmp_path: Path) -> None:
    told = called("new", tmp_path / "mine", "--like", "brewery")
    assert (told.returncode, (tmp_path / "mine").exists()) == (2, False)
    assert told.stderr == "--like brewery: there is none; there are bioreactor-3, granulation-2, new, tablet-coater-1, tablet-press-1\n"


def test_an_example_is_named_without_the_number_of_its_line(tmp_path: Path) -> None:
    assert called("new", tmp_path / "mine", "--like", "tablet-press").returncode == 0
    assert config.load(tmp_path / "mine").tags == config.load(examples.folder("tablet-press-1")).tags


def test_asking_a_gateway_that_does_not_run_exits_3(folder: Path) -> None:
    for words in (("status", folder), ("ready", folder)):
        result = called(*words)
        assert result.returncode == 3
        assert "no gateway answers" in result.stderr


@pytest.mark.urs("URS-BUF-07")
def test_reading_a_journal_that_is_not_there_exits_2(folder: Path) -> None:
    assert called("log", folder).returncode == 2
    assert called("verify", folder).returncode == 2


@pytest.mark.urs("URS-BUF-09", "URS-MAP-04")
def test_a_file_dropped_while_the_ebr_is_away_is_in_the_journal(folder: Path, gateway: subprocess.Popen[bytes]) -> None:
    dropped(folder, "a.csv", S1="1.25", S2="1.50")

    rows = until(lambda: [event["rows"] for event in events(folder, "message")])

    assert [row["row"]["lod"] for part in rows for row in part] == ["1.25", "1.50"]
    readings = list(csv.DictReader(io.StringIO(command("log", folder, "--format", "csv").stdout)))
    assert [(row["tag"], row["value"]) for row in readings] == [("lab.lod", "1.25"), ("lab.lod", "1.50")]
    now = json.loads(command("status", folder, "--json").stdout)
    assert now["uplinks"][0]["state"] == "unreachable"
    assert now["uplinks"][0]["entries"] == now["journal"]["seq"]
    assert command("ready", folder).returncode == 1
    assert gateway.poll() is None


@pytest.mark.urs("URS-BUF-07")
def test_a_second_gateway_on_the_same_journal_is_refused_with_one_line(asked: Path) -> None:
    second = command("run", asked)

    assert second.returncode == 3
    assert "Traceback" not in second.stderr
    assert str(asked / "data") in second.stderr
    assert called("status", asked).returncode in (0, 1), "the first still answers"


@pytest.mark.bar("F43")
@pytest.mark.urs("URS-AUD-01", "URS-OPS-05")
def test_sigterm_ends_in_order_and_sigkill_is_told_at_the_next_start(folder: Path, gateway: subprocess.Popen[bytes]) -> None:
    gateway.send_signal(signal.SIGTERM)
    assert gateway.wait(DEADLINE_S) == 0
    with running(folder) as again:
        again.kill()
        again.wait()
    with running(folder):
        pass

    actions = [event["action"] for event in events(folder, "audit")]

    assert actions == ["start", "key-created", "stop", "start", "unclean-start", "stop"]
    assert called("verify", folder).returncode == 0


@pytest.mark.urs("URS-AUD-06", "URS-BUF-08")
def test_verify_names_the_entry_whose_byte_was_changed(folder: Path, gateway: subprocess.Popen[bytes]) -> None:
    gateway.terminate()
    gateway.wait(DEADLINE_S)
    (segment,) = (folder / "data" / "segments").glob("*.db")
    database = sqlite3.connect(segment)
    names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'entr%'")]
    column = next(
        row[1] for row in database.execute(f"PRAGMA table_info({names[0]})") if row[2].upper() == "BLOB" and "digest" not in row[1]
    )
    payload = bytearray(database.execute(f"SELECT {column} FROM {names[0]} WHERE seq = 3").fetchone()[0])
    payload[len(payload) // 2] ^= 1
    with pytest.raises(sqlite3.IntegrityError):
        database.execute(f"UPDATE {names[0]} SET {column} = ? WHERE seq = 3", (bytes(payload),))
    for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        database.execute(f"DROP TRIGGER {trigger}")
    database.execute(f"UPDATE {names[0]} SET {column} = ? WHERE seq = 3", (bytes(payload),))
    database.commit()
    database.close()

    result = command("verify", folder)

    assert result.returncode == 1
    assert "3" in result.stdout


@pytest.mark.bar("S10")
@pytest.mark.urs("URS-OBS-02")
def test_the_page_reads_only(asked: Path) -> None:
    listen = next(line.split('"')[1] for line in (asked / "line.toml").read_text().splitlines() if line.startswith("listen"))

    def fetched(method: str, path: str) -> tuple[int, str, str | None]:
        connection = http.client.HTTPConnection(listen, timeout=DEADLINE_S)
        connection.request(method, path)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text, answer.getheader("Content-Security-Policy")

    status, page, policy = fetched("GET", "/")
    assert (status, "lyon/test-1" in page, "default-src 'none'" in str(policy)) == (200, True, True)
    assert "ebr_gateway_source_connected" in fetched("GET", "/metrics")[1]
    assert {fetched(method, "/")[0] for method in ("POST", "PUT", "DELETE")} == {405}
    assert fetched("GET", "/../line.toml")[0] == 404
    assert oct((asked / "data" / "control.sock").stat().st_mode & 0o777) == "0o600"


@pytest.mark.urs("URS-OPS-01", "URS-OPS-02", "URS-AUD-04")
def test_a_backup_made_while_running_is_verified_and_restored_into_a_new_epoch(folder: Path, gateway: subprocess.Popen[bytes]) -> None:
    dropped(folder, "a.csv", S1="1.25")
    until(lambda: any("readings" in entry for entry in stored(folder)))
    backup = folder.parent / "backup"

    assert command("backup", folder, "--to", backup).returncode == 0
    assert called("backup", folder, "--to", backup).returncode == 2
    gateway.terminate()
    gateway.wait(DEADLINE_S)
    assert "checkpoint" in [e["event"]["type"] for e in stored(folder) if "event" in e]
    assert called("restore", folder, "--from", backup, "--reason", "the disk was lost").returncode == 2  # a journal is there

    (folder / "data").rename(folder / "lost")
    assert command("restore", folder, "--from", backup, "--reason", "the disk was lost").returncode == 0
    with running(folder):
        pass
    epochs = [event["reason"] for event in events(folder, "epoch")]
    assert epochs == ["created", "restored"]
    assert called("verify", folder).returncode == 0


def test_recompute_decides_the_same_from_the_journal_alone(folder: Path, gateway: subprocess.Popen[bytes]) -> None:
    gateway.terminate()
    gateway.wait(DEADLINE_S)
    (folder / "tags.csv").write_text("the folder is not needed for it\n")

    result = command("recompute", folder)

    assert result.returncode == 0
    assert result.stdout.endswith("0 differences\n")
    of_none = command("recompute", folder, "B9")
    assert (of_none.returncode, of_none.stdout, of_none.stderr) == (2, "", "the journal holds no batch B9\n"), "nothing was compared"


@pytest.mark.urs("URS-BUF-06", "URS-AUD-02")
def test_only_a_held_batch_can_be_released_and_only_with_a_reason(asked: Path) -> None:
    assert called("release-hold", asked, "--batch", "B1", "--reason", " ").returncode == 2
    unknown = command("release-hold", asked, "--batch", "B1", "--reason", "released by QA")
    assert (unknown.returncode, "no batch B1 is held" in unknown.stderr) == (2, True)


def test_an_archive_of_an_unknown_batch_is_refused(asked: Path) -> None:
    result = called("archive", asked, "--batch", "B1", "--to", asked.parent / "b1.zip")
    assert (result.returncode, result.stderr.endswith("the journal holds no batch B1\n"), result.stderr.count("\n")) == (2, True, 1)
    assert not (asked.parent / "b1.zip").exists()


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        (["--help"], {"click"}),
        (["users", "--help"], {"click"}),
        (["ready", "LINE"], {"click"}),
        (["status", "LINE", "--json"], {"click"}),
        (["status", "LINE"], {"click", "rich"}),
        (["quarantine", "list", "LINE"], {"click"}),
        (["users", "list", "LINE"], {"click"}),
        (["keys", "show", "LINE"], {"click"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_that_asks_loads_no_library_that_running_a_line_needs(words: list[str], needed: set[str], asked: Path) -> None:
    """Held by what is loaded, not by the clock: pydantic, asyncua and their like cost more than the rest of such a command."""
    loaded = "import sys; before = set(sys.modules)\nfrom gateway.cli import main\ntry: main(sys.argv[1:])\n"
    loaded += "finally: print('loaded', *sorted(set(sys.modules) - before), file=sys.stderr)"
    given = [str(asked) if word == "LINE" else word for word in words]

    told = subprocess.run([sys.executable, "-P", "-c", loaded, *given], capture_output=True, text=True, timeout=DEADLINE_S, check=False)

    assert told.returncode in (0, 1), told.stderr
    modules = told.stderr.splitlines()[-1].split()
    assert modules[0] == "loaded"
    packages = {module.partition(".")[0] for module in modules[1:]} - sys.stdlib_module_names
    assert packages - {"gateway", "config", "buffer"} == needed
    costly = ("gateway.runtime", "gateway.alarms", "gateway.access", "config.sections", "config.loading", "buffer.journal", "asyncio")
    assert [module for module in modules if module.startswith(costly)] == []


def test_top_waits_for_a_gateway_that_went_away_and_leaves_at_ctrl_c(folder: Path, gateway: subprocess.Popen[bytes]) -> None:
    ours, its = os.openpty()
    screen = subprocess.Popen([COMMAND, "top", str(folder)], stdin=its, stdout=its, stderr=its, env=os.environ | {"TERM": "xterm"})
    os.close(its)
    os.set_blocking(ours, False)
    shown = bytearray()

    def shows(text: bytes) -> bool:
        with contextlib.suppress(BlockingIOError):
            shown.extend(os.read(ours, 65_536))
        return text in shown

    try:
        until(lambda: shows(b"lyon/test-1"))
        gateway.kill()
        until(lambda: shows(b"waiting for it"))
        screen.send_signal(signal.SIGINT)
        until(lambda: screen.poll() is not None or shows(b"never"))
        assert screen.returncode == 0
    finally:
        screen.kill()
        screen.wait()
        os.close(ours)
