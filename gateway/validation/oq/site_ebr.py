"""The site's own EBR: simulated records of a batch go to a test account of it, and its receipts prove what it holds."""

import tomllib
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
from pydantic import ValidationError

from buffer import read_journal
from config import Line
from config.sections import Uplink
from gateway.validation.oq.case import NotPlayed, Told
from gateway.validation.oq.stage import Stage

BATCH_WITHIN_S, RECEIPT_WITHIN_S = 360.0, 180.0
NOT_GIVEN = "no test account of the site's EBR was given: --ebr FILE, with the keys of an [[uplink]] (kind, endpoint, tls, user, password)"
KEYS = ("kind", "endpoint", "profile", "version", "topic", "client_id", "user", "password", "tls", "max_bytes_per_s")


class WrongAccount(Exception):
    """The file of a test account can not be used; the text says why."""


def read_account(path: Path, site: Line) -> dict[str, Any]:
    """Read the settings of a test account: keys of an [[uplink]], files relative to the file's folder. Raises WrongAccount.

    The line's own receiver is refused: simulated records do not belong where a batch record is made.
    """
    try:
        given = tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WrongAccount(f"{path}: {error}") from error
    if unknown := sorted(set(given) - set(KEYS)):
        raise WrongAccount(f"{path}: {unknown[0]} is no key of a test account; there are {', '.join(KEYS)}")
    try:
        uplink = Uplink.model_validate({"name": "test", **given})
    except ValidationError as error:
        first = error.errors()[0]
        raise WrongAccount(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    own = [one.name for one in site.uplinks if _place(one) == _place(uplink)]
    if own and site.line.environment == "production":
        raise WrongAccount(
            f"{path}: {uplink.endpoint} is where uplink {own[0]} of this production line sends: give a test account of the EBR"
        )
    tls = {key: one if isinstance(one, dict) else str(path.parent.resolve() / str(one)) for key, one in given.get("tls", {}).items()}
    return {**given, "tls": tls or None}


def _place(uplink: Uplink) -> tuple[str, str | None]:
    parts = urlsplit(uplink.endpoint)
    return parts.netloc.rpartition("@")[2].lower() + parts.path, uplink.topic


async def sent(stage: Stage, told: Told, seconds: float) -> None:
    """Send a batch of simulated records, and hold the receipts against the journal."""
    if stage.how.uplink is None:
        raise NotPlayed(NOT_GIVEN)
    if stage.line.uplinks[0].profile != "entries":
        raise NotPlayed("receipts prove the profile `entries`; single records are answered one by one, and read in the EBR")
    async with stage.running(receives=False):
        await stage.passes(seconds / 2)
        batch = await stage.seen(lambda: ended_batch(stage), BATCH_WITHIN_S)
        found = f"batch {batch}" if batch else "none"
        told.step("let a simulated batch go through", "its end is recorded", found, True if batch else None)
        await stage.plant.say("still")
        goal = stage.last()
        await stage.seen(lambda: confirmed(stage) >= goal, RECEIPT_WITHIN_S)
        judge(told, stage.now(), goal, stage.line.uplinks[0].endpoint)
        await stage.gateway.end()
    rows = sent_of(stage)
    text = f"{len(rows)} events{f' of batch {batch} and others' if batch else ''}, each with its digest"
    told.step("keep what was sent, for a person to find it in the EBR", "a list", text, bool(rows), sent=rows)


def ended_batch(stage: Stage) -> str | None:
    """Return a batch whose end the journal holds; None while there is none."""
    for entry in read_journal(stage.data):
        if b'"type":"batch"' in entry.payload:
            event = orjson.loads(entry.payload)["event"]
            if event["type"] == "batch" and event["transition"] == "end":
                return str(event["batch"])
    return None


def confirmed(stage: Stage) -> tuple[int, int]:
    """Return through which entry the receiver has proved that it holds everything."""
    return cursor(stage.now())


def cursor(now: Mapping[str, Any] | None) -> tuple[int, int]:
    """Return (epoch, seq) through which receipts have confirmed everything by its digest; zeros before the first one."""
    uplink: Mapping[str, Any] = {} if not now or not now.get("uplinks") else now["uplinks"][0]
    if not now or not uplink.get("receipts"):
        return 0, 0
    return int(now["journal"]["epoch"]), int(now["journal"]["seq"]) - int(uplink["entries"])


def judge(told: Told, now: Mapping[str, Any] | None, goal: tuple[int, int], endpoint: str) -> None:
    """Say whether the receipts reach the entry that was the last, and nothing was refused. One counts only with the right digest."""
    uplink: Mapping[str, Any] = {} if not now or not now.get("uplinks") else now["uplinks"][0]
    reached, state, parts = cursor(now), str(uplink.get("state")), urlsplit(endpoint)
    where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    detail = f"{state}{': ' + str(uplink['detail']) if uplink.get('detail') else ''}"
    told.step(f"send to {where}", "forwarding", detail, state == "forwarding")
    text = f"{uplink.get('receipts', 0)} receipts, through entry {reached[0]}/{reached[1]}; the goal was {goal[0]}/{goal[1]}"
    told.step("read the receipts", "each entry is confirmed, with its digest", text, reached >= goal > (0, 0))
    refused = (
        f"{uplink.get('rejected', 0)} entries, {uplink.get('receipts_refused', 0)} receipts proved nothing {uplink.get('refusal', '')}"
    )
    good = uplink.get("rejected") == 0 and uplink.get("receipts_refused") == 0
    told.step("read what was refused", "nothing, on either side", refused.strip(), good if uplink.get("receipts") else None)


def sent_of(stage: Stage) -> list[dict[str, Any]]:
    """List every event that was sent, with the digest that the EBR must hold it under."""
    rows = []
    for entry in read_journal(stage.data):
        told = orjson.loads(entry.payload)
        if "event" in told:
            named = {name: told["event"].get(name) for name in ("type", "transition", "batch", "record", "step") if told["event"].get(name)}
            rows.append({"epoch": told["epoch"], "seq": told["seq"], "sha256": sha256(entry.payload).hexdigest(), **named})
    return rows
