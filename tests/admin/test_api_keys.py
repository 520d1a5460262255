"""API keys in the admin: made, shown once, revoked."""

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from accounts.models import ApiKey
from tests.admin import act, send, told

LIST = reverse("admin:accounts_apikey_changelist")
ADD = reverse("admin:accounts_apikey_add")
PRODUCTS = "/api/v1/products/"


def with_key(text):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Api-Key {text}")
    return client


def made(administrator, **fields):
    """A new key's text, as the page shows it, and its row."""
    page = send(administrator, ADD, {"name": "Web shop", **fields})
    assert page.status_code == 200
    assert "no-store" in page["Cache-Control"]
    text = page.content.decode().partition('<code id="key">')[2].partition("<")[0]
    return text, ApiKey.objects.get()


def test_a_key_is_shown_once(administrator):
    text, key = made(administrator, may_search="on")
    assert with_key(text).get(PRODUCTS).status_code == 200
    assert (key.may_search, key.may_edit) == (True, False)
    assert key.made_by == administrator.user
    for url in (LIST, reverse("admin:accounts_apikey_change", args=[key.pk])):
        page = administrator.get(url).content.decode()
        assert text not in page
        assert key.beginning in page


def test_its_scopes_are_what_was_ticked(administrator):
    text, key = made(administrator, may_edit="on")
    assert (key.may_search, key.may_edit) == (False, True)
    product = {"reference": "D-1", "name": "Dress"}
    assert with_key(text).post(PRODUCTS, product).status_code == 201


def test_a_key_is_never_changed_nor_deleted(administrator):
    _, key = made(administrator, may_search="on")
    change = reverse("admin:accounts_apikey_change", args=[key.pk])
    assert send(administrator, change, {"name": "Other", "may_edit": "on"}).status_code == 403
    delete = reverse("admin:accounts_apikey_delete", args=[key.pk])
    assert send(administrator, delete, {"post": "yes"}).status_code == 403


def test_a_key_is_revoked_from_the_list(administrator):
    text, key = made(administrator, may_search="on")
    response = act(administrator, LIST, "revoke", key)
    assert told(response) == ["1 revoked. What they open is shut from now on."]
    assert with_key(text).get(PRODUCTS).status_code == 401
    assert "Revoked" in administrator.get(LIST).content.decode()


def test_the_list_of_users_has_people_only(administrator):
    _, key = made(administrator, may_search="on")
    page = administrator.get(reverse("admin:accounts_user_changelist")).content.decode()
    assert key.account.username not in page
    change = reverse("admin:accounts_user_change", args=[key.account.pk])
    assert administrator.get(change).status_code == 302


@pytest.mark.parametrize("who", ["merchandiser", "staff"])
def test_only_administrators_make_keys(request, who):
    client = request.getfixturevalue(who)
    assert client.get(LIST).status_code == 403
    assert send(client, ADD, {"name": "Mine", "may_edit": "on"}).status_code == 403
    assert not ApiKey.objects.exists()
