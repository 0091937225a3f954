"""A headless Chromium, driven by the DevTools protocol: what a page does in a browser, and how it looks."""

import asyncio
import base64
import itertools
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
STARTS_WITHIN_S = 60.0
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
    "--mute-audio",
)
SIZES = {"panel": (1024, 768), "phone": (390, 844)}


LOADED_AGAIN = ("navigated or closed", "Execution context was destroyed", "Cannot find context")
"""What the browser answers where a page is loaded again while an expression is evaluated in it."""


class LeftError(AssertionError):
    """The page went away while it was asked."""


class Tab:
    """One page of a browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._ids = socket, itertools.count(1)
        self.errors: list[str] = []
        """What the page's console said was wrong: refused by the policy, not found, raised."""
        self._shown = self._loaded = ""  # documents, by the browser's loader ids: the one in the tab, the last one that was there whole

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command of the protocol and return its result. Raises LeftError, and AssertionError for any other error."""
        number = next(self._ids)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while (told := await self._heard()).get("id") != number:
            pass
        if any(words in told.get("error", {}).get("message", "") for words in LOADED_AGAIN):
            raise LeftError(f"{method}: {told['error']}")
        assert "error" not in told, f"{method}: {told['error']}"
        result: dict[str, Any] = told["result"]
        return result

    async def _heard(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((await self._socket.receive(STARTS_WITHIN_S)).data)
        entry = told.get("params", {}).get("entry", {})
        if told.get("method") == "Log.entryAdded" and entry.get("level") == "error":
            self.errors.append(f"{entry['text']} {entry.get('url', '')}")
        if told.get("method") == "Runtime.exceptionThrown":
            self.errors.append(str(told["params"]["exceptionDetails"]))
        if told.get("method") == "Page.frameNavigated" and "parentId" not in told["params"]["frame"]:
            self._shown = told["params"]["frame"]["loaderId"]
        if told.get("method") == "Page.loadEventFired":
            self._loaded = self._shown
        return told

    async def show(self, width: int, height: int, *, dark: bool = False, touch: bool = False) -> None:
        """Set the window's size, and light or dark."""
        await self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=touch)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.send("Emulation.setEmulatedMedia", features=[scheme])

    async def open(self, address: str) -> None:
        """Load a page, and wait until it is there: this one, not the one that is being loaded again before it."""
        asked = (await self.send("Page.navigate", url=address))["loaderId"]
        while self._loaded != asked:
            await self._heard()

    async def run(self, script: str) -> Any:
        """Evaluate an expression in the page, a promise to its end; return its value. The page's policy does not hold for it."""
        told = await self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    async def comes(self, condition: str) -> None:
        """Wait until an expression is true, in whichever page is shown. Raises TimeoutError."""
        async with asyncio.timeout(STARTS_WITHIN_S):
            while not await self._is(condition):  # noqa: ASYNC110 - the page is another process
                await asyncio.sleep(0.05)

    async def _is(self, condition: str) -> bool:
        with suppress(LeftError):  # it is loaded again: asked once more
            return bool(await self.run(f"Boolean({condition})"))
        return False

    async def press(self, key: str, code: int) -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            await self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    async def picture(self, path: Path, *, whole: bool = False) -> None:
        """Save a picture of what is seen, or of the whole page, as PNG."""
        told = await self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        await asyncio.to_thread(path.write_bytes, base64.b64decode(told["data"]))


@asynccontextmanager
async def tab(profile: Path) -> AsyncIterator[Tab]:
    """Start a browser with one empty page; ends with the block. profile: a folder of its own."""
    assert CHROMIUM is not None
    words = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "--remote-debugging-port=0", "about:blank"]
    browser = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE)
    assert browser.stderr is not None
    try:
        async with aiohttp.ClientSession() as session:
            async with asyncio.timeout(STARTS_WITHIN_S):
                place = await _listening(browser.stderr)
            async with session.get(f"http://{place}/json/list") as listed:
                address = next(one["webSocketDebuggerUrl"] for one in await listed.json() if one["type"] == "page")
            drained = asyncio.create_task(browser.stderr.read())  # it writes there as long as it lives
            async with session.ws_connect(address, max_msg_size=0) as socket:
                one = Tab(socket)
                for domain in ("Page", "Runtime", "Log"):
                    await one.send(f"{domain}.enable")
                yield one
            drained.cancel()
    finally:
        browser.terminate()
        await browser.wait()


async def _listening(stderr: asyncio.StreamReader) -> str:
    """Read where the browser listens: HOST:PORT."""
    while line := (await stderr.readline()).decode(errors="replace"):
        if found := re.search(r"DevTools listening on ws://([^/]+)/", line):
            return found[1]
    raise AssertionError("the browser ended")
