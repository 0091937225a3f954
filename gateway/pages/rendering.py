"""Renders the templates of the package: everything is escaped, what is not there is an error, each is compiled once."""

from functools import cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from gateway.operation import finding_wording, wording
from gateway.operation.value_wording import shown
from gateway.operation.wording import StatusLine
from gateway.pages.assets import address_of

if TYPE_CHECKING:
    from jinja2 import Environment


class Person(NamedTuple):
    """Who is logged in at a page. csrf: what each form that is sent must bring along."""

    name: str
    role: str
    csrf: str


class Frame(NamedTuple):
    """What stands around each page. here, query: its address, and the place in NAVIGATION. is_personal: it has a place for `personal`.

    reload_s: after how long it is loaded again where scripts do not run; None: it stays, for who reads at length or types. is_live: a
    script keeps it up to date by the stream of its address (`gateway.pages.streams`). has_script: for what is filtered or drawn.
    beside: what runs beside this line, and until when; None: nothing is declared.
    """

    gateway: str
    here: str = ""
    query: str = ""
    is_personal: bool = False
    reload_s: int | None = None
    is_live: bool = False
    has_script: bool = False
    has_navigation: bool = True
    beside: StatusLine | None = None

    @property
    def address(self) -> str:
        """Return the address of the page."""
        return f"{self.here}?{self.query}" if self.query else self.here

    @property
    def reload(self) -> str:
        """Return the content of the page's `refresh`.

        With somebody logged in, what reloads itself says so in its address: it is nobody's doing, and keeps nobody logged in.
        """
        return f"{self.reload_s};url={self.with_word(WATCHING)}" if self.is_personal else f"{self.reload_s}"

    @property
    def stream(self) -> str:
        """Return where the page is sent whenever it is made anew."""
        return f"/events?{WATCHING}&{urlencode({'of': self.address})}"

    def with_word(self, word: str) -> str:
        """Return the address with one word more in its query."""
        return f"{self.address}{'&' if self.query else '?'}{word}"


WATCHING = "watching"
"""In the query of what a page loads by itself."""
NAVIGATION = (("/", "Line"), ("/tags", "Live values"), ("/journal", "Journal"), ("/clock", "Clock"))
"""(address, label) of the pages that are reached from everywhere, in order."""
FOR_PERSONS = (("/config", "Configuration"), ("/review", "Review"))
"""Those that are reached by who is logged in."""
_PLACE = b"<!-- person -->"
"""What templates escape, so that nothing but base.html can put it into a page."""


@cache
def _environment() -> "Environment":
    """Make the one environment, with all templates compiled. It imports jinja2."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("gateway.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    environment.globals |= {
        "navigation": NAVIGATION,
        "for_persons": FOR_PERSONS,
        "address_of": address_of,
        "wording": wording,
        "finding_wording": finding_wording,
    }
    environment.filters |= {"grouped": "{:,}".format, "span": wording.span, "instant": wording.instant, "shown": shown}
    for name in environment.list_templates():
        environment.get_template(name)
    return environment


def compile_templates() -> None:
    """Compile all templates: some tenths of a second, so not in the event loop. `render` does it where nobody has done it before."""
    _environment()


def render(template: str, **values: object) -> str:
    """Return what a template makes of values; a page needs a `frame`. Raises UndefinedError if it names one that is not there."""
    return _environment().get_template(template).render(values)


def personal(page: bytes, person: Person | None) -> bytes:
    """Put who is logged in, with the button to log out, into a page that was made for all."""
    return page if person is None else page.replace(_PLACE, render("person.html", person=person).encode(), 1)
