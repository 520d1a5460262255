"""Products and photos from files: looked through, taken in, stopped, gone on with."""

from __future__ import annotations

import csv
import io
import zipfile
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError
from django.utils import timezone
from django_q.brokers import get_broker
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from openpyxl import Workbook

from catalog.models import OriginalImage, Product, ProductWord
from catalog.services import save_product
from shop import exchange, services, sheets
from shop.archives import BadArchive
from shop.models import ImportJob
from shop.sheets import BadSheet
from similarity import services as similarity
from tests.api import stored_files
from tests.pictures import photo
from tests.shop import add_photo, add_product, merge_into

pytestmark = pytest.mark.django_db

ALL = {name: name for name in sheets.COLUMNS}


@pytest.fixture(autouse=True)
def empty_queue(db):
    get_broker().purge_queue()
    yield
    get_broker().purge_queue()


def sheet(*rows: dict[str, str], name: str = "products.csv") -> SimpleUploadedFile:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return SimpleUploadedFile(name, out.getvalue().encode())


def book(*rows: list[object]) -> SimpleUploadedFile:
    made, out = Workbook(), io.BytesIO()
    for row in rows:
        made.active.append(row)
    made.save(out)
    return SimpleUploadedFile("products.xlsx", out.getvalue())


def zipped(**files: bytes) -> SimpleUploadedFile:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return SimpleUploadedFile("photos.zip", out.getvalue())


def done(job: ImportJob) -> ImportJob:
    """The job, once a worker has done with it."""
    exchange.work(job.pk)
    job.refresh_from_db()
    return job


def looked_through(file, archive=None, columns=None, photos=False) -> ImportJob:
    job = exchange.start(file, photos=photos, archive=archive)
    exchange.check(job, job.columns if columns is None else columns)
    return done(job)


def taken_in(file, **how) -> ImportJob:
    job = looked_through(file, **how)
    assert job.state == ImportJob.State.CHECKED, job.problem
    exchange.take_in(job)
    return done(job)


def counts(job: ImportJob) -> dict[str, int]:
    return {name: count for name in job.COUNTS if (count := getattr(job, name))}


def problems(job: ImportJob) -> list[tuple[int, str]]:
    return list(job.problems.values_list("number", "detail"))


def state() -> list[dict[str, str]]:
    """All that a sheet tells of the shop."""
    return [sheets.cells_of(product) for product in sheets.with_all()]


def test_a_row_takes_a_score_of_queries(monkeypatch, django_assert_max_num_queries):
    details = {"category": "Coats", "tags": "long|warm", "sizes": "S|M"}
    rows = [{"reference": f"D-{n}", "name": f"Coat {n}", **details} for n in range(exchange.BATCH)]
    job = looked_through(sheet(*rows))
    exchange.take_in(job)
    with django_assert_max_num_queries(20 * exchange.BATCH + 40):
        assert counts(done(job)) == {"created": exchange.BATCH}
    assert ProductWord.objects.filter(word="warm").count() == exchange.BATCH


def test_rows_that_meet_somebody_else_s_are_put_by_themselves(monkeypatch):
    put, calls = services.put_product, []

    def meets_another(reference, *given):
        calls.append(reference)
        if len(calls) == 2:
            raise OperationalError("Deadlock found when trying to get lock; try again")
        return put(reference, *given)

    monkeypatch.setattr(services, "put_product", meets_another)
    rows = [{"reference": f"D-{n}", "name": "Coat"} for n in range(3)]
    assert counts(taken_in(sheet(*rows))) == {"created": 3}
    assert calls == ["D-0", "D-1", "D-0", "D-1", "D-2"]


# --- Rows -----------------------------------------------------------------------------------


def test_looking_through_tells_what_would_change_and_changes_nothing():
    save_product("D-1", name="Dress", price=Decimal("19.90"), tags=["long"])
    job = looked_through(
        sheet(
            {"reference": "D-1", "name": "Dress", "price": "24,9", "tags": "long|red"},
            {"reference": "D-2", "name": "Coat", "price": "", "tags": ""},
        )
    )
    assert (job.state, job.total, job.position) == ("checked", 2, 2)
    assert counts(job) == {"created": 1, "changed": 1}
    first, second = job.differences
    assert first["changes"] == [["price", "19.90", "24.90"], ["tags", "long", "long|red"]]
    assert (second["name"], second["is_new"], second["number"]) == ("D-2", True, 3)
    assert state()[0]["price"] == "19.90"
    assert Product.objects.count() == 1


def test_rows_are_put_and_what_is_not_named_stays():
    save_product("D-1", name="Dress", brand="Ada", store="Riverside", category="Dresses")
    row = {
        "reference": "D-1",
        "name": "Long dress",
        "brand": "",
        "sale_status": "On sale",
        "sizes": "S|M",
        "category": "Gowns",
    }
    job = taken_in(sheet(row, {**row, "reference": "D-2"}))
    assert (job.state, counts(job)) == ("done", {"created": 1, "changed": 1})
    first, second = state()
    assert (first["name"], first["brand"], first["store"]) == ("Long dress", "", "Riverside")
    assert (first["sale_status"], first["sizes"], first["category"]) == ("sale", "M|S", "Gowns")
    assert (second["reference"], second["currency"], second["store"]) == ("D-2", "EUR", "")


def test_columns_are_what_a_person_says_they_are():
    file = sheet({"SKU": "D-1", "Titel": "Kleid", "name": "ignored"})
    job = taken_in(file, columns={"reference": "SKU", "name": "Titel"})
    assert counts(job) == {"created": 1}
    assert Product.objects.get().name == "Kleid"


def test_columns_are_guessed_by_their_names():
    job = exchange.start(sheet({"Reference ": "D-1", "Sale status": "sale"}), photos=False)
    assert job.columns == {"reference": "Reference", "sale_status": "Sale status"}


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"name": "name"}, "column of the reference"),
        ({"reference": "gone"}, "no column gone"),
        ({"reference": "name", "name": "name"}, "chosen twice"),
    ],
)
def test_columns_that_make_no_sense_are_refused(columns, told):
    job = exchange.start(sheet({"reference": "D-1", "name": "x"}), photos=False)
    with pytest.raises(BadSheet, match=told):
        exchange.check(job, columns)


def test_what_does_not_fit_is_refused_row_by_row_before_and_after():
    rows = [
        {"reference": "D-1", "name": "Dress", "price": "1", "season": ""},
        {"reference": "", "name": "None", "price": "1", "season": ""},
        {"reference": "D 2", "name": "Space", "price": "1", "season": ""},
        {"reference": "D-3", "name": "", "price": "1", "season": ""},
        {"reference": "D-4", "name": "Words", "price": "much", "season": ""},
        {"reference": "D-5", "name": "Less", "price": "-1", "season": ""},
        {"reference": "D-6", "name": "Season", "price": "", "season": "rainy"},
        {"reference": "D-1", "name": "Again", "price": "1", "season": ""},
        {"reference": "", "name": "", "price": "", "season": ""},
    ]
    looked, job = looked_through(sheet(*rows)), taken_in(sheet(*rows))
    assert problems(looked) == problems(job)
    assert counts(job) == {"created": 1, "unchanged": 1, "refused": 7}
    told = dict(problems(job))
    assert list(told) == [3, 4, 5, 6, 7, 8, 9]
    assert told[3] == "It has no reference."
    assert told[6] == "price: 'much' is no number."
    assert "season: 'rainy' is none of spring" in told[8]
    assert told[9] == "The same reference stands in row 2."
    assert Product.objects.get().name == "Dress"


@pytest.mark.parametrize(
    ("file", "told"),
    [
        (SimpleUploadedFile("a.csv", b""), "It is empty"),
        (SimpleUploadedFile("a.csv", "Caf\xe9\n".encode("latin-1")), "UTF-8"),
        (SimpleUploadedFile("a.csv", b"a,a\n1,2"), "one name"),
        (SimpleUploadedFile("a.xlsx", b"PK no book"), "no XLSX file"),
    ],
)
def test_what_is_no_sheet_is_refused(file, told):
    with pytest.raises(BadSheet, match=told):
        exchange.start(file, photos=False)
    assert not ImportJob.objects.exists()


def test_a_sheet_that_breaks_off_in_other_signs_fails_and_says_so():
    data = b"reference,name\n" + b"D-1,Dress\n" * 5000 + "D-2,Caf\xe9\n".encode("latin-1")
    job = looked_through(SimpleUploadedFile("a.csv", data))
    assert (job.state, job.position) == ("failed", 0)
    assert "UTF-8" in job.problem


def test_a_sheet_with_nul_characters_fails_and_says_so():
    data = b"reference,name\n" + b"D-1,Dress\n" * 5000 + b"D-2,Co\0at\n"
    job = looked_through(SimpleUploadedFile("a.csv", data))
    assert (job.state, job.position) == ("failed", 0)
    assert "Row 5002 holds a NUL character" in job.problem


def test_a_book_of_a_spreadsheet_is_read_with_its_numbers():
    job = taken_in(book(["reference", "name", "price"], [1001, "Dress", 19.9], ["=1+1", "x", None]))
    assert job.total == 2
    product = Product.objects.get()
    assert (product.reference, product.price) == ("1001", Decimal("19.90"))
    assert job.file.name.endswith(".csv")


def test_other_dividers_and_a_mark_at_the_start_are_read():
    data = "\ufeffreference;name;tags\nD-1;Dress, long;red\n".encode()
    taken_in(SimpleUploadedFile("a.csv", data))
    assert Product.objects.get().name == "Dress, long"


# --- Pictures of rows -----------------------------------------------------------------------


def test_pictures_come_from_the_archive_and_are_known_again():
    pictures = {"a/one.jpg": photo("red"), "two.jpg": photo("blue")}
    row = {"reference": "D-1", "name": "Dress", "images": "one.jpg|two.jpg"}
    taken_in(sheet(row), archive=zipped(**pictures))
    product = Product.objects.get()
    assert [image.source_name for image in product.images.order_by("position")] == [
        "one.jpg",
        "two.jpg",
    ]
    again = looked_through(sheet(row), archive=zipped(**pictures))
    assert counts(again) == {"unchanged": 1}
    turned = taken_in(sheet({**row, "images": "two.jpg"}), archive=zipped(**pictures))
    assert counts(turned) == {"changed": 1}
    assert [image.source_name for image in product.images.all()] == ["two.jpg"]


def test_a_file_that_was_merged_into_a_picture_of_the_product_is_that_picture():
    pictures = {"one.jpg": photo("red"), "two.jpg": photo("blue")}
    row = {"reference": "D-1", "name": "Dress", "images": "one.jpg|two.jpg"}
    taken_in(sheet(row), archive=zipped(**pictures))
    one, two = Product.objects.get().images.order_by("position")
    merge_into(one, two)
    assert counts(looked_through(sheet(row), archive=zipped(**pictures))) == {"unchanged": 1}
    assert counts(taken_in(sheet(row), archive=zipped(**pictures))) == {"unchanged": 1}
    assert Product.objects.get().images.get() == one


@pytest.mark.django_db(transaction=True)
def test_a_picture_that_one_row_gives_up_and_another_takes_keeps_a_file():
    pictures = {"one.jpg": photo("red"), "two.jpg": photo("blue")}
    first, second = ({"reference": name, "name": "Dress"} for name in ("D-1", "D-2"))
    taken_in(sheet({**first, "images": "one.jpg"}), archive=zipped(**pictures))
    moved = sheet({**first, "images": "two.jpg"}, {**second, "images": "one.jpg"})
    assert counts(taken_in(moved, archive=zipped(**pictures))) == {"changed": 1, "created": 1}
    images = OriginalImage.objects.all()
    assert {image.product.reference: image.source_name for image in images} == {
        "D-1": "two.jpg",
        "D-2": "one.jpg",
    }
    stored = [name for name in stored_files() if name.startswith("originals/")]
    assert stored == sorted(image.file.name for image in images)


def test_pictures_of_a_row_that_is_refused_leave_no_file():
    picture = similarity.take_in(photo("red"))
    with pytest.raises(ValidationError):
        services.put_product("D-1", {"name": ""}, [services.Listed(picture=picture)])
    assert stored_files() == []


def test_pictures_that_are_not_there_or_not_taken_are_a_rows_problem(settings):
    row = {"reference": "D-1", "name": "Dress"}
    job = taken_in(
        sheet(
            {**row, "images": "none.jpg"},
            {**row, "reference": "D-2", "images": "bad.jpg"},
            {**row, "reference": "D-3", "images": "https://shop.example/a.jpg"},
            {**row, "reference": "D-4", "images": "picture:0123456789abcdef"},
        ),
        archive=zipped(**{"bad.jpg": b"no picture"}),
    )
    assert counts(job) == {"refused": 4}
    told = [detail for _, detail in problems(job)]
    assert "There is no picture none.jpg" in told[0]
    assert "switched off" in told[2]
    assert "no picture of this product" in told[3]
    assert not Product.objects.exists()


def test_pictures_that_are_too_large_are_refused_one_by_one(settings):
    settings.MAX_UPLOAD_BYTES = 50_000
    small, large = photo("red"), bytes(50_001)
    assert len(small) <= settings.MAX_UPLOAD_BYTES
    rows = [
        {"reference": "D-1", "name": "Dress", "images": "a.jpg"},
        {"reference": "D-2", "name": "Dress", "images": "b.jpg"},
    ]
    job = taken_in(sheet(*rows), archive=zipped(**{"a.jpg": large, "b.jpg": small}))
    assert counts(job) == {"created": 1, "refused": 1}
    assert problems(job) == [(2, "The file has 50,001 bytes; at most 50,000 are taken.")]
    job = taken_in(zipped(**{"D-2/a.jpg": large, "D-2/b.jpg": small}), photos=True)
    assert counts(job) == {"unchanged": 1, "refused": 1}


def test_addresses_are_left_to_the_worker_that_fetches(settings):
    settings.ALLOW_IMAGE_URLS = True
    url = "https://shop.example/a.jpg"
    row = {"reference": "D-1", "name": "Dress", "images": url}
    assert counts(taken_in(sheet(row))) == {"created": 1}
    [run] = Product.objects.get().runs.all()
    assert run.options["url"] == url
    bad = taken_in(sheet({**row, "images": "https://"}))
    assert counts(bad) == {"refused": 1}


# --- Going on -------------------------------------------------------------------------------


def many(count: int) -> SimpleUploadedFile:
    return sheet(*({"reference": f"P-{n}", "name": f"Thing {n}"} for n in range(count)))


def test_a_job_that_is_given_back_goes_on_where_it_was(monkeypatch):
    job = looked_through(many(120))
    exchange.take_in(job)
    monkeypatch.setattr(exchange, "SLICE_SECONDS", -1)
    positions = []
    while not positions or job.state == "running":
        positions.append(done(job).position)
    assert positions == [50, 100, 120, 120]
    assert (job.state, counts(job)) == ("done", {"created": 120})
    assert Product.objects.count() == 120


def test_a_job_is_stopped_between_rows_and_goes_on_when_asked(monkeypatch):
    job = looked_through(many(120))
    exchange.take_in(job)
    put = exchange.services.put_product

    def stop_at_70(reference, *args):
        if reference == "P-70":
            exchange.cancel(ImportJob.objects.get(pk=job.pk))
        return put(reference, *args)

    monkeypatch.setattr(exchange.services, "put_product", stop_at_70)
    assert (done(job).state, job.position) == ("cancelled", 50)
    exchange.take_in(job)
    monkeypatch.setattr(exchange.services, "put_product", put)
    assert (done(job).state, job.position) == ("done", 120)
    assert Product.objects.count() == 120
    assert counts(job) == {"created": 70, "unchanged": 50}


def long_book() -> ImportJob:
    rows = [[f"P-{number}", "Coat"] for number in range(9)]
    job = exchange.start(book(["reference", "name"], *rows), photos=False)
    exchange.check(job, job.columns)
    return job


def test_a_long_book_is_nobody_else_s_while_it_is_read(monkeypatch):
    monkeypatch.setattr(sheets, "ROWS_AT_ONCE", 2)
    seen, job = [], long_book()
    text = sheets._text

    def slow(value):
        if value == "P-5":  # long after the worker has taken the job
            ImportJob.objects.filter(pk=job.pk).update(due_at=timezone.now())
        if value == "P-8":
            seen.append(ImportJob.objects.claim(job.pk, exchange.LEASE))
        return text(value)

    monkeypatch.setattr(sheets, "_text", slow)
    assert (done(job).state, job.total) == ("checked", 9)
    assert seen == [None]


@pytest.mark.parametrize("value", ["P-5", None], ids=["while it is read", "once it is read"])
def test_a_book_that_is_stopped_while_it_is_read_stays_as_it_was(monkeypatch, value):
    monkeypatch.setattr(sheets, "ROWS_AT_ONCE", 2)
    job = long_book()
    text, as_csv, read = sheets._text, sheets.as_csv, []

    def noted(cell):
        read.append(cell)
        if cell == value:
            exchange.cancel(ImportJob.objects.get(pk=job.pk))
        return text(cell)

    def whole(*given):
        data = as_csv(*given)
        if value is None:
            exchange.cancel(ImportJob.objects.get(pk=job.pk))
        return data

    monkeypatch.setattr(sheets, "_text", noted)
    monkeypatch.setattr(sheets, "as_csv", whole)
    name, before = job.file.name, stored_files()
    assert (done(job).state, job.file.name, stored_files()) == ("new", name, before)
    assert ("P-8" in read) == (value is None)
    monkeypatch.undo()
    exchange.check(job, job.columns)
    assert (done(job).state, job.total) == ("checked", 9)


def test_a_worker_that_dies_leaves_its_job_to_the_next(
    monkeypatch, django_capture_on_commit_callbacks
):
    job = looked_through(many(60))
    exchange.take_in(job)

    def dies(*_):
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(exchange.services, "put_product", dies)
        with pytest.raises(SystemExit):
            exchange.work(job.pk)
    assert done(job).state == "running", "not to be had before its time"
    ImportJob.objects.update(due_at=job.created_at - exchange.UNCLAIMED)
    get_broker().purge_queue()
    with django_capture_on_commit_callbacks(execute=True):
        similarity.sweep()
    assert get_broker().queue_size() == 1
    assert done(job).state == "done"


def test_a_book_that_is_begun_anew_while_it_is_read_is_lost_by_neither_worker(monkeypatch):
    job, as_csv = long_book(), sheets.as_csv

    def overtaken(*given):
        data = as_csv(*given)
        monkeypatch.setattr(sheets, "as_csv", as_csv)
        anew = ImportJob.objects.get(pk=job.pk)
        exchange.cancel(anew)
        exchange.check(anew, anew.columns)
        assert done(anew).state == "checked"
        return data

    monkeypatch.setattr(sheets, "as_csv", overtaken)
    exchange.work(job.pk)
    job.refresh_from_db()
    assert (job.state, job.total) == ("checked", 9)
    assert stored_files() == [job.file.name]
    exchange.take_in(job)
    assert counts(done(job)) == {"created": 9}


def dies(*_):
    """As the queue's time limit ends a worker; one that lacks memory tells as little."""
    raise SystemExit


def lose_a_worker(job: ImportJob) -> None:
    with pytest.raises(SystemExit):
        exchange.work(job.pk)
    ImportJob.objects.update(due_at=timezone.now())


def test_a_job_that_kills_every_worker_fails_at_last(monkeypatch):
    job = looked_through(many(60))
    exchange.take_in(job)
    put = exchange.services.put_product
    monkeypatch.setattr(
        exchange.services, "put_product", lambda *row: dies() if row[0] == "P-55" else put(*row)
    )
    for _ in range(exchange.MOST_ATTEMPTS):
        lose_a_worker(job)
    assert done(job).state == "failed"
    assert job.finished_at is not None
    assert "lost 3 times after row or photo 50" in job.problem
    assert job.position == 50, "what came before is in"


def test_a_book_that_kills_every_worker_while_it_is_read_fails_at_last(monkeypatch):
    monkeypatch.setattr(sheets, "ROWS_AT_ONCE", 2)
    text, job = sheets._text, long_book()
    monkeypatch.setattr(sheets, "_text", lambda cell: dies() if cell == "P-5" else text(cell))
    for _ in range(exchange.MOST_ATTEMPTS):
        lose_a_worker(job)
    assert done(job).state == "failed"


def test_a_job_that_gets_on_may_lose_one_worker_after_another(monkeypatch):
    monkeypatch.setattr(exchange, "BATCH", 1)
    job = looked_through(many(9))
    exchange.take_in(job)
    report = exchange._report

    def then_dies(*reported):
        report(*reported)
        dies()

    monkeypatch.setattr(exchange, "_report", then_dies)
    for _ in range(9):
        lose_a_worker(job)
    monkeypatch.undo()
    assert (done(job).state, job.position) == ("done", 9)


def test_a_job_that_is_stopped_and_gone_on_with_has_all_its_attempts():
    job = looked_through(many(3))
    exchange.take_in(job)
    ImportJob.objects.update(attempts=exchange.MOST_ATTEMPTS)
    exchange.cancel(job)
    exchange.take_in(job)
    assert done(job).state == "done"


def test_two_workers_never_have_one_job(monkeypatch):
    job = looked_through(many(3))
    exchange.take_in(job)
    claimed = ImportJob.objects.claim(job.pk, exchange.LEASE)
    assert claimed is not None
    assert ImportJob.objects.claim(job.pk, exchange.LEASE) is None
    assert done(job).position == 0


def test_a_worker_at_an_import_is_not_taken_for_one_that_hangs():
    similarity.start_upload(similarity.take_in(photo()))
    job = looked_through(many(3))
    exchange.take_in(job)
    assert similarity.is_stalled(), "nobody is at anything"
    assert ImportJob.objects.claim(job.pk, exchange.LEASE) is not None
    assert not similarity.is_stalled()
    ImportJob.objects.update(due_at=timezone.now())
    assert similarity.is_stalled(), "it has told nothing for too long"


def test_only_what_was_looked_through_is_taken_in():
    job = exchange.start(many(3), photos=False)
    with pytest.raises(exchange.CannotDo):
        exchange.take_in(job)
    with pytest.raises(exchange.CannotDo):
        exchange.cancel(job)
    exchange.check(job, job.columns)
    exchange.cancel(job)
    assert job.state == "new"
    assert done(job).state == "new"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("gone", ["while it is looked for", "while another photo is taken in"])
def test_photos_of_a_product_that_is_deleted_meanwhile_are_refused(monkeypatch, gone):
    for name in ("D-1", "D-2"):
        save_product(name, name="Dress")
    job = looked_through(zipped(**{"D-1.png": photo("red"), "D-2.png": photo("blue")}), photos=True)
    exchange.take_in(job)
    where = (exchange, "products_called") if "looked" in gone else (exchange.intake, "take_in")
    before = getattr(*where)

    def deletes(*given):
        done = before(*given)
        Product.objects.filter(reference="D-2").delete()
        return done

    monkeypatch.setattr(*where, deletes)
    assert (done(job).state, counts(job)) == ("done", {"pictures": 1, "refused": 1})
    assert OriginalImage.objects.get().product.reference == "D-1"
    assert len(stored_files()) == 2  # the archive, and one picture


# --- There and back -------------------------------------------------------------------------

WORDS = st.text(
    st.one_of(
        st.sampled_from("|\\'=+-@,;\"\n\t éß→"),
        st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")),
    ),
    max_size=12,
).map(str.strip)
NAMES = WORDS.filter(bool)
SHOWN = st.fixed_dictionaries(
    {
        "name": NAMES,
        "description": WORDS,
        "store": WORDS,
        "brand": WORDS,
        "category": WORDS,
        "price": st.none() | st.decimals(0, 99_999, places=2),
        "rating": st.none() | st.decimals(0, 5, places=1),
        "sale_status": st.sampled_from(Product.SaleStatus.values),
        "waist_type": st.sampled_from(["", *Product.Waist.values]),
        "season": st.sampled_from(["", *Product.Season.values]),
        "listing_season": WORDS,
        "currency": st.sampled_from(["EUR", "USD"]),
        "tags": st.lists(NAMES, max_size=3, unique=True),
        "sizes": st.lists(NAMES, max_size=3, unique=True),
    }
)


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@effort(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(products=st.lists(SHOWN, min_size=1, max_size=3))
def test_an_exported_file_brings_the_very_same_back(kind, products):
    Product.objects.all().delete()
    for number, details in enumerate(products):
        save_product(f"D-{number}", **details)
    before, file = state(), exported(kind)
    same = looked_through(file)
    assert (counts(same), problems(same)) == ({"unchanged": len(products)}, [])
    Product.objects.all().delete()
    again = taken_in(exported_again(file))
    assert problems(again) == []
    assert state() == before


def exported(kind: str) -> SimpleUploadedFile:
    if kind == "csv":
        return SimpleUploadedFile("p.csv", "".join(sheets.csv_lines()).encode())
    out = io.BytesIO()
    sheets.write_xlsx(out)
    return SimpleUploadedFile("p.xlsx", out.getvalue())


def exported_again(file: SimpleUploadedFile) -> SimpleUploadedFile:
    file.seek(0)
    return SimpleUploadedFile(file.name, file.read())


def test_pictures_stay_as_they_are_when_a_file_comes_back():
    product = add_product("D-1", "red").image.product
    add_photo(photo("blue"), product)
    OriginalImage.objects.filter(product=product, position=1).update(
        source_url="https://a.example/b.jpg"
    )
    kept = list(OriginalImage.objects.order_by("pk").values())
    assert counts(looked_through(exported("csv"))) == {"unchanged": 1}
    save_product("D-1", name="Other")
    file = exported("csv")
    save_product("D-1", name="Changed")
    assert counts(taken_in(file)) == {"changed": 1}
    assert list(OriginalImage.objects.order_by("pk").values()) == kept


# --- Photos ---------------------------------------------------------------------------------


def test_photos_go_to_the_products_that_they_or_their_folders_are_named_for():
    for reference in ("D-1", "D-2", "D-3"):
        save_product(reference, name="Thing")
    file = zipped(
        **{
            "D-1.jpg": photo("red"),
            "photos/D-2/front.jpg": photo("blue"),
            "D-3_2.jpg": photo("green"),
            "else.jpg": photo("black"),
            "D-3.jpg": b"no picture",
        }
    )
    looked = looked_through(file, photos=True)
    assert counts(looked) == {"pictures": 3, "refused": 2}
    assert not OriginalImage.objects.exists()
    exchange.take_in(looked)
    job = done(looked)
    assert counts(job) == {"pictures": 3, "refused": 2}
    owners = dict(OriginalImage.objects.values_list("source_name", "product__reference"))
    assert owners == {"D-1.jpg": "D-1", "front.jpg": "D-2", "D-3_2.jpg": "D-3"}
    told = dict(job.problems.values_list("name", "detail"))
    assert told["else.jpg"] == "Neither its name nor its folder's is a product's reference."
    assert "D-3.jpg" in told


def test_photos_that_are_known_stay_whose_they_are():
    add_product("D-1", "red")
    save_product("D-2", name="Other")
    file = zipped(**{"D-1.jpg": photo("red"), "D-2.jpg": photo("red")})
    job = taken_in(file, photos=True)
    assert counts(job) == {"unchanged": 1, "refused": 1}
    assert "is a picture of red thing (D-1), and stays it" in problems(job)[0][1]


def test_photos_that_were_merged_into_another_are_that_one():
    kept, other = add_product("D-1", "red").image, add_photo(photo("blue")).image
    save_product("D-2", name="Other")
    merge_into(kept, other)
    file = zipped(**{"D-1.jpg": photo("blue"), "D-2.jpg": photo("blue")})
    job = taken_in(file, photos=True)
    assert counts(job) == {"unchanged": 1, "refused": 1}
    assert "is a picture of red thing (D-1), and stays it" in problems(job)[0][1]
    assert OriginalImage.objects.get() == kept


def test_a_dangerous_archive_is_refused_before_anything_is_kept(tmp_path):
    with pytest.raises(BadArchive):
        exchange.start(zipped(**{"../up.jpg": b"x"}), photos=True)
    with pytest.raises(BadArchive):
        exchange.start(many(1), photos=False, archive=zipped(**{"a.zip": b"x"}))
    assert not ImportJob.objects.exists()
    assert not list((tmp_path / "media").rglob("*"))
