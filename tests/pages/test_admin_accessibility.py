"""The admin's pages that merchandisers have open all day: axe-core finds nothing on them."""

from __future__ import annotations

from functools import partial
from uuid import uuid4

import pytest
from auditlog.models import LogEntry
from django.contrib import admin
from django.core.files.base import ContentFile
from django.test import Client
from django.urls import reverse

from accounts import roles
from accounts.models import User
from catalog.models import Lookalike, OriginalImage, PictureQuality, Product
from shop.models import Delivery, ImportJob, ShopperEvent, Webhook
from similarity import pipeline, services
from similarity.models import IndexBuild, Rule, Run
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


def seldom() -> dict[str, str]:
    """The rest: every other list, and the forms of what administrators keep."""
    known = set(pages().values())
    lists = {
        str(model._meta.verbose_name_plural): reverse(
            f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        )
        for model in admin.site._registry
    }
    return {name: path for name, path in lists.items() if path not in known} | {
        "user": reverse("admin:accounts_user_change", args=[User.objects.get(username="ada").pk]),
        "key": reverse("admin:accounts_apikey_add"),
        "webhook": reverse("admin:shop_webhook_add"),
        "delivery": reverse("admin:shop_delivery_change", args=[Delivery.objects.get().pk]),
        "audit entry": reverse("admin:auditlog_logentry_change", args=[LogEntry.objects.last().pk]),
        "run": reverse("admin:similarity_run_change", args=[Run.objects.first().pk]),
        "report": reverse("admin:shop_shopperevent_report"),
    }


@pytest.fixture
def open_staff_page(open_page, busy_shop, live_server):  # noqa: F811
    def open_staff_page(user=None, **theme: str):
        client = Client()
        client.force_login(user or person("stefan", roles.STAFF, is_staff=True))
        cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value}
        page = open_page("/support/", **theme)
        page.context.add_cookies([cookie | {"url": live_server.url}])
        return page

    return open_staff_page


@pytest.fixture
def open_as_administrator(open_staff_page):
    """For who may see everything, with something in the lists that they alone see."""
    webhook = Webhook.objects.create(name="Shop", url="https://shop.example/", events=["test"])
    Delivery.objects.create(webhook=webhook, event="test", body="{}", message=uuid4())
    ada = person("ada", is_staff=True, is_superuser=True)
    return partial(open_staff_page, ada)


WCAG = {"runOnly": [rule for rule in RULES["runOnly"] if rule != "best-practice"]}
"""Django's own templates have habits of theirs."""

DJANGO_S = {"exclude": [[".select2"]]}
"""The lists to choose from as one types: a library's markup, which comes with the admin."""


@LIGHT_AND_DARK
def test_pages_that_are_used_all_day(open_staff_page, theme, complaints):  # noqa: F811
    page = open_staff_page(color_scheme=theme)
    assert violations(page, pages(), complaints) == []


def violations(page, paths: dict[str, str], complaints: list[str]) -> list:  # noqa: F811
    wrong = []
    for name, path in paths.items():
        assert page.goto(path).ok, name
        assert complaints == [], name
        wrong += [(name, *found) for found in violations_here(page)]
        complaints.clear()  # axe tries styles that the pages' policy forbids
    return wrong


def violations_here(page, context=DJANGO_S) -> list[tuple[str, str]]:
    found = axe.Axe().run(page, context=context, options=WCAG).response["violations"]
    return [(one["id"], node["html"]) for one in found for node in one["nodes"]]


@LIGHT_AND_DARK
def test_pages_that_are_seldom_used(open_as_administrator, theme, complaints):  # noqa: F811
    page = open_as_administrator(color_scheme=theme)
    assert violations(page, seldom(), complaints) == []


@LIGHT_AND_DARK
def test_high_contrast(open_staff_page, theme, complaints):  # noqa: F811
    page = open_staff_page(color_scheme=theme, contrast="more")
    some = ("overview", "products", "product", "garments", "pair", "events")
    paths = {name: path for name, path in pages().items() if name in some}
    assert violations(page, paths, complaints) == []


@LIGHT_AND_DARK
def test_a_list_to_choose_from(open_staff_page, theme, complaints):  # noqa: F811
    page = open_staff_page(color_scheme=theme)
    page.goto(pages()["product"])
    page.locator(".field-category .select2-selection").click()
    page.locator(".select2-results__option--highlighted").first.wait_for()
    assert complaints == []
    assert violations_here(page, {"include": [[".select2-dropdown"]]}) == []
    assert page.get_by_role("searchbox", name="Category").is_visible()
    complaints.clear()
