"""The list of commands: each is there, each is told in one line, and who mistypes one is helped."""

import errno
import importlib
import inspect
import os
import pkgutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import pytest
from kit.commands import called
from kit.drop_line import drop_line
from kit.processes import COMMAND, running

import gateway.cli
from gateway.cli import app
from gateway.cli.commands import GROUPS, ROWS

CONTEXT = click.Context(app, info_name="ebr-gateway")


def commands(group: click.Group, before: str = "ebr-gateway") -> dict[str, click.Command]:
    """Every command and group by its words."""
    found: dict[str, click.Command] = {}
    for name in group.list_commands(CONTEXT):
        command = group.get_command(CONTEXT, name)
        assert command is not None
        found[f"{before} {name}"] = command
        if isinstance(command, click.Group):
            found |= commands(command, f"{before} {name}")
    return found


ALL = commands(app)


def test_every_command_that_a_module_defines_stands_in_the_list() -> None:
    modules = [importlib.import_module(f"gateway.cli.{module.name}") for module in pkgutil.iter_modules(gateway.cli.__path__)]
    defined = {id(value): name for module in modules for name, value in vars(module).items() if isinstance(value, click.Command)}
    listed = {id(command) for command in ALL.values()} | {id(app)}
    assert [name for key, name in defined.items() if key not in listed] == []
    assert len(ROWS) == sum(map(len, GROUPS.values())), "a command stands in two groups"


@pytest.mark.parametrize("words", ["ebr-gateway", *(words for words, command in ALL.items() if isinstance(command, click.Group))])
def test_the_help_tells_each_command_in_one_whole_line_of_a_terminal(words: str) -> None:
    group = ALL.get(words, app)
    assert isinstance(group, click.Group)
    lines = called(*words.split()[1:], "--help").stdout.splitlines()
    for name in group.list_commands(CONTEXT):
        (line,) = [line for line in lines if line.startswith(f"  {name} ")]
        assert len(line) <= 80
        assert not line.endswith("..."), line


@pytest.mark.parametrize(("words", "command"), ALL.items(), ids=ALL)
def test_every_option_and_argument_is_explained(words: str, command: click.Command) -> None:
    assert command.help
    unexplained = [parameter.name for parameter in command.params if not getattr(parameter, "help", None)]
    assert unexplained == []
    assert command.callback is not None
    handed_over = {parameter.name for parameter in command.params if parameter.expose_value}
    wanted = inspect.signature(command.callback).parameters.values()
    assert handed_over == {each.name for each in wanted if each.default is each.empty}, "click hands options over by their names"
    assert words in called(*words.split()[1:], "--help").stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["reday"], "No such command 'reday'. (Did you mean one of: 'ready', 'replay'?)"),
        (["users", "lst"], "No such command 'lst'. Did you mean 'list'?"),
        (["status"], "Missing argument 'LINE'"),
        (["demo", "--uplink", "pigeon"], "'pigeon' is not one of 'mqtt', 'https'"),
        (["demo", "--port", "0"], "0 is not in the range 1<=x<=65535"),
        (["demo", "--minutes", "some"], "Invalid value for '--minutes'"),
        (["keys", "rotate", "line"], "Missing option '--reason'"),
    ],
)
def test_what_is_mistyped_is_one_readable_error_and_exit_2(words: list[str], told: str) -> None:
    result = called(*words)
    assert result.returncode == 2
    assert told in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("words", [[], ["users"], ["config"]], ids=str)
def test_without_a_command_the_help_is_shown_with_exit_2(words: list[str]) -> None:
    result = called(*words)
    assert result.returncode == 2
    assert f"Usage: {' '.join(['ebr-gateway', *words])} [OPTIONS] COMMAND" in result.stderr


def test_the_version_is_that_of_the_package() -> None:
    assert called("--version").stdout == f"ebr-gateway {version('ebr-gateway')}\n"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("ebr-gateway rea", ["plain,ready"]),
        ("ebr-gateway users re", ["plain,reset", "plain,report"]),
        ("ebr-gateway status li", ["dir,li"]),
    ],
)
def test_a_shell_completes_commands_and_folders(typed: str, offered: list[str]) -> None:
    environment: dict[str, Any] = {"_EBR_GATEWAY_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    result = subprocess.run([COMMAND], env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert result.stdout.splitlines() == offered


@pytest.mark.parametrize("words", ["archive", "release-hold", "trace", "stamps", "recompute", "audit review", "audit reviews"])
def test_a_batch_is_the_word_behind_the_line_or_an_option_and_is_never_guessed(words: str, tmp_path: Path) -> None:
    usage = next(line for line in called(*words.split(), "--help").stdout.splitlines() if line.startswith("Usage"))
    assert usage.rstrip("[]").endswith("LINE BATCH") or usage.endswith("LINE [BATCH]")
    needed: dict[str, list[Any]] = {
        "archive": ["--to", tmp_path / "x.zip"],
        "release-hold": ["--reason", "it was reviewed"],
        "trace": ["--step", "MIX"],
        "stamps": [],
    }
    more = needed.get(words, [])
    both = called(*words.split(), tmp_path, "B1", "--batch", "B2", *more)
    assert (both.returncode, "which one is meant?" in both.stderr) == (2, True)
    neither = called(*words.split(), tmp_path, *more)
    assert ("which batch?" in neither.stderr) == (words in needed)


def test_a_journal_of_another_account_says_whose_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal of the operating system is made here: whoever runs the tests may be root, to whom nothing is refused."""
    assert called("new", tmp_path / "line").returncode == 0

    def refused(directory: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(directory / "segments"))

    monkeypatch.setattr("buffer.reader.held_segments", refused)
    told = called("stamps", tmp_path / "line", "B1")
    assert (told.returncode, told.stdout) == (3, "")
    assert told.stderr == (
        f"{tmp_path / 'line' / 'data' / 'segments'}: permission denied; what a gateway keeps is its own account's: "
        "ask as that account or as root\n"
    )


def test_both_ways_to_name_a_batch_say_the_same(tmp_path: Path) -> None:
    line = drop_line(tmp_path / "line")
    with running(line):
        pass
    said = [called("archive", line, *batch, "--to", tmp_path / "x.zip") for batch in (["B1"], ["--batch", "B1"], ["B1", "--batch", "B1"])]
    assert len({(each.returncode, each.stdout, each.stderr) for each in said}) == 1
    assert (said[0].returncode, "Usage" in said[0].stderr) == (2, False)
    assert "no batch B1" in said[0].stderr


def test_a_difference_of_folders_that_can_not_be_used_names_every_error_of_both_with_folder_file_and_line(tmp_path: Path) -> None:
    for name in ("new", "old"):
        called("new", tmp_path / name)
    tags = tmp_path / "new" / "tags.csv"
    tags.write_text(tags.read_text().replace("float32", "flt"))
    wrong = [number for number, line in enumerate(tags.read_text().splitlines(), 1) if ",flt," in line]
    toml = tmp_path / "old" / "line.toml"
    toml.write_text(toml.read_text().replace("Europe/", "Europe/X"))
    (zone,) = [number for number, line in enumerate(toml.read_text().splitlines(), 1) if "Europe/X" in line]
    for first, second in (("new", "old"), ("old", "new")):
        told = called("config", "diff", tmp_path / first, "--against", tmp_path / second)
        assert told.returncode == 2
        assert {line.partition(" ")[0] for line in told.stderr.splitlines()} == {f"{tags}:{number}:" for number in wrong} | {
            f"{toml}:{zone}:"
        }
