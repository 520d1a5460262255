"""Signing in and out, and the pages that say no."""

import datetime as dt

from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from similarity import services

SIGN_IN = {"username": "sam", "password": "sam-pass-9"}


def test_signing_in_leads_to_where_one_was_going(shopper):
    response = Client().post("/sign-in/?next=/garments/x/", {**SIGN_IN, "next": "/garments/x/"})
    assert (response.status_code, response["Location"]) == (302, "/garments/x/")


def test_signing_in_never_leads_elsewhere(shopper):
    response = Client().post("/sign-in/", {**SIGN_IN, "next": "https://evil.example/"})
    assert response["Location"] == "/"


def test_a_wrong_password_is_told_and_the_name_kept(shopper):
    response = Client().post("/sign-in/", {**SIGN_IN, "password": "wrong"})
    assert response.status_code == 200
    assert "do not go together" in response.text
    assert 'value="sam"' in response.text
    assert "wrong" not in response.text


def test_who_has_signed_in_is_not_asked_again(shopper):
    assert shopper.get("/sign-in/")["Location"] == "/"


def test_signing_out_takes_a_button(shopper):
    assert 'action="/sign-out/"' in shopper.get("/").text
    assert shopper.get("/sign-out/").status_code == 405
    assert shopper.post("/sign-out/")["Location"] == "/"
    assert "Sign in" in shopper.get("/").text


def test_sessions_that_have_expired_are_swept(shopper, staff):
    old = shopper.session.session_key
    yesterday = timezone.now() - dt.timedelta(days=1)
    Session.objects.filter(pk=old).update(expire_date=yesterday)
    services.sweep()
    assert [session.pk for session in Session.objects.all()] == [staff.session.session_key]


def test_staff_find_the_admin(shopper, staff):
    assert 'href="/admin/"' in staff.get("/").text
    assert 'href="/admin/"' not in shopper.get("/").text


def test_the_page_of_an_error_asks_nothing_of_the_database(stranger, django_assert_num_queries):
    with django_assert_num_queries(0):
        response = stranger.get("/no/such/page/")
    assert response.status_code == 404
    assert "Back to the search" in response.text
