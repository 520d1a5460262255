"""`manage.py ingest_folder`."""

from __future__ import annotations

import datetime as dt
import os
import signal
import time
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django_q.brokers import get_broker

from catalog.models import OriginalImage, Product, Segment, SegmentColour
from similarity import backends, pipeline, services
from similarity.models import Embedding, Run
from tests.pictures import photo
from tests.scratch import Shop, eventually

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / "pictures"
    path.mkdir()
    return path


def put(folder: Path, *colours: str) -> None:
    for colour in colours:
        (folder / f"{colour}.png").write_bytes(photo(colour))


def ingested(capsys, folder: Path, **options) -> tuple[str, str]:
    call_command("ingest_folder", folder, **options)
    return capsys.readouterr()


# --- Pictures --------------------------------------------------------------------------------


def test_all_pictures_of_a_folder_and_those_below_are_taken_in(folder, capsys):
    put(folder, "red", "green")
    (folder / "deeper" / "still").mkdir(parents=True)
    put(folder / "deeper" / "still", "blue")
    (folder / "notes.txt").write_text("No picture.")
    out, err = ingested(capsys, folder)
    assert out.startswith("3 added, 0 known already, 0 rejected in ")
    assert err == ""
    assert set(OriginalImage.objects.values_list("source_name", "source", "status")) == {
        ("red.png", "folder", "ready"),
        ("green.png", "folder", "ready"),
        ("deeper/still/blue.png", "folder", "ready"),
    }
    assert Segment.objects.count() == Embedding.objects.count() == 3
    assert set(SegmentColour.objects.values_list("segment__image__source_name", "colour")) == {
        ("red.png", "red"),
        ("green.png", "green"),
        ("deeper/still/blue.png", "blue"),
    }
    assert set(Run.objects.values_list("state", flat=True)) == {Run.State.DONE}


def test_a_second_time_adds_nothing(folder, capsys):
    put(folder, "red", "green")
    ingested(capsys, folder)
    before = list(Embedding.objects.values_list("pk", flat=True))
    out, _ = ingested(capsys, folder)
    assert out.startswith("0 added, 2 known already, 0 rejected")
    assert list(Embedding.objects.values_list("pk", flat=True)) == before
    assert Run.objects.count() == 2


def test_the_same_picture_under_two_names_is_one_image(folder, capsys):
    (folder / "one.png").write_bytes(photo())
    (folder / "two.png").write_bytes(photo())
    out, _ = ingested(capsys, folder)
    assert out.startswith("1 added, 1 known already")
    assert OriginalImage.objects.count() == 1


def test_one_bad_file_is_reported_and_the_others_are_stored(folder, capsys):
    put(folder, "red", "green")
    (folder / "cut.png").write_bytes(photo("blue")[:500])
    (folder / "letter.jpg").write_bytes(b"Dear Sir or Madam")
    (folder / "nothing.jpg").touch()
    out, err = ingested(capsys, folder)
    assert out.startswith("2 added, 0 known already, 3 rejected")
    assert [line.partition(":")[0] for line in err.splitlines()] == [
        "cut.png",
        "letter.jpg",
        "nothing.jpg",
    ]
    assert OriginalImage.objects.count() == 2


def test_a_picture_that_cannot_be_described_is_reported(folder, capsys, settings):
    settings.EMBEDDER = "tests.pipeline.backends:PickyEmbedder"
    put(folder, "red", "black", "blue")
    out, err = ingested(capsys, folder)
    assert out.startswith("2 added, 0 known already, 1 rejected")
    assert "black.png: Something went wrong here" in err


def test_a_picture_that_failed_before_gets_another_chance(folder, capsys, settings):
    settings.DETECTOR = "tests.pipeline.backends:FailingDetector"
    put(folder, "red")
    with pytest.raises(CommandError):
        call_command("ingest_folder", folder)
    settings.DETECTOR = "whole_image"
    backends.forget()
    capsys.readouterr()
    out, _ = ingested(capsys, folder)
    assert out.startswith("0 added, 1 known already, 0 rejected")
    assert OriginalImage.objects.get().status == OriginalImage.Status.READY
    assert Embedding.objects.count() == 1


def test_a_picture_that_waits_for_a_worker_is_described_here(folder, capsys):
    services.start_upload(services.take_in(photo("red")))
    put(folder, "red")
    out, _ = ingested(capsys, folder)
    assert out.startswith("0 added, 1 known already")
    assert Run.objects.get().state == Run.State.DONE


def test_a_picture_whose_process_was_killed_is_described_here(folder, capsys, settings):
    run = services.start_upload(services.take_in(photo("red")), queued=False).run
    pipeline.claim([run.pk])
    put(folder, "red")
    ingested(capsys, folder)
    assert Run.objects.get().state == Run.State.RUNNING, "for all we know, it is being worked on"
    long_ago = run.queued_at - dt.timedelta(seconds=settings.RUN_LEASE_SECONDS + 1)
    Run.objects.update(heartbeat=long_ago)
    ingested(capsys, folder)
    assert Run.objects.get().state == Run.State.DONE
    assert Embedding.objects.count() == 1


def test_no_worker_is_asked(folder, capsys, transactional_db):
    get_broker().purge_queue()
    put(folder, "red")
    ingested(capsys, folder)
    assert get_broker().queue_size() == 0


def test_an_ingest_that_is_interrupted_can_be_taken_up_again(folder, capsys, settings):
    """Ctrl-C in the middle of a batch leaves no run behind that looks alive."""
    put(folder, "red", "green", "blue")
    settings.DETECTOR = "tests.pipeline.backends:InterruptedDetector"
    with pytest.raises(KeyboardInterrupt):
        call_command("ingest_folder", folder)
    assert not Run.objects.filter(state=Run.State.RUNNING).exists()
    settings.DETECTOR = "whole_image"
    backends.forget()
    capsys.readouterr()
    out, _ = ingested(capsys, folder)
    assert out.startswith("0 added, 3 known already, 0 rejected")
    assert Embedding.objects.count() == 3


def put_many(folder: Path, count: int) -> None:
    for seed in range(count):
        (folder / f"{seed:03}.png").write_bytes(photo("red", (60, 80), seed))


def assert_whole(shop: Shop, count: int) -> None:
    assert shop.query("SELECT status, COUNT(*) FROM catalog_originalimage GROUP BY status") == [
        ("ready", count)
    ]
    assert shop.count("catalog_segment") == shop.count("similarity_embedding") == count
    assert {run["state"] for run in shop.runs()} == {"done"}


def test_many_pictures_are_taken_in_by_several_processes(open_shop, folder):
    shop = open_shop()
    put_many(folder, 100)
    for number in (40, 70, 99):
        (folder / f"{number:03}.png").write_bytes(photo("red", (60, 80), 0))  # as the first one
    (folder / "050.png").write_bytes(b"Dear Sir or Madam")
    done = shop.manage("ingest_folder", folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("96 added, 3 known already, 1 rejected")
    assert done.stderr.startswith("050.png: ")
    assert_whole(shop, 96)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda n: n.name)
def test_an_ingest_that_is_ended_in_the_middle_is_completed_by_the_next(open_shop, folder, number):
    shop = open_shop(RUN_LEASE_SECONDS=1)
    put_many(folder, 250)
    slow = "tests.pipeline.backends:UnhurriedDetector"
    ingest = shop.start("ingest_folder", folder, DETECTOR=slow)
    eventually(lambda: shop.count("similarity_embedding") > 0)
    os.killpg(ingest.pid, number)
    assert ingest.wait(120) != 0
    assert shop.count("similarity_embedding") < 250
    eventually(lambda: not shop.processes())
    time.sleep(1)  # the lease of what nobody could give back
    done = shop.manage("ingest_folder", folder)
    assert done.returncode == 0, done.stderr
    assert_whole(shop, 250)


def test_a_file_with_an_odd_name_is_taken_in_like_any(folder, capsys):
    (folder / os.fsdecode(b"caf\xe9.png")).write_bytes(photo("red"))
    out, err = ingested(capsys, folder)
    assert out.startswith("1 added")
    assert err == ""
    assert OriginalImage.objects.get().source_name == "caf\ufffd.png"


def test_a_file_that_is_too_large_is_reported(folder, capsys, settings):
    put(folder, "red")
    settings.MAX_UPLOAD_BYTES = len(photo("red")) - 1
    with pytest.raises(CommandError):
        call_command("ingest_folder", folder)
    assert "red.png" in capsys.readouterr().err


# --- Products --------------------------------------------------------------------------------


def products_of(capsys, folder: Path, text: str) -> str:
    """What is said on stderr of a CSV file with that text."""
    path = folder.parent / "products.csv"
    path.write_text(text, encoding="utf-8")
    return ingested(capsys, folder, products=path)[1]


def test_a_csv_file_gives_pictures_their_products(folder, capsys):
    put(folder, "red")
    err = products_of(
        capsys,
        folder,
        "file,reference,name,price,currency,category,tags,sizes,sale_status\n"
        'red.png,D-1,"Dress, red",12.50,GBP,Dresses,floral|summer,M|L,sale\n',
    )
    assert err == ""
    product = OriginalImage.objects.get().product
    assert (product.reference, product.name) == ("D-1", "Dress, red")
    assert (product.price, product.currency) == (Decimal("12.50"), "GBP")
    assert product.category.name == "Dresses"
    assert {tag.name for tag in product.tags.all()} == {"floral", "summer"}
    assert {size.name for size in product.sizes.all()} == {"M", "L"}
    assert product.sale_status == Product.SaleStatus.SALE


def test_several_pictures_may_show_one_product(folder, capsys):
    put(folder, "red", "green", "blue")
    err = products_of(
        capsys,
        folder,
        "file,reference,name,brand\n"
        "red.png,D-1,Red dress,Ada\ngreen.png,D-1,,\nblue.png,D-2,Blue dress,Bea\n",
    )
    assert err == ""
    product = Product.objects.get(reference="D-1")
    assert product.images.count() == 2
    assert (product.name, product.brand) == ("Red dress", "Ada"), "an empty cell says nothing"
    assert Product.objects.count() == 2


def test_a_product_without_a_name_is_called_by_its_reference(folder, capsys):
    put(folder, "red")
    products_of(capsys, folder, "file,reference\nred.png,D-1\n")
    assert Product.objects.get().name == "D-1"


def test_a_product_that_is_there_keeps_what_the_file_does_not_name(folder, capsys):
    Product.objects.create(reference="D-1", name="Red dress", brand="Ada")
    put(folder, "red")
    products_of(capsys, folder, "file,reference,price\nred.png,D-1,5\n")
    product = Product.objects.get()
    assert (product.name, product.brand, product.price) == ("Red dress", "Ada", 5)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("green.png,D-2,Green,cheap", "price"),
        ("green.png,D-2,Green,-1", "price"),
        ("green.png,D 2,Green,1", "reference"),
        ("green.png,,Green,1", "reference"),
        (",D-2,Green,1", "no picture"),
        ("/etc/passwd,D-2,Green,1", "no picture"),
        ("../products.csv,D-2,Green,1", "no picture"),
        ("green.png", "too few or too many"),
        ("green.png,D-2,Green,1,2,3", "too few or too many"),
        (f"green.png,D-2,{'x' * 201},1", "name"),
    ],
)
def test_a_bad_row_is_reported_by_its_line_and_the_others_count(folder, capsys, row, said):
    put(folder, "red", "green", "blue")
    err = products_of(
        capsys,
        folder,
        f"file,reference,name,price\nred.png,D-1,Red,1\n{row}\nblue.png,D-3,Blue,3\n",
    )
    assert err.startswith("products.csv, line 3: ")
    assert said in err
    assert len(err.splitlines()) == 1
    assert sorted(Product.objects.values_list("reference", flat=True)) == ["D-1", "D-3"]
    assert OriginalImage.objects.count() == 3, "its picture comes in without a product"


def test_a_row_for_a_picture_that_is_not_there_is_reported(folder, capsys):
    put(folder, "red")
    err = products_of(capsys, folder, "file,reference\nrde.png,D-1\n")
    assert err == "products.csv, line 2: there is no picture 'rde.png' in the folder.\n"
    assert not Product.objects.exists()


def test_a_file_saved_by_a_spreadsheet_is_read(folder, capsys):
    put(folder, "red")
    path = folder.parent / "products.csv"
    path.write_bytes("\ufefffile,reference,name\r\nred.png,D-1,Jupe à fleurs\r\n".encode())
    ingested(capsys, folder, products=path)
    assert Product.objects.get().name == "Jupe à fleurs"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,reference,colour\nred.png,D-1,red\n", "unknown columns: colour"),
        ("reference,name\nD-1,Red\n", "needs the columns file and reference"),
        ("", "needs the columns file and reference"),
    ],
)
def test_a_csv_file_with_wrong_columns_is_refused_before_anything_is_taken_in(folder, text, said):
    put(folder, "red")
    path = folder.parent / "products.csv"
    path.write_text(text)
    with pytest.raises(CommandError, match=said):
        call_command("ingest_folder", folder, products=path)
    assert not OriginalImage.objects.exists()


def test_a_csv_file_that_cannot_be_read_is_refused(folder, tmp_path):
    put(folder, "red")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("ingest_folder", folder, products=tmp_path / "nothing.csv")
    (tmp_path / "latin.csv").write_bytes("file,reference,name\nred.png,D-1,ü\n".encode("latin-1"))
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("ingest_folder", folder, products=tmp_path / "latin.csv")


# --- Nothing to do ---------------------------------------------------------------------------


def test_an_empty_folder_is_an_error(folder):
    with pytest.raises(CommandError, match="no pictures"):
        call_command("ingest_folder", folder)


def test_what_is_no_folder_is_an_error(folder):
    put(folder, "red")
    for path in (folder / "red.png", folder / "nothing"):
        with pytest.raises(CommandError, match="no folder"):
            call_command("ingest_folder", path)


def test_a_folder_of_bad_files_alone_is_an_error(folder, capsys):
    (folder / "letter.jpg").write_bytes(b"Dear Sir or Madam")
    with pytest.raises(CommandError, match="Not one picture"):
        call_command("ingest_folder", folder)
    assert "letter.jpg" in capsys.readouterr().err


def test_missing_weights_are_an_error_before_anything_is_taken_in(folder, settings, tmp_path):
    settings.EMBEDDER = "resnet50"
    settings.BACKEND_OPTIONS = {"resnet50": {"models_dir": tmp_path}}
    put(folder, "red")
    with pytest.raises(CommandError):
        call_command("ingest_folder", folder)
    assert not OriginalImage.objects.exists()


def test_a_detector_without_weights_is_an_error_before_anything_is_taken_in(
    folder, settings, tmp_path
):
    settings.DETECTOR = "groundingdino"
    settings.BACKEND_OPTIONS = {"groundingdino": {"models_dir": tmp_path, "prompt": ["top"]}}
    put(folder, "red")
    with pytest.raises(CommandError):
        call_command("ingest_folder", folder)
    assert not OriginalImage.objects.exists()


def test_a_script_sees_by_the_exit_code_whether_anything_was_done(open_shop, folder):
    shop = open_shop()
    (folder / "letter.jpg").write_bytes(b"Dear Sir or Madam")
    failed = shop.manage("ingest_folder", folder)
    assert failed.returncode != 0
    assert "Traceback" not in failed.stderr
    put(folder, "red")
    assert shop.manage("ingest_folder", folder).returncode == 0
    assert shop.count("similarity_embedding") == 1
    assert shop.count("django_q_ormq") == 0
