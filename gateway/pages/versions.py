"""Shows the versions of the configuration, what each changes, and the forms by which persons propose, decide and put into force."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from gateway.changes.states import TRANSITIONS, Deed, State
from gateway.operation.command import Declined
from gateway.pages.forms import Desk, Wrong, moved, refused
from gateway.pages.sessions import Session

HERE = "/config"
MOST_BODY_BYTES = 16_384
COMMANDS = {name: f"config-{name}" for name in ("propose", "approve", "reject", "activate", "rollback")}
MOST_CHANGES = 200
NONE: Mapping[str, Any] = {"versions": [], "active": None, "left_out": 0, "wrong": None}


class Versions:
    """Answers GET and POST /config, for who is logged in."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def look(self, request: web.Request) -> web.StreamResponse:
        """Show every version, or the one that `version` names."""
        return await self._shown(await self._desk.session(request), request.query.get("version", ""))

    async def act(self, request: web.Request) -> web.StreamResponse:
        """Do what the form says. What is refused: the page again, with the reason."""
        came = await self._desk.form(request, MOST_BODY_BYTES)
        if came is None:
            return refused()
        session, fields = came
        version, command = fields.get("version", ""), COMMANDS.get(fields.get("act", ""))
        if command is None:
            return await self._shown(session, version, Wrong("press one of the buttons", 400), fields)
        arguments = {name: fields.get(name, "") for name in ("version", "meaning", "change_no", "author")}
        answer = await self._desk.done(command, arguments | {"emergency": fields.get("emergency") == "yes"}, session, fields)
        if isinstance(answer, Wrong):
            return await self._shown(session, version, answer, fields)
        if answer.get("runs"):
            return self._desk.shown("goes_over.html", HERE, session, answer=answer)
        return moved(f"{HERE}?version={answer['version']}")

    async def _shown(
        self, session: Session, version: str, wrong: Wrong | None = None, typed: Mapping[str, str] | None = None
    ) -> web.StreamResponse:
        if not version:
            history = await self._desk.asked("config-history", {}, session)
            return self._desk.shown("versions.html", HERE, session, wrong, history=history, typed=typed or {})
        try:
            told = await self._desk.asked("config-show", {"version": version}, session)
            (row,) = told["versions"]
            values = {
                "row": row,
                "gaps": told["gaps"],
                "active": told["active"],
                "damaged": told["wrong"],
                "possible": possible(row["state"]),
            }
        except Declined as error:
            return self._desk.shown("versions.html", HERE, session, wrong or Wrong(str(error), 404), history=NONE, typed={})
        return self._desk.shown("version.html", HERE, session, wrong, **values, **await self._impact(version, session), typed=typed or {})

    async def _impact(self, version: str, session: Session) -> dict[str, Any]:
        """Assess a version against the one in force; a content that can not be read has none."""
        try:
            told = await self._desk.asked("config-impact", {"version": version}, session)
        except Declined as error:
            return {"impact": None, "batches": None, "changes": [], "unread": str(error)}
        return {"impact": told["impact"], "batches": told["batches"], "changes": told["impact"]["rows"][:MOST_CHANGES], "unread": ""}


def possible(state: State) -> frozenset[Deed]:
    """Name what may be done to a version in this state; going back to it among it."""
    deeds = {deed for before, deed in TRANSITIONS if before == state}
    return frozenset(deeds | ({"rollback"} if state == "superseded" else set()))
