"""/api/v1/auth/: accounts with passwords and tokens of the shop's own."""

from __future__ import annotations

import datetime as dt
import re
import threading

import jwt
import pytest
from axes.models import AccessAttempt
from django.contrib.auth import get_user_model
from django.core import mail
from django.db import connections
from django.utils import timezone
from rest_framework.test import APIClient
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken
from rest_framework_simplejwt.tokens import RefreshToken

from accounts import roles
from accounts.models import User
from accounts.providers import local
from accounts.providers.local import Local
from tests.api import refused
from tests.conftest import person

AUTH = "/api/v1/auth/"
SAM = {"email": "sam@shop.example", "password": "blue-linen-9"}


def post(client, path, **body):
    return client.post(f"{AUTH}{path}/", body)


def registered(client, **changes):
    """A new account's tokens."""
    response = post(client, "register", **SAM | changes)
    assert response.status_code == 201, response.content
    return response.json()


def bearing(tokens) -> APIClient:
    """Somebody who has nothing but tokens."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens['access_token']}")
    return client


def whose(tokens):
    return bearing(tokens).get(f"{AUTH}account/")


# --- Registering ----------------------------------------------------------------------------


def test_who_registers_is_a_shopper_and_has_signed_in(stranger):
    tokens = registered(stranger)
    assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 600)
    account = whose(tokens).json()
    assert account == tokens["account"]
    assert (account["email"], account["role"]) == ("sam@shop.example", "shopper")


@pytest.mark.parametrize(
    "claim", [{"is_admin": True}, {"role": "administrator"}, {"is_superuser": 1, "is_staff": 1}]
)
def test_nobody_chooses_a_role(stranger, claim):
    assert registered(stranger, **claim)["account"]["role"] == "shopper"
    user = get_user_model().objects.get()
    assert not user.is_staff
    assert not user.is_superuser
    assert not user.groups.exists()


@pytest.mark.parametrize("email", ["sam@shop.example", "SAM@Shop.Example"])
def test_an_address_has_one_account(stranger, email):
    registered(stranger)
    refused(post(stranger, "register", **SAM | {"email": email}), 409, "email_taken")


def test_the_name_of_another_account_cannot_be_taken_as_an_address(stranger):
    person("ada", email="ada@shop.example", is_superuser=True)
    taken = SAM | {"email": "ada@shop.example"}
    refused(post(stranger, "register", **taken), 409, "email_taken")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "sam"),
        ("email", ""),
        ("email", "sam@shop.example" + "x" * 200),
        ("password", "short"),
        ("password", "password1"),
        ("password", "73519284"),
        ("password", "sam@shop.example"),
        ("password", None),
    ],
)
def test_what_does_not_do_is_refused_by_its_field(stranger, field, value):
    problem = refused(post(stranger, "register", **SAM | {field: value}), 400, "invalid")
    assert set(problem["errors"]) == {field}
    assert not get_user_model().objects.exists()


# --- Signing in -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sam@shop.example", "Sam@SHOP.example"])
def test_signing_in_gives_tokens(stranger, name):
    registered(stranger)
    response = post(stranger, "sign-in", email=name, password=SAM["password"])
    assert response.status_code == 200
    assert whose(response.json()).json()["email"] == "sam@shop.example"
    assert get_user_model().objects.get().last_login is not None


@pytest.mark.parametrize("name", ["ada", "ada@shop.example"])
def test_who_has_a_name_may_use_it_or_the_address(stranger, name):
    person("ada", email="ada@shop.example", is_superuser=True)
    response = post(stranger, "sign-in", email=name, password="ada-pass-9")
    assert response.json()["account"]["role"] == "administrator"


@pytest.mark.parametrize(
    "changes",
    [{"password": "wrong"}, {"email": "nobody@shop.example"}, {"password": "blue-linen-9 "}],
)
def test_wrong_credentials_tell_nothing_more(stranger, changes):
    registered(stranger)
    response = post(stranger, "sign-in", **SAM | changes)
    problem = refused(response, 401, "wrong_credentials")
    assert problem["detail"] == "The name and the password do not go together."
    assert response["WWW-Authenticate"] == 'Bearer realm="api"'


def test_who_is_no_longer_active_cannot_sign_in_and_their_tokens_are_void(stranger):
    tokens = registered(stranger)
    get_user_model().objects.update(is_active=False)
    refused(post(stranger, "sign-in", **SAM), 401, "wrong_credentials")
    refused(whose(tokens), 401, "invalid_token")
    refused(post(stranger, "refresh", refresh_token=tokens["refresh_token"]), 401, "invalid_token")


def test_a_stale_token_does_not_keep_anybody_from_signing_in(stranger):
    registered(stranger)
    stranger.credentials(HTTP_AUTHORIZATION="Bearer stale")
    assert post(stranger, "sign-in", **SAM).status_code == 200


def test_two_people_at_once_keep_their_identities(stranger):
    sam = registered(stranger)
    olga = registered(stranger, email="olga@shop.example")
    for tokens, email in [(sam, "sam@"), (olga, "olga@"), (sam, "sam@")]:
        assert whose(tokens).json()["email"].startswith(email)
    refused(stranger.get(f"{AUTH}account/"), 401, "not_authenticated")


def test_signing_in_over_the_api_leaves_no_cookie(stranger):
    registered(stranger)
    assert not post(stranger, "sign-in", **SAM).cookies


# --- Tokens ---------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "ü", "eyJhbGciOiJub25lIn0.e30."])
def test_what_is_no_token_is_refused(stranger, db, token):
    stranger.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    refused(stranger.get(f"{AUTH}account/"), 401, "invalid_token")


def forged(tokens, key="", algorithm="HS256", **changes):
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    return {"access_token": jwt.encode(claims | changes, key or None, algorithm)}


def test_forged_tokens_are_refused(stranger, settings):
    tokens = registered(stranger)
    ada = person("ada", is_superuser=True)
    for forgery in [
        forged(tokens, "another-key-that-is-long-enough-for-hs256", user_id=str(ada.pk)),
        forged(tokens, "", "none", user_id=str(ada.pk)),
        forged(tokens, settings.SECRET_KEY, iss="elsewhere"),
        forged(tokens, settings.SECRET_KEY, user_id="x"),
    ]:
        refused(whose(forgery), 401, "invalid_token")
    assert whose(forged(tokens, settings.SECRET_KEY)).status_code == 200


def test_an_expired_token_says_so(stranger, settings):
    tokens = registered(stranger)
    past = int((timezone.now() - dt.timedelta(minutes=1)).timestamp())
    refused(whose(forged(tokens, settings.SECRET_KEY, exp=past)), 401, "token_expired")


def test_a_refresh_token_is_no_access_token_nor_the_other_way_round(stranger):
    tokens = registered(stranger)
    refused(whose({"access_token": tokens["refresh_token"]}), 401, "invalid_token")
    refused(post(stranger, "refresh", refresh_token=tokens["access_token"]), 401, "invalid_token")


def test_a_refresh_token_is_good_once(stranger):
    tokens = registered(stranger)
    fresh = post(stranger, "refresh", refresh_token=tokens["refresh_token"]).json()
    assert whose(fresh).status_code == 200
    refused(post(stranger, "refresh", refresh_token=tokens["refresh_token"]), 401, "invalid_token")
    assert post(stranger, "refresh", refresh_token=fresh["refresh_token"]).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_several_who_refresh_at_once_one_gets_tokens():
    tokens = registered(APIClient())
    answers = []
    start = threading.Barrier(4)

    def refresh():
        start.wait()
        answers.append(
            post(APIClient(), "refresh", refresh_token=tokens["refresh_token"]).status_code
        )
        connections.close_all()

    threads = [threading.Thread(target=refresh) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 401, 401, 401]


def test_no_refresh_token_is_kept(stranger):
    tokens = registered(stranger)
    [kept] = OutstandingToken.objects.all()
    claims = jwt.decode(tokens["refresh_token"], options={"verify_signature": False})
    assert (kept.jti, kept.token) == (claims["jti"], claims["sign_in"])


def test_what_is_known_of_expired_tokens_goes_with_the_next_sign_in(stranger):
    registered(stranger)
    OutstandingToken.objects.update(expires_at=timezone.now() - dt.timedelta(days=1))
    post(stranger, "sign-in", **SAM)
    assert OutstandingToken.objects.count() == 1


# --- Signing out ----------------------------------------------------------------------------


def test_signing_out_ends_this_sign_in_and_no_other(stranger):
    here = registered(stranger)
    there = post(stranger, "sign-in", **SAM).json()
    assert post(stranger, "sign-out", refresh_token=here["refresh_token"]).status_code == 204
    refused(post(stranger, "refresh", refresh_token=here["refresh_token"]), 401, "invalid_token")
    assert post(stranger, "refresh", refresh_token=there["refresh_token"]).status_code == 200


def test_signing_out_ends_all_that_was_refreshed_since_the_sign_in(stranger):
    first = registered(stranger)
    second = post(stranger, "refresh", refresh_token=first["refresh_token"]).json()
    third = post(stranger, "refresh", refresh_token=second["refresh_token"]).json()
    other = post(stranger, "sign-in", **SAM).json()
    Local().sign_out_by(first["access_token"])  # from before it was refreshed
    refused(post(stranger, "refresh", refresh_token=third["refresh_token"]), 401, "invalid_token")
    assert post(stranger, "refresh", refresh_token=other["refresh_token"]).status_code == 200


def test_a_refresh_token_from_before_sign_ins_had_ids_is_good_and_can_be_ended(stranger):
    user = person("olga")
    old = RefreshToken.for_user(user)
    OutstandingToken.objects.update(token="")
    fresh = post(stranger, "refresh", refresh_token=str(old)).json()
    assert post(stranger, "sign-out", refresh_token=fresh["refresh_token"]).status_code == 204
    refused(post(stranger, "refresh", refresh_token=fresh["refresh_token"]), 401, "invalid_token")


def test_nobody_is_signed_out_by_what_is_no_token(stranger, db):
    refused(post(stranger, "sign-out", refresh_token="x"), 401, "invalid_token")


# --- Passwords ------------------------------------------------------------------------------


def test_a_new_password_ends_all_that_was_signed_in_with_the_old_one(stranger):
    tokens = registered(stranger)
    change = {"current_password": SAM["password"], "new_password": "green-wool-7"}
    assert post(bearing(tokens), "password", **change).status_code == 204
    refused(whose(tokens), 401, "invalid_token")
    refused(post(stranger, "refresh", refresh_token=tokens["refresh_token"]), 401, "invalid_token")
    refused(post(stranger, "sign-in", **SAM), 401, "wrong_credentials")
    assert post(stranger, "sign-in", **SAM | {"password": "green-wool-7"}).status_code == 200


def test_a_refresh_that_a_new_password_overtakes_gets_no_tokens(stranger, monkeypatch):
    tokens = registered(stranger)
    lock = local._locked

    def change_first(user):
        Local().change_password(User.objects.get(), SAM["password"], "green-wool-7")
        return lock(user)

    monkeypatch.setattr(local, "_locked", change_first)
    refused(post(stranger, "refresh", refresh_token=tokens["refresh_token"]), 401, "invalid_token")


def test_a_session_outlives_its_own_change_of_password(shopper):
    browser = APIClient()
    browser.force_login(shopper.user)
    change = {"current_password": "sam-pass-9", "new_password": "green-wool-7"}
    assert post(browser, "password", **change).status_code == 204
    assert browser.get(f"{AUTH}account/").status_code == 200


def test_a_new_password_takes_the_current_one(stranger):
    person_of = bearing(registered(stranger))
    change = {"current_password": "wrong", "new_password": "green-wool-7"}
    refused(post(person_of, "password", **change), 403, "wrong_password")
    change = {"current_password": SAM["password"], "new_password": "short"}
    problem = refused(post(person_of, "password", **change), 400, "invalid")
    assert set(problem["errors"]) == {"new_password"}


def reset_link(email=SAM["email"]):
    """The two parts of the link in the e-mail."""
    [message] = mail.outbox
    assert message.to == [email]
    return dict(
        zip(
            ("uid", "token"),
            re.search(r"/password/new/(.+)/(.+)/", message.body).groups(),
            strict=True,
        )
    )


def test_a_forgotten_password_is_set_anew_by_a_link(stranger):
    tokens = registered(stranger)
    assert post(stranger, "password/reset", email="SAM@shop.example").status_code == 202
    link = reset_link()
    new = post(stranger, "password/new", **link, new_password="green-wool-7")
    assert new.status_code == 204
    refused(whose(tokens), 401, "invalid_token")
    assert post(stranger, "sign-in", **SAM | {"password": "green-wool-7"}).status_code == 200
    again = post(stranger, "password/new", **link, new_password="grey-silk-5")
    refused(again, 400, "bad_link")


def test_who_has_no_account_is_not_told_so(stranger, db):
    assert post(stranger, "password/reset", email="nobody@shop.example").status_code == 202
    assert mail.outbox == []


def test_a_link_is_good_for_its_own_account_and_a_good_password(stranger):
    registered(stranger)
    other = person("olga", email="olga@shop.example")
    post(stranger, "password/reset", email=SAM["email"])
    link = reset_link()
    assert other.pk != get_user_model().objects.get(email=SAM["email"]).pk
    post(stranger, "password/reset", email=other.email)
    foreign = re.search(r"/password/new/(.+)/(.+)/", mail.outbox[1].body)[1]
    for uid in (foreign, "x", "////"):
        made_up = post(
            stranger, "password/new", uid=uid, token=link["token"], new_password="grey-silk-5"
        )
        refused(made_up, 400, "bad_link")
    weak = post(stranger, "password/new", **link, new_password="sam@shop.example")
    assert set(refused(weak, 400, "invalid")["errors"]) == {"new_password"}


# --- Deleting -------------------------------------------------------------------------------


def test_a_deleted_account_is_gone_with_its_tokens(stranger):
    tokens = registered(stranger)
    assert post(bearing(tokens), "account/delete", password=SAM["password"]).status_code == 204
    assert not get_user_model().objects.exists()
    assert not OutstandingToken.objects.exists()
    refused(whose(tokens), 401, "invalid_token")
    refused(post(stranger, "refresh", refresh_token=tokens["refresh_token"]), 401, "invalid_token")
    refused(post(stranger, "sign-in", **SAM), 401, "wrong_credentials")


def test_failed_sign_ins_do_not_outlive_the_account(stranger):
    tokens = registered(stranger)
    for email in (SAM["email"].upper(), "olga@shop.example"):
        post(stranger, "sign-in", email=email, password="wrong")
    assert AccessAttempt.objects.count() == 2
    post(bearing(tokens), "account/delete", password=SAM["password"])
    assert [attempt.username for attempt in AccessAttempt.objects.all()] == ["olga@shop.example"]


def test_deleting_takes_the_password(stranger):
    tokens = registered(stranger)
    refused(post(bearing(tokens), "account/delete", password="wrong"), 403, "wrong_password")
    assert whose(tokens).status_code == 200


# --- Roles ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("groups", "attributes", "role"),
    [
        ([], {}, "shopper"),
        ([roles.MERCHANDISER], {}, "merchandiser"),
        ([roles.STAFF, roles.MERCHANDISER], {}, "staff"),
        ([roles.STAFF], {"is_superuser": True}, "administrator"),
    ],
)
def test_an_account_tells_its_highest_role(stranger, db, groups, attributes, role):
    person("paula", *groups, **attributes)
    tokens = post(stranger, "sign-in", email="paula", password="paula-pass-9").json()
    assert whose(tokens).json()["role"] == role


def test_a_role_holds_from_the_next_request_on(stranger):
    tokens = registered(stranger)
    product = {"reference": "D-1", "name": "Dress"}
    assert bearing(tokens).post("/api/v1/products/", product).status_code == 403
    get_user_model().objects.update(is_superuser=True)
    assert bearing(tokens).post("/api/v1/products/", product).status_code == 201
