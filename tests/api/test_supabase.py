"""AUTH_PROVIDER=supabase: the real client against a small Supabase on loopback."""

from __future__ import annotations

import datetime as dt
import threading
import time
import uuid

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connections
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import tokens
from accounts.checks import check_provider
from accounts.models import Departure
from tests.api import refused
from tests.conftest import person
from tests.gotrue import ANON_KEY, SECRET, SERVICE_KEY, GoTrue, SigningKey

AUTH = "/api/v1/auth/"
SAM = {"email": "sam@shop.example", "password": "blue-linen-9"}


@pytest.fixture
def project(settings):
    """A project that signs with its secret; Sam has an account there."""
    project = GoTrue()
    settings.AUTH_PROVIDER = "supabase"
    settings.AUTHENTICATION_BACKENDS = [
        *settings.AUTHENTICATION_BACKENDS,
        "accounts.backends.SupabaseBackend",
    ]
    settings.SUPABASE_URL = project.url
    settings.SUPABASE_KEY = ANON_KEY
    settings.SUPABASE_JWT_SECRETS = [SECRET]
    settings.SUPABASE_TIMEOUT = 20
    tokens._public_keys.cache_clear()
    project.add(**SAM)
    yield project
    project.stop()


@pytest.fixture
def key_pairs(project, settings):
    """The same, signing with a key pair."""
    project.keys = [SigningKey("first")]
    settings.SUPABASE_JWT_SECRETS = []
    return project


def post(path, client=None, **body):
    return (client or APIClient()).post(f"{AUTH}{path}/", body)


def bearing(token) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def whose(token):
    return bearing(token).get(f"{AUTH}account/")


def signed_in(**changes):
    response = post("sign-in", **SAM | changes)
    assert response.status_code == 200, response.content
    return response.json()


# --- Registering and signing in -------------------------------------------------------------


def test_who_registers_is_a_shopper_of_ours(project, db):
    response = post("register", email="olga@shop.example", password="blue-linen-9", is_admin=True)
    assert response.status_code == 201
    account = whose(response.json()["access_token"]).json()
    assert (account["name"], account["role"]) == ("olga@shop.example", "shopper")
    user = get_user_model().objects.get()
    assert str(user.supabase_id) == project.accounts["olga@shop.example"]["id"]
    assert not user.has_usable_password()


def test_an_address_that_has_to_be_confirmed_can_sign_in_afterwards(project, db):
    project.needs_confirmation = True
    olga = {"email": "olga@shop.example", "password": "blue-linen-9"}
    response = post("register", **olga)
    assert (response.status_code, set(response.json())) == (202, {"detail"})
    refused(post("sign-in", **olga), 403, "email_not_confirmed")
    assert not get_user_model().objects.exists()
    project.accounts[olga["email"]]["confirmed"] = True
    assert post("sign-in", **olga).status_code == 200


def test_an_address_has_one_account(project, db):
    refused(post("register", **SAM), 409, "email_taken")


def test_a_password_that_supabase_thinks_weak_is_refused_by_its_field(project, db):
    problem = refused(
        post("register", email="olga@shop.example", password="x7-green"), 400, "invalid"
    )
    assert set(problem["errors"]) == {"password"}


def test_signing_in_gives_supabase_s_own_tokens(project, db):
    tokens = signed_in()
    assert tokens["expires_in"] == 3600
    assert tokens["refresh_token"] in project.refresh_tokens
    assert whose(tokens["access_token"]).json() == tokens["account"]


@pytest.mark.parametrize("changes", [{"password": "wrong"}, {"email": "nobody@shop.example"}])
def test_wrong_credentials_tell_nothing_more(project, db, changes):
    refused(post("sign-in", **SAM | changes), 401, "wrong_credentials")


def test_too_many_wrong_passwords_and_even_the_right_one_has_to_wait(project, db, settings):
    settings.AXES_FAILURE_LIMIT = 3
    for _ in range(2):  # the right one in time starts the count anew
        for _ in range(2):
            refused(post("sign-in", **SAM | {"password": "wrong"}), 401, "wrong_credentials")
        signed_in()
    for _ in range(3):
        post("sign-in", **SAM | {"password": "wrong"})
    asked = len(project.asked)
    refused(post("sign-in", **SAM), 429, "throttled")
    assert len(project.asked) == asked, "Supabase is not bothered"


def test_who_is_not_active_here_cannot_sign_in(project, db):
    token = signed_in()["access_token"]
    get_user_model().objects.update(is_active=False)
    refused(post("sign-in", **SAM), 401, "wrong_credentials")
    refused(whose(token), 401, "invalid_token")


def test_two_people_at_once_keep_their_identities(project, db):
    project.add("olga@shop.example", "blue-linen-9")
    sam = signed_in()["access_token"]
    olga = signed_in(email="olga@shop.example")["access_token"]
    for token, email in [(sam, "sam@"), (olga, "olga@"), (sam, "sam@")]:
        assert whose(token).json()["email"].startswith(email)
    refused(APIClient().get(f"{AUTH}account/"), 401, "not_authenticated")


def test_a_refresh_token_is_good_once(project, db):
    old = signed_in()["refresh_token"]
    new = post("refresh", refresh_token=old)
    assert whose(new.json()["access_token"]).status_code == 200
    refused(post("refresh", refresh_token=old), 401, "invalid_token")
    refused(post("refresh", refresh_token="made-up"), 401, "invalid_token")


def test_signing_out_ends_this_sign_in_and_no_other(project, db):
    here, there = signed_in(), signed_in()
    assert post("sign-out", refresh_token=here["refresh_token"]).status_code == 204
    refused(post("refresh", refresh_token=here["refresh_token"]), 401, "invalid_token")
    assert post("refresh", refresh_token=there["refresh_token"]).status_code == 200
    assert [email for email, _ in project.refresh_tokens.values()] == [SAM["email"]]


def test_signing_out_by_the_access_token_alone_ends_that_sign_in(project, db):
    """As the front end of the service before does."""
    here, there = signed_in(), signed_in()
    client = bearing(here["access_token"])
    assert client.post("/api/auth/logout").status_code == 200
    refused(post("refresh", refresh_token=here["refresh_token"]), 401, "invalid_token")
    assert post("refresh", refresh_token=there["refresh_token"]).status_code == 200


# --- Tokens ---------------------------------------------------------------------------------


def test_a_token_is_checked_without_asking_supabase(project, db):
    token = project.token(SAM["email"])
    assert whose(token).status_code == 200
    assert project.asked == []


def test_public_keys_are_asked_for_once(key_pairs, db):
    for _ in range(3):
        assert whose(key_pairs.token(SAM["email"])).status_code == 200
    assert key_pairs.asked == ["GET /auth/v1/.well-known/jwks.json"]


def bad_claims(project):
    now = int(time.time())
    elsewhere = "https://other.supabase.co/auth/v1"
    changes = [
        {"iss": elsewhere},
        {"iss": f"{project.url}/auth/v1/"},
        {"aud": "anon"},
        {"sub": "1"},
        {"sub": ""},
        {"nbf": now + 600},
        {"is_anonymous": True},
    ]
    claims = [project.claims(SAM["email"], **change) for change in changes]
    for missing in ("exp", "sub", "aud", "iss"):
        left = project.claims(SAM["email"])
        del left[missing]
        claims.append(left)
    return claims


@pytest.mark.parametrize("signing", ["project", "key_pairs"])
def test_tokens_of_other_projects_or_for_others_are_refused(request, db, signing):
    project = request.getfixturevalue(signing)
    assert whose(project.sign(project.claims(SAM["email"]))).status_code == 200
    for claims in bad_claims(project):
        refused(whose(project.sign(claims)), 401, "invalid_token")


@pytest.mark.parametrize("signing", ["project", "key_pairs"])
def test_an_expired_token_says_so(request, db, signing):
    project = request.getfixturevalue(signing)
    token = project.token(SAM["email"], exp=int(time.time()) - 60)
    refused(whose(token), 401, "token_expired")


def test_forged_tokens_are_refused(project, settings, db):
    project.keys = [SigningKey("first")]  # both ways at once, as while a project changes over
    claims = project.claims(SAM["email"])
    strange = ec.generate_private_key(ec.SECP256R1())
    public = project.keys[0].public
    good = jwt.encode(claims, SECRET, "HS256")
    head, body, signature = good.split(".")
    for forgery in [
        jwt.encode(claims, "another-secret-that-is-long-enough-for-it", "HS256"),
        jwt.encode(claims, "", "none"),
        jwt.encode(claims, SECRET, "HS512"),
        jwt.encode(claims, strange, "ES256", headers={"kid": "first"}),
        jwt.encode(claims, strange, "ES256", headers={"kid": "unknown"}),
        jwt.encode(claims, strange, "ES256"),
        jwt.encode(claims, public["x"] + public["y"], "HS256", headers={"kid": "first"}),
        f"{head}.{body}.",
        f"{head}.{body[:-4]}AAAA.{signature}",
    ]:
        refused(whose(forgery), 401, "invalid_token")
    assert whose(good).status_code == 200
    assert not get_user_model().objects.exclude(email=SAM["email"]).exists()


def test_the_old_secret_is_good_beside_the_new_one_for_as_long_as_it_is_named(
    project, settings, db
):
    old = project.token(SAM["email"])
    new = "the-new-secret-of-the-project-0123456789abcdef"
    settings.SUPABASE_JWT_SECRETS = [new, SECRET]
    assert whose(old).status_code == 200
    assert whose(jwt.encode(project.claims(SAM["email"]), new, "HS256")).status_code == 200
    settings.SUPABASE_JWT_SECRETS = [new]
    refused(whose(old), 401, "invalid_token")


def test_a_new_key_pair_is_taken_up_and_a_withdrawn_one_dropped(key_pairs, db, monkeypatch):
    old = key_pairs.token(SAM["email"])
    assert whose(old).status_code == 200
    key_pairs.keys = [SigningKey("second")]
    keys = tokens._public_keys(f"{key_pairs.url}/auth/v1/.well-known/jwks.json", 20)
    keys.cooldown_duration = 0  # half a minute, in earnest
    assert whose(key_pairs.token(SAM["email"])).status_code == 200
    refused(whose(old), 401, "invalid_token")


def test_invented_key_ids_cause_no_flood(key_pairs, db):
    assert whose(key_pairs.token(SAM["email"])).status_code == 200
    strange = SigningKey("")
    for number in range(5):
        forged = jwt.encode(
            key_pairs.claims(SAM["email"]), strange.private, "ES256", headers={"kid": str(number)}
        )
        refused(whose(forged), 401, "invalid_token")
    assert len(key_pairs.asked) == 1


@pytest.mark.parametrize(
    "claims",
    [
        {"role": "service_role"},
        {"app_metadata": {"role": "administrator", "is_admin": True}},
        {"user_metadata": {"is_superuser": True}},
        {"is_superuser": True, "groups": ["Staff"]},
    ],
)
def test_no_claim_makes_a_role(project, db, claims):
    client = bearing(project.token(SAM["email"], **claims))
    assert client.get(f"{AUTH}account/").json()["role"] == "shopper"
    assert client.post("/api/v1/products/", {"reference": "D", "name": "D"}).status_code == 403


def test_a_role_given_here_holds(project, merchandiser):
    token = signed_in()["access_token"]
    user = get_user_model().objects.get(email=SAM["email"])
    user.groups.add(Group.objects.get(name="Merchandiser"))
    assert whose(token).json()["role"] == "merchandiser"


# --- Our row --------------------------------------------------------------------------------


def test_an_account_appears_at_first_sight_and_once(project, db):
    for _ in range(2):
        assert whose(project.token(SAM["email"])).status_code == 200
    user = get_user_model().objects.get()
    assert user.email == SAM["email"]
    assert not user.has_usable_password()


def test_a_new_address_is_taken_over(project, db):
    whose(project.token(SAM["email"]))
    whose(project.token(SAM["email"], email="sam@new.example"))
    assert get_user_model().objects.get().email == "sam@new.example"


def test_an_address_gives_nobody_another_s_account(project, administrator):
    ada = administrator.user
    ada.email = SAM["email"]
    ada.save()
    token = project.token(SAM["email"])
    assert whose(token).json()["role"] == "shopper"
    assert whose(token).json()["id"] != ada.pk


@pytest.mark.django_db(transaction=True)
def test_several_first_requests_at_once_make_one_account(project):
    token = project.token(SAM["email"], sub=str(uuid.uuid4()))
    answers = []
    start = threading.Barrier(4)

    def ask():
        start.wait()
        answers.append(whose(token).status_code)
        connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 4
    assert get_user_model().objects.count() == 1


# --- Passwords and deletion -----------------------------------------------------------------


def test_a_password_is_changed_at_supabase(project, db):
    client = bearing(signed_in()["access_token"])
    change = {"current_password": "wrong", "new_password": "green-wool-7"}
    refused(post("password", client, **change), 403, "wrong_password")
    change["current_password"] = SAM["password"]
    assert post("password", client, **change).status_code == 204
    refused(post("sign-in", **SAM), 401, "wrong_credentials")
    signed_in(password="green-wool-7")
    same = {"current_password": "green-wool-7", "new_password": "green-wool-7"}
    problem = refused(post("password", client, **same), 400, "invalid")
    assert set(problem["errors"]) == {"new_password"}


def test_links_for_a_new_password_are_left_to_supabase(project, db):
    refused(post("password/reset", email=SAM["email"]), 409, "not_offered")
    link = {"uid": "MQ", "token": "x", "new_password": "green-wool-7"}
    refused(post("password/new", **link), 409, "not_offered")


def test_an_account_is_deleted_at_supabase_too(project, settings, db):
    client = bearing(signed_in()["access_token"])
    refused(post("account/delete", client, password=SAM["password"]), 409, "not_offered")
    settings.SUPABASE_SERVICE_KEY = SERVICE_KEY
    refused(post("account/delete", client, password="wrong"), 403, "wrong_password")
    assert post("account/delete", client, password=SAM["password"]).status_code == 204
    assert not project.accounts
    assert not get_user_model().objects.exists()


def test_a_token_that_outlives_its_account_makes_no_other(project, settings, db):
    settings.SUPABASE_SERVICE_KEY = SERVICE_KEY
    client = bearing(signed_in()["access_token"])
    assert post("account/delete", client, password=SAM["password"]).status_code == 204
    refused(client.get(f"{AUTH}account/"), 401, "invalid_token")
    assert not get_user_model().objects.exists()
    assert post("register", **SAM).status_code == 201, "there is no way back"
    assert Departure.objects.exists()
    Departure.objects.update(at=timezone.now() - dt.timedelta(days=8))
    client = bearing(signed_in()["access_token"])
    assert post("account/delete", client, password=SAM["password"]).status_code == 204
    assert Departure.objects.count() == 1, "those of long ago are kept"


def test_an_account_is_kept_while_supabase_cannot_delete_it(project, settings, db):
    client = bearing(signed_in()["access_token"])
    settings.SUPABASE_SERVICE_KEY = "wrong"
    assert post("account/delete", client, password=SAM["password"]).status_code == 400
    assert get_user_model().objects.exists()


# --- Supabase is down -----------------------------------------------------------------------

CALLS = [
    ("sign-in", SAM),
    ("register", SAM | {"email": "olga@shop.example"}),
    ("refresh", {"refresh_token": "x"}),
    ("sign-out", {"refresh_token": "x"}),
]


@pytest.mark.parametrize(("path", "body"), CALLS)
def test_nobody_at_its_address_is_a_clear_problem(project, db, path, body):
    project.stop()
    refused(post(path, **body), 503, "sign_in_unavailable")


@pytest.mark.parametrize(
    "answer",
    [
        (500, "text/html", b"<h1>Oops</h1>"),
        (503, "application/json", b'{"message": "busy"}'),
        (200, "text/html", b"<h1>Welcome to the hotel's network</h1>"),
        (200, "application/json", b'{"surprise": 1}'),
    ],
)
def test_answers_that_are_not_supabase_s_are_a_clear_problem(project, db, answer):
    project.breaks_with = answer
    refused(post("sign-in", **SAM), 503, "sign_in_unavailable")


def test_a_slow_answer_is_waited_for_no_longer_than_set(project, settings, db):
    settings.SUPABASE_TIMEOUT = 1
    project.delay = 60
    started = time.monotonic()
    refused(post("sign-in", **SAM), 503, "sign_in_unavailable")
    assert time.monotonic() - started < 30


def test_who_has_a_token_goes_on_while_supabase_is_down(key_pairs, db):
    token = key_pairs.token(SAM["email"])
    assert whose(token).status_code == 200
    key_pairs.stop()
    assert whose(token).status_code == 200


def test_without_its_public_keys_nobody_is_known_and_it_says_so(key_pairs, db):
    token = key_pairs.token(SAM["email"])
    key_pairs.breaks_with = (500, "text/plain", b"")
    for _ in range(3):
        refused(whose(token), 503, "sign_in_unavailable")
    key_pairs.breaks_with = None
    keys = tokens._public_keys(f"{key_pairs.url}/auth/v1/.well-known/jwks.json", 20)
    assert keys.retry_at > time.monotonic(), "it is not asked again at once"
    keys.retry_at = 0
    assert whose(token).status_code == 200


def test_a_wrong_secret_here_is_our_fault_and_not_the_asker_s(project, settings, db):
    settings.SUPABASE_JWT_SECRETS = ["mistyped-secret-that-is-long-enough-0123"]
    refused(post("sign-in", **SAM), 503, "sign_in_unavailable")


# --- Pages and admin ------------------------------------------------------------------------


def test_signing_in_on_the_page_and_in_the_admin(project, merchandiser):
    form = {"username": SAM["email"], "password": SAM["password"]}
    browser = Client()
    assert browser.post("/sign-in/", form)["Location"] == "/"
    assert SAM["email"] in browser.get("/account/").text
    get_user_model().objects.filter(email=SAM["email"]).update(is_staff=True)
    admin = Client()
    assert admin.post("/admin/login/?next=/admin/", form)["Location"] == "/admin/"
    assert admin.get("/admin/").status_code == 200


def test_the_first_administrator_signs_in_with_a_password_of_ours(project, db):
    person("ada", is_staff=True, is_superuser=True)
    project.stop()
    form = {"username": "ada", "password": "ada-pass-9"}
    assert Client().post("/admin/login/?next=/admin/", form)["Location"] == "/admin/"


def test_the_pages_say_so_while_supabase_is_down(project, db):
    project.stop()
    form = {"username": SAM["email"], "password": SAM["password"]}
    response = Client().post("/sign-in/", form)
    assert response.status_code == 503
    assert "does not work at the moment" in response.text
    assert "does not work at the moment" in Client().post("/admin/login/", form).text


# --- Configuration --------------------------------------------------------------------------


def test_what_is_not_configured_is_an_error(project, settings):
    assert check_provider() == []
    settings.SUPABASE_URL = settings.SUPABASE_KEY = ""
    assert [error.id for error in check_provider()] == ["accounts.E001"] * 2
