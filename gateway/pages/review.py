"""Shows what a person has to look at of an audit trail, with the form by which he judges each item and signs for all of it."""

import asyncio
from collections.abc import Mapping
from zoneinfo import ZoneInfo

from aiohttp import web

from config import Line
from gateway.evidence import review
from gateway.evidence.trail import NotPossible
from gateway.pages.forms import Desk, Wrong, refused
from gateway.pages.sessions import Session

HERE = "/review"
MOST_BODY_BYTES = 262_144
MOST_ITEMS = 200
"""More are reviewed with the command, by a file: nobody judges a thousand rows at a panel."""


class Reviews:
    """Answers GET and POST /review, for who is logged in."""

    def __init__(self, line: Line, desk: Desk) -> None:
        self._line, self._desk, self._one = line, desk, asyncio.Lock()

    async def look(self, request: web.Request) -> web.StreamResponse:
        """Ask which batch, or show what is to be looked at of the one that `batch` names."""
        return await self._shown(await self._desk.session(request), request.query.get("batch", "").strip())

    async def act(self, request: web.Request) -> web.StreamResponse:
        """Sign the review. What is refused: the items again, as they were judged, with the reason."""
        came = await self._desk.form(request, MOST_BODY_BYTES)
        if came is None:
            return refused()
        session, fields = came
        batch = fields.get("batch", "").strip()
        answer = await self._desk.done("audit-review", arguments(batch, fields), session, fields)
        if isinstance(answer, Wrong):
            return await self._shown(session, batch, answer, fields)
        return self._desk.shown("reviewed.html", HERE, session, answer=answer, batch=batch)

    async def _shown(
        self, session: Session, batch: str, wrong: Wrong | None = None, typed: Mapping[str, str] | None = None
    ) -> web.StreamResponse:
        found: review.ToReview | None = None
        told = wrong
        if batch:
            try:
                found = await self._found(batch)
            except NotPossible as error:
                told = wrong or Wrong(str(error), 404)
        if found is not None and (count := len(found.items)) > MOST_ITEMS:
            found, told = None, Wrong(f"{count:,} items: review them with `ebr-gateway audit review --write`", 409)
        return self._desk.shown("review.html", HERE, session, told, batch=batch, found=found, typed=typed or {})

    async def _found(self, batch: str) -> review.ToReview:
        """Read the journal for one batch, one reader at a time: it is read from its beginning, in a thread."""
        async with self._one:
            line = self._line
            scope = review.Scope(batch, None, None)
            return await asyncio.to_thread(review.to_review, line.data, ZoneInfo(line.line.timezone), line.gateway, scope)


def arguments(batch: str, fields: Mapping[str, str]) -> dict[str, object]:
    """Make what the command is asked of the fields of the form: `verdict-EPOCH-SEQ`, `comment-EPOCH-SEQ`, `through`."""
    places = [name.removeprefix("verdict-") for name in fields if name.startswith("verdict-")]
    verdicts = [{**_place(place), "verdict": fields[f"verdict-{place}"], "comment": fields.get(f"comment-{place}", "")} for place in places]
    return {"batch": batch, "through": list(_place(fields.get("through", "")).values()) or None, "verdicts": verdicts}


def _place(text: str) -> dict[str, int]:
    epoch, _, seq = text.partition("-")
    return {"epoch": int(epoch), "seq": int(seq)} if epoch.isdecimal() and seq.isdecimal() and len(text) < 40 else {}
