"""`manage.py find_similar`."""

from __future__ import annotations

import json
import shutil

import pytest
from django.core.management import CommandError, call_command

from similarity.models import Query, Run
from tests.pictures import photo
from tests.pipeline.backends import HERE
from tests.shop import add_photo, add_product

OTHER = f"{HERE}:ThumbnailEmbedder"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "my photo.png"
    path.write_bytes(photo("red", seed=7))
    return path


def test_it_prints_what_looks_alike_best_first(db, file, capsys):
    for colour in ("blue", "red", "green"):
        add_product(colour.upper(), colour)
    call_command("find_similar", file, limit=2)
    first, second = capsys.readouterr().out.splitlines()
    assert "RED" in first
    assert "RED" not in second


def test_it_says_so_when_the_catalogue_is_empty(db, file, capsys):
    call_command("find_similar", file)
    assert "Nothing found" in capsys.readouterr().out


def test_the_json_has_exactly_this_shape(db, file, capsys):
    segment = add_product("RED", "red")
    plain = add_photo(photo("blue"))
    call_command("find_similar", file, json=True)
    answer = json.loads(capsys.readouterr().out)
    assert answer.keys() == {"query", "results"}
    assert answer["query"] == str(file)
    first, second = answer["results"]
    similarity = first.pop("similarity")
    assert 0.9 < similarity <= 1
    assert second.pop("similarity") < similarity
    assert first == {
        "segment": segment.identifier,
        "product": "RED",
        "image": segment.image.identifier,
    }
    assert second == {
        "segment": plain.identifier,
        "product": None,
        "image": plain.image.identifier,
    }


def test_the_limit_bounds_the_results(db, file, capsys):
    for seed in range(4):
        add_product(f"RED-{seed}", "red", seed=seed)
    for limit in (1, 3, 100):
        call_command("find_similar", file, limit=limit, json=True)
        results = json.loads(capsys.readouterr().out)["results"]
        assert len(results) == min(limit, 4)


@pytest.mark.parametrize("limit", [0, -1, 101])
def test_a_limit_out_of_bounds_is_refused(db, file, limit):
    with pytest.raises(CommandError, match="1 to 100"):
        call_command("find_similar", file, limit=limit)


@pytest.mark.parametrize("limit", ["0.5", "many"])
def test_a_limit_that_is_no_number_is_refused(db, file, limit):
    with pytest.raises(CommandError, match="--limit"):
        call_command("find_similar", str(file), "--limit", limit)


def test_a_file_that_is_not_there_is_an_error(db, tmp_path):
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("find_similar", tmp_path / "nothing.jpg")


def test_a_folder_is_an_error(db, tmp_path):
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("find_similar", tmp_path)


def test_a_file_that_is_no_picture_is_an_error(db, file):
    file.write_bytes(b"Dear Sir or Madam")
    with pytest.raises(CommandError, match="not a picture"):
        call_command("find_similar", file)


def test_it_leaves_no_trace(db, file):
    add_product("RED", "red")
    before = Run.objects.count()
    call_command("find_similar", file)
    assert Run.objects.count() == before
    assert not Query.objects.exists()


def test_a_script_gets_json_and_nothing_else_on_stdout(open_shop, file, tmp_path):
    shop = open_shop(LOG_LEVEL="DEBUG")
    (tmp_path / "pictures").mkdir()
    shutil.copy(file, tmp_path / "pictures")
    ingested = shop.manage("ingest_folder", tmp_path / "pictures")
    assert ingested.returncode == 0, ingested.stderr
    done = shop.manage("find_similar", file, "--limit", 1, "--json")
    assert done.returncode == 0, done.stderr
    [result] = json.loads(done.stdout)["results"]
    assert result["similarity"] >= 0.9999
    file.write_bytes(b"Dear Sir or Madam")
    failed = shop.manage("find_similar", file, "--json")
    assert failed.returncode != 0
    assert failed.stdout == ""
    assert "not a picture" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_another_embedder_that_is_filled_may_be_asked(db, file, capsys):
    add_product("RED", "red")
    with pytest.raises(CommandError, match="described the whole catalogue"):
        call_command("find_similar", file, model=OTHER)
    call_command("embed_catalogue", embedder=OTHER)
    capsys.readouterr()
    call_command("find_similar", file, model=OTHER)
    assert "RED" in capsys.readouterr().out
