"""POST /api/v1/events/: what shoppers do, noted once each."""

from __future__ import annotations

import datetime as dt
import json
import uuid

import pytest
from django.utils import timezone

from accounts.models import Preferences
from shop import events
from shop.models import ShopperEvent
from similarity import services
from similarity.models import Run
from tests.api import refused
from tests.api.test_export import taken_away
from tests.shop import add_product

URL = "/api/v1/events/"


@pytest.fixture
def product(db):
    return add_product("D-1", "red")


def sent(client, *items, status=200):
    response = client.post(URL, {"events": list(items)})
    assert response.status_code == status, response.content
    return response.json()


def click(**fields):
    return {"kind": "click", "product": "D-1", **fields}


def search_of(client, product) -> str:
    return client.post("/api/v1/searches/", {"segment": product.identifier}).json()["id"]


def test_an_event_is_noted_with_its_search_and_position(shopper, product):
    search = search_of(shopper, product)
    then = timezone.now() - dt.timedelta(hours=3)
    answer = sent(shopper, click(search=search, position=2, at=then.isoformat()))
    assert answer == {"recorded": 1, "known": 0, "refused": []}
    event = ShopperEvent.objects.get()
    assert (event.kind, event.product.reference, str(event.search_id)) == ("click", "D-1", search)
    assert (event.position, event.at, event.person) == (2, then, shopper.user)


def test_what_stood_beside_a_product_is_noted_with_it_and_with_the_answer(search_key, product):
    add_product("D-2", "blue")
    answer = search_key.get("/api/v1/products/D-2/similar/").json()
    [result] = answer["results"]
    place = {"beside": "D-2", "answer": answer["id"], "position": 0}
    sent(search_key, click(product=result["product"]["reference"], **place), click(beside="NONE"))
    event = ShopperEvent.objects.exclude(answer=None).get()
    assert (event.beside.reference, str(event.answer)) == ("D-2", answer["id"])
    assert ShopperEvent.objects.get(answer=None).beside is None
    again = search_key.get("/api/v1/products/D-2/similar/").json()
    assert again["id"] != answer["id"]


@pytest.mark.parametrize("kind", ["impression", "view", "click", "add_to_cart", "purchase"])
def test_strangers_and_shops_are_nobody_in_particular(stranger, search_key, product, kind):
    for client in (stranger, search_key):
        sent(client, click(kind=kind, id=str(uuid.uuid4())))
    assert set(ShopperEvent.objects.values_list("kind", "person")) == {(kind, None)}


def test_sent_again_it_is_noted_once(stranger, product):
    item, other = click(id=str(uuid.uuid4())), click(id=str(uuid.uuid4()))
    assert sent(stranger, item, item) == {"recorded": 1, "known": 1, "refused": []}
    assert sent(stranger, item, other) == {"recorded": 1, "known": 1, "refused": []}
    assert ShopperEvent.objects.count() == 2


def test_what_does_not_fit_is_refused_by_itself(stranger, product):
    now, day = timezone.now(), dt.timedelta(days=1)
    answer = sent(
        stranger,
        click(product="NONE"),
        click(),
        click(kind="dream"),
        "click",
        click(at=(now + day).isoformat()),
        click(at=(now - 91 * day).isoformat()),
        click(position=-1),
    )
    assert answer["recorded"] == 1
    assert [(item["index"], item["code"]) for item in answer["refused"]] == [
        (0, "unknown_product"),
        (2, "invalid"),
        (3, "invalid"),
        (4, "in_the_future"),
        (5, "too_old"),
        (6, "invalid"),
    ]


def test_a_shop_s_program_sends_a_thousand_at_a_time_and_no_more(
    search_key, product, django_assert_max_num_queries
):
    with django_assert_max_num_queries(14):
        assert sent(search_key, *[click()] * 1000)["recorded"] == 1000
    refused(search_key.post(URL, {"events": [click()] * 1001}), 400, "invalid")
    refused(search_key.post(URL, {"events": []}), 400, "invalid")


def test_anybody_else_sends_a_hundred_at_a_time_and_no_more(stranger, shopper, product):
    for client in (stranger, shopper):
        assert sent(client, *[click()] * 100)["recorded"] == 100
        refused(client.post(URL, {"events": [click()] * 101}), 400, "invalid")


def test_a_search_that_is_another_s_or_gone_is_left_out(shopper, other_shopper, product):
    search = search_of(other_shopper, product)
    sent(shopper, click(search=search), click(search=str(uuid.uuid4())))
    assert not ShopperEvent.objects.exclude(search=None).exists()
    sent(other_shopper, click(search=search))
    services.forget_search(Run.objects.get(pk=search))
    assert ShopperEvent.objects.filter(search=None).count() == 3, "what was done stays"


def test_who_keeps_no_history_is_not_named(shopper, product):
    search = search_of(shopper, product)
    Preferences.objects.create(user=shopper.user, keeps_history=False)
    sent(shopper, click(search=search))
    event = ShopperEvent.objects.get()
    assert (event.person, event.search) == (None, None)


def test_ones_events_can_be_taken_away_and_go_with_the_account(shopper, other_shopper, product):
    search = search_of(shopper, product)
    sent(shopper, click(search=search, position=0))
    sent(other_shopper, click())
    [event] = json.loads(taken_away(shopper)["events.json"])
    assert (event["kind"], event["product"], event["search"]) == ("click", "D-1", search)
    shopper.user.delete()
    assert ShopperEvent.objects.get().person == other_shopper.user


def test_a_product_that_goes_leaves_what_was_done(stranger, product):
    sent(stranger, click())
    product.image.product.delete()
    assert ShopperEvent.objects.get().product is None


def test_events_are_forgotten_after_their_time(stranger, product, settings):
    settings.EVENTS_DAYS = 10
    sent(stranger, click())
    old = timezone.now() - dt.timedelta(days=10, minutes=1)
    ShopperEvent.objects.create(kind="view", at=old)
    services.sweep()
    assert [event.kind for event in ShopperEvent.objects.all()] == ["click"]


def test_one_sweep_deletes_so_many_and_the_next_goes_on(db, monkeypatch):
    monkeypatch.setattr(events, "AT_A_TIME", 2)
    old = timezone.now() - dt.timedelta(days=1000)
    ShopperEvent.objects.bulk_create(ShopperEvent(kind="view", at=old) for _ in range(3))
    assert [events.sweep(), events.sweep(), events.sweep()] == [2, 1, 0]


def test_it_can_be_switched_off(stranger, product, settings, client):
    assert "data-events" in client.get("/").content.decode()
    settings.EVENTS = False
    refused(stranger.post(URL, {"events": [click()]}), 403, "events_off")
    page = client.get("/").content.decode()
    assert "data-events" not in page
    assert "events.js" not in page


def test_batches_are_counted(stranger, search_key, product, settings):
    settings.THROTTLES = settings.THROTTLES | {"event": "2/min"}
    sent(stranger, click())
    sent(stranger, click())
    refused(stranger.post(URL, {"events": [click()]}), 429, "throttled")
    for _ in range(3):
        sent(search_key, click())
