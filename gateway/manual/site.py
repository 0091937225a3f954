"""Writes the site: a file for each page, the files that pages link to, a style, and a search that needs no server."""

import json
import posixpath
import shutil
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.manual.contents import CHAPTERS, names, page_of, place, title_of
from gateway.manual.markdown import Page, made

if TYPE_CHECKING:
    from jinja2 import Environment

STATIC = ("manual.css", "manual.js")
SHOWN = {".png", ".svg", ".json", ".csv"}
"""Files beside the pages that are part of the site."""


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("gateway.manual"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def write(to: Path) -> int:
    """Write the site into a folder, which is made or is empty; return how many pages it has. Raises FileExistsError, OSError."""
    to.mkdir(parents=True, exist_ok=True)
    if any(to.iterdir()):
        raise FileExistsError(f"{to}: is not empty")
    texts = {name: page_of(name) for name in names()}
    beside = [path for path in sorted(place().rglob("*")) if path.suffix in SHOWN and path.is_file()]
    held = {f"{name}.md" for name in texts} | {path.relative_to(place()).as_posix() for path in beside}
    pages = {name: made(text, name, held.__contains__) for name, text in texts.items()}
    titles = {name: title_of(text) for name, text in texts.items()}
    for path in beside:
        target = to / path.relative_to(place())
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    for name, page in pages.items():
        target = to / f"{name}.html"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_page(name, page, titles), "utf-8")
    for name in STATIC:
        (to / name).write_bytes(files("gateway.manual").joinpath("static", name).read_bytes())
    (to / "search.js").write_text(f"const SECTIONS = {json.dumps(_index(pages, titles), ensure_ascii=False)};\n", "utf-8")
    return len(pages)


def _page(name: str, page: Page, titles: dict[str, str]) -> str:
    up = posixpath.relpath(".", posixpath.dirname(name) or ".") + "/"
    chapters = [(chapter.title, [(one, titles[one]) for one in chapter.pages]) for chapter in CHAPTERS]
    return _environment().get_template("manual.html").render(name=name, title=titles[name], body=page.html, up=up, chapters=chapters)


def _index(pages: dict[str, Page], titles: dict[str, str]) -> list[list[Any]]:
    """List every section: its address, the page's title, its own, its words."""
    return [
        [f"{name}.html{f'#{section.anchor}' if section.title != titles[name] else ''}", titles[name], section.title, section.text]
        for name, page in pages.items()
        for section in page.sections
    ]
