"""`ebr` says to whoever starts it where it receives, where the records will be, and that a broker is not there."""

import signal
from pathlib import Path

from kit.commands import called
from kit.processes import free_port, process, until


def test_it_says_where_it_receives_and_that_no_broker_answers_yet(tmp_path: Path) -> None:
    http, broker, log = free_port(), free_port(), tmp_path / "said"
    words = ("ebr", "--store", tmp_path / "store", "--http", str(http), "--mqtt", f"mqtt://reader:secret@127.0.0.1:{broker}")
    with process(*words, log=log, stop=signal.SIGINT) as ebr:
        until(lambda: "no broker has answered yet" in log.read_text() or ebr.poll() is not None)
    said = log.read_text()
    assert ebr.returncode == 0, said
    assert said.splitlines()[:3] == [
        f"ebr: receives at http://127.0.0.1:{http} (`endpoint` of an uplink of kind https); the same in a browser",
        f"ebr: receives from the broker mqtt://127.0.0.1:{broker}",
        f"ebr: keeps all in {tmp_path / 'store'}; batch records in {tmp_path / 'store' / 'batches'}; Ctrl-C ends it",
    ]
    assert "secret" not in said


def test_certificates_that_are_missing_or_none_are_named_before_anything_begins(tmp_path: Path) -> None:
    words = ("ebr", "--store", tmp_path / "store", "--http", str(free_port()), "--tls", tmp_path)
    told = called(*words)
    assert (told.returncode, told.stdout) == (2, "")
    names = "ca.crt, server.crt, server.key, client.crt, client.key"
    assert told.stderr == f"ebr: --tls {tmp_path}: {names}: not there; docs/ebr.md says how to make them\n"
    for name in names.split(", "):
        (tmp_path / name).write_text("no certificate\n")
    told = called(*words)
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith(f"ebr: --tls {tmp_path}: a certificate or key can not be used: ")
