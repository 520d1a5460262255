"""`manage.py doctor`."""

from __future__ import annotations

import os

import pytest
from django.core.management import call_command

from catalog.models import PerceptualHash, PictureQuality
from similarity import backends, indexing, services, serving
from tests.pictures import photo
from tests.shop import add_product

PARTS = [
    "configuration",
    "data folder",
    "database",
    "queue",
    "catalogue",
    "embedder",
    "colours",
    "words",
    "duplicates",
    "quality",
    "index",
    "search",
]


def diagnosis(capsys) -> dict[str, tuple[str, str]]:
    """What the doctor says of each part: "ok" or "MEND", and a sentence."""
    lines = capsys.readouterr().out.splitlines()
    found = {}
    for line in lines:
        verdict, _, rest = line.partition(" ")
        part, _, sentence = rest.strip().partition(": ")
        found[part] = (verdict, sentence)
    return found


def ailments(capsys) -> dict[str, str]:
    """What the doctor found wrong, which makes it exit with 1."""
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", no_color=True)
    assert ended.value.code == 1
    found = diagnosis(capsys)
    return {part: sentence for part, (verdict, sentence) in found.items() if verdict == "MEND"}


def test_a_healthy_shop_is_told_so_part_by_part(db, capsys):
    add_product("RED", "red")
    call_command("doctor", no_color=True)
    found = diagnosis(capsys)
    assert list(found) == PARTS
    assert {verdict for verdict, _ in found.values()} == {"ok"}
    assert found["catalogue"][1] == "1 products, 1 images (0 failed), 1 garments"
    assert found["index"][1] == "0 garments indexed, 1 newer ones are scanned"


def test_pictures_that_were_not_compared_are_counted(db, capsys):
    add_product("BLUE", "blue")
    PerceptualHash.objects.all().delete()
    assert ailments(capsys) == {
        "duplicates": "1 pictures were not compared with the others. Run: manage.py find_duplicates"
    }


def test_pictures_that_were_not_measured_are_counted(db, capsys):
    add_product("BLUE", "blue")
    PictureQuality.objects.all().delete()
    found = ailments(capsys)
    assert found.keys() == {"quality"}
    assert found["quality"].startswith("1 pictures were not measured")
    assert "manage.py measure_pictures" in found["quality"]


def test_garments_without_colours_are_counted(db, capsys):
    add_product("BLUE", "blue")
    add_product("RED", "red").colours.all().delete()
    found = ailments(capsys)
    assert found.keys() == {"colours"}
    assert found["colours"].startswith("1 garments have no colours")
    assert "manage.py name_colours" in found["colours"]


def test_products_that_no_words_find_are_told_of(db, capsys):
    add_product("RED", "red").image.product.words.all().delete()
    found = ailments(capsys)
    assert found.keys() == {"words"}
    assert "manage.py index_words" in found["words"]


def test_an_empty_shop_is_healthy(db, capsys):
    call_command("doctor", no_color=True)
    assert {verdict for verdict, _ in diagnosis(capsys).values()} == {"ok"}


def test_missing_weights_are_named(db, capsys, settings, tmp_path):
    settings.DETECTOR = "groundingdino"
    settings.BACKEND_OPTIONS = {"groundingdino": {"models_dir": tmp_path, "prompt": ["top"]}}
    backends.forget()
    found = ailments(capsys)
    assert found.keys() == {"configuration", "search"}
    assert "groundingdino" in found["configuration"]
    assert str(tmp_path) in found["search"]


def test_a_backend_that_does_not_exist_is_named_with_those_that_do(db, capsys, settings):
    settings.DETECTOR = "clairvoyance"
    backends.forget()
    found = ailments(capsys)
    assert "'clairvoyance'" in found["configuration"]
    assert "whole_image" in found["configuration"]


def test_a_broken_index_is_said_with_the_way_to_mend_it(db, capsys):
    add_product("RED", "red")
    build = indexing.rebuild(serving.serving_embedder())
    (indexing.build_store(build.embedder).root / build.name / "vectors.npy").write_bytes(b"?")
    indexing.forget()
    found = ailments(capsys)
    assert found.keys() == {"index"}, "a search is answered all the same"
    assert build.name in found["index"]
    assert "manage.py rebuild_index" in found["index"]
    call_command("rebuild_index")
    capsys.readouterr()
    call_command("doctor", no_color=True)


def test_an_index_that_lacks_much_is_said(db, capsys, settings):
    settings.INDEX_TAIL_LIMIT = 1
    for colour in ("red", "green"):
        add_product(colour.upper(), colour)
    assert ailments(capsys)["index"].startswith("2 garments are not indexed")


def test_runs_that_nobody_works_on_are_said(db, capsys):
    run = services.start_upload(services.take_in(photo()), queued=False).run
    call_command("doctor", no_color=True)
    verdict, sentence = diagnosis(capsys)["queue"]
    assert (verdict, sentence.partition(", ")[2]) == ("ok", "1 runs wait")
    type(run).objects.update(queued_at=run.queued_at - 2 * services.UNCLAIMED)
    assert ailments(capsys) == {
        "queue": "Runs wait and nobody works on them. Start: manage.py worker"
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="Root may write anywhere.")
def test_a_data_folder_that_cannot_be_written_to_is_said(db, capsys, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    tmp_path.chmod(0o500)
    assert "cannot be written to" in ailments(capsys)["data folder"]


def test_a_database_without_tables_is_said_and_the_exit_code_is_1(open_shop):
    shop = open_shop()
    (shop.folder / "fashionsim.sqlite3").unlink()
    done = shop.manage("doctor")
    assert done.returncode == 1
    assert "migrations are not applied. Run: manage.py migrate" in done.stdout
    assert "Traceback" not in done.stderr
    assert shop.manage("migrate").returncode == 0
    healthy = shop.manage("doctor")
    assert healthy.returncode == 0, healthy.stdout
    assert "MEND" not in healthy.stdout
