"""Pictures in an object store, which a real server on loopback is."""

from __future__ import annotations

import datetime as dt
import io
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.utils import timezone
from PIL import Image

from catalog import strays
from catalog.pictures import open_picture
from similarity import services
from similarity.engine import datasets
from similarity.engine.errors import BadDataset
from similarity.labelled import catalogue_photos
from similarity.models import Query
from tests.api.test_export import taken_away
from tests.pictures import as_file, photo
from tests.scratch import eventually
from tests.shop import add_photo, add_product
from tests.shopserver.test_exchange import sheet, taken_in, zipped

boto3 = pytest.importorskip("boto3")
moto = pytest.importorskip("moto.server")

BUCKET = "shop-pictures"
KEYS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "secret"}


class Bucket:
    """The store seen past all of the product's own code."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client: Any = boto3.client("s3", endpoint_url=url, region_name="us-east-1")
        self._client.create_bucket(Bucket=BUCKET)

    def names(self) -> set[str]:
        found = self._client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return {entry["Key"] for entry in found}

    def read(self, name: str) -> bytes:
        data: bytes = self._client.get_object(Bucket=BUCKET, Key=name)["Body"].read()
        return data

    def lose(self, name: str) -> None:
        self._client.delete_object(Bucket=BUCKET, Key=name)

    def empty(self) -> None:
        for name in self.names():
            self.lose(name)


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it tells of each request
        server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        yield Bucket(f"http://{host}:{port}")
        server.stop()


@pytest.fixture
def store(bucket, settings, db) -> Iterator[Bucket]:
    """The store, in which this shop's pictures lie."""
    options = {"bucket_name": BUCKET, "location": "shop", "endpoint_url": bucket.url}
    default = {"BACKEND": "catalog.object_store.ObjectStorage", "OPTIONS": options}
    settings.STORAGES = {**settings.STORAGES, "default": default}
    yield bucket
    assert not Path(configured.MEDIA_ROOT).exists(), "nothing is written to the disk"
    bucket.empty()


def opened(response) -> Image.Image:
    return Image.open(io.BytesIO(response.getvalue()))


def test_an_upload_lies_there_and_is_described(store, merchandiser):
    sent = {"images": [as_file(photo("red"))]}
    answer = merchandiser.post("/api/v1/uploads/", sent, "multipart")
    assert answer.status_code < 300, answer.content
    garment = add_photo(photo("red"))
    assert store.names() == {f"shop/{garment.image.file.name}"}
    assert garment.embeddings.count() == 1


def test_pictures_are_shown_whole_and_made_smaller_once(store, stranger):
    garment = add_product("D-1", "red")
    whole = f"/api/v1/images/{garment.image.identifier}/file/"
    assert stranger.get(whole).getvalue() == store.read(f"shop/{garment.image.file.name}")
    before = store.names()
    for _ in range(2):
        assert opened(stranger.get(whole, {"width": 160})).format == "JPEG"
    [made] = store.names() - before
    assert made.startswith("shop/derived/")
    [again] = {made} & store.names()
    assert stranger.get(whole, {"width": 160}).getvalue() == store.read(again)


def test_a_picture_that_the_store_has_lost_is_not_found(store, stranger):
    garment = add_product("D-1", "red")
    store.lose(f"shop/{garment.image.file.name}")
    assert stranger.get(f"/api/v1/images/{garment.image.identifier}/file/").status_code == 404


def test_a_deleted_picture_takes_its_copies_along(
    store, stranger, merchandiser, django_capture_on_commit_callbacks
):
    garment, other = add_product("D-1", "red"), add_product("D-2", "blue")
    url = f"/api/v1/images/{garment.image.identifier}/"
    stranger.get(f"{url}file/", {"width": 160}).getvalue()
    assert len(store.names()) == 3
    with django_capture_on_commit_callbacks(execute=True):
        assert merchandiser.delete(url).status_code == 204
    assert store.names() == {f"shop/{other.image.file.name}"}


def test_one_searches_by_a_photo_and_it_expires(store, shopper, django_capture_on_commit_callbacks):
    add_product("D-1", "red")
    kept = store.names()
    sent = {"image": as_file(photo("red", seed=3))}
    answer = shopper.post("/api/v1/searches/", sent, "multipart").json()
    assert answer["results"][0]["product"]["reference"] == "D-1"
    assert store.names() - kept == {f"shop/queries/{answer['query']['id']}.jpg"}
    Query.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    with django_capture_on_commit_callbacks(execute=True):
        services.sweep()
    assert store.names() == kept


def test_one_s_photos_are_in_what_one_takes_away(store, shopper):
    add_product("D-1", "red")
    sent = {"image": as_file(photo("red", seed=3))}
    query = shopper.post("/api/v1/searches/", sent, "multipart").json()["query"]["id"]
    files = taken_away(shopper)
    assert files[f"photos/{query}.jpg"] == store.read(f"shop/queries/{query}.jpg")


def test_sheets_and_archives_are_read_from_there(store):
    archive = zipped(**{"red.png": photo("red")})
    job = taken_in(
        sheet({"reference": "D-1", "name": "Dress", "images": "red.png"}), archive=archive
    )
    assert job.state == job.State.DONE, job.problem
    assert any(name.startswith("shop/originals/") for name in store.names())


def test_a_training_streams_the_catalogue_from_there(store):
    garment = add_product("D-1", "red", category="Dresses")
    [labelled] = catalogue_photos()
    assert datasets.open_rgb(labelled).size == (120, 160)
    store.lose(f"shop/{garment.image.file.name}")
    with pytest.raises(BadDataset, match="cannot be read"):
        datasets.open_rgb(labelled)


@pytest.mark.slow
def test_a_web_process_and_a_worker_share_it_by_settings_alone(bucket, open_shop):
    shop = open_shop(S3_BUCKET=BUCKET, S3_ENDPOINT_URL=bucket.url, S3_PREFIX="two", **KEYS)
    shop.upload(photo("red"))
    shop.start("worker")
    eventually(lambda: [run["state"] for run in shop.runs()] == ["done"])
    [name] = bucket.names()
    assert name.startswith("two/")
    assert not (shop.folder / "media").exists()
    shutil.rmtree(shop.folder / "inbox")
    bucket.empty()


def test_files_that_no_row_has_are_swept(store, capsys, monkeypatch):
    image = add_product("D-1", "red").image
    open_picture(image.file.name, width=160).close()
    known = store.names()
    strays_left = ("queries/5b1c.jpg", "derived/originals/ab/gone/whole-160.jpg")
    for name in strays_left:
        default_storage.save(name, ContentFile(b"left"))
    call_command("sweep_files")
    assert capsys.readouterr().out == "0 files deleted.\n", "they are young"
    monkeypatch.setattr(strays, "AGE", -dt.timedelta(days=1))
    call_command("sweep_files")
    assert capsys.readouterr().out == "2 files deleted.\n"
    assert store.names() == known


def test_when_a_file_that_is_not_there_has_changed_cannot_be_told(store):
    with pytest.raises(FileNotFoundError):
        default_storage.get_modified_time("queries/5b1c.jpg")
