"""The documentation as pages: on the terminal, as a site of plain files that can be read and searched without a network, and for man(1).

Invariants: the text is that of `docs/`, and of nothing else; what a page links to is in the site, or is shown without a link. A file of the
site loads nothing from elsewhere. jinja2 and markdown-it are imported when a page is made.

Modules, each knowing those after it: `site` (the files), `markdown` (a page as HTML), `contents` (which pages there are, in which order).
By itself `man`, which is made of the commands' own help.
"""

from gateway.manual.contents import CHAPTERS, Chapter, NoPage, page_of, title_of
from gateway.manual.man import write as write_man
from gateway.manual.site import write

__all__ = ["CHAPTERS", "Chapter", "NoPage", "page_of", "title_of", "write", "write_man"]
