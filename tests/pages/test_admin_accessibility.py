"""The admin's pages that merchandisers have open all day: axe-core finds nothing on them."""

from __future__ import annotations

import pytest
from django.core.files.base import ContentFile
from django.test import Client
from django.urls import reverse

from accounts import roles
from catalog.models import Lookalike, OriginalImage, PictureQuality, Product
from shop.models import ImportJob, ShopperEvent
from similarity import pipeline, services
from similarity.models import IndexBuild, Rule
from tests.conftest import person
from tests.pages.test_accessibility import RULES, axe
from tests.pages.test_browser import (  # noqa: F401  (fixtures)
    browser,
    complaints,
    open_page,
    pytestmark,
    shop,
)
from tests.pictures import drawing, encoded, poor_jpeg
from tests.shop import add_photo, add_product

LIGHT_AND_DARK = pytest.mark.parametrize("theme", ["light", "dark"])


@pytest.fixture
def busy_shop(shop, settings):  # noqa: F811
    """A shop in which each of the pages has something to show."""
    settings.EVENTS = True
    first = add_product("D-1", "pink", tags=["long"], sizes=["S"], brand="Ada").image.product
    second = add_product("D-2", "brown", brand="Bea").image.product
    add_photo(encoded(drawing()), first)
    add_photo(poor_jpeg(drawing()), second)
    PictureQuality.objects.update(sharpness=1.0)
    Rule.objects.create(action="pin", product=first)
    Rule.objects.create(action="block", product=second, query_product=first)
    run = services.search(segment=services.main_segment(first), limit=5)
    for kind in ShopperEvent.Kind.values:
        ShopperEvent.objects.create(kind=kind, product=first, search=run, position=0)
    sheet = ContentFile(b"reference,name\nN-1,Coat\n", "new.csv")
    ImportJob.objects.create(kind="products", name="new.csv", file=sheet)
    failed = OriginalImage.objects.get(product__reference="BLUE")
    failed.status, failed.problem = OriginalImage.Status.FAILED, "It could not be read."
    failed.save()
    for _ in range(2):
        pipeline.execute(services.start_rebuild().pk)


def pages() -> dict[str, str]:
    product = Product.objects.get(reference="D-1")
    pair = Lookalike.objects.get()
    job = ImportJob.objects.get()
    build = IndexBuild.objects.first()
    return {
        "overview": reverse("admin:index"),
        "products": reverse("admin:catalog_product_changelist"),
        "product": reverse("admin:catalog_product_change", args=[product.pk]),
        "new product": reverse("admin:catalog_product_add"),
        "history": reverse("admin:catalog_product_history", args=[product.pk]),
        "image": reverse("admin:catalog_originalimage_change", args=[pair.later_id]),
        "garments": reverse("admin:garments", args=[pair.later_id]),
        "duplicates": reverse("admin:catalog_lookalike_changelist"),
        "pair": reverse("admin:catalog_lookalike_change", args=[pair.pk]),
        "merge": reverse("admin:merge_products", args=[pair.pk]),
        "quality": reverse("admin:catalog_picturequality_changelist"),
        "runs": reverse("admin:similarity_run_changelist"),
        "builds": reverse("admin:similarity_indexbuild_changelist"),
        "build": reverse("admin:similarity_indexbuild_change", args=[build.pk]),
        "rules": reverse("admin:similarity_rule_changelist"),
        "rule": reverse("admin:similarity_rule_add"),
        "imports": reverse("admin:shop_importjob_changelist"),
        "import": reverse("admin:shop_importjob_add"),
        "import's file": reverse("admin:shop_importjob_change", args=[job.pk]),
        "events": reverse("admin:shop_shopperevent_changelist"),
    }


@pytest.fixture
def open_staff_page(open_page, busy_shop, live_server):  # noqa: F811
    client = Client()
    client.force_login(person("stefan", roles.STAFF, is_staff=True))
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value}

    def open_staff_page(theme: str):
        page = open_page("/support/", color_scheme=theme)
        page.context.add_cookies([cookie | {"url": live_server.url}])
        return page

    return open_staff_page


WCAG = {"runOnly": [rule for rule in RULES["runOnly"] if rule != "best-practice"]}
"""Django's own templates have habits of theirs."""

DJANGO_S = {"exclude": [[".select2"]]}
"""The lists to choose from as one types: a library's markup, which comes with the admin."""


@LIGHT_AND_DARK
def test_pages_that_are_used_all_day(open_staff_page, theme, complaints):  # noqa: F811
    page = open_staff_page(theme)
    wrong = []
    for name, path in pages().items():
        assert page.goto(path).ok, name
        assert complaints == [], name
        found = axe.Axe().run(page, context=DJANGO_S, options=WCAG).response["violations"]
        wrong += [(name, one["id"], node["html"]) for one in found for node in one["nodes"]]
        complaints.clear()  # axe tries styles that the pages' policy forbids
    assert wrong == []
