"""The live page in a real Chromium, on a real store and engine: what a dispatcher sees."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.serve.page.scene import METERS, Scene, opened

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text("utf-8")
DRAWN = '.chart svg path[stroke="var(--today)"]'
"""The curve of today, as ECharts draws it."""

pytestmark = pytest.mark.slow
expect.set_options(timeout=20_000)


def curve_of(page: Page) -> str:
    """The path of today's curve, as it is drawn now."""
    page.wait_for_selector(DRAWN, state="attached")
    paths = page.eval_on_selector_all(DRAWN, "all => all.map(p => p.getAttribute('d'))")
    return max(paths, key=len)


def test_the_curve_appears_and_moves_as_readings_arrive(scene: Scene, browser: Browser) -> None:
    """No reload: new slots push the curve, the big figure and its time."""
    with opened(browser, scene) as page:
        expect(page.locator("#pill")).to_have_text("● Live")
        before = curve_of(page)
        expect(page.locator("time")).to_contain_text(f"{scene.clock()} to")
        big = page.locator(".big").inner_text()
        scene.say(3)
        expect(page.locator("time")).to_contain_text(f"{scene.clock()} to")
        expect(page.locator(".big")).not_to_have_text(big)
        assert len(curve_of(page)) > len(before)
        expect(page.locator("#tiles")).to_contain_text(f"{METERS} meters")


def test_the_table_says_what_the_store_holds(scene: Scene, browser: Browser) -> None:
    """The alternative to the picture: each slot of today with its energy and coverage."""
    with opened(browser, scene) as page:
        page.get_by_text("The curve as a table").click()
        rows = page.locator("#values tbody tr")
        expect(rows).to_have_count(48)
        energy = METERS * 300 + sum(meter % 7 for meter in range(METERS))
        at_eight = rows.nth(16)
        expect(at_eight.locator("th")).to_have_text("08:00")
        expect(at_eight.locator("td").first).to_have_text(f"{energy / 1000:.1f} kWh")
        expect(at_eight).to_contain_text("100 %")
        page.locator("#tariffs a").first.click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Tariff tariff")
        expect(page.locator("#tariffs a").first).to_have_attribute("aria-current", "page")


def test_today_is_beside_its_forecast_and_tomorrow_is_told(scene: Scene, browser: Browser) -> None:
    """After a week that closed: a band under the curve, the error so far, a table of tomorrow."""
    with opened(browser, scene) as page:
        expect(page.locator("#tiles")).to_contain_text("so far (last week's curve")
        curve_of(page)
        line = page.locator('.chart svg path[stroke="var(--forecast)"]')
        assert max(map(len, line.evaluate_all("all => all.map(p => p.getAttribute('d'))"))) > 200
        tomorrow = page.locator("#tomorrow tbody tr")
        expect(tomorrow.first).to_contain_text("The nation")
        expect(tomorrow).to_have_count(13)
        expect(page.locator("#tomorrow")).to_contain_text("No prices are known")


def test_a_region_that_falls_silent_raises_an_alarm_that_says_why(
    scene: Scene, browser: Browser
) -> None:
    """Of one region nobody reports for six slots: the page names it; later it is calm again."""
    with opened(browser, scene) as page:
        expect(page.locator("#alarms li")).to_have_count(0)
        since = scene.clock(0)
        scene.say(6, silent="region_2")
        alarm = page.locator("#alarms li").filter(has_text="Region region_2")
        expect(alarm).to_contain_text("readings are missing")
        expect(alarm).to_contain_text(f"0.0% of its meters have reported since {since}")
        scene.say(8)
        expect(page.locator("#alarms li")).to_have_count(0)


def test_the_page_says_that_the_store_is_away_and_recovers_by_itself(
    scene: Scene, browser: Browser
) -> None:
    """Killed and started again: the figures stay, the state is said, new slots arrive after."""
    with opened(browser, scene) as page:
        expect(page.locator("#pill")).to_have_text("● Live")
        scene.store.kill()
        expect(page.locator("#pill")).to_have_text("✕ Store away")
        expect(page.get_by_role("status").filter(has_text="The store is away")).to_be_visible()
        expect(page.locator(".big")).to_contain_text("kW")
        with opened(browser, scene) as other:
            expect(other.locator(".banner")).to_contain_text("The store is away")
        scene.store.start()
        expect(page.locator("#pill")).to_have_text("● Live")
        scene.say(1)
        expect(page.locator("time")).to_contain_text(f"{scene.clock()} to")
        expect(page.locator("#banner")).to_be_empty()


def test_the_stream_page_accounts_for_every_reading(scene: Scene, browser: Browser) -> None:
    with opened(browser, scene, "/stream") as page:
        expect(page.locator("#accounts .holds").first).to_contain_text("received")
        expect(page.locator("#accounts")).to_contain_text("curves = counters")
        expect(page.locator("#tasks")).to_contain_text("aggregate-0")
        expect(page.locator("#lags tbody tr")).to_have_count(2)


@pytest.mark.parametrize("path", ["/", "/stream"])
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (360, True)])
def test_nothing_keeps_anybody_out(
    scene: Scene, browser: Browser, path: str, width: int, dark: bool
) -> None:
    """axe-core finds nothing of weight, in the light on a screen and in the dark on a phone; which
    needs no scrolling sideways."""
    with opened(browser, scene, path, width=width, dark=dark) as page:
        expect(page.locator("#pill")).to_have_text("● Live")
        page.evaluate(AXE)
        found = page.evaluate("() => axe.run().then(r => r.violations)")
        told = [
            (rule["id"], rule["impact"], [node["html"][:120] for node in rule["nodes"][:3]])
            for rule in found
            if rule["impact"] in ("serious", "critical", "moderate")
        ]
        assert told == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_dark_is_the_systems_choice_until_somebody_chooses(scene: Scene, browser: Browser) -> None:
    """What was chosen is kept; the chart takes the colours of the page."""
    paper = "() => getComputedStyle(document.body).backgroundColor"
    with opened(browser, scene, dark=True) as page:
        assert page.evaluate(paper) == "rgb(13, 17, 22)"
        stroke = f"() => getComputedStyle(document.querySelector('{DRAWN}')).stroke"
        curve_of(page)
        assert page.evaluate(stroke) == "rgb(98, 168, 255)"
        page.get_by_role("button", name="Theme: as the system").press("Enter")
        assert page.evaluate(paper) == "rgb(245, 246, 244)"
        page.reload()
        expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
        assert page.evaluate(paper) == "rgb(245, 246, 244)"


def test_the_keyboard_reaches_the_content_and_keeps_its_place(
    scene: Scene, browser: Browser
) -> None:
    """Tab: first past the navigation; and what is pushed takes nobody's focus away."""
    with opened(browser, scene) as page:
        expect(page.locator("#tariffs li")).to_have_count(12)
        page.keyboard.press("Tab")
        assert page.evaluate("() => document.activeElement.textContent") == "To the content"
        page.keyboard.press("Enter")
        assert page.evaluate("() => document.activeElement.id") == "title"
        link = page.locator("#tariffs a").nth(2)
        link.focus()
        was = link.inner_text()
        scene.say(1)
        expect(link).not_to_have_text(was)
        assert page.evaluate("() => document.activeElement.closest('#tariffs') !== null")
