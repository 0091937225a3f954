"""Makes HTML of a page: headings that can be linked to, links to pages of the site, nothing that the page did not say."""

import posixpath
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token


class Section(NamedTuple):
    """What stands below a heading. anchor: its name in the page; empty for the page's own heading."""

    anchor: str
    title: str
    text: str


class Page(NamedTuple):
    """A page as HTML, and its sections as plain text, for those who search."""

    html: str
    sections: tuple[Section, ...]


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable("table")


def made(text: str, name: str, has: Callable[[str], bool]) -> Page:
    """Make a page. name: of the page, for links that are relative to it. has: whether the site has a file of this path."""
    tokens = _parser().parse(text)
    taken: dict[str, int] = {}
    anchors: list[str] = []
    for heading, inline in ((one, tokens[at + 1]) for at, one in enumerate(tokens) if one.type == "heading_open"):
        anchors.append(_anchor(_plain(inline), taken))
        heading.attrSet("id", anchors[-1])
    for inline in (one for one in tokens if one.type == "inline"):
        inline.children = [*_linked(inline.children or [], name, has)]
    return Page(str(_parser().renderer.render(tokens, _parser().options, {})), tuple(_sections(tokens, anchors)))


def _anchor(title: str, taken: dict[str, int]) -> str:
    """Name a heading as the source's own pages link to it: small letters, hyphens; a number behind one that is there already."""
    name = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
    taken[name] = taken.get(name, -1) + 1
    return name if not taken[name] else f"{name}-{taken[name]}"


def _plain(inline: "Token") -> str:
    return "".join(child.content for child in inline.children or [] if child.type in ("text", "code_inline"))


def _linked(children: list["Token"], name: str, has: Callable[[str], bool]) -> Iterator["Token"]:
    """Yield what a line is made of, its links turned to files of the site. A link to something else becomes its text."""
    dropped = False
    for child in children:
        if child.type == "link_open":
            address = linked(str(child.attrGet("href") or ""), name, has)
            dropped = address is None
            if address is not None:
                child.attrSet("href", address)
        if not (dropped and child.type in ("link_open", "link_close")):
            yield child
        dropped = dropped and child.type != "link_close"


def linked(href: str, name: str, has: Callable[[str], bool]) -> str | None:
    """Return where a link of a page goes in the site; None if the site has nothing there."""
    if href.startswith(("http://", "https://", "#")):
        return href
    path, mark, anchor = href.partition("#")
    to = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
    if not has(to):
        return None
    address = posixpath.relpath(to, posixpath.dirname(name) or ".")
    return f"{re.sub(r'[.]md$', '.html', address)}{mark}{anchor}"


def _sections(tokens: list[Any], anchors: list[str]) -> Iterator[Section]:
    """Yield the text below each heading."""
    left = iter(anchors)
    anchor, title, said = "", "", list[str]()
    opened = False
    for token in tokens:
        if token.type == "heading_open":
            if title:
                yield Section(anchor, title, " ".join(said))
            anchor, said, opened = next(left), [], True
        elif token.type == "inline":
            text = _plain(token)
            title, said = (text, said) if opened else (title, [*said, text])
            opened = False
        elif token.type in ("fence", "code_block"):
            said.append(token.content)
    yield Section(anchor, title, " ".join(said))
