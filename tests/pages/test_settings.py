"""/settings/: what a person or a stranger has chosen, and how the pages look and speak then."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.utils import translation

from accounts.models import Preferences
from tests.pictures import as_file, photo
from tests.shop import add_photo

URL = "/settings/"
PAGES = ["/", "/sign-in/", "/settings/", "/nothing/"]
CHOSEN = {
    "results": "3",
    "detects": "",
    "keeps_history": "on",
    "theme": "dark",
    "contrast": "high",
    "language": "fr",
}
IN_ENGLISH = CHOSEN | {"language": "en"}


def root(client, page="/") -> dict[str, str]:
    """The attributes of a page's first element."""
    [attributes] = re.findall(r"<html ([^>]*)>", client.get(page).text)
    return dict(re.findall(r'([\w-]+)="([^"]*)"', attributes))


def looks(theme="system", contrast="system", lang="en"):
    return {"lang": lang, "data-theme": theme, "data-contrast": contrast}


@pytest.fixture
def sam(shopper):
    """Sam's browser."""
    browser = Client()
    browser.force_login(shopper.user)
    browser.user = shopper.user
    return browser


@pytest.mark.parametrize("page", PAGES)
def test_a_page_comes_as_the_device_likes_it(stranger, db, page):
    assert root(stranger, page) == looks()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_comes_as_a_person_has_chosen_wherever_they_sign_in(sam, page):
    assert sam.post(URL, CHOSEN)["Location"] == URL
    elsewhere = Client()
    elsewhere.force_login(sam.user)
    expected = looks("dark", "high", "fr")
    assert root(elsewhere, page if page != "/sign-in/" else "/history/") == expected
    assert root(Client(), page) == looks()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_comes_as_a_stranger_has_chosen_in_this_browser(db, page):
    browser = Client()
    assert browser.post(URL, CHOSEN)["Location"] == URL
    assert root(browser, page) == looks("dark", "high", "fr")
    assert not Preferences.objects.exists()
    assert root(Client(), page) == looks()


def test_the_browser_draws_its_own_parts_in_that_theme(db):
    browser = Client()
    for theme, scheme in (("dark", "dark"), ("light", "light"), ("system", "light dark")):
        browser.post(URL, CHOSEN | {"theme": theme})
        assert f'<meta name="color-scheme" content="{scheme}">' in browser.get("/").text


@pytest.mark.parametrize("cookie", ["theme", "contrast", "django_language"])
def test_a_cookie_of_nonsense_is_passed_over(db, cookie):
    browser = Client()
    browser.cookies[cookie] = '"><script>'
    assert root(browser) == looks()


def test_what_there_is_not_cannot_be_chosen(sam):
    response = sam.post(URL, CHOSEN | {"theme": "pink", "results": "0"})
    assert response.status_code == 200
    assert response.text.count("field-error") == 2
    assert not Preferences.objects.exists()


def test_the_page_shows_what_was_chosen(sam):
    sam.post(URL, CHOSEN)
    page = sam.get(URL).text
    assert '<option value="dark" selected>' in page
    assert re.search(r'name="results" value="3"', page)


def test_a_language_lasts_for_its_request_alone(sam):
    sam.post(URL, CHOSEN)
    before = translation.get_language()
    sam.get("/")
    assert translation.get_language() == before


def test_django_speaks_the_chosen_language(sam):
    sam.post(URL, CHOSEN)
    response = sam.post(URL, CHOSEN | {"results": "0"})
    assert "supérieure ou égale" in response.text


def test_a_search_shows_as_many_as_chosen_and_finds_garments_when_asked(sam, settings):
    for number in range(5):
        add_photo(photo("red", seed=number))
    sam.post(URL, {name: value for name, value in IN_ENGLISH.items() if name != "detects"})
    response = sam.post("/", {"image": as_file(photo("red", seed=9)), "limit": 100})
    page = response["Location"]
    assert len(sam.get(page).context["cards"]) == 3
    run = page.partition("=")[2]
    assert "Find the garments in it" in sam.get(page).text
    assert sam.post(f"/searches/{run}/detect/")["Location"] == page
    assert "Find the garments in it" not in sam.get(page).text


def test_who_keeps_no_history_is_told_how_long_a_photo_stays(sam):
    assert "deleted after 30 days" in sam.get("/").text
    sam.post(URL, {name: value for name, value in IN_ENGLISH.items() if name != "keeps_history"})
    assert "deleted within the hour" in sam.get("/").text


@pytest.mark.parametrize(
    ("asked", "language"),
    [("de-AT,de;q=0.9,en;q=0.5", "de"), ("tlh, ja;q=0.2", "ja"), ("tlh", "en"), ("", "en")],
)
def test_a_stranger_reads_the_language_of_their_browser(stranger, db, asked, language):
    page = stranger.get("/", headers={"Accept-Language": asked})
    assert f'<html lang="{language}"' in page.text
    assert "Accept-Language" in page["Vary"]


def test_what_a_stranger_has_chosen_wins_over_their_browser(stranger, db):
    stranger.cookies["django_language"] = "fr"
    page = stranger.get("/", headers={"Accept-Language": "de"})
    assert '<html lang="fr"' in page.text
