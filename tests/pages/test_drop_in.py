"""<similar-items>: the page of examples in docs/, on another origin, in a real browser."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest
from django.test.testcases import LiveServerThread

from accounts import keys
from catalog.models import Product
from shop.models import ShopperEvent
from tests.conftest import restore_roles
from tests.loopback import serving
from tests.pages.test_browser import (  # noqa: F401  (fixtures)
    PATIENCE,
    browser,
    complaints,
    playwright,
    pytestmark,
)
from tests.shop import add_product

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "similar-items.html"

POLICY = (
    "default-src 'none'; script-src {0}; connect-src {0}; img-src {0} data:; "
    "style-src 'unsafe-inline'"  # the page's own: the element needs none
)


@pytest.fixture
def site(garments):
    """The shop's own address; its static files come as they do from a real server."""
    thread = LiveServerThread("localhost", static_handler=lambda handler: handler)
    thread.daemon = True
    thread.start()
    thread.is_ready.wait()
    assert thread.error is None
    yield f"http://{thread.host}:{thread.port}"
    thread.terminate()


@pytest.fixture
def garments(transactional_db):
    for number, colour in enumerate(("red", "green", "blue", "pink", "brown", "yellow")):
        details = {"price": "20.00", "sale_status": "sale", "url": f"https://shop.example/{number}"}
        add_product(f"DEMO-000{number}", colour, **details)


@pytest.fixture
def key(transactional_db) -> str:
    restore_roles()
    return keys.make("Drop-in", may_search=True, may_edit=False)[1]


@pytest.fixture
def elsewhere():
    """A web server of another origin."""
    with serving() as server:
        server.headers["Content-Type"] = "text/html; charset=utf-8"
        yield server


@pytest.fixture
def visit(browser, site, key, elsewhere, complaints):  # noqa: F811
    """Opens the examples on the other origin, with the shop's address and a key put in."""
    contexts = []

    def visit(key: str = key, before: str = "", attributes: str = ""):
        text = EXAMPLES.read_text().replace("http://localhost:8000", site)
        text = text.replace("<similar-items", f"<similar-items {attributes}")
        elsewhere.headers["Content-Security-Policy"] = POLICY.format(site)
        contexts.append(browser.new_context())
        page = contexts[-1].new_page()
        page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
        page.add_init_script(before)
        page.answers = []
        page.on("response", lambda answer: is_about_events(answer) and page.answers.append(answer))
        page.goto(elsewhere.show("/", text.replace("fsk_your-key", key).encode()))
        return page

    yield visit
    for context in contexts:
        context.close()


@pytest.fixture
def allowed(settings, elsewhere):
    settings.CORS_ALLOWED_ORIGINS = [elsewhere.url]


def items(page, number: int):
    return page.locator("similar-items").nth(number).locator("li")


def test_a_page_of_another_origin_shows_what_is_similar(visit, allowed, complaints):  # noqa: F811
    page = visit()
    playwright.expect(items(page, 0)).to_have_count(5)
    playwright.expect(items(page, 1)).to_have_count(3)
    playwright.expect(items(page, 2)).to_have_count(4)
    first = items(page, 0).first.locator("a")
    assert first.get_attribute("href").startswith("https://shop.example/")
    playwright.expect(first.locator(".price")).to_have_text("€20.00")
    picture = first.locator("img")
    picture.scroll_into_view_if_needed()
    picture.evaluate("(image) => image.decode()")
    assert complaints == [], "not even under a strict policy of the page's own"


def test_it_speaks_the_language_of_the_page_and_has_a_heading_of_ones_own(visit, allowed):
    page = visit()
    headings = [page.locator("similar-items").nth(n).locator("h2") for n in range(3)]
    for heading, text in zip(
        headings, ("You may also like", "More of that kind", "Vous aimerez aussi"), strict=True
    ):
        playwright.expect(heading).to_have_text(text)
    playwright.expect(items(page, 2).locator(".price").first).to_have_text(
        "20,00\N{NO-BREAK SPACE}€"
    )
    playwright.expect(items(page, 2).locator(".badge").first).to_have_text("Soldes")


def test_a_language_with_an_underscore_is_known(visit, allowed):
    page = visit(attributes='lang="de_DE"')
    playwright.expect(page.locator("similar-items h2").first).to_have_text(
        "Das könnte Ihnen auch gefallen"
    )
    playwright.expect(items(page, 0).locator(".price").first).to_have_text(
        "20,00\N{NO-BREAK SPACE}€"
    )


@pytest.mark.parametrize(("lang", "currency"), [("no language", "EUR"), ("en", "€")])
def test_a_price_that_cannot_be_written_out_is_shown_plainly(visit, allowed, lang, currency):
    Product.objects.update(currency=currency)
    page = visit(attributes=f'lang="{lang}"')
    playwright.expect(items(page, 0)).to_have_count(5)
    playwright.expect(items(page, 0).locator(".price").first).to_have_text(f"20.00 {currency}")


def test_the_page_s_styles_and_its_own_leave_each_other_alone(visit, allowed):
    page = visit()
    own = page.locator("similar-items h2").first
    playwright.expect(own).to_have_css("text-transform", "none")
    playwright.expect(page.locator("body > h2").first).to_have_css("text-transform", "uppercase")
    playwright.expect(items(page, 1).locator(".name").first).to_have_css("font-style", "italic")
    playwright.expect(items(page, 0).locator(".name").first).to_have_css("font-style", "normal")


def test_another_product_is_shown_when_the_attribute_changes(visit, allowed):
    page = visit()
    playwright.expect(items(page, 1)).to_have_count(3)
    element = page.locator("similar-items").nth(1)
    with page.expect_response("**/products/DEMO-0005/similar/**") as answer:
        element.evaluate("(one) => one.setAttribute('product', 'DEMO-0005')")
    names = [result["product"]["name"] for result in answer.value.json()["results"]]
    playwright.expect(items(page, 1).locator(".name")).to_have_text(names)


def test_a_site_that_is_not_on_the_list_shows_nothing(visit, complaints):  # noqa: F811
    page = visit()
    playwright.expect(items(page, 0)).to_have_count(0)
    with page.expect_event("console", lambda said: "similar-items:" in said.text):
        page.locator("similar-items").first.evaluate("(one) => one.setAttribute('limit', '2')")
    playwright.expect(items(page, 0)).to_have_count(0)
    assert any("CORS" in said for said in complaints)


def test_a_key_that_is_no_good_leaves_the_page_as_it_is(visit, allowed):
    page = visit(key="fsk_wrong")
    with page.expect_event("console", lambda said: "similar-items:" in said.text):
        page.locator("similar-items").first.evaluate("(one) => one.setAttribute('limit', '2')")
    playwright.expect(items(page, 0)).to_have_count(0)
    assert "A page of another site" in page.content()


def is_about_events(response) -> bool:
    return response.url.endswith("/api/v1/events/") and response.request.method == "POST"


def told(page, **about) -> dict:
    """The one event of that kind that the page tells of, once the shop has noted it."""
    deadline = time.monotonic() + PATIENCE / 1000
    while not (found := [event for event in noted(page) if about.items() <= event.items()]):
        assert time.monotonic() < deadline, about
        page.wait_for_timeout(50)
    [event] = found
    return event


def noted(page) -> list[dict]:
    """All events that the page has told of, and the shop noted."""
    events = []
    for answer in page.answers:
        sent = json.loads(answer.request.post_data)["events"]
        assert answer.json() == {"recorded": len(sent), "known": 0, "refused": []}
        events += sent
    return events


def product_of(link) -> str:
    return f"DEMO-000{link.get_attribute('href')[-1]}"


def test_what_comes_into_sight_and_is_opened_is_told_to_the_shop(visit, allowed, complaints):  # noqa: F811
    page = visit()
    playwright.expect(items(page, 0)).to_have_count(5)
    beside = page.locator("similar-items").first.get_attribute("product")
    first, second = (items(page, 0).nth(number).locator("a") for number in range(2))
    first.scroll_into_view_if_needed()
    told(page, kind="impression", product=product_of(first), beside=beside)
    shown = ShopperEvent.objects.filter(kind="impression", position=0)
    assert product_of(first) in shown.values_list("product__reference", flat=True)
    page.route("https://shop.example/**", lambda route: route.fulfill(body="the product"))
    second.click(modifiers=["Control"])
    assert told(page, kind="click")["product"] == product_of(second)
    row = ShopperEvent.objects.get(kind="click")
    assert (row.position, row.person, row.search) == (1, None, None)
    assert row.beside.reference == beside
    told(page, kind="impression", product=product_of(second), beside=beside)
    seen = ShopperEvent.objects.get(kind="impression", product=row.product, beside=row.beside)
    assert row.answer == seen.answer is not None
    assert complaints == []


def test_what_is_seen_again_is_told_once(visit, allowed):
    page = visit()
    playwright.expect(items(page, 1)).to_have_count(3)
    element = page.locator("similar-items").nth(1)
    items(page, 1).last.scroll_into_view_if_needed()
    for link in items(page, 1).locator("a").all():
        told(page, kind="impression", product=product_of(link), beside="DEMO-0002")
    with page.expect_response("**/products/DEMO-0002/similar/**"):
        element.evaluate("(one) => one.setAttribute('heading', 'Once more')")
    playwright.expect(element.locator("h2")).to_have_text("Once more")
    page.wait_for_timeout(PAUSE)
    rows = ShopperEvent.objects.values_list("kind", "product", "position", "beside")
    assert max(Counter(rows).values()) == 1


PAUSE = 2500
"""Milliseconds after which everything that was to be told has been."""


@pytest.mark.parametrize("why", ["the browser", "the shop", "the site"])
def test_nothing_is_told_where_it_is_not_wanted(visit, allowed, settings, why):
    settings.EVENTS = why != "the shop"
    page = visit(
        before="Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})"
        if why == "the browser"
        else "",
        attributes='events="off"' if why == "the site" else "",
    )
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    for number, count in enumerate((5, 3, 4)):
        playwright.expect(items(page, number)).to_have_count(count)
        items(page, number).first.scroll_into_view_if_needed()
    page.wait_for_timeout(PAUSE)
    page.goto("about:blank")
    assert not [url for url in sent if "/events/" in url]
    assert not ShopperEvent.objects.exists()
