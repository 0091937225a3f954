"""The pages in a browser: seen at once, usable by finger, keyboard and screen reader, up to date or telling that they are not."""

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from kit.axe import axe, violations
from kit.browser import CHROMIUM, SIZES, Tab, tab
from kit.drop_line import drop_line
from kit.line_states import STATES, batch_incomplete, good, source_down, tags, unapproved_configuration, uplink_down
from kit.processes import free_port, running
from kit.served_pages import Shown, served

pytestmark = [pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed"), pytest.mark.asyncio(loop_scope="module")]

LEAST_PX = 44
SMALL = f"""[...document.querySelectorAll("nav a, summary, button, input:not([type=hidden]), select, .act, .course")]
    .filter((one) => one.checkVisibility() && !one.closest(".words")).filter((one) => one.getBoundingClientRect().height < {LEAST_PX})
    .map((one) => one.outerHTML.slice(0, 80))"""
"""What a gloved finger would miss."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tab]:
    async with tab(tmp_path_factory.mktemp("browser")) as one:
        yield one


@pytest.fixture
def browser(started: Tab) -> Tab:
    """One browser for all; of its errors only those of the test count."""
    started.errors.clear()
    return started


@pytest.mark.urs("URS-OBS-02")
async def test_each_state_answers_its_three_questions_on_the_first_screen(browser: Tab) -> None:
    shown = Shown(good())
    async with served(shown) as address:
        for name, (kind, made) in STATES.items():
            shown.now = made()
            for size, (width, height) in SIZES.items():
                await browser.show(width, height, touch=size == "phone")
                await browser.open(f"{address}/?still")
                where = f"{name} at {size}"
                assert await browser.run("document.documentElement.scrollWidth <= innerWidth"), f"{where}: wider than the screen"
                bottom = await browser.run("document.querySelector('section.state').getBoundingClientRect().bottom")
                assert bottom <= height * (0.6 if size == "panel" else 1), f"{where}: the banner ends at {bottom} px"
                told = await browser.run("document.querySelector('section.state').innerText")
                assert (kind == "good") != ("Are data safe?" in told and "What to do" in told and "Call" in told), where
                assert await browser.run(SMALL) == [], where
    assert browser.errors == []


@pytest.mark.urs("URS-OBS-02")
async def test_sources_and_uplinks_are_on_the_panel_s_first_screen(browser: Tab) -> None:
    async with served(Shown(uplink_down())) as address:
        await browser.show(*SIZES["panel"])
        await browser.open(f"{address}/?still")
        last = "[...document.querySelectorAll('h2')].find((one) => one.innerText === 'Uplinks').closest('section')"
        assert await browser.run(f"{last}.querySelector('tbody tr').getBoundingClientRect().bottom") < SIZES["panel"][1]


async def against(browser: Tab, pages: Mapping[str, Callable[[], dict[str, Any]]], looks: Iterable[tuple[str, bool]]) -> list[str]:
    """What axe has against these pages (address -> snapshot), each in these looks (size, dark), with everything opened."""
    axe()
    shown = Shown(good(), tags())
    found = []
    async with served(shown) as address:
        for (at, made), (size, dark) in itertools.product(pages.items(), looks):
            shown.now = made()
            width, height = SIZES[size]
            await browser.show(width, height, dark=dark, touch=size == "phone")
            await browser.open(f"{address}{at}")
            await browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true })")
            found += [f"{at} {size} {'dark' if dark else 'light'}: {one}" for one in await violations(browser)]
    return found


async def test_axe_finds_nothing_on_the_line_and_its_values_at_the_panel_in_light_and_the_phone_in_dark(browser: Tab) -> None:
    looks = [("panel", False), ("phone", True)]
    assert await against(browser, {"/": batch_incomplete, "/tags": good}, looks) == []
    assert browser.errors == []


@pytest.mark.faults
async def test_axe_finds_nothing_on_any_page_in_any_state_at_both_sizes_in_light_and_dark(
    browser: Tab, figure: Callable[[str, object], None]
) -> None:
    pages = {f"/?{name}": made for name, (_, made) in STATES.items()}
    pages |= dict.fromkeys(("/tags", "/tags?still", "/trend?tag=granulator.step", "/journal", "/clock", "/login"), good)
    pages |= {"/alarm": unapproved_configuration, "/?still": batch_incomplete}
    found = await against(browser, pages, list(itertools.product(SIZES, (False, True))))
    figure("pages and looks, violations", f"{4 * len(pages)}, {len(found)}")
    assert found == []
    assert browser.errors == []


@pytest.mark.urs("URS-OBS-02")
async def test_a_page_goes_on_by_itself_and_leaves_focus_and_what_was_opened_where_they_were(browser: Tab) -> None:
    shown = Shown(batch_incomplete())
    async with served(shown) as address:
        await browser.show(*SIZES["panel"])
        await browser.open(f"{address}/")
        await browser.run(
            "window.same = 1; document.querySelector('.concern').open = true; document.querySelector('.concern summary').focus()"
        )
        shown.now["equipment"]["dryer"]["activity"] = "cleaning-anew"
        await browser.comes("document.body.innerText.includes('cleaning-anew')")
        assert await browser.run("window.same") == 1, "it was not loaded again"
        assert await browser.run("document.querySelector('.concern').open && document.activeElement.matches('.concern summary')")
        shown.now = source_down()
        await browser.comes("document.title.includes('ACT NOW') && document.querySelector('h1').innerText.includes('granulator-plc')")
        assert await browser.run("document.querySelector('.concern')") is None
        shown.now = good()
        await browser.comes("document.querySelector('section.state').classList.contains('good')")
    assert browser.errors == []


@asynccontextmanager
async def without_script(browser: Tab) -> AsyncIterator[None]:
    """A browser that runs no script; whatever happens, it does so for the next test again."""
    await browser.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        yield
    finally:
        await browser.send("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.urs("URS-OBS-02")
async def test_without_script_the_page_is_loaded_again_and_a_page_that_is_held_stays(browser: Tab) -> None:
    shown = Shown(good())
    async with served(shown) as address, without_script(browser):
        await browser.open(f"{address}/")
        shown.now = source_down()
        await browser.comes("document.title.includes('ACT NOW')")
        await browser.open(f"{address}/?still")
        assert await browser.run("document.querySelector('noscript')") is None
        assert await browser.run("document.body.dataset.live") is None


async def test_live_values_are_filtered_as_somebody_types_and_stay_so(browser: Tab) -> None:
    shown = Shown(good(), tags())
    async with served(shown) as address:
        await browser.show(*SIZES["panel"])
        await browser.open(f"{address}/tags")
        await browser.press("Tab", 9)
        assert await browser.run("document.activeElement.innerText") == "To the content"
        assert await browser.run("getComputedStyle(document.activeElement).outlineStyle") != "none"
        await browser.run("document.getElementById('filter').focus()")
        await browser.send("Input.insertText", text="granulator STEP")
        rows = (
            "[...document.querySelectorAll('tr[data-words]')].filter((one) => one.checkVisibility()).map((one) => one.dataset.key).join()"
        )
        assert await browser.run(rows) == "granulator.step"
        shown.tags[1] |= {"value": 30, "text": "WET"}
        await browser.comes("document.body.innerText.includes('WET (30)')")
        assert await browser.run(rows) == "granulator.step"
        assert await browser.run("document.getElementById('filter').value") == "granulator STEP"
        await browser.open(f"{address}/trend?tag=granulator.step")
        await browser.comes("document.querySelector('#trend canvas')")
        assert not await browser.run("document.getElementById('still-plot').checkVisibility()"), "one plot is enough"
    assert browser.errors == []


@pytest.mark.urs("URS-OBS-02")
async def test_a_page_says_that_it_is_not_live_while_the_gateway_stands_or_is_away_and_goes_on_when_it_is_back(
    browser: Tab, tmp_path: Path
) -> None:
    port = free_port()
    folder = drop_line(tmp_path / "line", f'[web]\nlisten = "127.0.0.1:{port}"\n')
    await browser.show(*SIZES["panel"])
    with ExitStack() as first:
        gateway = await asyncio.to_thread(first.enter_context, running(folder))
        await browser.open(f"http://127.0.0.1:{port}/")
        await browser.run("window.same = 1")
        gateway.send_signal(signal.SIGSTOP)
        try:
            await browser.comes("document.getElementById('stale').checkVisibility()")
            assert await browser.run("document.title.startsWith('NOT LIVE: ')")
            assert "grayscale" in await browser.run("getComputedStyle(document.querySelector('main')).filter"), "no colour claims anything"
        finally:
            gateway.send_signal(signal.SIGCONT)
        await browser.comes("!document.getElementById('stale').checkVisibility() && !document.title.startsWith('NOT LIVE')")
    await browser.comes("document.getElementById('stale').checkVisibility()")
    with ExitStack() as second:
        await asyncio.to_thread(second.enter_context, running(folder))
        await browser.comes("!document.getElementById('stale').checkVisibility()")
        assert await browser.run("window.same") == 1
