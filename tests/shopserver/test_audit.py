"""The audit log: who has changed what, when, and what it was before."""

import datetime as dt

import pytest
from auditlog.models import LogEntry
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.utils import timezone

from accounts import roles
from accounts.models import ApiKey, User
from catalog.models import OriginalImage, Product
from shop.models import Webhook
from similarity import indexing, services, serving, tasks
from similarity.models import IndexBuild, Run
from tests.conftest import client_of, person
from tests.pictures import as_base64, as_file, photo
from tests.shop import add_photo, add_product

pytestmark = pytest.mark.django_db

Action = LogEntry.Action


def entries(row) -> list[LogEntry]:
    """What is noted of a row, the earliest first."""
    return list(LogEntry.objects.get_for_object(row).order_by("timestamp", "pk"))


def test_a_change_by_the_api_is_noted_with_who_when_and_what_it_was(merchandiser):
    merchandiser.post("/api/v1/products/", {"reference": "D-1", "name": "Dress", "price": "9.90"})
    merchandiser.patch("/api/v1/products/D-1/", {"price": "7.50"})
    product = Product.objects.get()
    made, changed = entries(product)
    assert (made.action, changed.action) == (Action.CREATE, Action.UPDATE)
    assert changed.actor == merchandiser.user
    assert changed.changes == {"price": ["9.90", "7.50"]}
    assert changed.additional_data["by"] == "PATCH /api/v1/products/D-1/"
    assert timezone.now() - changed.timestamp < dt.timedelta(minutes=1)
    merchandiser.delete("/api/v1/products/D-1/")
    gone = LogEntry.objects.latest("pk")
    assert (gone.action, gone.object_repr) == (Action.DELETE, "Dress (D-1)")


def test_only_a_product_s_own_fields_are_noted(merchandiser):
    merchandiser.post("/api/v1/products/", {"reference": "D-1", "name": "Dress"})
    [made] = entries(Product.objects.get())
    assert {"reference", "name"} <= set(made.changes)
    assert set(made.changes) <= {field.name for field in Product._meta.concrete_fields}


def test_a_program_is_named_by_its_key_s_account(catalogue_key):
    catalogue_key.put("/api/v1/products/D-1/", {"name": "Dress", "tags": ["new"]})
    made, tags = entries(Product.objects.get())
    assert made.actor == tags.actor == catalogue_key.user
    assert tags.changes["tags"]["objects"] == ["new"]


def test_who_signs_each_request_by_themselves_is_named_too(db):
    """The API finds out who asks after the middlewares have been passed."""
    from rest_framework.test import APIClient

    user = person("paula", roles.MERCHANDISER)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION="Basic cGF1bGE6cGF1bGEtcGFzcy05")
    client.post("/api/v1/products/", {"reference": "D-1", "name": "Dress"})
    assert entries(Product.objects.get())[0].actor == user


def test_a_change_in_the_admin_is_noted(administrator):
    product = Product.objects.create(reference="D-1", name="Dress")
    form = {"reference": "D-1", "name": "Gown", "currency": "EUR", "sale_status": "regular"}
    form |= {f"images-{name}_FORMS": 0 for name in ("TOTAL", "INITIAL", "MIN_NUM", "MAX_NUM")}
    url = f"/admin/catalog/product/{product.pk}/change/"
    assert administrator.post(url, form, format="multipart").status_code == 302
    changed = entries(product)[-1]
    assert (changed.actor, changed.changes) == (administrator.user, {"name": ["Dress", "Gown"]})


def test_a_command_is_named_as_such(db, capsys):
    call_command("createsuperuser", "--noinput", username="root", email="root@shop.example")
    [made] = entries(User.objects.get())
    assert (made.actor, made.action) == (None, Action.CREATE)
    assert made.additional_data["by"]
    assert "root@shop.example" not in str(made.changes)


def test_roles_that_are_given_and_taken_are_noted(administrator):
    user = person("paula")
    with_request(administrator, user)
    added = entries(user)[-1]
    assert added.actor == administrator.user
    assert added.changes["groups"]["operation"] == "add"
    assert added.changes["groups"]["objects"] == [roles.MERCHANDISER]


def with_request(administrator, user):
    """Give a role as the admin's form does."""
    group = Group.objects.get(name=roles.MERCHANDISER)
    form = {"username": user.username, "groups": [group.pk], "is_active": "on"}
    now = timezone.now()
    form |= {"date_joined_0": f"{now:%Y-%m-%d}", "date_joined_1": f"{now:%H:%M:%S}"}
    url = f"/admin/accounts/user/{user.pk}/change/"
    response = administrator.post(url, form, format="multipart")
    assert response.status_code == 302, response.content


def test_keys_are_noted_without_their_secret(administrator):
    form = {"name": "Web shop", "may_search": "on"}
    page = administrator.post("/admin/accounts/apikey/add/", form, format="multipart")
    key = ApiKey.objects.get()
    action = {"action": "revoke", "_selected_action": key.pk}
    administrator.post("/admin/accounts/apikey/", action, format="multipart")
    made, revoked = entries(key)
    assert made.actor == revoked.actor == administrator.user
    assert set(revoked.changes) == {"revoked_at"}
    text = page.content.decode().split('id="key">')[1].split("<")[0]
    told = str(list(LogEntry.objects.values_list("changes", "additional_data", "serialized_data")))
    assert text not in told
    assert key.digest not in told


def test_webhooks_are_noted_without_their_secret(administrator):
    form = {"name": "Shop", "url": "https://shop.example/", "events": ["import.finished"]}
    administrator.post("/admin/shop/webhook/add/", form, format="multipart")
    hook = Webhook.objects.get()
    [made] = entries(hook)
    assert made.changes["url"] == ["None", "https://shop.example/"]
    assert hook.secret not in str(made.changes)


def test_another_build_that_serves_is_noted(administrator):
    add_product("D-1", "red")
    embedder = serving.serving_embedder()
    first, second = indexing.rebuild(embedder), indexing.rebuild(embedder)
    administrator.post(f"/api/v1/index/builds/{first.pk}/activate/")
    [switched] = LogEntry.objects.get_for_model(IndexBuild)
    assert switched.changes == {"serving": [second.name, first.name]}
    assert switched.actor == administrator.user


# --- Pictures -------------------------------------------------------------------------------


def test_pictures_that_somebody_uploads_moves_or_deletes_are_noted(merchandiser):
    merchandiser.post("/api/v1/uploads/", {"images": [as_file(photo("red"))]}, format="multipart")
    image = OriginalImage.objects.get()
    Product.objects.create(reference="D-1", name="Dress")
    url = f"/api/v1/images/{image.identifier}/"
    merchandiser.patch(url, {"product": "D-1"})
    known = entries(image)
    merchandiser.delete(url)
    added, moved = known
    gone = LogEntry.objects.get_for_model(OriginalImage).latest("pk")
    assert [added.action, moved.action, gone.action] == [0, 1, 2]
    assert {added.actor, moved.actor, gone.actor} == {merchandiser.user}
    assert moved.changes["product"] == ["None", str(Product.objects.get().pk)]


def test_pictures_that_a_put_brings_and_takes_are_noted(catalogue_key):
    url = "/api/v1/products/D-1/"
    catalogue_key.put(url, {"name": "x", "images": [as_base64(photo("red"))]})
    catalogue_key.put(url, {"name": "x", "images": []})
    actions = LogEntry.objects.get_for_model(OriginalImage).order_by("pk")
    assert list(actions.values_list("action", "actor")) == [
        (Action.CREATE, catalogue_key.user.pk),
        (Action.DELETE, catalogue_key.user.pk),
    ]


def test_what_a_worker_does_is_nobody_s_change(merchandiser, open_web):
    body = {"name": "x", "images": [open_web.show("/a.png", photo("red"))]}
    merchandiser.put("/api/v1/products/D-1/", body)
    segment = add_photo(photo("green"))
    before = LogEntry.objects.count()
    for run in Run.objects.filter(state=Run.State.PENDING):
        tasks.execute_run(str(run.pk))
    tasks.execute_run(str(services.describe_again(segment.image).pk))
    tasks.execute_run(str(services.start_rebuild().pk))
    services.sweep()
    assert Run.objects.filter(state=Run.State.DONE).count() == 4
    assert LogEntry.objects.count() == before


def test_pictures_of_a_folder_are_not_noted_one_by_one(tmp_path, monkeypatch):
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(photo("red", seed=number))
    call_command("ingest_folder", str(tmp_path))
    assert OriginalImage.objects.count() == 3
    assert not LogEntry.objects.get_for_model(OriginalImage).exists()


# --- What is kept of a person ---------------------------------------------------------------


def test_who_registers_signs_in_and_leaves_is_not_noted(stranger):
    account = {"email": "new@shop.example", "password": "blue-linen-9"}
    tokens = stranger.post("/api/v1/auth/register/", account).json()
    stranger.post("/api/v1/auth/sign-in/", account)
    stranger.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens['access_token']}")
    response = stranger.post("/api/v1/auth/account/delete/", {"password": "blue-linen-9"})
    assert response.status_code == 204, response.content
    assert not LogEntry.objects.exists()


def test_a_deleted_account_leaves_no_name_behind(administrator):
    mona = person("mona.miller", roles.MERCHANDISER, email="mona@shop.example", is_staff=True)
    client = client_of(mona)
    client.post("/api/v1/products/", {"reference": "D-1", "name": "Dress"})
    pk = mona.pk
    client_page = f"/admin/accounts/user/{pk}/delete/"
    assert administrator.post(client_page, {"post": "yes"}, format="multipart").status_code == 302
    fields = ("object_repr", "changes", "additional_data", "actor_email", "remote_addr")
    assert "mona" not in str(list(LogEntry.objects.values_list(*fields)))
    [made] = entries(Product.objects.get())
    assert (made.actor, made.additional_data["account"]) == (None, pk), "told apart, not named"
    assert LogEntry.objects.get_for_model(User).latest("pk").object_repr == f"account {pk}"


# --- In the admin ---------------------------------------------------------------------------


def test_the_log_is_read_by_staff_and_changed_by_nobody(staff, merchandiser, administrator):
    merchandiser.post("/api/v1/products/", {"reference": "D-1", "name": "Dress"})
    pk = LogEntry.objects.get_for_model(Product).latest("pk").pk
    for client in (staff, administrator):
        page = client.get("/admin/auditlog/logentry/", {"q": "Dress"})
        assert "POST /api/v1/products/" in page.content.decode()
        page = client.get(f"/admin/auditlog/logentry/{pk}/change/")
        assert "Dress" in page.content.decode()
        assert 'name="_save"' not in page.content.decode()
        assert client.post(f"/admin/auditlog/logentry/{pk}/change/").status_code == 403
        assert client.post(f"/admin/auditlog/logentry/{pk}/delete/").status_code == 403
        assert client.get("/admin/auditlog/logentry/add/").status_code == 403
    assert merchandiser.get("/admin/auditlog/logentry/").status_code == 403
