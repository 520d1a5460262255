"""The search page in a real browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import pytest

from similarity import pipeline, services
from similarity.models import Run
from tests.pages.test_home import half_red_half_blue
from tests.pictures import photo
from tests.shop import add_product

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

PATIENCE = 30_000
"""Milliseconds that a page has to come to what is expected of it: machines may be busy."""

playwright.expect.set_options(timeout=PATIENCE)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="There is no chromium in the PATH."),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as driver, pytest.MonkeyPatch.context() as patch:
        # Playwright keeps an event loop in this thread, and Django takes us for a coroutine.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console has complained of; a test that means it to, empties it."""
    return []


@pytest.fixture
def open_page(browser, live_server, complaints, settings):
    """Opens pages of the shop in a window of a size; closes them after the test."""
    settings.EVENTS = False  # what a page tells as it goes would come when the test is over
    contexts = []

    def open_page(path: str = "/", width: int = 1280, **options) -> playwright.Page:
        options = {"viewport": {"width": width, "height": 900}, **options}
        contexts.append(browser.new_context(base_url=live_server.url, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def shop(transactional_db, use):
    """Red, green and blue things; photos have a left and a right half."""
    use("DETECTOR", "Halves")
    for colour in ("red", "green", "blue"):
        add_product(colour.upper(), colour, price="20.00", category=f"{colour} things")


def choose(page, data: bytes, name: str = "photo.png", kind: str = "image/png") -> None:
    file = {"name": name, "mimeType": kind, "buffer": data}
    page.set_input_files("input[type=file]", files=[file])


def best(page) -> str:
    """The name of the first result, once there are results and nothing is under way."""
    page.wait_for_selector("[data-outcome]:not([aria-busy]) .search[data-state=done] .grid")
    return page.locator(".found .card h3").first.inner_text()


def follow(page, selector: str) -> None:
    """Click what loads a page, and wait for that page."""
    with page.expect_navigation():
        page.click(selector)


def hand_over(page, event: str, key: str, data: bytes) -> None:
    """Have the page told that a file was dropped or pasted."""
    page.evaluate(
        """([type, key, bytes]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], "p.png", { type: "image/png" }));
          const kind = key === "clipboardData" ? ClipboardEvent : DragEvent;
          document.body.dispatchEvent(new kind(type, { [key]: transfer, bubbles: true }));
        }""",
        [event, key, list(data)],
    )


def at_rest(place) -> dict[str, float]:
    """Where something lies when it has come to rest: results that come push it, focus scrolls."""
    place.scroll_into_view_if_needed()  # waits until it moves no more
    return place.bounding_box()


def drag(page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw over the photo, between two places given as shares of its sides."""
    on = at_rest(page.locator("[data-photo] image"))
    page.mouse.move(on["x"] + start[0] * on["width"], on["y"] + start[1] * on["height"])
    page.mouse.down()
    page.mouse.move(on["x"] + end[0] * on["width"], on["y"] + end[1] * on["height"], steps=5)
    page.mouse.up()


def test_a_chosen_photo_shows_its_results_and_stays_in_sight(open_page, shop):
    page = open_page()
    choose(page, photo("green", seed=5))
    assert best(page) == "green thing"
    assert "?search=" in page.url
    assert page.locator("[data-photo] image").is_visible()
    assert page.locator("[data-announcer]").inner_text() == "3 pieces like this"


def test_prices_are_written_as_the_reader_knows_them(open_page, shop):
    page = open_page()
    choose(page, photo("green", seed=5))
    best(page)
    assert page.locator(".found .price").first.inner_text() == "€20.00"


def test_a_photo_can_be_dropped(open_page, shop):
    page = open_page()
    hand_over(page, "drop", "dataTransfer", photo("blue", seed=5))
    assert best(page) == "blue thing"


def test_a_photo_can_be_pasted(open_page, shop):
    page = open_page()
    hand_over(page, "paste", "clipboardData", photo("red", seed=5))
    assert best(page) == "red thing"


def test_a_garment_pressed_on_the_photo_is_searched_with(open_page, shop):
    page = open_page()
    choose(page, half_red_half_blue())
    best(page)
    page.locator(".part-badge[data-part='2']").click()
    page.wait_for_selector("#part-2[aria-pressed=true]")
    assert best(page) == "blue thing"
    page.click("#part-whole")
    page.wait_for_selector("#part-whole[aria-pressed=true]")


def test_garments_are_reached_by_keyboard_and_keep_the_focus(open_page, shop):
    page = open_page()
    choose(page, half_red_half_blue())
    best(page)
    page.focus("#part-1")
    page.keyboard.press("Enter")
    page.wait_for_selector("#part-1[aria-pressed=true]")
    assert best(page) == "red thing"
    assert page.evaluate("document.activeElement.id") == "part-1"


def test_a_box_drawn_on_the_photo_is_searched_with(open_page, shop):
    page = open_page()
    choose(page, half_red_half_blue())
    best(page)
    drag(page, (0.6, 0.2), (0.95, 0.8))
    page.wait_for_selector("#part-0[aria-pressed=true]")
    assert best(page) == "blue thing"
    box = Run.objects.filter(kind=Run.Kind.SEARCH).first().options["box"]
    assert box == pytest.approx([120, 32, 190, 128], abs=2)


def chosen_box() -> list[float]:
    """The part of the photo that the latest search was for."""
    return Run.objects.filter(kind=Run.Kind.SEARCH).first().options["box"]


def press(page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_a_box_is_placed_and_searched_with_by_keyboard_alone(open_page, shop):
    page = open_page()
    choose(page, half_red_half_blue())
    best(page)
    page.focus("#select-part")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "selection"
    status = page.locator("[data-selection-status]")
    playwright.expect(status).to_have_text(
        "20 % from the left, 20 % from the top, 60 % wide, 60 % high."
    )
    press(page, *["Shift+ArrowLeft"] * 15, *["ArrowRight"] * 20, "ArrowUp", "Shift+ArrowDown")
    playwright.expect(status).to_have_text(
        "60 % from the left, 18 % from the top, 30 % wide, 63 % high."
    )
    page.keyboard.press("Enter")
    page.wait_for_selector("#part-0[aria-pressed=true]")
    assert best(page) == "blue thing"
    assert chosen_box() == pytest.approx([120, 28, 180, 128], abs=1)
    assert page.evaluate("document.activeElement.id") == "selection"
    press(page, "ArrowLeft", "Escape", "Enter")
    page.wait_for_selector("[data-outcome]:not([aria-busy])")
    assert chosen_box() == pytest.approx([120, 28, 180, 128], abs=1)


def test_escape_leads_back_to_the_button_that_offered_the_box(open_page, shop):
    page = open_page()
    choose(page, half_red_half_blue())
    best(page)
    page.focus("#select-part")
    press(page, "Enter", "ArrowRight", "Escape")
    assert page.locator("#selection").is_hidden()
    assert page.evaluate("document.activeElement.id") == "select-part"


def test_a_box_stays_within_the_photo(open_page, shop):
    page = open_page()
    choose(page, half_red_half_blue())
    best(page)
    page.click("#select-part")
    press(page, *["ArrowRight"] * 30, *["Shift+ArrowRight"] * 3, *["ArrowUp"] * 30)
    playwright.expect(page.locator("[data-selection-status]")).to_have_text(
        "40 % from the left, 0 % from the top, 60 % wide, 60 % high."
    )


def test_a_box_is_moved_and_its_edges_are_pulled_by_mouse(open_page, shop):
    page = open_page()
    choose(page, half_red_half_blue())
    best(page)
    drag(page, (0.1, 0.2), (0.4, 0.8))
    page.wait_for_selector("#part-0[aria-pressed=true]")
    assert best(page) == "red thing"
    drag(page, (0.25, 0.5), (0.75, 0.5))
    page.wait_for_selector(".search[data-address*='search'] .found h3 >> text=blue thing >> nth=0")
    playwright.expect(page.locator(".found .card h3").first).to_have_text("blue thing")
    assert chosen_box() == pytest.approx([120, 32, 180, 128], abs=3)
    drag(page, (0.6, 0.5), (0.05, 0.5))
    playwright.expect(page.locator(".found .card h3").first).to_have_text("red thing")
    assert chosen_box() == pytest.approx([10, 32, 180, 128], abs=3)


def test_a_press_that_leaves_the_photo_and_ends_outside_draws_no_box(open_page, shop):
    page = open_page()
    choose(page, half_red_half_blue())
    best(page)
    on = at_rest(page.locator("[data-photo] image"))
    middle = on["y"] + on["height"] / 2
    page.mouse.move(on["x"] + 2, middle)
    page.mouse.down()
    page.mouse.move(on["x"] - 20, middle)
    page.mouse.up()
    page.mouse.move(on["x"] + on["width"] / 4, middle)
    page.mouse.move(on["x"] + on["width"] / 2, middle)
    assert page.locator("#selection").is_hidden()


def touch(page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """The same as `drag`, with a finger."""
    on = at_rest(page.locator("[data-photo] image"))
    session = page.context.new_cdp_session(page)

    def send(kind: str, *at: float) -> None:
        points = [{"x": on["x"] + at[0] * on["width"], "y": on["y"] + at[1] * on["height"]}]
        touches = points if at else []
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    send("touchStart", *start)
    for part in (0.25, 0.5, 0.75, 1):
        between = [a + part * (b - a) for a, b in zip(start, end, strict=True)]
        send("touchMove", *between)
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_box_is_pulled_with_a_finger_without_scrolling_the_page(open_page, shop):
    page = open_page(width=390, has_touch=True, is_mobile=True)
    choose(page, half_red_half_blue())
    best(page)
    page.tap("#select-part")
    touch(page, (0.2, 0.2), (0.6, 0.4))
    page.wait_for_selector("#part-0[aria-pressed=true]")
    assert best(page) == "blue thing"
    assert chosen_box() == pytest.approx([120, 64, 160, 128], abs=4)
    assert page.evaluate("scrollY") == 0


def test_a_press_on_a_box_reaches_the_garment_below_it(open_page, shop):
    page = open_page()
    choose(page, half_red_half_blue())
    best(page)
    drag(page, (0.55, 0.2), (0.95, 0.8))
    page.wait_for_selector("#part-0[aria-pressed=true]")
    on = page.locator("[data-photo] image").bounding_box()
    page.mouse.click(on["x"] + 0.75 * on["width"], on["y"] + 0.5 * on["height"])
    page.wait_for_selector("#part-2[aria-pressed=true]")


def test_filters_are_applied_to_the_same_photo(open_page, shop):
    page = open_page()
    choose(page, photo("red", seed=5))
    best(page)
    page.click("#open-category")
    page.get_by_label("green things").check()
    page.click("#apply-category")
    playwright.expect(page.locator(".found .card")).to_have_count(1)
    assert best(page) == "green thing"


def test_the_address_brings_the_search_back(open_page, shop):
    page = open_page()
    choose(page, photo("green", seed=5))
    best(page)
    page.reload()
    assert best(page) == "green thing"
    assert open_page(page.url).locator(".found .card").count() == 3


def test_back_leads_to_the_search_before_and_to_the_start(open_page, shop):
    page = open_page()
    choose(page, half_red_half_blue())
    best(page)
    page.click("#part-2")
    page.wait_for_selector("#part-2[aria-pressed=true]")
    page.go_back()
    page.wait_for_selector("#part-whole[aria-pressed=true]")
    page.go_back()
    page.wait_for_selector("[data-view=start]")
    assert page.locator(".search").count() == 0
    page.go_forward()
    page.wait_for_selector("#part-whole[aria-pressed=true]")


def test_a_file_that_will_not_do_is_told_of(open_page, shop, complaints):
    page = open_page()
    choose(page, b"no picture")
    page.wait_for_selector("[data-problem]:not([hidden])")
    assert "not a picture" in page.locator("[data-problem]").inner_text()
    assert page.locator("[data-sending]").is_hidden()
    choose(page, b"text", "notes.txt", "text/plain")
    page.wait_for_selector("[data-problem] >> text=This is not a picture")
    assert [complaint for complaint in complaints if "415" not in complaint] == []
    complaints.clear()


def test_a_slow_search_says_how_far_it_is(open_page, shop, use):
    use("EMBEDDER", "ColourByWorker")
    add_product("SLOW", "brown", name="brown thing")
    page = open_page()
    choose(page, photo("brown", seed=5))
    page.wait_for_selector(".progress >> text=Waiting for its turn")
    pipeline.execute(Run.objects.filter(kind=Run.Kind.SEARCH).get().pk)
    assert best(page) == "brown thing"


MARKUP = re.compile(r"^http://[^/]+/searches/[^/]+/\?")
CANCEL = re.compile(r"^http://[^/]+/api/v1/searches/[^/]+/cancel/$")
"""Addresses that the scripts ask."""

TIMERS = """(() => {
  const wait = window.setTimeout;
  window.setTimeout = (act, time) =>
    wait(() => window.isHeld || act(), window.isHurried ? 0 : time);
})()"""
"""Lets a test hold what a page waits with, or have it wait no time."""


class Slow:
    """A search that waits for a worker, on the page that shows it."""

    def __init__(self, page: playwright.Page) -> None:
        self.page = page
        self.problem = page.locator("[data-problem]")

    def get_on(self) -> None:
        """Have a worker begin with it, and the page say so."""
        searches = Run.objects.filter(kind=Run.Kind.SEARCH)
        searches.update(state=Run.State.RUNNING, step="comparing", progress=0.5)
        self.page.wait_for_selector(".progress >> text=Comparing it with what the shop has")
        assert self.page.locator(".progress progress").get_attribute("value") == "0.5"

    def end(self, kind: Run.Kind = Run.Kind.SEARCH) -> None:
        """Have a worker do it; or look for garments in its photo."""
        runs = Run.objects.filter(kind=kind)
        runs.update(state=Run.State.PENDING)
        pipeline.execute(runs.get().pk)


@pytest.fixture
def slow(open_page, shop, use) -> Slow:
    use("EMBEDDER", "ColourByWorker")
    add_product("SLOW", "brown", name="brown thing")
    use("DETECTOR", "HalvesByWorker")
    page = open_page()
    page.evaluate(TIMERS)
    choose(page, half_red_half_blue())
    page.wait_for_selector(".progress >> text=Waiting for its turn")
    return Slow(page)


def fail(status: int):
    """Answers in the shop's place with a status; with 0, that nothing was reached."""

    def answer(route) -> None:
        if status:
            route.fulfill(status=status, content_type="text/html", body="<h1>Not now</h1>")
        else:
            route.abort()

    return answer


@pytest.mark.parametrize("status", [0, 429, 502])
def test_a_search_is_followed_through_failures_that_pass(slow, complaints, status):
    slow.page.route(MARKUP, fail(status))
    playwright.expect(slow.problem).to_be_visible()
    slow.page.unroute(MARKUP)
    playwright.expect(slow.problem).to_be_hidden()
    slow.end()
    best(slow.page)
    complaints.clear()


def test_a_search_is_followed_where_an_answer_broke_off(slow, open_web, complaints):
    open_web.headers["Content-Encoding"] = "gzip"
    broken = open_web.show("/", b"not what its headers say")
    slow.page.route(MARKUP, lambda route: route.continue_(url=broken))
    slow.page.wait_for_selector("[data-problem] >> text=The shop cannot be reached.")
    slow.page.unroute(MARKUP)
    playwright.expect(slow.problem).to_be_hidden()
    slow.end()
    best(slow.page)
    complaints.clear()


def test_a_search_that_is_no_longer_there_is_not_followed(slow, complaints):
    Run.objects.all().delete()
    slow.page.evaluate("window.isHurried = true")
    playwright.expect(slow.problem).to_be_visible()
    asked = []
    slow.page.on("request", lambda request: asked.append(request.url))
    slow.page.evaluate("fetch('/support/').then((answer) => answer.text())")
    assert not [address for address in asked if MARKUP.match(address)]
    complaints.clear()


def test_results_are_asked_for_again_where_the_shop_is_away_for_a_moment(
    open_page, shop, complaints
):
    page = open_page()
    page.route(MARKUP, fail(502), times=3)
    choose(page, photo("green", seed=5))
    page.wait_for_selector("[data-problem]:visible")
    assert best(page) == "green thing"
    assert page.locator("[data-problem]").is_hidden()
    assert Run.objects.filter(kind=Run.Kind.SEARCH).count() == 1
    complaints.clear()


def test_results_that_cannot_be_had_are_given_up_and_told_of(open_page, shop, complaints):
    page = open_page()
    page.evaluate(TIMERS)
    page.evaluate("window.isHurried = true")
    page.route(MARKUP, fail(502))
    choose(page, photo("green", seed=5))
    page.wait_for_selector("[data-problem]:visible")
    page.wait_for_selector("[data-view=start]")
    assert page.locator("[data-problem]").is_visible()
    assert page.locator("[data-sending]").is_hidden()
    complaints.clear()


def test_a_button_that_is_being_pressed_stays_while_a_search_gets_on(slow):
    on = at_rest(slow.page.locator("#cancel"))
    slow.page.mouse.move(on["x"] + on["width"] / 2, on["y"] + on["height"] / 2)
    slow.page.mouse.down()
    slow.get_on()
    slow.page.mouse.up()
    slow.page.wait_for_selector(".progress >> text=Stopping")
    assert slow.page.locator("#cancel").count() == 0


def test_a_box_that_is_being_drawn_stays_while_a_search_gets_on_and_ends(slow):
    on = at_rest(slow.page.locator("[data-photo] image"))
    slow.page.mouse.move(on["x"] + 0.6 * on["width"], on["y"] + 0.2 * on["height"])
    slow.page.mouse.down()
    slow.page.mouse.move(on["x"] + 0.8 * on["width"], on["y"] + 0.5 * on["height"])
    slow.get_on()
    slow.end()
    best(slow.page)
    slow.page.mouse.move(on["x"] + 0.95 * on["width"], on["y"] + 0.8 * on["height"])
    slow.page.mouse.up()
    slow.page.wait_for_selector("#part-0[aria-pressed=true]")
    assert chosen_box() == pytest.approx([120, 32, 190, 128], abs=2)


def test_garments_that_are_found_while_a_search_is_slow_are_marked_at_once(slow):
    slow.page.click("#select-part")
    cancel = slow.page.query_selector("#cancel")
    slow.end(Run.Kind.DETECT)
    slow.page.wait_for_selector(".part-badge[data-part='2']")
    assert slow.page.locator("#selection").is_visible()
    assert slow.page.evaluate("document.activeElement.id") == "selection"
    assert cancel.evaluate("(button) => button.isConnected")
    slow.end()
    best(slow.page)


def test_a_slow_search_can_be_cancelled_and_is_shown_at_once(slow):
    slow.page.evaluate("window.isHeld = true")
    slow.page.click("#cancel")
    slow.page.wait_for_selector("text=You stopped this search.")
    assert Run.objects.get(kind=Run.Kind.SEARCH).state == Run.State.CANCELLED


def test_a_search_that_ended_before_it_was_cancelled_is_shown(slow, complaints):
    slow.page.evaluate("window.isHeld = true")
    slow.end()
    slow.page.click("#cancel")
    best(slow.page)
    assert slow.problem.is_hidden()
    assert [said for said in complaints if "409" not in said] == []
    complaints.clear()


@pytest.mark.parametrize("status", [0, 502])
def test_a_search_that_could_not_be_cancelled_is_told_of_and_goes_on(slow, complaints, status):
    slow.page.route(CANCEL, fail(status))
    slow.page.click("#cancel")
    playwright.expect(slow.problem).to_be_visible()
    slow.end()
    best(slow.page)
    assert slow.problem.is_visible()
    complaints.clear()


def test_garments_that_are_found_later_are_marked_then(open_page, shop, use):
    use("DETECTOR", "HalvesByWorker")
    page = open_page()
    choose(page, half_red_half_blue())
    page.wait_for_selector(".looking")
    best(page)
    assert page.locator(".part-badge").count() == 0
    page.click("#open-price")
    page.fill("#filter-price", "15")
    pipeline.execute(Run.objects.get(kind=Run.Kind.DETECT).pk)
    page.wait_for_selector(".part-badge[data-part='2']")
    assert page.locator(".looking").count() == 0
    assert page.input_value("#filter-price") == "15"


def test_a_result_leads_to_its_garment(open_page, shop):
    page = open_page()
    choose(page, photo("green", seed=5))
    best(page)
    page.click(".found .card h3 a >> nth=0")
    page.wait_for_selector("h1 >> text=green thing")
    assert page.locator("#more-title").is_visible()
    page.go_back()
    assert best(page) == "green thing"


def test_a_picture_is_shown_large_and_closed_by_keyboard(open_page, shop):
    segment = add_product("LARGE", "pink", name="pink thing")
    page = open_page(f"/garments/{segment.identifier}/")
    page.focus(".zoom")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    playwright.expect(dialog.get_by_role("img")).to_be_visible()
    page.get_by_role("button", name="Full size").press("Enter")
    playwright.expect(page.get_by_role("button", name="Full size")).to_have_attribute(
        "aria-pressed", "true"
    )
    dialog.get_by_role("img").click()
    playwright.expect(page.get_by_role("button", name="Full size")).to_have_attribute(
        "aria-pressed", "false"
    )
    page.keyboard.press("Escape")
    playwright.expect(dialog).to_be_hidden()
    assert page.evaluate("document.activeElement.className") == "zoom"


def test_it_all_works_without_javascript(open_page, shop):
    page = open_page(java_script_enabled=False)
    choose(page, half_red_half_blue())
    follow(page, ".intake button:visible")
    page.locator(".found .card").nth(2).wait_for()
    assert page.locator(".found .card").count() == 3
    follow(page, "#part-2")
    assert page.locator("#part-2").get_attribute("aria-pressed") == "true"
    assert page.locator(".found .card h3").first.inner_text() == "blue thing"
    page.click("#open-colour")
    page.check("#filter-colour-green")
    follow(page, "#apply-colour")
    assert page.is_checked("#filter-colour-green")
    assert page.locator(".found .card h3").all_inner_texts() == ["green thing"]
    follow(page, "#drop-1")
    page.select_option("#sort", "new")
    follow(page, "#sort-apply")
    assert page.locator(".found .card h3").all_inner_texts() == [
        "blue thing",
        "green thing",
        "red thing",
    ]
    page.goto(f"{page.url}&show=2")
    follow(page, "#more")
    assert page.locator(".found .card").count() == 3


def test_swatches_filter_and_are_worked_by_the_keyboard_too(open_page, shop):
    page = open_page()
    choose(page, photo("red", seed=5))
    best(page)
    page.click("#open-colour")
    page.click("#filter-colour-green")
    page.click("#apply-colour")
    page.wait_for_selector("#found-title >> text=1 piece")
    assert best(page) == "green thing"
    assert page.evaluate("document.activeElement.id") == "open-colour"
    page.keyboard.press("Enter")
    page.focus("#filter-colour-blue")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_selector("#found-title >> text=2 pieces")
    page.keyboard.press("Enter")
    assert page.get_by_role("checkbox", name="Green").is_checked()
    page.keyboard.press("Escape")
    assert not page.locator("#apply-colour").is_visible()
    assert page.evaluate("document.activeElement.id") == "open-colour"


def test_what_is_chosen_stands_as_chips_that_take_it_back(open_page, shop):
    page = open_page()
    choose(page, photo("red", seed=5))
    best(page)
    page.click("#open-colour")
    page.check("#filter-colour-green")
    page.check("#filter-colour-blue")
    page.click("#apply-colour")
    page.wait_for_selector("#found-title >> text=2 pieces")
    page.get_by_role("button", name="Remove Green").click()
    page.wait_for_selector("#found-title >> text=1 piece")
    assert best(page) == "blue thing"
    page.go_back()
    page.wait_for_selector("#found-title >> text=2 pieces")
    assert page.locator(".chips .chosen").count() == 2


def test_where_nothing_is_left_a_press_takes_back_what_keeps_it(open_page, shop):
    page = open_page()
    choose(page, photo("red", seed=5))
    best(page)
    page.click("#open-price")
    page.fill("#filter-price", "15")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Any price 3 pieces").click()
    assert best(page) == "red thing"


def test_an_order_is_kept_in_the_address_and_under_filters(open_page, shop):
    page = open_page()
    choose(page, photo("red", seed=5))
    assert best(page) == "red thing"
    page.select_option("#sort", "new")
    page.wait_for_selector(".found .grid li:first-child >> text=blue thing")
    assert "sort=new" in page.url
    page.click("#open-colour")
    page.check("#filter-colour-green")
    page.check("#filter-colour-red")
    page.click("#apply-colour")
    page.wait_for_selector("#found-title >> text=2 pieces")
    assert best(page) == "green thing"
    page.go_back()
    page.wait_for_selector("#found-title >> text=3 pieces")
    page.go_back()
    page.wait_for_selector(".found .grid li:first-child >> text=red thing")


def test_more_comes_as_one_scrolls_and_nothing_that_is_there_moves(open_page, transactional_db):
    for number in range(30):
        add_product(f"P{number:02}", "red", seed=number)
    page = open_page(width=390)
    choose(page, photo("red", seed=99))
    best(page)
    assert page.locator(".found .card").count() == 24
    names = page.locator(".found .card h3 a").evaluate_all("all => all.map(one => one.href)")
    page.locator("footer").scroll_into_view_if_needed()
    playwright.expect(page.locator(".found .card")).to_have_count(30)
    after = page.locator(".found .card h3 a").evaluate_all("all => all.map(one => one.href)")
    assert after[:24] == names
    assert len(set(after)) == 30
    assert page.locator("#more").count() == 0
    assert "show=30" in page.url
    page.reload()
    assert page.locator(".found .card").count() == 30


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_is_wider_than_the_window(open_page, shop, width):
    page = open_page(width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    choose(page, half_red_half_blue())
    best(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.click(".found .card h3 a >> nth=0")
    page.wait_for_selector("#more-title")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_words_are_searched_with_and_results_refined(open_page, shop):
    page = open_page()
    page.fill(".words input", "green thing")
    page.keyboard.press("Enter")
    assert best(page) == "green thing"
    assert page.input_value("#filter-text") == "green thing"
    first = page.locator(".found .card").first
    first.get_by_text("More like this").click()
    page.wait_for_selector(".examples")
    assert best(page) != "green thing"
    page.click(".examples button")
    page.wait_for_selector(".examples", state="detached")
    assert best(page) == "green thing"
    page.click("#open-words")
    page.fill("#filter-without", "green")
    page.click("#apply-words")
    playwright.expect(page.locator(".found .card")).to_have_count(2)


def test_a_link_that_is_typed_or_pasted_is_fetched_by_the_shop(open_page, shop, open_web):
    link = open_web.show("/p.png", photo("green", seed=5))
    page = open_page()
    page.fill(".words input", link)
    page.keyboard.press("Enter")
    assert best(page) == "green thing"
    page.evaluate(
        """(link) => {
          const transfer = new DataTransfer();
          transfer.setData("text", link);
          document.body.dispatchEvent(
            new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
        }""",
        open_web.show("/q.png", photo("blue", seed=5)),
    )
    page.wait_for_selector(".found .grid li:first-child >> text=blue thing")


def test_an_example_photo_is_searched_with_at_a_press(open_page, shop):
    page = open_page()
    page.locator(".try").first.click()
    best(page)
    assert page.locator("[data-photo] image").is_visible()


def test_a_form_without_a_photo_or_words_says_what_is_missing(open_page, shop):
    page = open_page()
    page.click("#search")
    page.wait_for_selector("[data-problem] >> text=Choose a photo first")


def test_words_typed_before_a_photo_is_chosen_go_with_it(open_page, shop):
    page = open_page()
    page.fill(".words input", "blue")
    choose(page, photo("green", seed=5))
    best(page)
    assert Run.objects.filter(kind=Run.Kind.SEARCH).first().options["text"] == "blue"
    assert page.locator("[data-photo] image").is_visible()


# --- Settings -------------------------------------------------------------------------------


def test_a_chosen_theme_and_contrast_outdo_the_device(open_page, transactional_db):
    page = open_page("/settings/", color_scheme="light")
    for theme, contrast, paper in (
        ("dark", "system", "rgb(23, 21, 19)"),
        ("dark", "high", "rgb(0, 0, 0)"),
        ("light", "high", "rgb(255, 255, 255)"),
        ("system", "normal", "rgb(250, 248, 244)"),
    ):
        page.get_by_label("Theme").select_option(theme)
        page.get_by_label("Contrast").select_option(contrast)
        page.get_by_role("button", name="Keep them").click()
        playwright.expect(page.get_by_text("Your settings are kept.")).to_be_visible()
        playwright.expect(page.locator("body")).to_have_css("background-color", paper)


def test_garments_are_found_when_asked_where_they_are_not_at_once(open_page, shop):
    run = services.search_photo(half_red_half_blue(), limit=5, detect=False)
    page = open_page(f"/?search={run.pk}")
    page.get_by_role("button", name="Find the garments in it").click()
    playwright.expect(page.locator(".part-badge")).to_have_count(2)
    playwright.expect(page.get_by_role("button", name="Find the garments in it")).to_have_count(0)
