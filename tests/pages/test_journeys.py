"""What shoppers do, from end to end, on a phone, a tablet and a desk, in the light and the dark."""

from __future__ import annotations

import pytest

from accounts.models import Enquiry
from similarity import pipeline
from similarity.models import Run
from tests.conftest import person
from tests.pages.screens import (  # noqa: F401  (fixtures)
    EVERYWHERE,
    WITH_AND_WITHOUT,
    WITHOUT_SCRIPTS,
    Visit,
    browser,
    complaints,
    open_page,
    pytestmark,
    screen,
    visit,
)
from tests.pages.test_browser import best, choose, drag, hand_over, playwright, press, touch
from tests.pages.test_home import half_red_half_blue
from tests.pictures import photo
from tests.shop import add_product

expect = playwright.expect

BRAND = "Maison Interminable & Filles"
NAME = "Asymmetric double-breasted herringbone overcoat"
"""As long as a shop's own get."""


@pytest.fixture
def shop(transactional_db, use):
    """Things in four colours, with all that a card can show."""
    use("DETECTOR", "Halves")
    for number, colour in enumerate(("red", "green", "blue")):
        add_product(
            colour.upper(),
            colour,
            price="20.00",
            category=f"{colour} things",
            description=f"A {colour} thing for every day. " * 5,
            sizes=["S", "M", "L"],
            season="summer",
            tags=["floral"],
            brand=("Ada", "Bea", "Cleo")[number],
        )
    add_product(
        "BROWN",
        "brown",
        name=NAME,
        brand=BRAND,
        price="1299.00",
        sale_status="sale",
        sizes=["XS", "S", "M", "L", "XL", "XXL", "3XL"],
        category="brown things",
    )


def chosen_box() -> list[float]:
    """The part of the photo that the latest search was for."""
    return Run.objects.filter(kind=Run.Kind.SEARCH).first().options["box"]


def heading(shown: Visit):
    return shown.page.locator("#found-title")


def first(shown: Visit):
    return shown.page.locator(".found .card h3").first


# --- A photo comes in ----------------------------------------------------------------------


@EVERYWHERE
def test_a_photo_comes_in_by_every_road(visit, shop, open_web):  # noqa: F811
    shown = visit()
    page = shown.page
    shown.looks_well()
    camera = page.locator(".camera")
    assert camera.is_visible() == shown.screen.is_touched
    assert camera.locator("input").get_attribute("capture") == "environment"
    choose(page, photo("green", seed=5))
    assert best(page) == "green thing"
    shown.looks_well()
    hand_over(page, "drop", "dataTransfer", photo("blue", seed=5))
    expect(first(shown)).to_have_text("blue thing")
    hand_over(page, "paste", "clipboardData", photo("red", seed=5))
    expect(first(shown)).to_have_text("red thing")
    shown.go("/")
    page.fill(".words input", open_web.show("/p.png", photo("green", seed=6)))
    shown.press("#search")
    assert best(page) == "green thing"
    shown.go("/")
    shown.press(".try")
    best(page)
    assert page.locator("[data-photo] image").is_visible()


@EVERYWHERE
def test_a_long_search_tells_how_far_it_is_and_can_be_stopped(visit, shop, use):  # noqa: F811
    use("EMBEDDER", "ColourByWorker")
    add_product("SLOW", "pink")
    shown = visit()
    page = shown.page
    choose(page, photo("pink", seed=5))
    page.wait_for_selector(".progress >> text=Waiting for its turn")
    shown.looks_well()
    shown.press("#cancel")
    page.wait_for_selector("text=You stopped this search.")
    shown.looks_well()
    shown.press("#again")
    page.wait_for_selector(".progress progress")
    pipeline.execute(Run.objects.get(kind=Run.Kind.SEARCH, state=Run.State.PENDING).pk)
    assert best(page) == "pink thing"


@EVERYWHERE
def test_garments_become_hotspots_when_they_are_found(visit, shop, use):  # noqa: F811
    use("DETECTOR", "HalvesByWorker")
    shown = visit()
    page = shown.page
    choose(page, half_red_half_blue())
    page.wait_for_selector(".looking")
    best(page)
    shown.looks_well()
    pipeline.execute(Run.objects.get(kind=Run.Kind.DETECT).pk)
    page.wait_for_selector(".part-badge[data-part='2']")
    shown.press(".part-badge[data-part='2']")
    page.wait_for_selector("#part-2[aria-pressed=true]")
    assert best(page) == "blue thing"
    shown.looks_well()


# --- Its parts -----------------------------------------------------------------------------


@EVERYWHERE
def test_a_part_is_chosen_by_hand_and_by_keyboard(visit, shop):  # noqa: F811
    shown = visit()
    page = shown.page
    choose(page, half_red_half_blue())
    best(page)
    shown.press("#part-1")
    page.wait_for_selector("#part-1[aria-pressed=true]")
    assert best(page) == "red thing"
    shown.press("#part-whole")
    page.wait_for_selector("#part-whole[aria-pressed=true]")
    shown.press("#select-part")
    if shown.screen.is_touched:
        touch(page, (0.2, 0.2), (0.6, 0.4))
    else:
        drag(page, (0.2, 0.2), (0.6, 0.4))
    page.wait_for_selector("#part-0[aria-pressed=true]")
    assert best(page) == "blue thing"
    assert chosen_box() == pytest.approx([120, 64, 160, 128], abs=4)
    shown.looks_well()
    page.focus("#selection")
    press(page, *["ArrowLeft"] * 30, "Enter")
    expect(first(shown)).to_have_text("red thing")
    assert chosen_box()[0] == 0


@EVERYWHERE
def test_all_garments_are_searched_with_at_once(visit, shop):  # noqa: F811
    shown = visit()
    page = shown.page
    choose(page, half_red_half_blue())
    best(page)
    shown.press("text=All garments")
    page.wait_for_selector("h1:has-text('The whole look')")
    assert page.locator(".worn").count() == 2
    assert page.locator(".worn").nth(1).locator("h3").first.inner_text() == "blue thing"
    shown.looks_well()


# --- Results -------------------------------------------------------------------------------


@EVERYWHERE
def test_results_are_narrowed_sorted_and_brought_back(visit, shop):  # noqa: F811
    shown = visit()
    page = shown.page
    choose(page, photo("red", seed=5))
    best(page)
    shown.press("#open-colour")
    shown.looks_well()
    page.check("#filter-colour-green")
    page.check("#filter-colour-brown")
    shown.press("#apply-colour")
    expect(heading(shown)).to_contain_text("2 pieces")
    shown.looks_well()
    page.select_option("#sort", "-price")
    page.wait_for_url("**sort=-price**")
    assert best(page) == NAME
    shown.press("#open-price")
    page.fill("#filter-price", "15")
    shown.press("#apply-price")
    page.wait_for_selector(".empty")
    shown.looks_well()
    shown.press(page.locator(".ways-out button").filter(has_text="Any price"))
    expect(heading(shown)).to_contain_text("2 pieces")
    page.go_back()
    page.wait_for_selector(".empty")
    page.go_back()
    expect(first(shown)).to_have_text(NAME)
    page.go_back()
    page.go_back()
    expect(heading(shown)).to_contain_text("4 pieces")


@EVERYWHERE
def test_more_comes_as_one_scrolls(visit, transactional_db):  # noqa: F811
    for number in range(26):
        add_product(f"P{number:02}", "red", seed=number)
    shown = visit()
    page = shown.page
    choose(page, photo("red", seed=99))
    best(page)
    assert page.locator(".found .card").count() == 24
    page.locator("footer").scroll_into_view_if_needed()
    expect(page.locator(".found .card")).to_have_count(26)
    assert "show=26" in page.url
    shown.looks_well()


@EVERYWHERE
def test_words_find_and_examples_refine(visit, shop):  # noqa: F811
    shown = visit()
    page = shown.page
    page.fill(".words input", "green thing")
    shown.press("#search")
    assert best(page) == "green thing"
    shown.looks_well()
    shown.press(page.locator(".found .card").first.get_by_text("More like this"))
    page.wait_for_selector(".examples")
    shown.looks_well()
    shown.press(page.locator(".found .card").first.get_by_text("Less"))
    expect(page.locator(".examples li")).to_have_count(2)
    shown.press("#open-words")
    shown.looks_well()
    page.fill("#filter-text", "zeppelin")
    shown.press("#apply-words")
    best(page)


# --- One garment ---------------------------------------------------------------------------


@EVERYWHERE
def test_a_garment_is_looked_at_closely_and_searched_with(visit, shop):  # noqa: F811
    shown = visit()
    page = shown.page
    choose(page, photo("brown", seed=5))
    best(page)
    shown.press(".found .card h3 a")
    page.wait_for_selector("#more-title")
    assert page.inner_text("h1") == NAME
    shown.looks_well()
    shown.press(".zoom")
    page.wait_for_selector("[data-zoomed]:visible")
    shown.press(page.get_by_role("button", name="Full size"))
    shown.press(page.get_by_role("button", name="Close"))
    shown.press(page.locator(".shelf .card").first.get_by_text("More like this"))
    page.wait_for_selector(".examples")
    shown.looks_well()


# --- Without scripts -----------------------------------------------------------------------


@WITHOUT_SCRIPTS
def test_a_search_needs_no_scripts(visit, shop):  # noqa: F811
    shown = visit()
    page = shown.page
    shown.looks_well()
    choose(page, half_red_half_blue())
    shown.press_to_leave("#search")
    assert page.locator(".found .card").count() == 4
    shown.looks_well()
    shown.press_to_leave("#part-2")
    expect(first(shown)).to_have_text("blue thing")
    shown.press("#open-colour")
    page.check("#filter-colour-green")
    shown.looks_well()
    shown.press_to_leave("#apply-colour")
    expect(page.locator(".found .card h3")).to_have_text(["green thing"])
    shown.press_to_leave("#drop-1")
    page.select_option("#sort", "new")
    shown.press_to_leave("#sort-apply")
    expect(first(shown)).to_have_text(NAME)
    shown.go(f"{page.url}&show=2")
    shown.press_to_leave("#more")
    assert page.locator(".found .card").count() == 4
    shown.press_to_leave(".found .card h3 a")
    assert page.inner_text("h1") == NAME
    shown.looks_well()
    large = page.request.get(page.get_attribute(".zoom", "href"))
    assert large.headers["content-type"] == "image/jpeg"


@WITHOUT_SCRIPTS
def test_examples_words_and_the_whole_look_need_none_either(visit, shop):  # noqa: F811
    shown = visit()
    page = shown.page
    shown.press_to_leave(".try")
    assert page.locator(".found .card").count() == 4
    shown.press_to_leave("text=All garments")
    assert page.inner_text("h1") == "The whole look"
    shown.looks_well()
    shown.go("/")
    page.fill(".words input", "green thing")
    shown.press_to_leave("#search")
    expect(first(shown)).to_have_text("green thing")
    shown.press_to_leave(page.locator(".found .card").first.get_by_text("More like this"))
    assert page.locator(".examples li").count() == 1
    shown.looks_well()


# --- One's own -----------------------------------------------------------------------------


@WITH_AND_WITHOUT
def test_somebody_registers_and_finds_their_searches_again(visit, shop):  # noqa: F811
    shown = visit("/register/")
    page = shown.page
    shown.looks_well()
    page.fill("[name=email]", "sam@shop.example")
    page.fill("[name=password]", "blue-linen-9")
    shown.press_to_leave("main form button")
    shown.press_to_leave(".try")
    page.wait_for_selector(".found .card")
    shown.go("/history/")
    shown.looks_well()
    shown.press_to_leave(".card h2 a")
    page.wait_for_selector(".found .card")
    shown.go("/account/")
    shown.looks_well()
    shown.press_to_leave("text=Sign out")
    shown.go("/sign-in/")
    page.fill("[name=username]", "sam@shop.example")
    page.fill("[name=password]", "wrong")
    shown.press_to_leave("main form button")
    page.wait_for_selector(".alert")
    shown.looks_well()
    page.fill("[name=username]", "sam@shop.example")
    page.fill("[name=password]", "blue-linen-9")
    shown.press_to_leave("main form button")
    assert page.get_by_text("Sign out").is_visible()


@WITH_AND_WITHOUT
def test_settings_language_and_support(visit, shop):  # noqa: F811
    shown = visit("/settings/", user=person("sam"))
    page = shown.page
    shown.looks_well()
    page.select_option("[name=contrast]", "high")
    shown.press_to_leave("main form button")
    assert page.get_attribute("html", "data-contrast") == "high"
    shown.looks_well()
    shown.go("/support/?q=photo")
    assert page.locator(".question p").first.is_visible()
    shown.looks_well()
    shown.go("/support/")
    shown.press(".question summary")
    assert page.locator(".question p").first.is_visible()
    page.fill("[name=email]", "sam@shop.example")
    page.fill("[name=text]", "Where is my parcel?")
    shown.press_to_leave(
        page.locator("form").filter(has=page.locator("[name=text]")).get_by_role("button")
    )
    assert Enquiry.objects.get().text == "Where is my parcel?"
    shown.press_to_leave("[name=language][value=de]")
    assert page.get_attribute("html", "lang") == "de"
    shown.looks_well()
