"""API keys: what a shop's program may do with one, and from when on no longer."""

from __future__ import annotations

import datetime as dt

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import keys
from accounts.models import ApiKey
from similarity.models import Run
from tests.api import refused
from tests.conftest import program_with
from tests.shop import add_product

PRODUCTS = "/api/v1/products/"
SEARCHES = "/api/v1/searches/"


def test_a_key_is_256_random_bits_of_which_only_the_hash_is_kept(search_key):
    assert search_key.text.startswith("fsk_")
    assert len(search_key.text) == len("fsk_") + 43
    row = ApiKey.objects.values().get()
    assert search_key.text not in str(row)
    assert search_key.text.startswith(row["beginning"])
    assert len(row["beginning"]) == 10


def test_a_key_for_searching_searches_and_writes_nothing(search_key):
    add_product("D-1", "red")
    assert search_key.post(SEARCHES, {"product": "D-1"}).status_code == 201
    product = {"reference": "D-2", "name": "Dress"}
    refused(search_key.post(PRODUCTS, product), 403, "permission_denied")


def test_a_key_for_the_catalogue_writes_and_does_not_search(catalogue_key):
    product = {"reference": "D-2", "name": "Dress"}
    assert catalogue_key.post(PRODUCTS, product).status_code == 201
    refused(catalogue_key.post(SEARCHES, {"product": "D-2"}), 403, "permission_denied")


def test_a_key_may_search_where_strangers_may_not(search_key, stranger, settings):
    settings.SEARCH_NEEDS_SIGN_IN = True
    add_product("D-1", "red")
    assert search_key.post(SEARCHES, {"product": "D-1"}).status_code == 201
    assert stranger.post(SEARCHES, {"product": "D-1"}).status_code == 401


def test_what_a_key_searched_for_is_its_own(search_key, shopper):
    add_product("D-1", "red")
    link = search_key.post(SEARCHES, {"product": "D-1"}).json()["link"]
    assert Run.objects.get(kind=Run.Kind.SEARCH).requested_by == search_key.user
    assert search_key.get(link).status_code == 200
    assert shopper.get(link).status_code == 404


def test_who_reads_a_key_for_searching_in_a_page_gets_nobody_s_searches_by_it(search_key):
    """One that is known by its id stays whoever's the id is."""
    add_product("D-1", "red")
    link = search_key.post(SEARCHES, {"product": "D-1"}).json()["link"]
    refused(search_key.get(SEARCHES), 403, "permission_denied")
    refused(search_key.post(f"{SEARCHES}clear/"), 403, "permission_denied")
    assert search_key.get(link).status_code == 200


def test_a_key_of_a_shop_s_server_has_a_history(db):
    server = program_with("Server", may_search=True, may_edit=True)
    add_product("D-1", "red")
    server.post(SEARCHES, {"product": "D-1"})
    assert server.get(SEARCHES).json()["count"] == 1
    assert server.post(f"{SEARCHES}clear/").status_code == 204
    assert server.get(SEARCHES).json()["count"] == 0


@pytest.mark.parametrize("path", ["account/", "password/", "account/delete/"])
def test_a_key_is_nobody_with_an_account(search_key, path):
    method = search_key.get if path == "account/" else search_key.post
    refused(method(f"/api/v1/auth/{path}"), 403, "permission_denied")


def test_nobody_signs_in_to_a_key_s_account(search_key, stranger):
    name = search_key.user.username
    for password in ("", "!", search_key.text):
        body = {"email": name, "password": password}
        assert stranger.post("/api/v1/auth/sign-in/", body).status_code in {400, 401}


@pytest.mark.parametrize("text", ["fsk_" + "x" * 43, "", "fsk_", "ü"])
def test_what_is_no_key_is_refused(stranger, db, text):
    stranger.credentials(HTTP_AUTHORIZATION=f"Api-Key {text}")
    response = stranger.get(PRODUCTS)
    assert response.status_code == 401
    assert response.json()["code"] in {"invalid_key", "invalid_token"}


def test_a_key_is_no_token_and_no_password(search_key, stranger):
    stranger.credentials(HTTP_AUTHORIZATION=f"Bearer {search_key.text}")
    refused(stranger.get(PRODUCTS), 401, "invalid_token")


def test_a_revoked_key_is_shut_at_once_and_stays_so(search_key):
    assert search_key.get(PRODUCTS).status_code == 200
    assert ApiKey.objects.all().revoke() == 1
    at = ApiKey.objects.get().revoked_at
    refused(search_key.get(PRODUCTS), 401, "invalid_key")
    assert ApiKey.objects.all().revoke() == 0
    assert ApiKey.objects.get().revoked_at == at


def test_a_key_expires(db):
    soon = timezone.now() + dt.timedelta(hours=1)
    _, text = keys.make("Fair", may_search=True, may_edit=False, expires_at=soon)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Api-Key {text}")
    assert client.get(PRODUCTS).status_code == 200
    ApiKey.objects.update(expires_at=timezone.now())
    refused(client.get(PRODUCTS), 401, "invalid_key")


def test_a_key_outlives_whoever_made_it(administrator):
    _, text = keys.make("Web shop", may_search=True, may_edit=False, made_by=administrator.user)
    administrator.user.delete()
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Api-Key {text}")
    assert client.get(PRODUCTS).status_code == 200


def test_its_use_is_noted_once_a_minute(search_key, django_assert_num_queries):
    assert ApiKey.objects.get().last_used_at is None
    search_key.get(PRODUCTS)
    first = ApiKey.objects.get().last_used_at
    assert timezone.now() - first < dt.timedelta(seconds=30)
    search_key.get(PRODUCTS)
    assert ApiKey.objects.get().last_used_at == first
    ApiKey.objects.update(last_used_at=first - dt.timedelta(minutes=2))
    search_key.get(PRODUCTS)
    assert ApiKey.objects.get().last_used_at > first - dt.timedelta(minutes=1)


def test_accounts_of_keys_have_no_password_and_no_other_rights(catalogue_key):
    account = get_user_model().objects.get()
    assert not account.has_usable_password()
    assert not account.is_staff
    assert not account.is_superuser
    assert {group.name for group in account.groups.all()} == {"Merchandiser"}
