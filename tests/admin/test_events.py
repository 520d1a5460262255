"""The report of what shoppers do."""

from __future__ import annotations

import csv
import datetime as dt
import io

import pytest
from django.utils import timezone

from catalog.models import Product
from shop import reports
from shop.models import ShopperEvent
from similarity import services
from similarity.combined import Wish
from tests.pictures import photo
from tests.shop import add_product

LIST = "/admin/shop/shopperevent/"
REPORT = f"{LIST}report/"
DAY = dt.timedelta(days=1)


@pytest.fixture
def shop(db):
    """Two searches: one by D-1, in which D-2 is clicked, and one in words, shown and left."""
    first = add_product("D-1", "red", name="Long dress")
    other = add_product("D-2", "red", seed=1, name="=HYPERLINK(1)").image.product
    clicked = services.search(segment=first, limit=5)
    left = services.search(wish=Wish(text="Long  dress"), limit=5)
    now = timezone.now()
    add("impression", other, search=clicked, position=0, times=4)
    add("click", other, search=clicked, position=0)
    add("click", other, search=clicked, position=3, at=now - 2 * DAY)
    add("impression", first.image.product, search=left, position=0)
    add("add_to_cart", other)
    add("purchase", other, at=now - 20 * DAY)
    return other


def add(kind: str, product: Product, times: int = 1, **fields) -> None:
    ShopperEvent.objects.bulk_create(
        ShopperEvent(kind=kind, product=product, **fields) for _ in range(times)
    )


def table(client, name: str, **asked) -> list[list[str]]:
    response = client.get(f"{REPORT}{name}.csv", asked)
    assert response.status_code == 200
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(response.content.decode())))


def test_each_day_has_its_figures(merchandiser, shop):
    head, *rows = table(merchandiser, "days", days="30")
    assert len(rows) == 30
    days = {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}
    today = timezone.now().date()
    assert days[today.isoformat()] == {
        "searches": "2",
        "impressions": "5",
        "clicks": "1",
        "ctr": "0.2000",
        "mean_click_position": "1.00",
        "views": "0",
        "add_to_cart": "1",
        "purchases": "0",
    }
    assert days[(today - 2 * DAY).isoformat()]["mean_click_position"] == "4.00"
    assert days[(today - 20 * DAY).isoformat()]["purchases"] == "1"
    assert days[(today - DAY).isoformat()]["ctr"] == ""


def test_a_period_is_what_was_asked_for(merchandiser, shop):
    assert len(table(merchandiser, "days", days="7")) == 8
    assert len(table(merchandiser, "days", days="1000000000")) == 31
    [_, first, _] = table(merchandiser, "products", days="7")
    assert (first[0], first[-1]) == ("D-2", "0"), "bought before"


def test_products_are_ranked_by_clicks_and_no_cell_is_a_formula(merchandiser, shop):
    _, first, second = table(merchandiser, "products", days="30")
    assert first == ["D-2", "'=HYPERLINK(1)", "4", "2", "0.5000", "2.50", "0", "1", "1"]
    assert second[:3] == ["D-1", "Long dress", "1"]


def test_the_pages_of_products_have_their_figures(merchandiser, shop):
    first = Product.objects.get(reference="D-1")
    add("impression", shop, beside=first, position=0, times=2)
    add("click", shop, beside=first, position=0)
    [_, row] = table(merchandiser, "beside")
    assert row[:6] == ["D-1", "Long dress", "2", "1", "0.5000", "1.00"]
    assert "On the pages of products" in merchandiser.get(REPORT).content.decode()


def test_searches_that_nobody_clicked_on_are_named_by_their_words(merchandiser, shop):
    assert table(merchandiser, "queries")[1:] == [["“long  dress”", "1"]]


def test_a_photo_is_counted_and_not_shown(merchandiser, shop):
    query = services.keep_query(services.take_in(photo("blue")), None)
    run = services.search(query=query, limit=5)
    add("impression", shop, search=run, position=0)
    assert ["a photo", "1"] in table(merchandiser, "queries")
    assert str(query.pk) not in merchandiser.get(REPORT).content.decode()


def test_the_page_has_plots_and_tables(merchandiser, shop):
    response = merchandiser.get(REPORT, {"days": "7"})
    page = response.content.decode()
    assert page.count(" by day, ") == 6
    assert "<title>" in page
    assert "style=" not in page[page.index("content-main") :]
    for told in ("Click-through rate", "40.0%", "Long dress (D-1)", "“long  dress”"):
        assert told in page


def test_a_day_without_anything_is_plotted_flat(db):
    days = reports.by_day(reports.Period(7))
    assert {bar.height for plot in reports.plots(days) for bar in plot.bars} == {0.0}


def test_the_report_takes_the_same_queries_for_any_number_of_events(
    merchandiser, shop, django_assert_max_num_queries
):
    for number in range(30):
        product = Product.objects.create(reference=f"P-{number}", name="Other")
        add("impression", product, times=10)
        add("click", product, times=number)
    with django_assert_max_num_queries(17):
        assert merchandiser.get(REPORT).status_code == 200


def test_the_list_names_nobody(merchandiser, shopper, shop):
    add("click", shop, person=shopper.user)
    page = merchandiser.get(LIST).content.decode()
    assert "sam" not in page
    assert "Report" in page


def test_shoppers_see_no_reports(shopper, stranger, shop):
    for client in (shopper, stranger):
        for url in (REPORT, f"{REPORT}days.csv", LIST):
            assert client.get(url).status_code == 302


def test_there_is_no_other_table(merchandiser, shop):
    assert merchandiser.get(f"{REPORT}people.csv").status_code == 404
