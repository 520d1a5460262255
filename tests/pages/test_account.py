"""The pages about one's own account."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.test import Client

from tests.conftest import person

SAM = {"email": "sam@shop.example", "password": "blue-linen-9"}


@pytest.fixture
def browser(db):
    """Sam's, who has just registered."""
    browser = Client()
    assert browser.post("/register/", SAM)["Location"] == "/"
    return browser


def signed_in(password):
    browser = Client()
    response = browser.post("/sign-in/", {"username": SAM["email"], "password": password})
    return browser if response.status_code == 302 else None


def test_who_registers_has_signed_in(browser):
    assert "sam@shop.example" in browser.get("/account/").text
    assert signed_in(SAM["password"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"password": "short"}, "too short"),
        ({"email": "nothing"}, "valid email address"),
        ({"email": ""}, "required"),
    ],
)
def test_the_page_says_what_does_not_do(db, changes, said):
    response = Client().post("/register/", SAM | changes)
    assert response.status_code == 200
    assert said in response.text
    assert SAM["password"] not in response.text
    assert not get_user_model().objects.exists()


def test_an_address_that_has_an_account_is_told(browser):
    response = Client().post("/register/", SAM)
    assert response.status_code == 409
    assert "There is an account" in response.text


def test_a_changed_password_ends_other_sessions_and_not_this_one(browser):
    elsewhere = signed_in(SAM["password"])
    change = {"current_password": SAM["password"], "new_password": "green-wool-7"}
    assert browser.post("/password/change/", change)["Location"] == "/account/"
    assert "Your password is changed." in browser.get("/account/").text
    assert elsewhere.get("/account/").status_code == 302
    assert signed_in("green-wool-7")
    assert not signed_in(SAM["password"])


def test_a_wrong_password_changes_nothing(browser):
    change = {"current_password": "wrong", "new_password": "green-wool-7"}
    response = browser.post("/password/change/", change)
    assert response.status_code == 403
    assert "This is not your password." in response.text
    assert signed_in(SAM["password"])


def test_a_forgotten_password_is_set_anew_by_a_link(browser):
    stranger = Client()
    response = stranger.post("/password/forgotten/", {"email": SAM["email"]}, follow=True)
    assert "the link is on its way" in response.text
    link = re.search(r"http://testserver(/\S+)", mail.outbox[0].body)[1]
    page = stranger.get(link, follow=True)
    assert "New password" in page.text
    form = page.redirect_chain[-1][0]
    assert "too short" in stranger.post(form, {"new_password": "short"}).text
    done = stranger.post(form, {"new_password": "green-wool-7"}, follow=True)
    assert "Your new password is set." in done.text
    assert signed_in("green-wool-7")
    assert "used, or is too old" in Client().get(link, follow=True).text


def test_whether_an_address_has_an_account_is_not_told(db):
    response = Client().post("/password/forgotten/", {"email": "no@body.example"}, follow=True)
    assert "the link is on its way" in response.text
    assert mail.outbox == []


def test_deleting_takes_the_password_and_leaves_nothing(browser):
    assert browser.post("/account/delete/", {"password": "wrong"}).status_code == 403
    response = browser.post("/account/delete/", {"password": SAM["password"]}, follow=True)
    assert "Your account is deleted." in response.text
    assert not get_user_model().objects.exists()


@pytest.mark.parametrize("path", ["/account/", "/account/delete/", "/password/change/"])
def test_a_stranger_is_sent_to_sign_in(db, path):
    assert Client().get(path)["Location"] == f"/sign-in/?next={path}"


def test_the_sign_in_page_leads_to_the_others(db):
    page = Client().get("/sign-in/").text
    assert 'href="/register/"' in page
    assert 'href="/password/forgotten/"' in page


def test_an_address_does_for_a_name(db):
    person("sam", email="sam@shop.example")
    assert signed_in("sam-pass-9")
