"""Lists that merchandisers work in: as quick for a hundred thousand rows as for a few."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.core.files.base import ContentFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from catalog.models import OriginalImage, PictureQuality
from catalog.services import save_product
from shop.models import ImportJob, ShopperEvent
from similarity import services
from similarity.admin.uploads import ImageAdmin
from similarity.models import GoldenSet, Rule, Run
from tests.admin import send, told
from tests.pictures import COLOURS
from tests.shop import add_product

FEW, MORE = 2, 7

IMAGES = "/admin/catalog/originalimage/"


def add_rows(numbers: range) -> None:
    """A row, or several, for each list and number."""
    colours = sorted(COLOURS)
    golden_set, _ = GoldenSet.objects.get_or_create(name="golden")
    for number in numbers:
        details = {"brand": "Ada", "category": f"C{number}", "tags": [f"t{number}"], "sizes": ["S"]}
        segment = add_product(f"P-{number}", colours[number % len(colours)], number, **details)
        product = segment.image.product
        bare = save_product(f"B-{number}", name="Bare")
        run = services.search(segment=segment, limit=3)
        Rule.objects.create(action="pin", product=product, query_product=bare)
        ShopperEvent.objects.create(kind="click", product=product, search=run, position=0)
        golden_set.queries.create(segment=segment, key=str(number)).verdicts.create(
            product=bare, is_right=True
        )
        sheet = ContentFile(b"reference,name\nN-1,Coat\n", "new.csv")
        ImportJob.objects.create(kind="products", name="new.csv", file=sheet)
    PictureQuality.objects.update(sharpness=1.0)
    earlier, *others = OriginalImage.objects.order_by("pk")
    for later in others:
        earlier.later_lookalikes.get_or_create(later=later, distance=1, similarity=0.9)


def lists_of(client) -> Iterator[str]:
    """The addresses of all lists that a person may see."""
    request = client.get("/admin/").wsgi_request
    for model, model_admin in admin.site._registry.items():
        if model_admin.has_view_permission(request):
            name = f"{model._meta.app_label}_{model._meta.model_name}"
            yield reverse(f"admin:{name}_changelist")


def queries_of(client, address: str) -> list[str]:
    client.get(address)  # what filters offer is remembered
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return [query["sql"] for query in captured]


@pytest.fixture
def grown(merchandiser) -> dict[str, tuple[list[str], list[str]]]:
    """What each list asks of the database, with a few rows and with more."""
    add_rows(range(FEW))
    addresses = list(lists_of(merchandiser))
    few = {address: queries_of(merchandiser, address) for address in addresses}
    add_rows(range(FEW, MORE))
    return {address: (few[address], queries_of(merchandiser, address)) for address in addresses}


def choose_all(client, address: str, action: str):
    """Ask for an action on all rows of a list, as its "Select all" does."""
    first = OriginalImage.objects.first().pk
    form = {"action": action, "select_across": "1", "_selected_action": [first]}
    return send(client, address, form)


@pytest.mark.parametrize("action", ["describe_again", "delete_selected"])
def test_of_a_list_no_more_rows_are_worked_on_than_while_somebody_waits(
    merchandiser, monkeypatch, action
):
    images = [add_product(f"P-{number}", seed=number).image for number in range(3)]
    address = f"{IMAGES}?status__exact=ready"
    monkeypatch.setattr(ImageAdmin, "most_at_once", 2)
    response = choose_all(merchandiser, address, action)
    assert told(response) == ["At most 2 are worked on at once. Filter the list first."]
    assert (response.status_code, response.url) == (302, address)
    assert not Run.objects.filter(state="pending").exists()
    monkeypatch.setattr(ImageAdmin, "most_at_once", 3)
    assert "At most" not in str(told(choose_all(merchandiser, address, "describe_again")))
    assert Run.objects.filter(state="pending").count() == len(images)


def test_no_list_counts_what_its_filters_would_leave(merchandiser):
    add_rows(range(FEW))
    for address in lists_of(merchandiser):
        page = merchandiser.get(address, {"_facets": "True"})
        assert not page.context["cl"].add_facets, address


def test_no_list_asks_a_query_for_each_row(grown):
    assert len(grown) >= 12
    asked = {address: (len(few), len(many)) for address, (few, many) in grown.items()}
    assert {address: pair for address, pair in asked.items() if pair[0] < pair[1]} == {}


def test_no_list_counts_all_of_its_rows(grown):
    for address, (_, many) in grown.items():
        counts = [sql for sql in many if sql.startswith("SELECT COUNT(")]
        assert [sql for sql in counts if "LIMIT" not in sql] == [], address
