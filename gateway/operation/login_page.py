"""Renders the form by which a person logs in at the page: no script, readable by a screen reader, usable by keyboard alone."""

from html import escape
from importlib.resources import files

_STYLE = files("gateway.operation").joinpath("page.css").read_text(encoding="utf-8")


def login_page(gateway: str, csrf: str, wrong: str = "", user: str = "", *, must_change: bool = False) -> str:
    """Return the form. wrong: why the last attempt was refused. must_change: a new password is asked for as well."""
    told = f'<p class="state warn" role="alert">{escape(wrong)}</p>' if wrong else ""
    new = field("new_password", "New password", "", "new-password") + field("new_again", "New password again", "", "new-password")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(gateway)}: log in</title><style>{_STYLE}</style></head><body><main>"
        f"<header><h1>{escape(gateway)}</h1></header>{told}"
        '<section class="card"><h2>Log in</h2><form method="post" action="/login">'
        f'<input type="hidden" name="csrf" value="{escape(csrf)}">'
        f"{field('user', 'User', user, 'username')}{field('password', 'Password', '', 'current-password')}{new if must_change else ''}"
        '<p><button type="submit">Log in</button></p></form></section></main></body></html>'
    )


def logout_form(name: str, role: str, csrf: str) -> str:
    """Return who is logged in, with the button to log out."""
    button = f'<input type="hidden" name="csrf" value="{escape(csrf)}"><button type="submit">log out</button>'
    return f'<form class="soft" method="post" action="/logout">{escape(name)} ({escape(role)}) {button}</form>'


def field(name: str, label: str, value: str = "", completes: str = "off") -> str:
    """Return a labelled field that must be filled in; one whose name tells of a password hides what is typed."""
    kind = "password" if "password" in name or name == "new_again" else "text"
    typed = f'value="{escape(value)}"' if value else ""
    most = 1_000 if name == "reason" else 128
    first = " autofocus" if kind == "text" and not value else ""
    asked = f'type="{kind}" autocomplete="{completes}" maxlength="{most}" required {typed}{first}'
    return f'<p><label for="{name}">{label}</label><br><input id="{name}" name="{name}" {asked}></p>'
