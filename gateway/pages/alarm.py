"""Shows one alarm, with the form by which a person who is logged in acknowledges or shelves it. It does not reload: people type here."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from gateway.access import Access, Refused
from gateway.operation import finding_wording, wording
from gateway.operation.command import Command, Declined
from gateway.operation.status import Status
from gateway.operation.views import HEADERS
from gateway.pages.door import Door, person_of
from gateway.pages.rendering import Frame, Person, render
from gateway.pages.sessions import Session
from gateway.pages.views import html

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
        return self._shown(request.query.get("id", ""), session)

    async def act(self, request: web.Request) -> web.StreamResponse:
        """Do what the form says, in the name of the person of the session. Refused: the form again, with the reason."""
        session = await self._door.session(request, by_hand=True)
        fields = None if session is None else await self._door.fields(request, session.csrf)
        if session is None or fields is None:
            return web.json_response({"error": "this form is not of this page"}, status=403, headers=HEADERS)
        id_, command = fields.get("id", ""), ACTS.get(fields.get("act", ""))
        if command is None:
            return self._shown(id_, session, "press one of the buttons", status=400)
        try:
            by = await self._access.in_session(command, session.actor, fields.get("reason", ""))
            await self._commands[command]({"id": id_, "until": _until(fields.get("hours", ""))}, by)
        except Refused as error:
            return self._shown(id_, session, str(error), fields.get("reason", ""), status=403)
        except Declined as error:
            return self._shown(id_, session, str(error), fields.get("reason", ""), status=409)
        return web.Response(status=303, headers={**HEADERS, "Location": "/"})

    def _shown(self, id_: str, session: Session | None, wrong: str = "", reason: str = "", status: int = 200) -> web.Response:
        now = self._status.snapshot()
        row = next((row for row, _ in finding_wording.rows(now["findings"]) if row["id"] == id_), None)
        person = None if session is None else person_of(session)
        frame = Frame(now["gateway"], is_personal=person is not None, beside=wording.beside(now))
        return html(page(row, frame, person, wrong, reason).encode(), person, 404 if row is None and not wrong else status)


def page(row: Mapping[str, Any] | None, frame: Frame, person: Person | None, wrong: str = "", reason: str = "") -> str:
    """Return the page of an alarm; None: there is none of this id any more. wrong: why what was asked was not done."""
    told = {"row": row, "facts": [] if row is None else _facts(row), "hours": HOURS, "csrf": "" if person is None else person.csrf}
    return render("alarm.html", frame=frame, wrong=wrong, reason=reason, **told)


def _facts(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("What", finding_wording.what(row)),
        ("State", finding_wording.state(row)),
        ("Since", row["local"]),
        ("Priority", f"{row['priority']}, for {row['whom']}"),
        ("Batches", ", ".join(row["batches"]) or "none"),
        ("Cause", row["cause"]),
        ("What to do", row["response"]),
    ]


def _until(hours: str) -> str:
    """Write the end of a shelf that begins now. A second less than the hours: the gateway's clock is read after this one."""
    count = int(hours) if hours in map(str, HOURS) else 0
    return f"{datetime.now(UTC) + timedelta(hours=count, seconds=-1):%Y-%m-%dT%H:%M:%SZ}" if count else ""
