"""Present values of a running gateway: at the page, for programs, and by `ebr-gateway values`."""

import http.client
import json
import os
import signal
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

from kit.commands import called
from kit.drop_line import drop_line, dropped
from kit.processes import COMMAND, DEADLINE_S, free_port, running, until
from kit.strict_schemas import wrong

from gateway.operation.control import ask_values


def fetched(port: int, target: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)) as connection:
        connection.request("GET", target)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_a_value_that_was_stored_is_shown_with_quality_and_age_at_page_socket_and_terminal(tmp_path: Path) -> None:
    port = free_port()
    folder = drop_line(tmp_path / "line", f'[web]\nlisten = "127.0.0.1:{port}"\n')

    def row() -> dict[str, Any]:
        now = ask_values(folder / "data")
        assert wrong("values.json", now) == []
        (one,) = now["tags"]
        assert isinstance(one, dict)
        return one

    with running(folder):
        assert (row()["value"], row()["quality"]) == (None, "no value yet")
        for number, value in enumerate(("1.25", "1.50", "oops"), 1):
            dropped(folder, f"{number}.csv", **{f"S{number}": value})
            until(lambda: row()["severity"] == "bad" if value == "oops" else row()["value"] == value)  # noqa: B023 - within this turn
        assert (row()["value"], row()["course"], row()["source"]) == (None, [1.25, 1.5], "lims")
        status, page = fetched(port, "/tags")
        assert (status, "lab.lod" in page, "Bad: " in page) == (200, True, True)
        assert json.loads(fetched(port, "/values")[1])["tags"][0]["tag"] == "lab.lod"
        status, trend = fetched(port, "/trend?tag=lab.lod")
        assert (status, "1.5" in trend, 'id="trend"' in trend) == (200, True, True)
        points = json.loads(fetched(port, "/trend.json?tag=lab.lod")[1])
        assert points["values"] == [1.25, 1.5, None], "nothing is drawn over a value that is Bad"
        assert points["times"] == sorted(points["times"])
        assert fetched(port, "/trend?tag=%3Cscript%3E")[0] == 404
        assert fetched(port, "/tags?page=99999")[0] == 200
        told = called("values", folder)
        assert (told.returncode, "lab.lod" in told.stdout, "Bad: " in told.stdout) == (0, True, True)
        assert json.loads(called("values", folder, "--json", "--filter", "LIMS lod").stdout)["tags"][0]["tag"] == "lab.lod"
        none = called("values", folder, "--filter", "nowhere")
        assert (none.returncode, none.stdout, none.stderr) == (1, "", "no tag of this line holds 'nowhere'\n")
        watched(folder)
    assert called("values", folder).returncode == 3


def watched(folder: Path) -> None:
    """It is shown until Ctrl-C."""
    ours, its = os.openpty()
    screen = subprocess.Popen(
        [COMMAND, "values", str(folder), "--watch"], stdin=its, stdout=its, stderr=its, env=os.environ | {"TERM": "xterm", "COLUMNS": "140"}
    )
    os.close(its)
    seen = b""
    while b"lab.lod" not in seen:
        seen += os.read(ours, 4096)
    screen.send_signal(signal.SIGINT)
    os.set_blocking(ours, False)
    assert screen.wait(DEADLINE_S) == 0
    os.close(ours)
