"""Files of products and photos in the admin: sent, looked through, taken in, and fetched."""

from __future__ import annotations

import csv
import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from catalog.models import Product
from catalog.services import save_product
from shop import exchange
from shop.models import ImportJob
from tests.admin import send, told
from tests.shopserver.test_exchange import book, done, many, sheet, zipped

LIST = "/admin/shop/importjob/"


@pytest.fixture
def job(db) -> ImportJob:
    save_product("D-1", name="Dress")
    rows = {"reference": "D-1", "name": "Long dress"}, {"reference": "D-2", "name": "=1+1 ü"}
    file = sheet(*rows, {"reference": "", "name": "=nobody"})
    return exchange.start(file, photos=False)


def page(client, job):
    response = client.get(f"{LIST}{job.pk}/change/")
    assert response.status_code == 200
    return response.content.decode()


def do(client, job, what, **fields):
    response = send(client, f"{LIST}{job.pk}/do/", {"do": what, **fields})
    job.refresh_from_db()
    return response


def columns(job):
    return {f"column-{ours}": theirs for ours, theirs in job.columns.items()}


def test_a_sheet_is_sent_looked_through_and_taken_in(merchandiser, job):
    file = sheet({"reference": "D-1", "name": "Gown"})
    response = send(merchandiser, f"{LIST}add/", {"file": file})
    sent = ImportJob.objects.get(requested_by=merchandiser.user)
    assert response["Location"] == f"{LIST}{sent.pk}/change/"
    shown = page(merchandiser, sent)
    assert "<option selected>reference</option>" in shown
    assert "Look through" in shown
    do(merchandiser, sent, "check", **columns(sent))
    assert 'http-equiv="refresh"' in page(merchandiser, sent)
    assert "Stop" in page(merchandiser, sent)
    done(sent)
    shown = page(merchandiser, sent)
    assert "<del>Dress</del>" in shown
    assert "<ins>Gown</ins>" in shown
    do(merchandiser, sent, "take_in")
    done(sent)
    assert Product.objects.get(reference="D-1").name == "Gown"
    assert "Done" in page(merchandiser, sent)


def test_what_was_not_taken_is_shown_and_fetched_as_harmless_cells(merchandiser, job):
    exchange.check(job, job.columns)
    done(job)
    assert "It has no reference." in page(merchandiser, job)
    response = merchandiser.get(f"{LIST}{job.pk}/problems.csv")
    rows = list(csv.reader(io.StringIO(response.content.decode())))
    assert rows == [["number", "name", "problem"], ["4", "", "It has no reference."]]


def test_a_job_can_be_stopped_and_gone_on_with(merchandiser, job, monkeypatch):
    exchange.check(job, job.columns)
    done(job)
    do(merchandiser, job, "take_in")
    do(merchandiser, job, "cancel")
    assert job.state == "cancelled"
    assert "Go on" in page(merchandiser, job)
    do(merchandiser, job, "take_in")
    assert done(job).state == "done"


def test_what_makes_no_sense_is_told(merchandiser, job):
    assert told(do(merchandiser, job, "take_in")) == ["It has to be looked through first."]
    assert told(do(merchandiser, job, "check")) == [
        "Choose the column of the reference: products are known by it."
    ]
    assert told(do(merchandiser, job, "fly")) == ["There is no such thing to do."]
    bad = SimpleUploadedFile("a.xlsx", b"no book")
    response = send(merchandiser, f"{LIST}add/", {"file": bad})
    assert "This is no XLSX file, or a damaged one." in response.content.decode()
    dangerous = zipped(**{"../up.jpg": b"x"})
    response = send(merchandiser, f"{LIST}add/", {"file": dangerous})
    assert "leads out of the archive." in response.content.decode()


def test_photos_need_no_columns(merchandiser, job):
    send(merchandiser, f"{LIST}add/", {"file": zipped(**{"D-1.jpg": b"x"})})
    sent = ImportJob.objects.get(kind="photos")
    assert "<select" not in page(merchandiser, sent).partition("content-main")[2]
    do(merchandiser, sent, "check")
    assert done(sent).state == "checked"


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_the_catalogue_is_fetched_as_a_file_that_comes_back(merchandiser, job, kind):
    response = merchandiser.get(f"{LIST}export.{kind}")
    assert response.status_code == 200
    assert f".{kind}" in response["Content-Disposition"]
    data = b"".join(response.streaming_content)
    again = exchange.start(SimpleUploadedFile(f"p.{kind}", data), photos=False)
    exchange.check(again, again.columns)
    assert (done(again).unchanged, again.refused) == (1, 0)


def test_the_export_takes_the_same_queries_for_any_number(
    merchandiser, job, django_assert_max_num_queries
):
    for number in range(50):
        save_product(f"P-{number}", name="Other", category="Coats", tags=["a"], sizes=["S"])
    with django_assert_max_num_queries(10):
        b"".join(merchandiser.get(f"{LIST}export.csv").streaming_content)


def test_the_list_asks_no_query_per_row(merchandiser, job, django_assert_max_num_queries):
    for _ in range(10):
        exchange.start(many(1), photos=False)
    with django_assert_max_num_queries(12):
        assert merchandiser.get(LIST).status_code == 200


def test_staff_may_and_shoppers_may_not(staff, shopper, stranger, job):
    assert staff.get(f"{LIST}export.csv").status_code == 200
    for client in (shopper, stranger):
        for path in ("", "add/", "export.csv", f"{job.pk}/change/", f"{job.pk}/problems.csv"):
            assert client.get(LIST + path).status_code == 302
        assert do(client, job, "check", **columns(job)).status_code == 302
    assert job.state == "new"


def test_a_book_may_be_sent(merchandiser, db):
    send(merchandiser, f"{LIST}add/", {"file": book(["SKU", "name"], ["D-1", "Dress"])})
    sent = ImportJob.objects.get()
    assert sent.columns == {"name": "name"}
    assert "<option>SKU</option>" in page(merchandiser, sent)
