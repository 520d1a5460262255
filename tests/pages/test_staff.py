"""The staff's overview in a real browser."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from accounts import roles
from catalog.models import OriginalImage
from similarity.models import SearchDay
from tests.conftest import person
from tests.pages.test_accessibility import LOOKS, check
from tests.pages.test_browser import (  # noqa: F401  (fixtures)
    browser,
    complaints,
    open_page,
    pytestmark,
    shop,
)


@pytest.fixture
def open_overview(open_page, shop, live_server):  # noqa: F811
    """Opens the overview as staff, with something in every part of it."""
    SearchDay.objects.create(day=timezone.localdate(), searches=30, poor=3)
    image = OriginalImage.objects.first()
    OriginalImage.objects.filter(pk=image.pk).update(status="failed", problem="It is cut off.")
    client = Client()
    client.force_login(person("stefan", roles.STAFF, is_staff=True))
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value}

    def open_overview(**options):
        page = open_page("/support/", **options)
        page.context.add_cookies([cookie | {"url": live_server.url}])
        page.goto("/admin/")
        return page

    return open_overview


@LOOKS
def test_nothing_keeps_people_out(open_overview, theme):
    page = open_overview(**theme)
    page.click("text=As a table")
    check(page)


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_the_overview_fits_every_window(open_overview, width):
    page = open_overview(width=width)
    assert page.get_by_role("img", name="Searches by day").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
