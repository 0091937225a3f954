"""Pages for man: one for each command, made of its help; good mdoc; and each option that there is stands in them."""

import shutil
import subprocess
from pathlib import Path

import click
import pytest
from kit.commands import called

from gateway.cli import app
from gateway.cli.commands import ROWS
from gateway.manual.man import _escaped, _leaves


@pytest.fixture(scope="module")
def man(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("share") / "man" / "man1"
    told = called("docs", "--man", to)
    assert (told.returncode, told.stdout) == (0, f"{len(ROWS) + 1} pages in {to}: man ebr-gateway\n")
    return to


def test_every_command_has_a_page_with_every_option_of_each_of_its_words(man: Path) -> None:
    assert {path.name for path in man.iterdir()} == {"ebr-gateway.1", *(f"ebr-gateway-{name}.1" for name in ROWS)}
    with click.Context(app) as context:
        for name in ROWS:
            page, command = (man / f"ebr-gateway-{name}.1").read_text(), app.get_command(context, name)
            assert command is not None
            for _, leaf in _leaves(name, command):
                for parameter in leaf.params:
                    for option in parameter.opts if isinstance(parameter, click.Option) else ():
                        assert f"Fl {option.removeprefix('-')}" in page, (name, option)
            assert f"Xr ebr-gateway-{name} 1" in (man / "ebr-gateway.1").read_text()


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_mandoc_finds_nothing_to_mend(man: Path) -> None:
    done = subprocess.run(
        ["mandoc", "-T", "lint", *sorted(path.name for path in man.iterdir())],
        capture_output=True,
        text=True,
        cwd=man,
        check=False,
    )
    assert done.stdout == ""


def test_pages_of_commands_that_are_no_more_go_and_others_pages_stay(man: Path) -> None:
    (man / "ebr-gateway-gone.1").write_text("")
    (man / "other.1").write_text("")
    assert called("docs", "--man", man).returncode == 0
    assert not (man / "ebr-gateway-gone.1").exists()
    assert (man / "other.1").exists()
    (man / "other.1").unlink()


@pytest.mark.parametrize(
    ("text", "written"), [(".Dd", "\\&.Dd"), ("'x", "\\&'x"), ("a\\nb", "a\\enb"), ("[x]", "[x]\\&"), ("plain", "plain")]
)
def test_a_text_means_itself(text: str, written: str) -> None:
    assert _escaped(text) == written
