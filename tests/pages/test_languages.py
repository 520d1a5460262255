"""The pages in six languages: whose, chosen how, and with nothing left in English."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client
from django.utils import translation
from django.utils.translation import to_locale

from accounts.models import Preferences
from accounts.services import choose
from similarity.models import Run
from tests.catalogues import FOLDER, entries
from tests.markup import texts
from tests.pages.test_home import half_red_half_blue
from tests.pictures import as_file
from tests.shop import add_product

LANGUAGES = dict(settings.LANGUAGES)
OTHERS = [code for code in LANGUAGES if code != "en"]
HEADER = "Accept-Language"


@pytest.fixture
def shop(db, use):
    """Things with all details, called by words that are none; photos have two garments."""
    use("DETECTOR", "Halves")
    for number, colour in enumerate(("red", "red", "green", "blue")):
        add_product(
            f"Q-{number}",
            colour,
            seed=number,
            name=f"Qqname{number}",
            brand="Qqbrand",
            description="Qqdescription",
            price="1249.50",
            currency="EUR",
            category="Qqcategory",
            season="summer",
            listing_season="Qqlisted",
            waist_type="high",
            rating="4.5",
            store="Qqstore",
            tags=["qqtag"],
            sizes=["42"],
            sale_status=("regular", "sale", "sold_out", "regular")[number],
            url="https://shop.example/q",
        )


OURS = re.compile(r"Qq\w+|qq\w+|Q-\d|EUR|\bsam\b|sam@shop\.example|\bada\b", re.IGNORECASE)
"""What the shop above calls its things and people."""


def searched(client, **fields) -> str:
    """The address of a search that has been started."""
    response = client.post("/", {"limit": 100, **fields}, format="multipart")
    assert response.status_code == 302, list(texts(response.text))
    return response["Location"]


def visits(client, stranger) -> Iterator[tuple[str, Callable]]:
    """Each page in each of its states, by name: a function that asks for it with some headers."""
    photo = searched(client, image=as_file(half_red_half_blue()))
    run = Run.objects.get(pk=photo.partition("=")[2])
    box = searched(client, query=str(run.query_id), box=["0", "0", "90", "90"])
    kept = {"query": str(run.query_id)}
    garment = run.hits.first().segment.identifier
    states = {
        "photo": photo,
        "box": box,
        "words": searched(client, text="qqtag"),
        "words and photo": searched(client, **kept, text="qqtag"),
        "words and box": searched(client, **kept, box=["0", "0", "90", "90"], text="qqtag"),
        "garment": searched(client, segment=garment),
        "examples": searched(client, **kept, like=garment),
        "filters": searched(
            client,
            **kept,
            **{
                "filters.brand": "Qqbrand",
                "filters.colour": "red",
                "filters.in_stock": "true",
                "filters.price_min": "20",
                "filters.rating_min": "4",
            },
        ),
        "nothing left": searched(
            client, **kept, **{"filters.brand": "Qqother", "filters.price_max": "20"}
        ),
        "no such words": searched(client, text="qqnothing"),
    }
    for kind, state in (("failed", "failed"), ("cancelled", "cancelled"), ("running", "running")):
        address = searched(client, **kept)
        message = "It was interrupted, or took too long." if state == "failed" else ""
        Run.objects.filter(pk=address.partition("=")[2]).update(
            state=state, error_message=message, step="reading"
        )
        states[kind] = address
    for name, address in states.items():
        yield name, lambda headers, address=address: client.get(address, headers=headers)
    pages = {
        "/": client,
        "/support/": client,
        "/support/?q=qqnowhere": client,
        "/history/": client,
        "/history/?high": client,
        "/account/": client,
        "/account/delete/": client,
        "/password/change/": client,
        "/settings/": client,
        "/settings/#stranger": stranger,
        "/sign-in/": stranger,
        "/register/": stranger,
        "/password/forgotten/": stranger,
        "/password/new/1/none/": stranger,
        "/nothing/": stranger,
        f"/searches/{run.pk}/outfit/": client,
        f"/garments/{garment}/": client,
    }
    for address, who in pages.items():
        path = address.partition("#")[0]
        yield address, lambda headers, who=who, path=path: who.get(path, headers=headers)
    forms = {
        "/": (client, {"text": "!"}),
        "/support/": (stranger, {}),
        "/settings/": (client, {"results": "0", "theme": "qqpink"}),
        "/sign-in/": (stranger, {"username": "sam", "password": "no"}),
        "/register/": (stranger, {"email": "no", "password": "1234"}),
        "/password/change/": (client, {"current_password": "no", "new_password": "Long-enough-9"}),
        "/account/delete/": (client, {"password": "no"}),
    }
    for address, (who, fields) in forms.items():
        yield (
            f"{address}!",
            lambda headers, who=who, address=address, fields=fields: who.post(
                address, fields, headers=headers
            ),
        )


@pytest.fixture
def people(shopper):
    """Sam's browser, and a stranger's."""
    browser = Client()
    browser.force_login(shopper.user)
    return browser, Client()


# --- Nothing in English ---------------------------------------------------------------------

PLACE = re.compile(r"(%\(\w+\)[sd]|%%|\{\w*\}|<[^>]+>)")
LETTERS = re.compile(r"[^\W\d_]{2,}")
SAME = re.compile(r"FashionSim|\bAPI\b|\bAdmin\b|\bZIP\b|" + "|".join(LANGUAGES.values()))


@pytest.fixture
def pretended(monkeypatch):
    """A language in which each text that is looked up stands in brackets."""

    def bracketed(text: str) -> str:
        return "".join(
            part if PLACE.fullmatch(part) or not part.strip() else f"⟦{part}⟧"
            for part in PLACE.split(str(text))
        )

    looked_up = {
        "gettext": bracketed,
        "pgettext": lambda context, text: bracketed(text),
        "ngettext": lambda one, many, count: bracketed(one if count == 1 else many),
        "npgettext": lambda context, one, many, count: bracketed(one if count == 1 else many),
    }
    for name, function in looked_up.items():
        monkeypatch.setattr(translation._trans, name, function)


def test_every_text_of_every_page_is_looked_up(people, shop, pretended):
    bare = []
    for name, visit in visits(*people):
        for text in texts(visit({HEADER: "en"}).text):
            left = PLACE.sub("", re.sub(r"⟦[^⟧]*⟧", "", text))
            left = SAME.sub("", OURS.sub("", left))
            if LETTERS.search(left):
                bare.append((name, text))
    assert bare == []


@pytest.mark.parametrize("language", OTHERS)
def test_no_sentence_of_the_source_is_left(people, shop, language):
    path = FOLDER / to_locale(language) / "LC_MESSAGES" / "django.po"
    english = {
        entry.text
        for entry in entries(path)
        if entry.text not in entry.forms.values() and len(LETTERS.findall(entry.text)) > 1
    }
    for name, visit in visits(*people):
        page = visit({HEADER: language}).text
        assert f'<html lang="{language}"' in page, name
        assert not english & set(texts(page)), name


def test_an_e_mail_speaks_the_language_of_whoever_asks_for_it(shopper):
    shopper.user.email = "sam@shop.example"
    shopper.user.save()
    for language, subject in (("de", "Ein neues Passwort"), ("ja", "FashionSimの新しいパスワード")):
        Client().post(
            "/password/forgotten/", {"email": "sam@shop.example"}, headers={HEADER: language}
        )
        assert mail.outbox[-1].subject.startswith(subject)
        assert "Choose one" not in mail.outbox[-1].body


# --- Whose language -------------------------------------------------------------------------


def language_of(client, page: str = "/support/", **headers: str) -> str:
    [found] = re.findall(r'<html lang="([\w-]+)"', client.get(page, headers=headers).text)
    return found


def test_every_page_offers_every_language_in_its_own_words(people, shop):
    for name, visit in visits(*people):
        page = visit({}).text
        for code, own in LANGUAGES.items():
            chosen = ' aria-current="true"' if code == "en" else ""
            assert f'value="{code}" lang="{code}"{chosen}>{own}</button>' in page, name


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_stranger_chooses_a_language_and_their_browser_remembers(db, language):
    browser = Client()
    answer = browser.post(
        "/language/", {"language": language}, headers={"Referer": "http://testserver/support/"}
    )
    assert (answer.status_code, answer["Location"]) == (302, "http://testserver/support/")
    cookie = answer.cookies[settings.LANGUAGE_COOKIE_NAME]
    assert (cookie["max-age"], cookie["httponly"]) == (365 * 24 * 3600, True)
    assert language_of(browser, **{HEADER: "es"}) == language
    assert not Preferences.objects.exists()


def test_a_person_chooses_it_for_wherever_they_sign_in(shopper):
    choose(shopper.user, theme="dark")
    browser, elsewhere = Client(), Client()
    for client in (browser, elsewhere):
        client.force_login(shopper.user)
    browser.post("/language/", {"language": "ja"})
    elsewhere.cookies[settings.LANGUAGE_COOKIE_NAME] = "fr"
    assert language_of(elsewhere, **{HEADER: "de"}) == "ja"
    assert Preferences.objects.get().theme == "dark"


def test_who_has_chosen_none_reads_what_the_browser_asks_for_signed_in_or_not(shopper):
    browser = Client()
    browser.force_login(shopper.user)
    assert language_of(browser, **{HEADER: "de-CH"}) == "de"
    browser.cookies[settings.LANGUAGE_COOKIE_NAME] = "fr"
    assert language_of(browser, **{HEADER: "de-CH"}) == "fr"


@pytest.mark.parametrize("language", ["tlh", "", '"><script>'])
def test_a_language_that_there_is_not_cannot_be_chosen(shopper, language):
    browser = Client()
    browser.force_login(shopper.user)
    browser.post("/language/", {"language": language})
    assert language_of(browser) == "en"
    assert not Preferences.objects.exists()


def test_choosing_takes_a_form_of_ours(db):
    assert Client().get("/language/").status_code == 405
    forged = Client(enforce_csrf_checks=True)
    assert forged.post("/language/", {"language": "de"}).status_code == 403


def test_choosing_leads_to_no_other_site(db):
    for headers, fields in (
        ({"Referer": "https://evil.example/"}, {}),
        ({}, {"next": "https://evil.example/"}),
    ):
        answer = Client().post("/language/", {"language": "de", **fields}, headers=headers)
        assert answer["Location"] == "/"


def test_the_shop_s_people_work_in_english(administrator):
    choose(administrator.user, language="fr")
    browser = Client()
    browser.force_login(administrator.user)
    assert language_of(browser) == "fr"
    assert '<html lang="en"' in browser.get("/admin/").text


def test_the_api_speaks_the_language_that_a_request_accepts(stranger, shopper):
    choose(shopper.user, language="fr")
    file = {"image": as_file(b"no picture")}
    for headers, said in (
        ({HEADER: "de-AT, en;q=0.5"}, "Die Datei ist kein Bild"),
        ({HEADER: "tlh"}, "The file is not a picture"),
        ({}, "The file is not a picture"),
    ):
        answer = shopper.post("/api/v1/searches/", file, format="multipart", headers=headers)
        assert answer.data["detail"].startswith(said)
        assert HEADER in answer["Vary"]
        file["image"].seek(0)
    answer = stranger.get("/api/v1/garments/none/", headers={HEADER: "ja"})
    assert answer.json()["detail"] == "ここには何もありません。"


@pytest.mark.parametrize(
    ("asked", "field", "said"),
    [
        ({}, "non_field_errors", "Geben Sie eines davon an: image, "),
        ({"text": "?!"}, "text", "Darin steht kein Wort."),
        ({"text": "x", "filters": {"hue": ["red"]}}, "filters", "Diesen Filter gibt es nicht."),
        (
            {"text": "x", "filters": {"colour": ["mud"]}},
            "filters",
            "Die Farbe „mud“ gibt es nicht.",
        ),
        ({"like": ["none"]}, "like", "Dieses Kleidungsstück gibt es nicht: none."),
        ({"text": "x", "box": [0, 0, 9, 9]}, "box", "Ein Ausschnitt gehört zu einem Foto."),
        ({"text": "x", "limit": 0}, "limit", "dass dieser Wert größer oder gleich 1 ist"),
    ],
)
def test_what_is_wrong_with_a_field_is_told_in_that_language(stranger, db, asked, field, said):
    answer = stranger.post("/api/v1/searches/", asked, format="json", headers={HEADER: "de"})
    assert answer.status_code == 400
    assert said in json.dumps(answer.json()["errors"][field], ensure_ascii=False)


def test_so_is_what_is_wrong_with_one_of_several_pictures_products_or_events(merchandiser):
    german = {"headers": {HEADER: "de"}, "format": "json"}
    pictures = {"images": [base64.b64encode(b"no picture").decode()] * 2}
    answer = merchandiser.post("/api/v1/uploads/", pictures, **german)
    assert "Die Datei ist kein Bild" in str(answer.json()["errors"]["images"])
    products = {"products": [{"reference": "?", "name": "x"}]}
    [item] = merchandiser.post("/api/v1/products/batch/", products, **german).json()["products"]
    assert item["error"]["detail"] == "Einige Felder fehlen oder passen nicht."
    assert item["error"]["errors"]["reference"][0].startswith("Nehmen Sie Buchstaben, Ziffern")
    events = {"events": [{"kind": "click", "product": "NONE"}]}
    [refused] = merchandiser.post("/api/v1/events/", events, **german).json()["refused"]
    assert refused["detail"] == "Das Produkt NONE gibt es nicht."


# --- Numbers, prices, dates -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "price", "stars"),
    [
        ("en", "1249.50 EUR", "4.5 of 5"),
        ("fr", "1249,50 EUR", "4,5 sur 5"),
        ("de", "1249,50 EUR", "4,5 von 5"),
        ("ja", "1249.50 EUR", "5点中4.5"),
    ],
)
def test_numbers_are_written_as_the_language_has_it(stranger, shop, language, price, stars):
    segment = stranger.get("/").context["newest"][0].segment
    page = stranger.get(f"/garments/{segment.identifier}/", headers={HEADER: language})
    written = list(texts(page.text))
    assert price in written
    assert stars in written
    # The scripts write it anew, and need the number as it is.
    assert 'value="1249.50" data-currency="EUR"' in page.text


@pytest.mark.parametrize(
    ("language", "written"),
    [
        ("en", r"\d{1,2} \w+ \d{4}, \d\d:\d\d"),
        ("de", r"\d{1,2}\. \w+ \d{4} \d\d:\d\d"),
        ("zh-hans", r"\d{4}年\d{1,2}月\d{1,2}日 \d\d:\d\d"),
    ],
)
def test_dates_are_written_as_the_language_has_it(people, shop, language, written):
    browser, _ = people
    searched(browser, text="qqtag")
    page = browser.get("/history/", headers={HEADER: language}).text
    [shown] = re.findall(r"<time [^>]*>([^<]*)</time>", page)
    assert re.fullmatch(written, shown)


def test_whole_prices_have_no_decimals_in_any_language(stranger, shop):
    for language in LANGUAGES:
        page = stranger.get(searched(stranger, text="qqtag"), headers={HEADER: language})
        bands = [band.text for band in page.context["bands"]]
        assert bands, language
        assert not re.search(r"[.,]0\b", "".join(bands)), bands


def test_closeness_looks_alike_in_every_language(stranger, shop):
    address = searched(stranger, image=as_file(half_red_half_blue()))
    dots = {
        tuple(
            re.findall(r'class="dot ([^"]*)"', stranger.get(address, headers={HEADER: code}).text)
        )
        for code in LANGUAGES
    }
    assert len(dots) == 1
    assert all(dots.pop())
