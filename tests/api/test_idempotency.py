"""The header Idempotency-Key: a request that is sent again is not done again."""

import datetime as dt
import threading

import pytest
from django.utils import timezone

from accounts import idempotency
from accounts.models import IdempotencyKey
from catalog.models import Product
from shop.models import Import
from similarity.models import Run
from tests.api import refused
from tests.conftest import client_of, person, program_with
from tests.pictures import as_base64, as_file, photo
from tests.pipeline.conftest import beside  # noqa: F401  (a fixture)

PRODUCTS = "/api/v1/products/"
KEY = {"HTTP_IDEMPOTENCY_KEY": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
BODY = {"reference": "D-1", "name": "Dress"}

REQUESTS = {
    "POST products": ("post", PRODUCTS, BODY),
    "PUT products": ("put", f"{PRODUCTS}D-1/", {**BODY, "images": [as_base64(photo("red"))]}),
    "POST batch": ("post", f"{PRODUCTS}batch/", {"products": [BODY]}),
    "POST uploads": ("post", "/api/v1/uploads/", {"images": [as_base64(photo("red"))]}),
}


def counts() -> list[int]:
    return [model.objects.count() for model in (Product, Run, Import)]


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_the_same_request_with_the_same_key_gets_the_first_answer(catalogue_key, request_):
    method, url, body = request_
    send = getattr(catalogue_key, method)
    first = send(url, body, **KEY)
    assert first.status_code in {200, 201, 202}, first.content
    assert "Idempotency-Replayed" not in first
    before = counts()
    Product.objects.update(name="Changed since")
    again = send(url, body, **KEY)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again["Idempotency-Replayed"] == "true"
    assert (counts(), set(Product.objects.values_list("name", flat=True)) - {"Changed since"}) == (
        before,
        set(),
    )


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_another_request_with_the_same_key_is_refused(catalogue_key, request_):
    method, url, body = request_
    getattr(catalogue_key, method)(url, body, **KEY)
    before = counts()
    other = catalogue_key.post(PRODUCTS, {"reference": "D-2", "name": "Other"}, **KEY)
    refused(other, 422, "idempotency_key_reused")
    assert counts() == before


def test_the_same_form_is_the_same_request_whatever_its_boundary(catalogue_key):
    def send(data, boundary):
        body = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n'
            "Content-Type: image/png\r\n\r\n"
        ).encode()
        body += data + f"\r\n--{boundary}--\r\n".encode()
        kind = f"multipart/form-data; boundary={boundary}"
        return catalogue_key.generic("POST", "/api/v1/uploads/", body, content_type=kind, **KEY)

    first = send(photo("red"), "one")
    assert first.status_code == 202, first.content
    assert send(photo("red"), "another").json() == first.json()
    refused(send(photo("green"), "one"), 422, "idempotency_key_reused")


def test_a_file_is_still_whole_when_its_request_has_a_key(catalogue_key):
    url = f"{PRODUCTS}D-1/"
    body = {"name": "Dress", "images": [as_file(photo("red", size=(900, 900)))]}
    response = catalogue_key.put(url, body, format="multipart", **KEY)
    assert response.status_code == 201, response.content
    assert response.json()["images"][0]["width"] == 900


def test_keys_are_each_asker_s_own(catalogue_key, merchandiser):
    assert catalogue_key.post(PRODUCTS, BODY, **KEY).status_code == 201
    refused(merchandiser.post(PRODUCTS, BODY, **KEY), 400, "invalid")


def test_quotes_around_a_key_do_not_matter(catalogue_key):
    catalogue_key.post(PRODUCTS, BODY, HTTP_IDEMPOTENCY_KEY='"abc"')
    again = catalogue_key.post(PRODUCTS, BODY, HTTP_IDEMPOTENCY_KEY="abc")
    assert again["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize("key", ["", '""', "x" * 256, "schlüssel", "a\tb"])
def test_a_key_that_does_not_fit_is_refused(catalogue_key, key):
    response = catalogue_key.post(PRODUCTS, BODY, HTTP_IDEMPOTENCY_KEY=key)
    refused(response, 400, "bad_idempotency_key")
    assert not Product.objects.exists()


def test_an_answer_that_refuses_is_not_kept(catalogue_key):
    refused(catalogue_key.post(PRODUCTS, {**BODY, "price": "-1"}, **KEY), 400, "invalid")
    assert catalogue_key.post(PRODUCTS, BODY, **KEY).status_code == 201


def test_a_request_that_falls_over_can_be_sent_again(catalogue_key, monkeypatch):
    catalogue_key.raise_request_exception = False
    with monkeypatch.context() as patch:
        patch.setattr("catalog.serializers.save_product", lambda *_, **__: 1 / 0)
        assert catalogue_key.post(PRODUCTS, BODY, **KEY).status_code == 500
    assert catalogue_key.post(PRODUCTS, BODY, **KEY).status_code == 201


def test_a_key_is_forgotten_after_a_day(catalogue_key):
    catalogue_key.post(PRODUCTS, BODY, **KEY)
    IdempotencyKey.objects.update(created_at=timezone.now() - dt.timedelta(hours=23))
    assert idempotency.sweep() == 0
    IdempotencyKey.objects.update(created_at=timezone.now() - dt.timedelta(hours=25))
    refused(catalogue_key.post(PRODUCTS, BODY, **KEY), 400, "invalid")
    Product.objects.all().delete()
    catalogue_key.post(PRODUCTS, BODY, **KEY)
    IdempotencyKey.objects.update(created_at=timezone.now() - dt.timedelta(hours=25))
    assert idempotency.sweep() == 1
    assert not IdempotencyKey.objects.exists()


def test_a_key_whose_process_has_died_is_free_after_a_while(catalogue_key):
    catalogue_key.post(PRODUCTS, BODY, **KEY)
    IdempotencyKey.objects.update(status=None, body="")
    refused(catalogue_key.post(PRODUCTS, BODY, **KEY), 409, "idempotency_key_in_use")
    IdempotencyKey.objects.update(created_at=timezone.now() - dt.timedelta(minutes=11))
    refused(catalogue_key.post(PRODUCTS, BODY, **KEY), 400, "invalid")  # the product is there


def test_keys_of_a_deleted_account_go_with_it(db):
    user = person("paul", "Merchandiser")
    client_of(user).post(PRODUCTS, BODY, **KEY)
    assert IdempotencyKey.objects.exists()
    user.delete()
    assert not IdempotencyKey.objects.exists()


def test_of_many_who_send_the_same_request_at_once_one_does_it(beside, transactional_db):  # noqa: F811
    text = program_with("Race", may_search=False, may_edit=True).text
    together = threading.Barrier(6)

    def send():
        from rest_framework.test import APIClient

        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Api-Key {text}")
        together.wait(120)
        return client.post(f"{PRODUCTS}batch/", {"products": [BODY]}, **KEY)

    answers = [sender.result(120) for sender in [beside(send) for _ in range(6)]]
    assert {answer.status_code for answer in answers} <= {200, 409}
    done = [answer for answer in answers if answer.status_code == 200]
    assert len({answer.content for answer in done}) == 1
    assert sum("Idempotency-Replayed" not in answer for answer in done) == 1
    assert counts() == [1, 0, 1]
    for answer in answers:
        if answer.status_code == 409:
            refused(answer, 409, "idempotency_key_in_use")


def test_a_request_that_is_sent_again_meanwhile_is_refused(beside, transactional_db, monkeypatch):  # noqa: F811
    from shop import services

    text = program_with("Slow", may_search=False, may_edit=True).text
    has_begun, may_go_on = threading.Event(), threading.Event()
    genuine = services.put_product

    def slow(*args):
        has_begun.set()
        assert may_go_on.wait(180)
        return genuine(*args)

    monkeypatch.setattr(services, "put_product", slow)

    def send():
        from rest_framework.test import APIClient

        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Api-Key {text}")
        return client.put(f"{PRODUCTS}D-1/", {"name": "Dress"}, **KEY)

    first = beside(send)
    assert has_begun.wait(120)
    try:
        refused(send(), 409, "idempotency_key_in_use")
    finally:
        may_go_on.set()
    assert first.result(120).status_code == 201
    assert send()["Idempotency-Replayed"] == "true"
