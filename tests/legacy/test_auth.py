"""/api/auth/: signing in as the old front end does."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from rest_framework.test import APIClient

from accounts import roles
from tests.conftest import person
from tests.legacy import failed, refused

AUTH = "/api/auth/"
SAM = {"email": "sam@shop.example", "password": "blue-linen-9"}


def bearing(tokens) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens['access_token']}")
    return client


@pytest.fixture
def registered(stranger):
    response = stranger.post(f"{AUTH}register", {**SAM, "is_admin": True})
    user = get_user_model().objects.get()
    data = {"user_id": user.pk, "email": SAM["email"]}
    refused(response, 201, success=True, message="Registered.", data=data)
    return user


def logged_in(client, **credentials):
    response = client.post(f"{AUTH}login", SAM | credentials)
    assert response.status_code == 200, response.content
    return response.json()["data"]


def test_nobody_makes_an_administrator_of_themselves(registered):
    assert not registered.is_staff
    assert not registered.is_superuser
    assert not registered.groups.exists()


def test_signing_in_gives_what_the_front_end_keeps(stranger, registered):
    response = stranger.post(f"{AUTH}login", SAM)
    data = response.json()["data"]
    tokens = {"access_token": data["access_token"], "refresh_token": data["refresh_token"]}
    user = {"user_id": registered.pk, "email": SAM["email"], "role": "user"}
    refused(response, 200, success=True, message="Signed in.", data=user | tokens)
    shown = bearing(data).get(f"{AUTH}user")
    refused(shown, 200, success=True, message="Signed in.", data={**user, "is_admin": False})


@pytest.mark.parametrize(
    ("groups", "attributes", "role"),
    [
        ([], {}, "user"),
        ([roles.MERCHANDISER], {"is_staff": True}, "admin"),
        ([roles.STAFF], {"is_staff": True}, "admin"),
        ([], {"is_superuser": True}, "admin"),
        ([], {"is_staff": True}, "user"),
    ],
)
def test_the_role_is_what_one_may_do(stranger, db, groups, attributes, role):
    person("kim", *groups, **attributes)
    data = logged_in(stranger, email="kim", password="kim-pass-9")
    assert data["role"] == role
    assert bearing(data).get(f"{AUTH}user").json()["data"]["is_admin"] is (role == "admin")


def test_two_people_at_once_are_two_people(stranger, registered):
    person("ada", is_superuser=True)
    sam, ada = logged_in(stranger), logged_in(stranger, email="ada", password="ada-pass-9")
    whose = [bearing(data).get(f"{AUTH}user").json()["data"]["user_id"] for data in (sam, ada)]
    assert whose == [sam["user_id"], ada["user_id"]]
    failed(stranger.get(f"{AUTH}user"), 401, "Authentication credentials were not provided.")


def test_a_wrong_password_is_no_error_of_ours(stranger, registered):
    response = stranger.post(f"{AUTH}login", {**SAM, "password": "wrong"})
    failed(response, 401, "The name and the password do not go together.")


def test_a_taken_address_and_a_weak_password_are_told(stranger, registered):
    response = stranger.post(f"{AUTH}register", SAM)
    failed(response, 409, "There is an account with this e-mail address.")
    response = stranger.post(f"{AUTH}register", {"email": "x@shop.example", "password": "12345678"})
    assert response.status_code == 400
    assert response.json()["message"].startswith("password: ")


@pytest.mark.parametrize("path", ["register", "login"])
def test_what_is_missing_is_named(stranger, db, path):
    message = "Missing required parameters: email, password"
    failed(stranger.post(f"{AUTH}{path}", {}), 400, message)


def test_a_refresh_token_is_good_once(stranger, registered):
    before = logged_in(stranger)["refresh_token"]
    response = stranger.post(f"{AUTH}refresh", {"refresh_token": before})
    data = response.json()["data"]
    assert set(data) == {"access_token", "refresh_token"}
    assert data["refresh_token"] != before
    assert bearing(data).get(f"{AUTH}user").status_code == 200
    response = stranger.post(f"{AUTH}refresh", {"refresh_token": before})
    failed(response, 401, "The token is not valid here, or no longer. Sign in again.")


def test_signing_out_ends_one_s_own_sign_in_and_no_other(stranger, registered):
    here, elsewhere = logged_in(stranger), logged_in(stranger)
    response = bearing(here).post(f"{AUTH}logout")
    refused(response, 200, success=True, message="Signed out.", data=None)
    refresh = f"{AUTH}refresh"
    assert stranger.post(refresh, {"refresh_token": here["refresh_token"]}).status_code == 401
    assert stranger.post(refresh, {"refresh_token": elsewhere["refresh_token"]}).status_code == 200
    assert bearing(here).post(f"{AUTH}logout").status_code == 200


@pytest.mark.parametrize("header", [None, "Bearer x", "Bearer ", "Basic eDp5"])
def test_signing_out_is_never_refused(stranger, db, header):
    if header:
        stranger.credentials(HTTP_AUTHORIZATION=header)
    assert stranger.post(f"{AUTH}logout").status_code == 200
