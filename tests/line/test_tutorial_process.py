"""The tutorial: every block of docs/first-line.md is run as it stands there, on free ports."""

import asyncio
import re
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from kit.commands import called
from kit.processes import DEADLINE_S, free_port
from kit.repository import ROOT

TUTORIAL = ROOT / "docs" / "first-line.md"
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAM = (sys.executable, "-c", "from gateway.cli import main; main()")


@asynccontextmanager
async def started(command: str, folder: Path) -> AsyncIterator[Process]:
    """The command in its folder; ended as Ctrl-C does."""
    words = command.split()
    assert words[0] == "ebr-gateway"
    output = (folder / f"{words[1]}.log").open("wb")
    with output:
        program = await asyncio.create_subprocess_exec(*PROGRAM, *words[1:], cwd=folder, stdout=output, stderr=STDOUT)
        try:
            yield program
        finally:
            if program.returncode is None:
                program.send_signal(signal.SIGINT)
            async with asyncio.timeout(DEADLINE_S):
                await program.wait()


async def run(command: str, folder: Path) -> tuple[int, str]:
    words = command.split()
    program = await asyncio.create_subprocess_exec(*PROGRAM, *words[1:], cwd=folder, stdout=PIPE, stderr=STDOUT)
    async with asyncio.timeout(DEADLINE_S):
        output, _ = await program.communicate()
    return program.returncode or 0, output.decode()


async def until(command: str, folder: Path) -> None:
    """Ask in this process until source and EBR are connected, and then as the page has it.

    Exit 1 says that something needs attention: this machine's clock may.
    """
    _, word, line = command.split()
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not connected((asked := called(word, folder / line)).returncode, asked.stdout):  # noqa: ASYNC110 - a user asks again
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(asked.stdout + asked.stderr) from None
    assert connected(*await run(command, folder))


def connected(code: int, output: str) -> bool:
    """What the page says that the answer shows."""
    return code in (0, 1) and "connected" in output and "forwarding" in output


async def test_every_block_of_the_tutorial_works_as_it_stands(tmp_path: Path) -> None:
    ports = {"4840": str(free_port()), "8443": str(free_port())}
    line = tmp_path / "mixer-1"
    counts = dict.fromkeys(("sh", "refused", "append", "file"), 0)
    async with AsyncExitStack() as stack:
        for kind, more, text in BLOCK.findall(TUTORIAL.read_text("utf-8")):
            counts[kind] += 1
            words = more.split()
            if kind == "append":
                with (line / words[0]).open("a", encoding="utf-8") as file:
                    file.write(text)
            elif kind == "refused":
                await refused(line, words, text.strip())
            elif kind == "file":
                await appears(tmp_path, text.strip())
            else:
                command = text.strip().replace("8443", ports["8443"])
                if words == ["background"]:
                    await stack.enter_async_context(started(command, tmp_path))
                elif words == ["ready"]:
                    await until(command, tmp_path)
                else:
                    code, output = await run(command, tmp_path)
                    assert code == 0, output
                move_ports(line, ports)
    assert counts == {"sh": 8, "refused": 1, "append": 2, "file": 1}


async def appears(folder: Path, pattern: str) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not list(folder.glob(pattern)):  # noqa: ASYNC110, ASYNC240 - another process writes it
            await asyncio.sleep(0.1)


def move_ports(line: Path, ports: dict[str, str]) -> None:
    """Tests run side by side: the ports of the tutorial may be taken."""
    text = (line / "line.toml").read_text("utf-8")
    for old, new in ports.items():
        text = text.replace(f":{old}", f":{new}")
    (line / "line.toml").write_text(text, "utf-8")


async def refused(line: Path, words: list[str], wanted: str) -> None:
    """The mistake of the tutorial, made and taken back: it is told as the tutorial says."""
    file = line / words[0]
    good = file.read_text("utf-8")
    file.write_text(good.replace(f",{words[1]},", f",{words[2]},", 1), "utf-8")
    code, output = await run(f"ebr-gateway check {line.name}", line.parent)
    file.write_text(good, "utf-8")
    assert (code, output.strip()) == (2, wanted)
