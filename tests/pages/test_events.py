"""Pages tell the shop what came into sight and what was opened, and hold nothing up for it."""

from __future__ import annotations

import json

import pytest

from shop.models import ShopperEvent
from similarity import services
from similarity.models import Run
from tests.pages.test_browser import (  # noqa: F401  (fixtures)
    browser,
    complaints,
    open_page,
    pytestmark,
    shop,
)

URL = "**/api/v1/events/"


@pytest.fixture
def search(shop, settings, open_page) -> Run:  # noqa: F811
    """A search for something red, which finds the two others."""
    settings.EVENTS = True
    red = services.KNOWN.get(image__product__reference="RED", number=0)
    return services.search(segment=red, limit=5)


def test_what_comes_into_sight_and_is_opened_is_told(open_page, search):  # noqa: F811
    page = open_page("/support/")
    with page.expect_response(URL) as answer:
        page.goto(f"/?search={search.pk}")
    assert answer.value.json() == {"recorded": 2, "known": 0, "refused": []}
    rows = ShopperEvent.objects.order_by("position")
    shown = rows.values_list("kind", "product__reference", "search", "position", "person")
    hits = search.hits.order_by("rank").values_list("segment__image__product__reference", "rank")
    assert list(shown) == [("impression", name, search.pk, rank, None) for name, rank in hits]
    with page.expect_request(URL) as told, page.expect_response(tells_of("view")):
        page.click(".card h3 a")
    [click] = json.loads(told.value.post_data)["events"]
    assert (click["kind"], click["position"], click["search"]) == ("click", 0, str(search.pk))
    clicks = ShopperEvent.objects.filter(kind="click")
    for _ in range(200):  # the page that has sent it is gone, and hears of no answer
        if clicks.exists():
            break
        page.wait_for_timeout(50)
    assert clicks.get().position == 0


def tells_of(kind: str):
    """Whether a response is to a page that has told of such an event."""
    return lambda response: f'"{kind}"' in (response.request.post_data or "")


def test_a_product_that_is_looked_at_is_told_with_who_looks(
    open_page,  # noqa: F811
    search,
    shopper,
    live_server,
):
    page = open_page("/support/")
    cookie = {"name": "sessionid", "value": shopper.cookies["sessionid"].value}
    page.context.add_cookies([cookie | {"url": live_server.url}])
    with page.expect_response(URL) as answer:
        page.goto(f"/garments/{search.segment.identifier}/")
    assert answer.value.ok
    view = ShopperEvent.objects.get(kind="view")
    assert (view.product.reference, view.person) == ("RED", shopper.user)


def test_who_asks_not_to_be_followed_is_not(open_page, search):  # noqa: F811
    page = open_page("/support/")
    page.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.goto(f"/?search={search.pk}")
    page.wait_for_selector(".card")
    page.goto("/support/")
    assert not [url for url in sent if "/events/" in url]
    assert not ShopperEvent.objects.exists()
