"""Shows one alarm, with the form by which a person who is logged in acknowledges or shelves it. It does not reload: people type here."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from html import escape
from importlib.resources import files
from typing import Any

from aiohttp import web

from gateway.access import Access, Refused
from gateway.operation import finding_wording
from gateway.operation.command import Command, Declined
from gateway.operation.login_page import field
from gateway.operation.page_door import Door
from gateway.operation.server import HEADERS
from gateway.operation.status import Status

_STYLE = files("gateway.operation").joinpath("page.css").read_text(encoding="utf-8")
HOURS = (1, 4, 8, 12, 24, 48, 72)
ACTS = {"ack": "alarm-ack", "shelve": "alarm-shelve", "unshelve": "alarm-unshelve"}


class AlarmForms:
    """Answers GET and POST /alarm, for who is logged in."""

    def __init__(self, status: Status, access: Access, commands: Mapping[str, Command], door: Door) -> None:
        """commands: those of the control socket; the ones in ACTS are given here too."""
        self._status, self._access, self._commands, self._door = status, access, commands, door

    async def form(self, request: web.Request) -> web.Response:
        """Show the alarm that `id` names."""
        session = await self._door.session(request, by_hand=True)
        return self._shown(request.query.get("id", ""), "" if session is None else session.csrf)

    async def act(self, request: web.Request) -> web.StreamResponse:
        """Do what the form says, in the name of the person of the session. Refused: the form again, with the reason."""
        session = await self._door.session(request, by_hand=True)
        fields = None if session is None else await self._door.fields(request, session.csrf)
        if session is None or fields is None:
            return web.json_response({"error": "this form is not of this page"}, status=403, headers=HEADERS)
        id_, command = fields.get("id", ""), ACTS.get(fields.get("act", ""))
        if command is None:
            return self._shown(id_, session.csrf, "press one of the buttons", status=400)
        try:
            by = await self._access.in_session(command, session.actor, fields.get("reason", ""))
            await self._commands[command]({"id": id_, "until": _until(fields.get("hours", ""))}, by)
        except Refused as error:
            return self._shown(id_, session.csrf, str(error), fields.get("reason", ""), status=403)
        except Declined as error:
            return self._shown(id_, session.csrf, str(error), fields.get("reason", ""), status=409)
        return web.Response(status=303, headers={**HEADERS, "Location": "/"})

    def _shown(self, id_: str, csrf: str, wrong: str = "", reason: str = "", status: int = 200) -> web.Response:
        now = self._status.snapshot()
        row = next((row for row, _ in finding_wording.rows(now["findings"]) if row["id"] == id_), None)
        told = page(now["gateway"], row, csrf, wrong, reason)
        return web.Response(text=told, content_type="text/html", charset="utf-8", headers=HEADERS, status=404 if row is None else status)


def page(gateway: str, row: Mapping[str, Any] | None, csrf: str, wrong: str = "", reason: str = "") -> str:
    """Return the page of an alarm; None: there is none of this id any more."""
    told = f'<p class="state warn" role="alert">{escape(wrong)}</p>' if wrong else ""
    body = "<p>This alarm is not in the list any more.</p>" if row is None else _facts(row) + _forms(row, csrf, reason)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(gateway)}: alarm</title><style>{_STYLE}</style></head><body><main>"
        f'<header><h1>{escape(gateway)}</h1><a href="/">back to the line</a></header>{told}'
        f'<section class="card"><h2>Alarm</h2>{body}</section></main></body></html>'
    )


def _facts(row: Mapping[str, Any]) -> str:
    facts = {
        "What": finding_wording.what(row),
        "State": finding_wording.state(row),
        "Since": row["local"],
        "Priority": f"{row['priority']}, for {row['whom']}",
        "Batches": ", ".join(row["batches"]) or "none",
        "Cause": row["cause"],
        "What to do": row["response"],
    }
    return f"<dl>{''.join(f'<dt>{name}</dt><dd>{escape(str(text))}</dd>' for name, text in facts.items())}</dl>"


def _forms(row: Mapping[str, Any], csrf: str, reason: str) -> str:
    """Make one form: the button says what is done. Only what can be done now has a button."""
    hours = "".join(f'<option value="{each}"{" selected" if each == 8 else ""}>{each} h</option>' for each in HOURS)
    shelve = f'<label for="hours">for</label> <select id="hours" name="hours">{hours}</select> {_button("shelve", "Shelve")}'
    acts = [
        "" if row["acknowledged"] else f"<p>{_button('ack', 'Acknowledge')}</p>",
        f"<p>{_button('unshelve', 'Take from the shelf')}</p>" if row["shelved"] else f"<p>{shelve}</p>",
    ]
    hidden = "".join(f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in (("csrf", csrf), ("id", row["id"])))
    comment = field("reason", "Comment, at least ten characters: what you saw, and what is done", reason)
    return f'<form method="post" action="/alarm">{hidden}{comment}{"".join(acts)}</form>'


def _button(act: str, words: str) -> str:
    return f'<button type="submit" name="act" value="{act}">{words}</button>'


def _until(hours: str) -> str:
    """Write the end of a shelf that begins now. A second less than the hours: the gateway's clock is read after this one."""
    count = int(hours) if hours in map(str, HOURS) else 0
    return f"{datetime.now(UTC) + timedelta(hours=count, seconds=-1):%Y-%m-%dT%H:%M:%SZ}" if count else ""
