"""Renders the form by which a person logs in at the page: no script, readable by a screen reader, usable by keyboard alone."""

from html import escape
from importlib.resources import files

_STYLE = files("gateway.operation").joinpath("page.css").read_text(encoding="utf-8")


def login_page(gateway: str, csrf: str, wrong: str = "", user: str = "", *, must_change: bool = False) -> str:
    """Return the form. wrong: why the last attempt was refused. must_change: a new password is asked for as well."""
    told = f'<p class="state warn" role="alert">{escape(wrong)}</p>' if wrong else ""
    new = _field("new_password", "New password", "new-password") + _field("new_again", "New password again", "new-password")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(gateway)}: log in</title><style>{_STYLE}</style></head><body><main>"
        f"<header><h1>{escape(gateway)}</h1></header>{told}"
        '<section class="card"><h2>Log in</h2><form method="post" action="/login">'
        f'<input type="hidden" name="csrf" value="{escape(csrf)}">'
        f"{_field('user', 'User', 'username', user)}{_field('password', 'Password', 'current-password')}{new if must_change else ''}"
        '<p><button type="submit">Log in</button></p></form></section></main></body></html>'
    )


def logout_form(name: str, role: str, csrf: str) -> str:
    """Return who is logged in, with the button to log out."""
    button = f'<input type="hidden" name="csrf" value="{escape(csrf)}"><button type="submit">log out</button>'
    return f'<form class="soft" method="post" action="/logout">{escape(name)} ({escape(role)}) {button}</form>'


def _field(name: str, label: str, completes: str, value: str = "") -> str:
    kind = "text" if name == "user" else "password"
    typed = f'value="{escape(value)}"' if value else ""
    asked = (
        f'type="{kind}" autocomplete="{completes}" maxlength="128" required {typed}{" autofocus" if name == "user" and not value else ""}'
    )
    return f'<p><label for="{name}">{label}</label><br><input id="{name}" name="{name}" {asked}></p>'
