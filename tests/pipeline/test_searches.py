"""A search from a photo, or a known garment, to its results."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from catalog.models import OriginalImage
from catalog.services import save_product
from similarity import backends, combined, indexing, pipeline, results, services, serving
from similarity.errors import BadBox, NotDescribed
from similarity.models import Hit, Query, Run
from tests.pictures import encoded, photo, picture
from tests.pipeline.backends import HERE
from tests.shop import add_photo, add_product

pytestmark = pytest.mark.django_db


def search_with(data: bytes, **options) -> Run:
    query = services.keep_query(services.take_in(data), None)
    return services.search(query=query, **{"limit": 10, **options})


def references(run: Run) -> list[str | None]:
    hits = run.hits.select_related("segment__image__product")
    return [getattr(hit.segment.image.product, "reference", None) for hit in hits]


def oriented(image: Image.Image, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    image.transpose(Image.Transpose.ROTATE_90).save(out, "JPEG", quality=95, exif=exif)
    return out.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "turned"])
def test_a_photo_that_is_searched_with_is_described_as_it_was_when_uploaded(form):
    image = picture("brown", (300, 400))
    image.paste(picture("yellow", (100, 150)), (40, 220))
    data = oriented(image, 6) if form == "turned" else encoded(image, form)
    add_photo(data)
    [hit] = search_with(data).hits.all()
    assert hit.similarity >= 0.9999


@pytest.mark.ml
@pytest.mark.parametrize(
    "name",
    [
        "compact",
        "mobilenet_v2",
        "triplet",
        "vit_b_16",
        "dinov2",
        "open_clip",
        pytest.param("resnet50", marks=pytest.mark.slow),
    ],
)
def test_so_is_it_by_a_neural_embedder(settings, tmp_path, monkeypatch, name):
    pytest.importorskip("torch")
    from tests.engine import tiny_models

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    if name != "compact":  # whose weights are shipped
        getattr(tiny_models, f"write_{name}")(tmp_path)
    settings.EMBEDDER = name
    settings.BACKEND_OPTIONS = {name: {"models_dir": tmp_path, "device": "cpu"}}
    image = picture("brown", (300, 400))
    image.paste(picture("yellow", (100, 150)), (40, 220))
    data = encoded(image, "JPEG")
    add_photo(data)
    run = search_with(data)
    if run.state == Run.State.PENDING:  # too slow for a web request: a worker's
        pipeline.execute(run.pk)
    else:
        assert backends.embedder().light
    assert run.hits.get().similarity >= 0.9999


def test_results_come_best_first_and_are_kept(db):
    for colour in ("red", "pink", "blue", "green"):
        add_product(colour.upper(), colour)
    run = search_with(photo("red", seed=9))
    assert run.state == Run.State.DONE
    assert references(run)[0] == "RED"
    similarities = [hit.similarity for hit in run.hits.all()]
    assert similarities == sorted(similarities, reverse=True)
    assert [hit.rank for hit in run.hits.all()] == [0, 1, 2, 3]


def test_what_is_shown_at_once_is_what_was_kept(db):
    for colour in ("red", "pink", "blue"):
        add_product(colour.upper(), colour)
    run = search_with(photo("red", seed=9))
    assert len(run.ranking) == 3
    assert run.ranking == Run.objects.get(pk=run.pk).ranking


def test_a_product_with_three_pictures_appears_once_with_its_best():
    product = save_product("RED", name="Red thing")
    similar = add_photo(photo("red"), product)
    add_photo(photo("blue"), product, source_name="back")
    add_photo(photo("green"), product, source_name="side")
    add_product("PINK", "pink")
    run = search_with(photo("red", seed=9))
    assert sorted(references(run)) == ["PINK", "RED"]
    assert run.hits.first().segment == similar
    assert run.hits.first().similarity > 0.99


def test_pictures_of_no_product_appear_each_for_itself():
    add_photo(photo("red"))
    add_photo(photo("pink"))
    assert references(search_with(photo("red", seed=9))) == [None, None]


def test_a_search_by_a_garment_leaves_its_own_product_out():
    segment = add_product("RED", "red")
    add_photo(photo("red", seed=1), segment.image.product)
    add_product("PINK", "pink")
    assert references(services.search(segment=segment, limit=5)) == ["PINK"]
    [alike] = results.read(services.similar(segment, limit=5))
    assert alike.product["reference"] == "PINK"


def test_a_box_searches_with_that_part_of_the_photo():
    for colour in ("red", "blue"):
        add_product(colour.upper(), colour)
    image = picture("red", (200, 100))
    image.paste(picture("blue", (100, 100)), (100, 0))
    query = services.keep_query(services.take_in(encoded(image)), None)
    left = services.search(query=query, limit=1, box=(0, 0, 100, 100))
    right = services.search(query=query, limit=1, box=(100, 0, 900, 100))
    assert (references(left), references(right)) == (["RED"], ["BLUE"])
    assert right.options["box"] == [100, 0, 200, 100]
    with pytest.raises(BadBox):
        services.search(query=query, limit=1, box=(200, 0, 300, 100))


def test_filters_keep_out_what_does_not_match():
    add_product("RED", "red", brand="Ada")
    add_product("BLUE", "blue", brand="Bea")
    assert references(search_with(photo("red", seed=9), filters={"brand": ["Bea"]})) == ["BLUE"]


def test_a_garment_that_was_not_described_cannot_be_searched_by(settings):
    segment = add_product("RED", "red")
    segment.embeddings.all().delete()
    with pytest.raises(NotDescribed):
        services.search(segment=segment, limit=5)
    assert not Run.objects.filter(kind=Run.Kind.SEARCH).exists()


def test_the_garments_of_a_photo_are_looked_for_once(settings):
    settings.DETECTOR = f"{HERE}:HalvesDetector"
    query = services.keep_query(services.take_in(photo(size=(200, 100))), None)
    services.search(query=query, limit=5)
    services.search(query=Query.objects.get(), limit=5)
    query.refresh_from_db()
    assert [found["label"] for found in query.detections] == ["top", "bag"]
    assert query.detections[0]["box"] == [0, 0, 100, 100]
    assert query.runs.filter(kind=Run.Kind.DETECT).count() == 1


def test_a_slow_detector_is_left_to_a_worker_and_the_results_come_at_once(settings):
    add_product("RED", "red")
    settings.DETECTOR = f"{HERE}:FailingDetector"
    backends.forget()
    run = search_with(photo("red", seed=9))
    assert run.state == Run.State.DONE
    assert references(run) == ["RED"]
    assert run.query.runs.get(kind=Run.Kind.DETECT).state == Run.State.PENDING


def test_a_forgotten_search_takes_its_photo_along_unless_another_needs_it():
    query = services.keep_query(services.take_in(photo()), None)
    first, second = (services.search(query=query, limit=limit) for limit in (1, 2))
    services.forget_search(first)
    assert Query.objects.filter(pk=query.pk).exists()
    services.forget_search(second)
    assert not Query.objects.exists()
    assert not Run.objects.filter(kind__in=[Run.Kind.SEARCH, Run.Kind.DETECT]).exists()


def test_a_search_of_an_empty_catalogue_finds_nothing():
    run = search_with(photo())
    assert (run.state, run.hits.count()) == (Run.State.DONE, 0)


def test_a_result_that_is_deleted_leaves_the_kept_results():
    segment = add_product("RED", "red")
    run = search_with(photo("red", seed=9))
    segment.image.product.delete()
    assert run.hits.count() == 0
    assert not Hit.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("by", ["the request", "a worker"])
def test_what_is_deleted_while_it_is_found_is_left_out(monkeypatch, by):
    going = add_product("RED", "red").image
    add_product("PINK", "pink")
    find = combined.find

    def find_and_lose(*arguments, **how):
        found = find(*arguments, **how)
        OriginalImage.objects.filter(pk=going.pk).delete()
        return found

    monkeypatch.setattr(combined, "find", find_and_lose)
    monkeypatch.setattr(type(backends.embedder()), "light", by == "the request")
    run = search_with(photo("red", seed=9))
    pipeline.execute(run.pk)
    run.refresh_from_db()
    assert (run.state, references(run)) == (Run.State.DONE, ["PINK"])
    assert [hit.rank for hit in run.hits.all()] == [0]


def test_vectors_of_two_embedders_never_mix(settings):
    segment = add_product("RED", "red")
    colour = serving.serving_embedder()
    indexing.rebuild(colour)
    settings.EMBEDDER = f"{HERE}:ThumbnailEmbedder"
    backends.forget()
    thumbnail = serving.serving_embedder()
    assert search_with(photo("red", seed=9)).hits.count() == 0
    assert services.find_similar(photo("red", seed=9), limit=5) == []
    with pytest.raises(NotDescribed):
        services.search(segment=segment, limit=5)
    assert indexing.status(thumbnail).serving is None
    assert indexing.build_store(thumbnail).root != indexing.build_store(colour).root

    pipeline.execute(services.describe_again(segment.image).pk)
    assert references(search_with(photo("red", seed=9))) == ["RED"]
    settings.EMBEDDER = "colour"
    backends.forget()
    assert search_with(photo("red", seed=9)).hits.count() == 0, "described by the other now"
