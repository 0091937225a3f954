"""The documentation as a site: every page is in it and is reached, every link leads somewhere, nothing is loaded from elsewhere."""

import json
import posixpath
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from kit.commands import called
from kit.repository import ROOT

from gateway import manual
from gateway.cli.commands import ROWS
from gateway.manual.contents import names
from gateway.manual.markdown import linked, made

DOCS = ROOT / "docs"


class Read(HTMLParser):
    """Links, names and what is loaded of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.ids: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = {name: value or "" for name, value in attrs}
        self.ids += [of["id"]] if "id" in of else []
        if tag == "a":
            self.links.append(of["href"])
        self.loaded += [value for name, value in of.items() if name == "src" or (tag == "link" and name == "href")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("manual") / "site"
    told = called("docs", "--to", to, "--man", to.parent / "man")
    assert told.returncode == 0, told.stderr
    assert (to.parent / "man" / "ebr-gateway.1").is_file(), "both were asked for"
    return to


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Read]:
    return {path.relative_to(site).as_posix(): Read(path.read_text("utf-8")) for path in site.rglob("*.html")}


def test_every_page_of_the_documentation_is_in_it_and_its_chapters_name_pages_that_there_are(pages: dict[str, Read]) -> None:
    written = {path.relative_to(DOCS).with_suffix(".html").as_posix() for path in DOCS.rglob("*.md")}
    assert set(pages) == written
    listed = [name for chapter in manual.CHAPTERS for name in chapter.pages]
    assert len(listed) == len(set(listed))
    assert {f"{name}.html" for name in listed} <= written
    assert {name for name in names() if "/" not in name} <= set(listed), "a page that no chapter names is found by nobody"


def test_every_link_leads_to_a_file_of_the_site_and_to_a_heading_that_is_there(site: Path, pages: dict[str, Read]) -> None:
    wrong = []
    for name, page in pages.items():
        for link in page.links:
            path, _, anchor = link.partition("#")
            if link.startswith(("http://", "https://")):
                continue
            to = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(path))) if path else name
            if not (site / to).is_file() or (anchor and to in pages and anchor not in pages[to].ids):
                wrong.append(f"{name}: {link}")
    assert wrong == []


def test_pages_reach_each_other(pages: dict[str, Read]) -> None:
    seen, left = set[str](), ["index.html"]
    while left:
        name = left.pop()
        if name in pages and name not in seen:
            seen.add(name)
            left += [posixpath.normpath(posixpath.join(posixpath.dirname(name), link.partition("#")[0])) for link in pages[name].links]
    assert seen == set(pages)


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[str, Read]) -> None:
    for name, page in pages.items():
        for source in page.loaded:
            assert (site / posixpath.normpath(posixpath.join(posixpath.dirname(name), source))).is_file(), f"{name}: {source}"
    assert not re.search(r"https?://|@import|url\(", (site / "manual.css").read_text("utf-8") + (site / "manual.js").read_text("utf-8"))


def test_what_is_searched_is_the_text_of_every_section(site: Path) -> None:
    text = (site / "search.js").read_text("utf-8")
    sections = json.loads(text.removeprefix("const SECTIONS = ").removesuffix(";\n"))
    assert len(sections) > 300
    (found,) = [address for address, page, _, said in sections if page == "Troubleshooting: by what you see" and "misconfigured" in said]
    assert found == "troubleshooting.html#nothing-is-read"


def test_what_a_page_says_is_shown_and_does_nothing() -> None:
    page = made(
        "# A <b>\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1)) [y](../gateway/x.py) `a|b`\n\n## A b\n\n## A b\n",
        "p",
        {"p.md"}.__contains__,
    )
    assert "<script" not in page.html
    assert "javascript:" not in re.sub(r">[^<]*<", "><", page.html)
    assert 'href="../gateway' not in page.html
    assert [section.anchor for section in page.sections] == ["a-b", "a-b-1", "a-b-2"]


@pytest.mark.parametrize(
    ("href", "of", "to"),
    [
        ("time.md", "status", "time.html"),
        ("../time.md#the-clock", "validation/urs", "../time.html#the-clock"),
        ("README.md", "decisions/0001-x", "README.html"),
        ("validation/README.md", "index", "validation/README.html"),
        ("schemas/document.json", "documents", "schemas/document.json"),
        ("#here", "status", "#here"),
        ("https://c2sp.org/x", "journal", "https://c2sp.org/x"),
        ("../LICENSE", "index", None),
        ("gone.md", "index", None),
    ],
)
def test_a_link_goes_where_the_file_is_in_the_site(href: str, of: str, to: str | None) -> None:
    held = {"time.md", "validation/README.md", "decisions/README.md", "schemas/document.json"}
    assert linked(href, of, held.__contains__) == to


def test_every_command_is_in_the_documentation() -> None:
    text = "\n".join(path.read_text("utf-8") for path in DOCS.glob("*.md")) + "\n".join(
        path.read_text("utf-8") for path in (DOCS / "validation").glob("*.md")
    )
    assert [name for name in ROWS if not re.search(rf"(ebr-gateway|`) ?{name}\b", text)] == []


def test_a_page_is_read_in_the_terminal_and_one_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "Coming from Kepware" in called("docs", "coming-from").stdout
    assert "troubleshooting" in called("docs").stdout
    told = called("docs", "nothing")
    assert told.returncode == 2
    assert told.stderr.startswith("nothing: there is no such page; there are index, ")
    (tmp_path / "mine").touch()
    assert called("docs", "--to", tmp_path).returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
