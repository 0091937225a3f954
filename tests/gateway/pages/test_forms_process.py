"""Persons at a panel and a phone: log in, acknowledge, propose, decide, put into force, review; by keyboard alone, in a real browser."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.audited_journal import STORY, audited_line
from kit.axe import axe, violations
from kit.browser import CHROMIUM, SIZES, Tab, tab
from kit.commands import called
from kit.drop_line import events
from kit.persons import password, people
from kit.processes import free_port, running, until
from kit.quick_passwords import quick

BROWSER = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
REASON = "limit of the dryer, deviation 17"
PICTURES = Path(os.environ["PICTURES"]) if "PICTURES" in os.environ else None
"""A folder for pictures of each page, for who wants to look at them."""


class Line:
    """A running line with five persons, a batch to review and an alarm."""

    def __init__(self, folder: Path) -> None:
        story = [event for event in STORY if event["type"] != "config" and event.get("action") != "release-hold"]
        self.folder, self.port = audited_line(folder, story, readings=False), free_port()
        toml = self.folder / "line.toml"
        toml.write_text(f'{toml.read_text()}\n[web]\nlisten = "127.0.0.1:{self.port}"\nread_only_without_login = false\n')
        people(self.folder / "data")
        self.address = f"http://127.0.0.1:{self.port}"

    def alarm(self) -> str:
        (self.folder / "drop" / "odd.csv").write_text("sample_id;lod\nS2;1\n")
        rows = until(lambda: json.loads(called("alarms", "history", self.folder, "--format", "json").stdout))
        return str(rows[0]["id"])

    def audits(self, *actions: str) -> list[dict[str, Any]]:
        return [event for event in events(self.folder, "audit") if event["action"] in actions]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    made = Line(tmp_path_factory.mktemp("forms") / "line")
    with running(made.folder, quick):
        yield made


class Hand:
    """Somebody who has a keyboard and nothing else."""

    def __init__(self, one: Tab, line: Line) -> None:
        self.tab, self._line = one, line

    async def go(self, path: str) -> None:
        await self.tab.open(self._line.address + path)

    async def reach(self, selector: str) -> None:
        """Press the tabulator until an element has the focus; it must be seen that it has."""
        for _ in range(120):
            if await self.tab.run(f"document.activeElement === document.querySelector({json.dumps(selector)})"):
                seen = "getComputedStyle(document.activeElement)"
                assert await self.tab.run(f"{seen}.outlineStyle !== 'none' && parseFloat({seen}.outlineWidth) >= 2"), (
                    f"{selector}: unseen focus"
                )
                return
            await self.tab.press("Tab", 9)
        raise AssertionError(f"{selector} is not reached by keyboard")

    async def type(self, selector: str, text: str) -> None:
        await self.reach(selector)
        await self.tab.send("Input.insertText", text=text)

    async def press(self, selector: str) -> None:
        """Press a button with the space bar, and wait for the page that comes of it."""
        await self.reach(selector)
        await self.tab.run("window.before = true")
        for kind in ("keyDown", "keyUp"):
            await self.tab.send("Input.dispatchKeyEvent", type=kind, key=" ", code="Space", text=" ", windowsVirtualKeyCode=32)
        await self.tab.comes("!window.before && document.readyState === 'complete'")

    async def enter(self, user: str) -> None:
        await self.tab.send("Network.clearBrowserCookies")
        await self.go("/login")
        await self.type("#user", user)
        await self.type("#password", password(user))
        await self.press("button[type=submit]")

    async def text(self) -> str:
        return str(await self.tab.run("document.body.innerText"))

    async def looked_at(self, name: str) -> None:
        """Look at the page at both sizes: nothing wider than the screen, no target too small, nothing that axe finds."""
        for size, (width, height) in SIZES.items():
            await self.tab.show(width, height, touch=size == "phone")
            assert await self.tab.run("document.documentElement.scrollWidth <= innerWidth"), f"{name} at {size}: wider than the screen"
            small = "[...document.querySelectorAll('button, select, input:not([type=hidden]):not([type=checkbox]), .act, label.check')]"
            assert await self.tab.run(f"{small}.filter((one) => one.getBoundingClientRect().height < 44).map((one) => one.outerHTML)") == []
            assert await violations(self.tab) == [], f"{name} at {size}"
            if PICTURES is not None:
                await self.tab.picture(PICTURES / f"{name}-{size}.png", whole=True)
        await self.tab.show(*SIZES["panel"])


@pytest.fixture
async def hand(tmp_path: Path, line: Line) -> AsyncIterator[Hand]:
    async with tab(tmp_path / "profile") as one:
        await one.show(*SIZES["panel"])
        await one.send("Emulation.setFocusEmulationEnabled", enabled=True)
        yield Hand(one, line)


@BROWSER
@pytest.mark.urs("URS-CFG-01", "URS-CFG-02", "URS-CFG-03", "URS-AUD-02")
async def test_a_version_is_proposed_by_one_and_approved_and_put_into_force_by_another_with_a_password_each_time(
    hand: Hand, line: Line
) -> None:
    axe()
    await hand.go("/login")
    await hand.looked_at("login")
    await hand.enter("engineer")
    await hand.go("/config")
    await hand.looked_at("versions-empty")
    await hand.type("#propose-change_no", "CC-123")
    await hand.type("#propose-reason", REASON)
    await hand.type("#propose-password", "not the password")
    await hand.press("button[value=propose]")
    assert "user or password is wrong" in await hand.text()
    assert await hand.tab.run("document.querySelector('#propose-reason').value") == REASON, "what was typed is kept"
    await hand.type("#propose-password", password("engineer"))
    await hand.press("button[value=propose]")
    told = await hand.text()
    assert "Edda Bauer" in told
    assert "proposed" in told
    assert await hand.tab.run("document.querySelector('button[value=approve]')") is None, "who wrote it does not decide"
    await hand.looked_at("version-proposed")
    (at,) = [str(await hand.tab.run("location.search"))]
    await hand.enter("qa")
    await hand.go(f"/config{at}")
    await hand.type("#decide-meaning", "approved for production")
    await hand.type("#decide-password", password("qa"))
    await hand.press("button[value=approve]")
    assert "Quentin Abel (qa, qa, by password)" in await hand.text()
    await hand.type("#force-password", password("qa"))
    await hand.looked_at("version-approved")
    await hand.press("button[value=activate]")
    await hand.go("/config")
    assert "in force" in await hand.text()
    await hand.looked_at("versions")
    acts = [(event["action"], event["who"]["user"], event["who"]["auth"], event["where"]["interface"]) for event in line.audits(*ACTS)]
    assert acts == [
        ("config-propose", "engineer", "password", "page"),
        ("config-approve", "qa", "password", "page"),
        ("config-activate", "qa", "password", "page"),
    ]
    assert [error for error in hand.tab.errors if "403" not in error] == [], "but for the wrong password"


ACTS = ("config-propose", "config-approve", "config-activate")


@BROWSER
@pytest.mark.urs("URS-AUD-07")
async def test_an_audit_trail_is_reviewed_item_by_item_and_signed(hand: Hand, line: Line) -> None:
    axe()
    await hand.enter("qa")
    await hand.go("/review")
    await hand.type("#which-batch", "B1")
    await hand.press("form[action='/review'] button")
    await hand.looked_at("review")
    names = await hand.tab.run("[...document.querySelectorAll('select')].map((one) => one.name)")
    assert len(names) == 5
    for name in names:
        await hand.type(f"select[name='{name}']", "a")
        await hand.tab.run(f"document.querySelector(\"select[name='{name}']\").value = 'accepted'")  # as the key `a` chooses it
    last = names[-1].removeprefix("verdict-")
    await hand.tab.run(f"document.querySelector(\"select[name='{names[-1]}']\").value = 'questioned'")
    await hand.type("#sign-password", password("qa"))
    await hand.press("form[method=post][action='/review'] button[type=submit]")
    assert "say why, in at least 10" in await hand.text()
    await hand.type(f"input[name='comment-{last}']", "who changed the order? see CC-19")
    await hand.type("#sign-password", password("qa"))
    await hand.press("form[method=post][action='/review'] button[type=submit]")
    assert "1 questioned" in await hand.text()
    await hand.looked_at("reviewed")
    (review,) = [event for event in events(line.folder, "document") if event["document"] == "audit-trail-review"]
    assert (review["reviewer"]["user"], len(review["deviations"]), review["where"]["interface"]) == ("qa", 1, "page")


@BROWSER
@pytest.mark.urs("URS-OBS-03")
async def test_an_alarm_is_acknowledged_by_keyboard(hand: Hand, line: Line) -> None:
    axe()
    id_ = await asyncio.to_thread(line.alarm)
    await hand.enter("operator")
    await hand.go(f"/alarm?id={id_}")
    await hand.looked_at("alarm")
    await hand.type("#reason", "the sender was called, file comes again")
    await hand.press("button[value=ack]")
    (told,) = line.audits("alarm-acknowledged")[1:]
    assert (told["who"]["user"], told["what"]["id"]) == ("operator", id_)
