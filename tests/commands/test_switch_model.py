"""`manage.py switch_model`."""

from __future__ import annotations

import builtins

import pytest
from django.core.management import CommandError, call_command

from catalog.services import save_product
from similarity import indexing, prototypes, services, serving
from similarity.models import Embedder, Embedding, Switch
from tests.pictures import photo
from tests.pipeline.backends import HERE
from tests.shop import add_photo, add_product

pytestmark = pytest.mark.django_db

OTHER = f"{HERE}:ThumbnailEmbedder"


@pytest.fixture
def filled(capsys) -> Embedder:
    """Two products, one with two pictures, described by both."""
    red = add_product("RED", "red")
    add_photo(photo("red", seed=5), red.image.product)
    add_product("GREEN", "green")
    call_command("embed_catalogue", embedder=OTHER)
    capsys.readouterr()
    return Embedder.objects.get(name=OTHER)


def switched(capsys, *arguments: str, **options) -> str:
    call_command("switch_model", *arguments, **options)
    return capsys.readouterr().out


def answering() -> str:
    return services.search_photo(photo("red", seed=9), limit=3).embedder.name


def test_both_are_compared_and_the_other_one_serves(filled, capsys):
    printed = switched(capsys, OTHER, yes=True)
    assert "overlap@10 of 3 searches" in printed
    assert "recall@10" in printed
    assert "in 2 searches" in printed
    assert f"{filled} serves now" in printed
    assert serving.serving_embedder() == filled
    assert answering() == OTHER
    figures = Switch.objects.get().comparison
    assert (figures["queries"], figures["golden"]) == (3, 2)
    assert (figures["overlap_at_10"], figures["recall_at_1"]) == (1.0, [1.0, 1.0])


def test_without_products_of_several_pictures_that_is_said(capsys):
    add_product("RED", "red")
    call_command("embed_catalogue", embedder=OTHER)
    assert "No product has several pictures" in switched(capsys, OTHER, yes=True)


@pytest.mark.parametrize("answer", ["", "n", "no", "yes please"])
def test_it_asks_first_and_only_yes_is_yes(filled, capsys, monkeypatch, answer):
    monkeypatch.setattr(builtins, "input", lambda _: answer)
    with pytest.raises(CommandError, match="goes on serving"):
        switched(capsys, OTHER)
    assert answering() == "colour"
    monkeypatch.setattr(builtins, "input", lambda _: "y")
    switched(capsys, OTHER)
    assert answering() == OTHER


def test_the_one_before_is_kept_filled_and_can_serve_again(filled, capsys):
    switched(capsys, OTHER, yes=True)
    segment = add_photo(photo("pink"))
    assert segment.embeddings.count() == 2
    assert "serves again" in switched(capsys, back=True)
    assert answering() == "colour"
    assert segment.pk in {hit.segment_id for hit in services.find_similar(photo("pink"), limit=3)}
    switched(capsys, back=True)
    assert answering() == OTHER


def test_there_is_no_way_back_before_the_first_switch():
    with pytest.raises(CommandError, match="No other embedder"):
        call_command("switch_model", back=True)


def test_one_that_lacks_garments_is_refused_unless_it_must_be(filled, capsys):
    Embedding.objects.filter(embedder=filled).first().delete()
    with pytest.raises(CommandError, match="has not described 1 garments"):
        switched(capsys, OTHER, yes=True)
    assert answering() == "colour"
    switched(capsys, OTHER, yes=True, force=True)
    assert answering() == OTHER


@pytest.mark.parametrize(
    ("name", "reason"),
    [("colour", "answers the searches already"), ("resnet50", "resnet50"), ("nothing", "Known:")],
)
def test_one_that_serves_or_is_not_installed_is_refused(filled, settings, tmp_path, name, reason):
    settings.BACKEND_OPTIONS = {"resnet50": {"models_dir": tmp_path}}
    with pytest.raises(CommandError, match=reason):
        call_command("switch_model", name, yes=True)
    assert not Switch.objects.exists()


def test_a_dropped_embedder_leaves_no_vector_and_no_file(filled, capsys):
    root = indexing.build_store(filled).root
    assert any(path.is_dir() for path in root.iterdir())
    call_command("embed_catalogue", drop=OTHER)
    assert not Embedding.objects.filter(embedder=filled).exists()
    assert not any(path.is_dir() for path in root.iterdir())
    assert indexing.status(filled).serving is None
    assert set(filled.builds.values_list("state", flat=True)) == {"removed"}
    assert add_photo(photo("pink")).embeddings.count() == 1
    call_command("embed_catalogue", embedder=OTHER)
    assert not serving.lacking(filled).exists()


def test_categories_are_as_exact_for_an_embedder_that_was_dropped_and_filled_anew(filled):
    save_product("RED", category="Red")
    prototypes.refresh()
    call_command("embed_catalogue", drop=OTHER)
    call_command("embed_catalogue", embedder=OTHER)
    prototypes.refresh()
    assert prototypes.check(filled) == []
    assert filled.prototypes.get().count == 2


def test_the_serving_one_is_never_dropped(filled, capsys):
    with pytest.raises(CommandError, match="answers the searches"):
        call_command("embed_catalogue", drop="colour")
    switched(capsys, OTHER, yes=True)
    with pytest.raises(CommandError, match="answers the searches"):
        call_command("embed_catalogue", drop=OTHER)
    call_command("embed_catalogue", drop="colour")
    assert answering() == OTHER
    assert serving.lacking(filled).count() == 0
    with pytest.raises(CommandError, match="has not described 3 garments"):
        call_command("switch_model", back=True)
