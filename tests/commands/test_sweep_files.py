"""`manage.py sweep_files`."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.utils import timezone

from catalog import strays
from catalog.pictures import open_picture
from shop import exchange
from similarity import services
from similarity.models import Query
from tests.api import stored_files
from tests.pictures import photo
from tests.shop import add_product

pytestmark = pytest.mark.django_db

STRAYS = (
    "originals/ab/abcdef-token.jpg",
    "queries/5b1c.jpg",
    "golden/ab.jpg",
    "imports/products.csv",
    "derived/originals/ab/abcdef-token/whole-160.jpg",
)


def sweep(capsys, **options) -> list[str]:
    call_command("sweep_files", **options)
    return capsys.readouterr().out.splitlines()


def grow_old() -> None:
    """Have all files been there for longer than a day."""
    long_ago = (timezone.now() - strays.AGE - dt.timedelta(minutes=1)).timestamp()
    for name in stored_files():
        os.utime(Path(settings.MEDIA_ROOT) / name, (long_ago, long_ago))


@pytest.fixture
def shop():
    """A product, a search and an import, with copies of the pictures; the names of all files."""
    exchange.start(SimpleUploadedFile("products.csv", b"reference,name\nD-2,Dress\n"), photos=False)
    image = add_product("D-1", "red").image
    query = services.keep_query(services.take_in(photo("blue")), None)
    for file in (image.file, query.file):
        open_picture(file.name, width=160).close()
        open_picture(file.name, crop=(0, 0, 20, 20)).close()
    return stored_files()


@pytest.fixture
def left(shop):
    """What killed processes have left, of every kind."""
    for name in STRAYS:
        assert default_storage.save(name, ContentFile(b"left")) == name


def test_files_of_rows_and_their_copies_stay(shop, capsys):
    grow_old()
    assert sweep(capsys) == ["0 files deleted."]
    assert stored_files() == shop


def test_files_that_no_row_has_go(shop, left, capsys):
    grow_old()
    assert sweep(capsys) == [f"{len(STRAYS)} files deleted."]
    assert stored_files() == shop


def test_young_files_stay_for_their_row_may_be_on_its_way(left, capsys):
    before = stored_files()
    assert sweep(capsys) == ["0 files deleted."]
    assert stored_files() == before


def test_a_dry_run_names_them_and_deletes_nothing(left, capsys):
    before = stored_files()
    grow_old()
    *names, count = sweep(capsys, dry_run=True)
    assert sorted(names) == sorted(STRAYS)
    assert count == f"{len(STRAYS)} files would be deleted."
    assert stored_files() == before


def test_a_search_photo_whose_row_went_without_it_goes(shop, capsys):
    query = Query.objects.get()
    Query.objects.filter(pk=query.pk)._raw_delete(using="default")  # as if killed right after it
    grow_old()
    assert sweep(capsys) == ["3 files deleted."]
    assert not [name for name in stored_files() if str(query.pk) in name]


def test_a_file_that_goes_meanwhile_is_nobody_s_loss(left, capsys, monkeypatch):
    grow_old()
    names = strays._files

    def vanishing(folder):
        for name in names(folder):
            if name == STRAYS[1]:
                default_storage.delete(name)
            yield name

    monkeypatch.setattr(strays, "_files", vanishing)
    assert sweep(capsys) == [f"{len(STRAYS) - 1} files deleted."]
