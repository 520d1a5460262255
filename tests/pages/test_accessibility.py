"""Every page in every theme: what axe-core can find of WCAG 2.2 AA, it does not find."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.roles import MERCHANDISER
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
from tests.pictures import as_file

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}

THEMES = [
    {"color_scheme": "light"},
    {"color_scheme": "dark"},
    {"color_scheme": "light", "contrast": "more"},
    {"color_scheme": "dark", "contrast": "more"},
    {"color_scheme": "dark", "forced_colors": "active"},
]
LOOKS = pytest.mark.parametrize("theme", THEMES, ids=lambda theme: "-".join(theme.values()))


def check(page) -> None:
    """Fails with the rules that are broken, and by what."""
    page.evaluate("document.getAnimations().forEach((one) => one.finish())")
    found = axe.Axe().run(page, options=RULES).response["violations"]
    assert [(one["id"], node["html"]) for one in found for node in one["nodes"]] == []


@LOOKS
@pytest.mark.parametrize(
    "path",
    ["/", "/support/", "/support/?q=nowhere", "/sign-in/", "/register/", "/password/forgotten/"],
)
def test_pages_for_everybody(open_page, shop, theme, path):  # noqa: F811
    check(open_page(path, **theme))


@LOOKS
def test_a_search_from_its_photo_to_the_whole_look(open_page, shop, theme):  # noqa: F811
    page = open_page(**theme)
    choose(page, half_red_half_blue())
    best(page)
    check(page)
    page.click("#open-colour")
    page.check("#filter-colour-red")
    check(page)
    page.click("#apply-colour")
    page.wait_for_selector(".chips")
    page.click("#select-part")
    check(page)
    page.click("text=All garments")
    page.wait_for_selector("h1:has-text('The whole look')")
    check(page)
    page.click(".card h3 a")
    page.wait_for_selector(".garment")
    check(page)
    page.click(".zoom")
    page.wait_for_selector("[data-zoomed]:visible")
    check(page)


@LOOKS
def test_what_went_wrong(open_page, shop, theme, complaints):  # noqa: F811
    check(open_page("/garments/nothing/", **theme))
    page = open_page(**theme)
    choose(page, b"no picture", "words.txt", "text/plain")
    page.wait_for_selector("[data-problem]:visible")
    check(page)
    complaints.clear()


@LOOKS
@pytest.mark.parametrize(
    "path", ["/account/", "/history/", "/password/change/", "/account/delete/"]
)
def test_one_s_own_pages(open_page, shop, theme, path, live_server):  # noqa: F811
    client = Client()
    client.force_login(person("sam"))
    client.post("/", {"image": as_file(half_red_half_blue())})
    page = open_page("/support/", **theme)
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value}
    page.context.add_cookies([cookie | {"url": live_server.url}])
    page.goto(path)
    assert "Sign out" in page.content()
    check(page)


@LOOKS
def test_results_that_staff_may_mark(open_page, shop, theme, live_server):  # noqa: F811
    client = Client()
    client.force_login(person("mona", MERCHANDISER, is_staff=True))
    address = client.post("/", {"image": as_file(half_red_half_blue())})["Location"]
    page = open_page("/support/", **theme)
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value}
    page.context.add_cookies([cookie | {"url": live_server.url}])
    page.goto(address)
    page.click(".mark >> nth=0")
    page.wait_for_selector('.mark[aria-pressed="true"]')
    check(page)
