"""The languages in a real browser: what the scripts say, the chooser, and room for all words."""

from __future__ import annotations

import pytest
from django.conf import settings

from tests.pages.test_accessibility import check
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

LANGUAGES = dict(settings.LANGUAGES)
PROBLEM = "[data-problem]:visible"


def test_the_scripts_speak_the_language_of_the_page(open_page, shop):  # noqa: F811
    page = open_page(locale="de-DE")
    choose(page, b"words", "words.txt", "text/plain")
    assert page.inner_text(PROBLEM) == "Das ist kein Bild. Senden Sie ein Foto."
    choose(page, half_red_half_blue())
    best(page)
    page.click("#select-part")
    told = page.inner_text("[data-selection-status]")
    assert told == "20 % von links, 20 % von oben, 60 % breit, 60 % hoch."


def test_what_the_server_refuses_is_said_in_the_language_of_the_page(
    open_page,  # noqa: F811
    shop,  # noqa: F811
    complaints,  # noqa: F811
):
    page = open_page(locale="en-GB")
    page.click("[name=language][value=ja]")
    page.wait_for_selector("html[lang=ja]")
    choose(page, b"no picture")
    page.wait_for_selector(PROBLEM)
    assert page.inner_text(PROBLEM).startswith("認識できる画像ファイルではありません。")
    complaints.clear()  # the browser's own, that something was refused


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_the_chooser_leads_back_to_what_was_on_the_page(open_page, shop, scripts):  # noqa: F811
    page = open_page(java_script_enabled=scripts)
    page.fill("[name=text]", "things")
    page.click("#search")
    page.wait_for_url("**/?search=*")
    address = page.url
    page.click("[name=language][value=fr]")
    page.wait_for_selector("html[lang=fr]")
    assert page.url == address
    page.goto("/support/")
    assert page.inner_text("h1") == "Comment pouvons-nous vous aider ?"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_have_room_on_a_phone_and_axe_finds_nothing(open_page, shop, language):  # noqa: F811
    page = open_page(width=390, locale=language)
    assert page.get_attribute("html", "lang") == language
    assert overflow(page) <= 0
    choose(page, half_red_half_blue())
    best(page)
    assert overflow(page) <= 0
    check(page)
    page.click(".found .card a >> nth=0")
    page.wait_for_selector(".details")
    assert overflow(page) <= 0


def overflow(page) -> float:
    """By how many pixels something stands out of the window to the right."""
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")
