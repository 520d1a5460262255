"""The Content-Security-Policy: nothing inline, on any page, and no page of ours breaks it."""

from __future__ import annotations

import pytest
from django.test import Client

from similarity import services
from tests.conftest import person
from tests.pages.test_browser import (  # noqa: F401  (fixtures)
    best,
    browser,
    choose,
    complaints,
    open_page,
    pytestmark,
    shop,
)
from tests.pages.test_home import half_red_half_blue
from tests.pictures import as_file, photo

LISTEN = """
  window.violations = [];
  document.addEventListener("securitypolicyviolation", (event) =>
    window.violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
"""

PUBLIC = [
    "/",
    "/support/",
    "/sign-in/",
    "/register/",
    "/settings/",
    "/password/forgotten/",
    "/garments/nothing/",
    "/api/docs/",
]

OWN = ["/history/", "/account/", "/password/change/", "/account/delete/"]


def visit(page, path: str) -> None:
    """Open a page, and fail with what it does against the policy."""
    page.goto(path)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.violations") == [], path


@pytest.fixture
def page_of(open_page, live_server):  # noqa: F811
    """A browser's page that listens for violations, signed in as somebody if they are given."""

    def page_of(user=None):
        page = open_page("/support/")
        page.context.add_init_script(LISTEN)
        if user is not None:
            client = Client()
            client.force_login(user)
            cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value}
            page.context.add_cookies([cookie | {"url": live_server.url}])
        return page

    return page_of


@pytest.mark.parametrize("path", ["/", "/admin/login/", "/api/v1/products/", "/garments/none/"])
def test_no_answer_allows_anything_inline_or_from_elsewhere(transactional_db, path):
    policy = Client().get(path)["Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'self'"
    assert "unsafe" not in policy
    assert {"script-src", "style-src", "script-src-elem"} & set(rules) == set()


def test_pages_for_everybody_keep_to_it(page_of, shop, complaints):  # noqa: F811
    page = page_of()
    for path in PUBLIC:
        visit(page, path)
    complaints[:] = [said for said in complaints if "404" not in said]


def test_a_search_and_a_garment_keep_to_it(page_of, shop):  # noqa: F811
    page = page_of()
    visit(page, "/")
    choose(page, half_red_half_blue())
    best(page)
    page.click("text=All garments")
    page.wait_for_selector("h1:has-text('The whole look')")
    assert page.evaluate("window.violations") == []
    page.click(".card h3 a")
    page.wait_for_selector(".garment")
    assert page.evaluate("window.violations") == []


def test_ones_own_pages_keep_to_it(page_of, shop):  # noqa: F811
    sam = person("sam")
    client = Client()
    client.force_login(sam)
    client.post("/", {"image": as_file(photo("red"))})
    page = page_of(sam)
    for path in OWN:
        visit(page, path)


def test_the_admin_keeps_to_it(page_of, shop):  # noqa: F811
    """Every list, and the form of one row of each; the pages of our own among them."""
    services.search_photo(photo("red"), limit=3)
    page = page_of(person("ada", is_staff=True, is_superuser=True))
    visit(page, "/admin/")
    links = page.locator("#content-main th[scope=row] a")
    lists = [link.get_attribute("href") for link in links.all()]
    assert len(lists) > 10
    for path in lists:
        visit(page, path)
        row = page.locator("#result_list tbody th a").first
        if row.count():
            visit(page, row.get_attribute("href"))
