"""`manage.py import_legacy`: the old service's tables, folders and feeds."""

from __future__ import annotations

import csv
import json
import os
import secrets
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from catalog.models import FormerItem, OriginalImage, Product, Segment
from similarity import backends
from similarity.models import Embedding, Run
from tests.pictures import as_base64, photo, picture
from tests.scratch import connect_to_mariadb, eventually
from tests.test_servers import unreachable

pytestmark = pytest.mark.django_db


def imported(capsys, *arguments, **options) -> str:
    call_command("import_legacy", *map(str, arguments), **options)
    return capsys.readouterr().out


def errors_in(path: Path) -> list[tuple[str, str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["row", "picture", "reason"]
    return [tuple(row) for row in rows]


def state() -> list[object]:
    """All that an import writes."""
    return [
        sorted(Product.objects.values_list("reference", "name", "price", "images__sha256")),
        sorted(Segment.objects.values_list("identifier", "label", "detector", "x1")),
        sorted(Embedding.objects.values_list("pk", flat=True)),
        sorted(Run.objects.values_list("pk", "state", "attempts")),
    ]


# --- Folders ---------------------------------------------------------------------------------


def test_a_folder_of_photos_is_imported_and_the_second_time_adds_nothing(tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    for colour in ("red", "blue"):
        (tmp_path / "photos" / f"{colour}.png").write_bytes(photo(colour))
    (tmp_path / "photos" / "letter.jpg").write_bytes(b"Dear Sir or Madam")
    errors = tmp_path / "errors.csv"
    out = imported(capsys, "folder", tmp_path / "photos", "--errors", errors)
    assert out.startswith("0 products, 2 pictures added, 0 known already, 1 errors")
    [(row, name, _)] = errors_in(errors)
    assert row == name == "letter.jpg"
    before = state()
    assert "0 pictures added, 2 known" in imported(capsys, "folder", tmp_path / "photos")
    assert state() == before
    assert set(OriginalImage.objects.values_list("source", flat=True)) == {"import"}


# --- Feeds -----------------------------------------------------------------------------------


@pytest.fixture
def shop(tmp_path) -> Path:
    """A folder with a feed's pictures; beside it lies what is none of the feed's."""
    folder = tmp_path / "feed"
    (folder / "images").mkdir(parents=True)
    for colour in ("red", "green", "blue"):
        (folder / "images" / f"{colour}.png").write_bytes(photo(colour))
    (tmp_path / "secret.png").write_bytes(photo("pink"))
    (folder / "way-out.png").symlink_to(tmp_path / "secret.png")
    return folder


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


CSV_FEED = """sku;title;price;photos;tags;colour
D-1;Red dress;12.50;images/red.png|images/green.png;summer|floral;red
D-2;Blue dress;8;images/blue.png;;blue
"""

MAPPED = ["--map", "reference=sku", "--map", "name=title", "--map", "images=photos"]


def test_a_csv_feed_becomes_products_with_pictures(shop, capsys):
    path = write(shop / "feed.csv", CSV_FEED)
    out = imported(capsys, "feed", path, *MAPPED)
    assert out.startswith("2 products, 3 pictures added, 0 known already, 0 errors")
    product = Product.objects.get(reference="D-1")
    assert (product.name, str(product.price)) == ("Red dress", "12.50")
    assert {tag.name for tag in product.tags.all()} == {"summer", "floral"}
    names = product.images.order_by("position").values_list("source_name", flat=True)
    assert list(names) == ["images/red.png", "images/green.png"]
    assert Embedding.objects.count() == 3
    before = state()
    assert "0 pictures added, 3 known" in imported(capsys, "feed", path, *MAPPED)
    assert state() == before


def test_a_feed_of_json_lines_is_read_with_its_lists(shop, capsys):
    rows = [
        {"reference": "D-1", "name": "Red", "price": 12.5, "images": ["images/red.png"]},
        {"reference": "D-2", "name": "Green", "tags": ["a", "b"], "images": "images/green.png"},
    ]
    path = write(shop / "feed.jsonl", "\n".join(map(json.dumps, rows)))
    assert imported(capsys, "feed", path).startswith("2 products, 2 pictures added")
    assert str(Product.objects.get(reference="D-1").price) == "12.50"
    assert Product.objects.get(reference="D-2").tags.count() == 2


@pytest.mark.parametrize(
    "address", ["../secret.png", "way-out.png", "/etc/hostname", "images", "nothing.png", "a\0b"]
)
def test_no_file_outside_of_the_feed_s_folder_is_read(shop, capsys, tmp_path, address):
    row = {"reference": "D-1", "name": "Red", "images": [address, "images/red.png"]}
    path, errors = write(shop / "feed.jsonl", json.dumps(row)), tmp_path / "errors.csv"
    imported(capsys, "feed", path, "--errors", errors)
    assert list(OriginalImage.objects.values_list("source_name", flat=True)) == ["images/red.png"]
    [(line, _, reason)] = errors_in(errors)
    assert line == "line 1"
    assert repr(address) in reason


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"reference": "D 2", "name": "x", "images": "images/green.png"}', "reference"),
        ('{"reference": "D-2", "name": "x", "price": "cheap"}', "price"),
        ('{"reference": "D-2", "name": {"en": "x"}}', "name must be a text"),
        ('{"name": "x", "images": "images/green.png"}', "no reference"),
        ("[1, 2]", "no JSON object"),
        ("{", "no JSON"),
        (r'{"reference": "D-2", "name": "Party dress \ud83d"}', "half of a character"),
    ],
)
def test_a_bad_row_is_reported_and_stops_no_other(shop, capsys, tmp_path, line, said):
    good = ['{"reference": "D-1", "images": "images/red.png"}', '{"reference": "D-3"}']
    path = write(shop / "feed.jsonl", "\n".join([good[0], line, good[1]]))
    imported(capsys, "feed", path, "--errors", tmp_path / "errors.csv")
    [(row, _, reason)] = errors_in(tmp_path / "errors.csv")
    assert row == "line 2"
    assert said in reason
    assert set(Product.objects.values_list("reference", flat=True)) == {"D-1", "D-3"}
    assert OriginalImage.objects.count() == 1


def test_a_dry_run_says_what_would_be_and_changes_nothing(shop, capsys, settings):
    (shop / "images" / "green.png").write_bytes(b"Dear Sir or Madam")
    path = write(shop / "feed.csv", CSV_FEED)
    out = imported(capsys, "feed", path, *MAPPED, "--dry-run")
    assert out.startswith("Would be: 2 products, 2 pictures added, 0 known already, 1 errors")
    assert not Product.objects.exists()
    assert not OriginalImage.objects.exists()
    assert not Path(settings.MEDIA_ROOT).exists()


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("feed.csv", ["--map", "colour=x"], "is not FIELD=COLUMN"),
        ("feed.csv", ["--map", "name"], "is not FIELD=COLUMN"),
        ("nothing.csv", [], "cannot be read"),
    ],
)
def test_what_cannot_be_understood_is_refused(shop, name, arguments, said):
    write(shop / "feed.csv", CSV_FEED)
    with pytest.raises(CommandError, match=said):
        call_command("import_legacy", "feed", str(shop / name), *arguments)


def test_pictures_are_fetched_from_their_addresses_once(shop, capsys, tmp_path, web, settings):
    settings.ALLOW_LOCAL_ADDRESSES = True
    addresses = [web.show("/red.png", photo("red")), f"{web.url}/gone.png"]
    row = {"reference": "D-1", "name": "Red", "images": addresses}
    path = write(shop / "feed.jsonl", json.dumps(row))
    out = imported(capsys, "feed", path, "--errors", tmp_path / "errors.csv")
    assert out.startswith("1 products, 1 pictures added, 0 known already, 1 errors")
    [(_, address, reason)] = errors_in(tmp_path / "errors.csv")
    assert address == addresses[1]
    assert "404" in reason
    out = imported(capsys, "feed", path)
    assert out.startswith("1 products, 0 pictures added, 1 known already, 1 errors")
    assert [request.path for request in web.seen] == ["/red.png", "/gone.png", "/gone.png"]


def test_a_feed_leads_nobody_into_our_own_network(shop, capsys, tmp_path, web):
    address = web.show("/red.png", photo("red"))
    row = {"reference": "D-1", "name": "Red", "images": [address, "http://127.0.0.1/red.png"]}
    path = write(shop / "feed.jsonl", json.dumps(row))
    imported(capsys, "feed", path, "--errors", tmp_path / "errors.csv")
    reasons = [reason for _, _, reason in errors_in(tmp_path / "errors.csv")]
    assert "is not the public web's" in reasons[0]
    assert "not a public address" in reasons[1]
    assert web.seen == []


# --- The old service's tables ----------------------------------------------------------------

TABLES = """
CREATE TABLE splitted_images (
  id INT AUTO_INCREMENT PRIMARY KEY,
  splitted_image_id VARCHAR(255) UNIQUE, splitted_image_path VARCHAR(255),
  original_image_id VARCHAR(255), bounding_box TEXT, vector LONGTEXT,
  splitted_image_data LONGBLOB,
  create_time TIMESTAMP DEFAULT CURRENT_TIMESTAMP, update_time TIMESTAMP DEFAULT CURRENT_TIMESTAMP
) CHARACTER SET utf8mb4;
CREATE TABLE image_details (
  image_id VARCHAR(255) PRIMARY KEY, store_name VARCHAR(255), brand VARCHAR(255),
  product_name VARCHAR(255), store_description TEXT, url VARCHAR(500), rating FLOAT, tags JSON,
  sale_status VARCHAR(50), size JSON, waist_type VARCHAR(50), listing_season VARCHAR(50),
  season VARCHAR(50), times INT
) CHARACTER SET utf8mb4
"""


class OldShop:
    """A database as the old service has left it."""

    def __init__(self, server, name: str) -> None:
        self.server, self.url = server, f"mysql://root@127.0.0.1:3306/{name}"
        server.autocommit(True)
        server.select_db(name)
        for statement in TABLES.split(";"):
            self.run(statement)

    def run(self, sql: str, *values: object) -> list[tuple]:
        with self.server.cursor() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall())

    def add(self, original: str, number: int, data: bytes | str, vector: object) -> None:
        name = f"{original}_segment_{number}"
        self.run(
            "INSERT INTO splitted_images (splitted_image_id, splitted_image_path, "
            "original_image_id, bounding_box, vector, splitted_image_data) "
            "VALUES (%s, %s, %s, %s, %s, %s)",
            name,
            f"{original}/segment_{number}.png",
            original,
            str(number),
            json.dumps(vector),
            data,
        )

    def describe(self, original: str, **details: object) -> None:
        columns = {"image_id": original, **details}
        places = ", ".join(["%s"] * len(columns))
        self.run(
            f"INSERT INTO image_details ({', '.join(columns)}) VALUES ({places})",  # noqa: S608
            *columns.values(),
        )


@pytest.fixture
def old_shop() -> Iterator[OldShop]:
    name = f"fashionsim_old_{secrets.token_hex(4)}"
    try:
        server = connect_to_mariadb()
    except ImportError as error:
        unreachable(f"There is no MySQL driver: {error}")
    except Exception as error:  # noqa: BLE001  (the driver's own, which may not be there)
        unreachable(f"There is no MariaDB for root on 127.0.0.1: {error}")
    try:
        server.query(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        yield OldShop(server, name)
    finally:
        server.query(f"DROP DATABASE IF EXISTS {name}")
        server.close()


def vector_for(colour: str, seed: int = 0) -> list[float]:
    """What the old service would have written, had it had our embedder: not of length 1."""
    vector = backends.embedder().embed([picture(colour, seed=seed)])[0]
    return [7.0 * float(value) for value in vector]


def fill(old_shop: OldShop, crops: int = 12) -> None:
    """Photos 01 and 02 with crops of them; the first has a product's details."""
    for number in range(crops):
        original = "01" if number % 2 else "02"
        data = photo("red", seed=number)
        old_shop.add(original, number, data, vector_for("red", number))
    old_shop.describe(
        "01",
        store_name="Riga",
        brand="Ada",
        product_name="Linen dress",
        store_description="Light.",
        url="https://shop.example/1",
        rating=4.37,
        tags='["floral", "summer"]',
        sale_status="On Sale",
        size='["S", "M"]',
        waist_type="High Waist",
        listing_season="2024 spring",
        season="Fall",
        times=3,
    )


def names_in_order(crops: int = 12) -> list[str]:
    """What `fill` calls its crops, in the order of their numbers."""
    return [f"{'01' if number % 2 else '02'}_segment_{number}" for number in range(crops)]


@pytest.mark.servers
def test_the_old_tables_become_garments_and_products(old_shop, capsys):
    fill(old_shop)
    out = imported(capsys, "mysql", old_shop.url)
    assert "Vectors: taken over: 8 crops embedded here agree." in out
    assert "1 products, 12 pictures added, 0 known already, 0 errors" in out
    product = Product.objects.get()
    assert (product.reference, product.name, product.brand) == ("01", "Linen dress", "Ada")
    assert (product.sale_status, product.waist_type, product.season) == ("sale", "high", "autumn")
    assert (str(product.rating), product.store) == ("4.4", "Riga")
    assert sorted(tag.name for tag in product.tags.all()) == ["floral", "summer"]
    assert sorted(size.name for size in product.sizes.all()) == ["M", "S"]
    assert product.images.count() == 6
    assert set(Segment.objects.values_list("detector", "label", "x1")) == {
        ("imported", "garment", 120)
    }
    assert OriginalImage.objects.filter(source_name="02_segment_4", product=None).exists()
    items = FormerItem.objects.values_list("pk", "name", "image__source_name")
    assert {number: (name, own) for number, name, own in items} == {
        number: (name, name) for number, name in enumerate(names_in_order(), start=1)
    }
    before = state()
    out = imported(capsys, "mysql", old_shop.url)
    assert "0 pictures added, 12 known already" in out
    assert state() == before


@pytest.mark.servers
def test_vectors_of_the_same_model_are_taken_over_as_they_are(old_shop, capsys):
    """All but one agree with what would be embedded; that one was not in the sample."""
    fill(old_shop)
    odd = np.roll(vector_for("red", 0), 5)
    sql = "UPDATE splitted_images SET vector = %s WHERE id = %s"
    sampled = set(np.unique(np.linspace(0, 11, 8).astype(int)) + 1)
    pk = next(pk for pk in range(1, 13) if pk not in sampled)
    old_shop.run(sql, json.dumps(odd.tolist()), pk)
    assert "taken over" in imported(capsys, "mysql", old_shop.url)
    [(name,)] = old_shop.run("SELECT splitted_image_id FROM splitted_images WHERE id = %s", pk)
    kept = Embedding.objects.get(segment__image__source_name=name).vector
    assert np.allclose(kept, odd / np.linalg.norm(odd), atol=1e-6)


@pytest.mark.servers
@pytest.mark.parametrize("other", ["length", "model"])
def test_vectors_of_another_model_are_made_anew(old_shop, capsys, other):
    for seed in range(3):
        vector = vector_for("blue" if other == "model" else "red", seed)
        old_shop.add("01", seed, photo("red", seed=seed), vector * (2 if other == "length" else 1))
    assert "Vectors: made anew" in imported(capsys, "mysql", old_shop.url)
    for embedding in Embedding.objects.all():
        expected = backends.embedder().embed([picture("red")])[0]
        assert float(embedding.vector @ expected) > 0.98


@pytest.mark.servers
def test_what_is_broken_in_the_old_tables_is_reported_and_the_rest_taken(
    old_shop, capsys, tmp_path
):
    fill(old_shop, crops=9)
    old_shop.add("03", 0, b"no picture", vector_for("red"))
    old_shop.add("03", 1, as_base64(photo("green")), "not a list")
    old_shop.describe("03", product_name="Hat", season="Monsoon", tags="{}")
    old_shop.describe("no reference!", product_name="Hat")
    errors = tmp_path / "errors.csv"
    out = imported(capsys, "mysql", old_shop.url, "--errors", errors)
    assert "2 products, 10 pictures added" in out
    reported = {(row, name): reason for row, name, reason in errors_in(errors)}
    assert len(errors_in(errors)) == 4
    assert ("03_segment_0", "03_segment_0") in reported
    assert ("image_details no reference!", "") in reported
    hat = Product.objects.get(reference="03")
    assert hat.season == ""
    assert hat.images.get().source_name == "03_segment_1", "stored as base64, and embedded anew"
    assert hat.images.get().segments.get().embeddings.exists()


@pytest.mark.servers
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///x", "must be given as mysql://"),
        ("mysql://root@127.0.0.1:3306/no_such_database_here", "cannot be opened"),
        ("mysql://root@127.0.0.1:3306/mysql", "no table splitted_images"),
    ],
)
def test_a_database_that_is_none_of_these_is_refused(old_shop, url, said):
    with pytest.raises(CommandError, match=said):
        call_command("import_legacy", "mysql", url)


@pytest.mark.servers
@pytest.mark.slow
def test_an_import_that_is_killed_is_completed_by_the_next(old_shop, open_shop):
    count = 160
    fill(old_shop, crops=count)
    shop = open_shop(RUN_LEASE_SECONDS=1, EMBEDDER="tests.pipeline.backends:HeldEmbedder")
    hold = shop.folder / "hold"
    hold.touch()
    process = shop.start("import_legacy", "mysql", old_shop.url)
    eventually(lambda: shop.count("similarity_embedding") > 0)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait(180) == -signal.SIGKILL
    assert shop.count("similarity_embedding") < count
    eventually(lambda: not shop.processes())
    time.sleep(1)  # the lease of what nobody could give back
    hold.unlink()
    done = shop.manage("import_legacy", "mysql", old_shop.url)
    assert done.returncode == 0, done.stderr
    assert {run["state"] for run in shop.runs()} == {"done"}
    for table in ("catalog_originalimage", "catalog_segment", "similarity_embedding"):
        assert shop.count(table) == count
    assert shop.query("SELECT DISTINCT detector FROM catalog_segment") == [("imported",)]
    of_product = "SELECT COUNT(*) FROM catalog_originalimage WHERE product_id IS NOT NULL"
    assert shop.query(of_product) == [(count // 2,)]
