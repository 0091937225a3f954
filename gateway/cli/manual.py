"""Defines the command that shows the documentation."""

from pathlib import Path

import click

from gateway.cli.base import NOT_REACHED, PATH, WRONG_INPUT, fail


@click.command()
@click.argument("page", required=False, metavar="[PAGE]", help="the page to read here, as in the list; without it, the list")
@click.option("--to", type=PATH, help="write all of it as a site into this folder, for a browser, with a search; no network is needed")
@click.option(
    "--man", type=PATH, help="write a page for man of the program and of each command into this folder, as in /usr/local/share/man/man1"
)
def docs(page: str | None, to: Path | None, man: Path | None) -> None:
    """Read the documentation: here, or as a site for a browser."""
    from gateway import manual

    if man is not None:
        _man(man)
    if to is not None:
        _site(to)
    if (to, man) != (None, None):
        return
    if page is None:
        for chapter in manual.CHAPTERS:
            click.echo(f"{chapter.title}:")
            for name in chapter.pages:
                click.echo(f"  {name:<26} {manual.title_of(manual.page_of(name))}")
        click.echo("one page here: ebr-gateway docs PAGE; all of it for a browser: ebr-gateway docs --to DIR")
    else:
        _read(page)


def _site(to: Path) -> None:
    from gateway import manual

    try:
        count = manual.write(to)
    except FileExistsError as error:
        fail(str(error), WRONG_INPUT)
    except OSError as error:
        fail(f"{to}: {error.strerror}", NOT_REACHED)
    click.echo(f"{count} pages; open {to / 'index.html'} in a browser")


def _man(to: Path) -> None:
    from gateway import manual
    from gateway.cli import PROGRAM, app
    from gateway.cli.commands import GROUPS

    summaries = {title: {row.name: row.says for row in rows} for title, rows in GROUPS.items()}
    click.echo(f"{manual.write_man(to, PROGRAM, app, summaries)} pages in {to}: man {PROGRAM}")


def _read(page: str) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    from gateway import manual

    try:
        text = manual.page_of(page)
    except manual.NoPage as error:
        fail(str(error), WRONG_INPUT)
    Console().print(Markdown(text))
