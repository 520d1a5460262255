"""The index in the product: the answer is that of a plain scan, whatever has happened since."""

from __future__ import annotations

import itertools
import json
import shutil
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from django.conf import settings as configured
from django.db.models import QuerySet
from hypothesis import HealthCheck, given, settings, strategies

from catalog.models import OriginalImage, Product, Segment, SegmentColour
from catalog.services import category_named
from similarity import backends, indexing, pipeline, results, services, serving
from similarity.engine.errors import BrokenBuild, BuildInProgress
from similarity.models import Embedder, Embedding, IndexBuild
from tests.pictures import COLOURS, photo
from tests.scratch import eventually
from tests.shop import add_photo, add_product

DIM = 8
BRANDS = ("Ada", "Bea", "Cleo")
HUES = ("red", "navy", "white")

numbers = itertools.count()


# --- A catalogue of vectors, and the plain scan of it ----------------------------------------


@pytest.fixture(params=["exact", "annoy"])
def engine(request, settings):
    settings.INDEX = request.param


@pytest.fixture
def embedder(db) -> Embedder:
    return Embedder.objects.create(name="tests", fingerprint="0" * 64, dim=DIM)


def units(count: int, seed: int) -> np.ndarray:
    return some_units(np.random.default_rng(seed), count)


def some_units(random: np.random.Generator, count: int) -> np.ndarray:
    rows = random.standard_normal((count, DIM)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def add_products(vectors: np.ndarray, embedder: Embedder, brands: Iterable[str] = BRANDS) -> None:
    """One garment each, in a picture of a product of its own; the brands take turns."""
    brand = itertools.cycle(brands)
    products = Product.objects.bulk_create(
        Product(reference=f"P{next(numbers)}", name="Thing", brand=next(brand)) for _ in vectors
    )
    add_garments(vectors, embedder, products)


def add_garments(vectors: np.ndarray, embedder: Embedder, products: Iterable[Product | None]):
    """One garment each, in a picture of that product, or of none."""
    images = OriginalImage.objects.bulk_create(
        OriginalImage(
            identifier=f"i{(number := next(numbers))}",
            sha256=f"{number:064d}",
            width=1,
            height=1,
            size=1,
            product=product,
        )
        for product in products
    )
    describe(images, vectors, embedder)


def describe(images: Iterable[OriginalImage], vectors: np.ndarray, embedder: Embedder) -> None:
    segments = Segment.objects.bulk_create(
        Segment(
            identifier=f"s{next(numbers)}", image=image, number=0, score=1, x0=0, y0=0, x1=1, y1=1
        )
        for image in images
    )
    Embedding.objects.bulk_create(
        Embedding(segment=segment, embedder=embedder, vector=vector)
        for segment, vector in zip(segments, vectors, strict=True)
    )
    # From one garment to the next another two colours, the second now and then prominent.
    SegmentColour.objects.bulk_create(
        SegmentColour(segment=segment, colour=HUES[(segment.pk + place) % 3], share=share)
        for segment in segments
        for place, share in enumerate((0.6, 0.4 if segment.pk % 4 else 0.2))
    )


def scan(
    embedder: Embedder,
    vector: np.ndarray,
    limit: int,
    *,
    products: QuerySet[Product] | None = None,
    categories: Sequence[int] | None = None,
    colours: QuerySet[SegmentColour] | None = None,
    leave_out: Sequence[Segment] = (),
) -> list[tuple[int, float]]:
    """The obvious way: every vector of the database, in double precision, one by one."""
    rows = Embedding.objects.filter(embedder=embedder)
    if products is not None:
        rows = rows.filter(segment__image__product__in=list(products.all()))
    if categories is not None:
        rows = rows.filter(segment__image__product__category__in=categories)
    if colours is not None:
        rows = rows.filter(segment__in=[colour.segment_id for colour in colours.all()])
    best: dict[tuple[int | None, int | None], tuple[int, float]] = {}
    for segment, image, product, stored in rows.values_list(
        "segment", "segment__image", "segment__image__product", "vector"
    ):
        if any(segment.image_id == image for segment in leave_out):
            continue
        if product and any(segment.image.product_id == product for segment in leave_out):
            continue
        similarity = float(stored.astype(np.float64) @ vector.astype(np.float64))
        entry = (None, image) if product is None else (product, None)
        if entry not in best or similarity > best[entry][1]:
            best[entry] = (segment, similarity)
    return sorted(best.values(), key=lambda found: -found[1])[:limit]


def assert_equals_a_scan(embedder: Embedder, vector: np.ndarray, limit: int, **options) -> None:
    expected = scan(embedder, vector, limit, **options)
    found = indexing.nearest(embedder, vector, limit=limit, **options)
    assert [item.segment_id for item in found] == [segment for segment, _ in expected]
    similarities = [similarity for _, similarity in expected]
    assert [item.similarity for item in found] == pytest.approx(similarities, abs=1e-5)


def brand(*names: str) -> QuerySet[Product]:
    return Product.objects.filter(brand__in=names)


# --- The answer equals a scan ----------------------------------------------------------------


happenings = strategies.lists(
    strategies.sampled_from(["add", "add to products", "delete", "describe anew", "rebuild"]),
    max_size=6,
)


@pytest.mark.usefixtures("engine")
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    happenings=happenings,
    seed=strategies.integers(0, 2**32 - 1),
    limit=strategies.integers(1, 30),
    names=strategies.none() | strategies.sets(strategies.sampled_from(BRANDS)),
    hues=strategies.none() | strategies.sets(strategies.sampled_from(HUES)),
)
def test_whatever_happens_the_answer_is_that_of_a_scan(
    embedder, *, happenings, seed, limit, names, hues
):
    empty_catalogue()
    random = np.random.default_rng(seed)
    products = None if names is None else brand(*names)
    colours = None if hues is None else SegmentColour.objects.prominent(hues)
    filters = {"products": products, "colours": colours}
    for happening in ["add", *happenings]:
        happen(happening, embedder, random)
        assert_equals_a_scan(embedder, some_units(random, 1)[0], limit, **filters)
        for segment in some(random, Segment.objects.select_related("image"), 1):
            vector = segment.embeddings.get().vector
            assert_equals_a_scan(embedder, vector, limit, **filters, leave_out=[segment])


def empty_catalogue() -> None:
    OriginalImage.objects.all().delete()
    Product.objects.all().delete()
    shutil.rmtree(configured.INDEX_DIR, ignore_errors=True)
    indexing.forget()


def happen(what: str, embedder: Embedder, random: np.random.Generator) -> None:
    vectors = some_units(random, int(random.integers(1, 20)))
    if what == "add":
        add_products(vectors, embedder)
        add_garments(some_units(random, 3), embedder, [None] * 3)
    elif what == "add to products":
        products = some(random, Product.objects.all(), len(vectors))
        add_garments(vectors[: len(products)], embedder, products)
    elif what == "delete":
        for segment in some(random, Segment.objects.all(), len(vectors)):
            segment.delete()
    elif what == "describe anew":
        images = some(random, OriginalImage.objects.all(), len(vectors))
        Segment.objects.filter(image__in=images).delete()
        describe(images, vectors[: len(images)], embedder)
    else:
        indexing.rebuild(embedder)


def some(random: np.random.Generator, rows: QuerySet, count: int) -> list:
    """At most so many of the rows, the same ones for the same random numbers."""
    rows = list(rows.order_by("pk"))
    return [rows[i] for i in random.permutation(len(rows))[:count]]


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("few", [indexing.FEW, 0], ids=["few are scanned", "index first"])
@pytest.mark.parametrize("is_built", [True, False], ids=["built", "unbuilt"])
def test_filters_of_every_selectivity_give_what_a_scan_gives(embedder, is_built, few, monkeypatch):
    """From one product in 3,000 to all of them; what is kept lies far off as well as near."""
    monkeypatch.setattr(indexing, "FEW", few)
    vectors = units(3000, seed=1)
    [query] = units(1, seed=2)
    vectors = vectors[np.argsort(-(vectors @ query))]
    add_products(vectors[:2900], embedder, ["common"])
    add_products(vectors[2900:2999], embedder, ["uncommon"])
    add_products(vectors[2999:], embedder, ["rare"])
    if is_built:
        indexing.rebuild(embedder)
    for names in (["rare"], ["uncommon"], ["common"], ["rare", "uncommon"], ["none such"]):
        assert_equals_a_scan(embedder, query, 20, products=brand(*names))
    assert_equals_a_scan(embedder, query, 100, products=Product.objects.all())


def assert_categories_are_as_scanned(embedder: Embedder, *, is_built: bool = True) -> None:
    """From one product in 1,000 to nearly all; what is kept lies far off as well as near."""
    vectors = units(1000, seed=1)
    [query] = units(1, seed=2)
    vectors = vectors[np.argsort(-(vectors @ query))]
    names = ["common"] * 950 + ["uncommon"] * 49 + ["rare"]
    key = {name: category_named(name).pk for name in ("common", "uncommon", "rare")}
    add_products(vectors, embedder)
    for product, name in zip(Product.objects.order_by("pk"), names, strict=True):
        Product.objects.filter(pk=product.pk).update(category=key[name])
    add_garments(units(20, seed=3), embedder, [None] * 20)
    if is_built:
        indexing.rebuild(embedder)
    for wanted in (["rare"], ["uncommon"], ["common"], ["rare", "uncommon"], []):
        kept = {"categories": [key[name] for name in wanted]}
        assert_equals_a_scan(embedder, query, 20, **kept)
        assert_equals_a_scan(embedder, query, 20, **kept, products=brand("Ada"))
        colours = SegmentColour.objects.prominent(["red"])
        assert_equals_a_scan(embedder, query, 20, **kept, colours=colours)
    assert_equals_a_scan(embedder, query, 20, categories=[-1])


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("is_built", [True, False], ids=["built", "unbuilt"])
def test_categories_of_every_selectivity_give_what_a_scan_gives(embedder, is_built):
    assert_categories_are_as_scanned(embedder, is_built=is_built)


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("is_built", [True, False], ids=["built", "unbuilt"])
def test_colours_of_every_selectivity_give_what_a_scan_gives(embedder, is_built):
    vectors = units(2000, seed=1)
    [query] = units(1, seed=2)
    add_products(vectors[np.argsort(-(vectors @ query))], embedder)
    far = Segment.objects.order_by("-pk")[:5]
    SegmentColour.objects.bulk_create(
        SegmentColour(segment=segment, colour="pink", share=0.3 - number / 50)
        for number, segment in enumerate(far)
    )
    if is_built:
        indexing.rebuild(embedder)
    for names in (["pink"], ["red"], ["red", "pink"], list(HUES), ["yellow"]):
        colours = SegmentColour.objects.prominent(names)
        assert_equals_a_scan(embedder, query, 20, colours=colours)
        assert_equals_a_scan(embedder, query, 20, colours=colours, products=brand("Ada"))


@pytest.mark.usefixtures("engine")
def test_as_many_results_as_asked_for_though_the_nearest_were_deleted(embedder):
    vectors = units(800, seed=1)
    [query] = units(1, seed=2)
    add_products(vectors[np.argsort(-(vectors @ query))], embedder)
    indexing.rebuild(embedder)
    nearest = Product.objects.order_by("pk").values_list("pk", flat=True)[:760]
    Product.objects.filter(pk__in=list(nearest)).delete()
    assert len(indexing.nearest(embedder, query, limit=30)) == 30
    assert_equals_a_scan(embedder, query, 30)


def test_as_many_products_as_asked_for_though_one_has_all_the_nearest_pictures(embedder):
    vectors = units(700, seed=1)
    [query] = units(1, seed=2)
    vectors = vectors[np.argsort(-(vectors @ query))]
    one = Product.objects.create(reference="ONE", name="Much photographed")
    add_garments(vectors[:600], embedder, [one] * 600)
    add_products(vectors[600:], embedder)
    indexing.rebuild(embedder)
    assert_equals_a_scan(embedder, query, 10)


@pytest.mark.slow
def test_a_forest_gives_as_many_as_asked_for_and_finds_most_of_the_nearest(embedder, settings):
    """Large enough, at these settings, for Annoy's trees to be asked and not a scan."""
    settings.INDEX = "annoy"
    settings.BACKEND_OPTIONS = {"annoy": {"trees": 4, "search_k": 800}}
    vectors = units(25_000, seed=1)
    add_products(vectors, embedder)
    build = indexing.rebuild(embedder)
    folder = indexing.build_store(embedder).root / build.name
    assert (folder / "trees.ann").is_file()
    hits = 0
    for query in units(5, seed=2):
        found = {item.segment_id for item in indexing.nearest(embedder, query, limit=20)}
        assert len(found) == 20
        hits += len(found & {segment for segment, _ in scan(embedder, query, 20)})
    assert hits >= 95, f"recall {hits} %"


# --- At once ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("engine", "db")
@pytest.mark.parametrize("is_built", [True, False], ids=["built", "unbuilt"])
def test_what_is_added_is_found_at_once(is_built):
    add_product("BLUE", "blue")
    embedder = serving.serving_embedder()
    if is_built:
        indexing.rebuild(embedder)
    assert found(photo("red", seed=9)) == ["BLUE"]
    add_product("RED", "red")
    assert found(photo("red", seed=9)) == ["RED", "BLUE"]
    assert indexing.status(embedder).newer == (1 if is_built else 2)


@pytest.mark.usefixtures("engine", "db")
@pytest.mark.parametrize("is_built", [True, False], ids=["built", "unbuilt"])
def test_what_is_deleted_is_gone_at_once(is_built):
    red = add_product("RED", "red")
    add_product("BLUE", "blue")
    if is_built:
        indexing.rebuild(serving.serving_embedder())
    assert found(photo("red", seed=9)) == ["RED", "BLUE"]
    red.image.product.delete()
    assert found(photo("red", seed=9)) == ["BLUE"]


def found(data: bytes, limit: int = 10) -> list[str]:
    return [result.product["reference"] for result in results.read(nearest_to(data, limit))]


def nearest_to(data: bytes, limit: int = 10) -> list[indexing.Neighbour]:
    return services.find_similar(data, limit=limit)


@pytest.mark.usefixtures("db")
def test_a_product_that_is_renamed_is_shown_by_its_new_name():
    product = add_product("RED", "red").image.product
    indexing.rebuild(serving.serving_embedder())
    product.reference = "SCARLET"
    product.save()
    assert found(photo("red", seed=9)) == ["SCARLET"]


@pytest.mark.usefixtures("db")
def test_a_garment_described_anew_has_its_new_vector_at_once(settings):
    segment = add_product("RED", "red")
    indexing.rebuild(serving.serving_embedder())
    settings.DETECTOR = "tests.pipeline.backends:HalvesDetector"
    backends.forget()
    pipeline.execute(services.describe_again(segment.image).pk)
    [result] = results.read(nearest_to(photo("red", seed=9)))
    assert result.label in {"top", "bag"}


# --- Rebuilding ------------------------------------------------------------------------------


def test_searches_go_on_while_the_index_is_rebuilt(beside, embedder):
    add_products(units(600, seed=1), embedder)
    queries = units(4, seed=2)
    expected = [scan(embedder, query, 10) for query in queries]
    is_over = threading.Event()

    def search_on() -> int:
        searches = 0
        while not is_over.is_set():
            query, answer = queries[searches % 4], expected[searches % 4]
            found = indexing.nearest(embedder, query, limit=10)
            assert [item.segment_id for item in found] == [segment for segment, _ in answer]
            searches += 1
        return searches

    searchers = [beside(search_on) for _ in range(3)]
    names = {indexing.rebuild(embedder).name for _ in range(6)}
    is_over.set()
    assert all(searcher.result(120) > 0 for searcher in searchers)
    assert len(names) == 6
    assert indexing.status(embedder).serving in names


SEARCH_ON = """
from pathlib import Path
from similarity import indexing, services, serving
photo, stop = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2])
answers, builds = set(), set()
is_over = False
while not is_over:
    is_over = stop.exists()
    answers.add(tuple(item.segment_id for item in services.find_similar(photo, limit=5)))
    builds.add(indexing.status(serving.serving_embedder()).serving)
    stop.with_name("searching").touch()
print(len(answers), len(answers.pop()), len(builds))
"""


@pytest.mark.slow
def test_another_process_goes_on_searching_and_takes_up_each_new_build(open_shop, tmp_path):
    shop = open_shop()
    (folder := tmp_path / "pictures").mkdir()
    for colour in COLOURS:
        (folder / f"{colour}.png").write_bytes(photo(colour))
    assert shop.manage("ingest_folder", folder).returncode == 0
    with ThreadPoolExecutor() as pool:
        stop = tmp_path / "stop"
        searcher = pool.submit(shop.python, SEARCH_ON, folder / "red.png", stop)
        eventually(stop.with_name("searching").exists)
        for _ in range(3):
            assert shop.manage("rebuild_index").returncode == 0
        stop.touch()
        assert searcher.result().split() == ["1", "5", "4"]


def test_a_second_builder_is_told_of_the_first(beside, embedder):
    add_products(units(20, seed=1), embedder)
    is_building, may_go_on = threading.Event(), threading.Event()

    def hold(_: float) -> None:
        is_building.set()
        assert may_go_on.wait(180)

    first = beside(lambda: indexing.rebuild(embedder, on_progress=hold))
    assert is_building.wait(120)
    with pytest.raises(BuildInProgress):
        indexing.rebuild(embedder)
    may_go_on.set()
    assert indexing.is_serving(first.result(120))
    assert IndexBuild.objects.count() == 1


@pytest.mark.usefixtures("engine")
def test_a_build_says_what_it_is(embedder):
    add_products(units(50, seed=1), embedder)
    build = indexing.rebuild(embedder)
    last = Embedding.objects.order_by("pk").last().pk
    folder = indexing.build_store(embedder).root / build.name
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["about"] == {
        "embedder": "tests",
        "fingerprint": "0" * 64,
        "last_embedding": last,
    }
    assert (build.state, build.count, build.engine) == ("ready", 50, configured.INDEX)
    assert build.size == sum(f.stat().st_size for f in folder.iterdir() if f.suffix != ".json")
    assert indexing.status(embedder) == indexing.IndexStatus(
        embedder.key, build.name, indexed=50, newer=0, problem=None
    )


def test_an_empty_catalogue_can_be_built_and_filled_afterwards(embedder):
    indexing.rebuild(embedder)
    [query] = units(1, seed=2)
    assert indexing.nearest(embedder, query, limit=5) == []
    add_products(units(5, seed=1), embedder)
    assert_equals_a_scan(embedder, query, 5)


def test_an_interrupted_build_is_failed_by_the_next(embedder):
    IndexBuild.objects.create(embedder=embedder, engine="exact")
    indexing.rebuild(embedder)
    assert [build.state for build in IndexBuild.objects.all()] == ["ready", "failed"]


def test_the_newest_builds_are_kept_and_the_others_removed(embedder, settings):
    settings.INDEX_KEEP_BUILDS = 2
    add_products(units(5, seed=1), embedder)
    builds = [indexing.rebuild(embedder) for _ in range(4)]
    states = [IndexBuild.objects.get(pk=build.pk).state for build in builds]
    assert states == ["removed", "removed", "ready", "ready"]
    root = indexing.build_store(embedder).root
    assert {path.name for path in root.iterdir() if path.is_dir()} == {
        build.name for build in builds[2:]
    }


@pytest.mark.usefixtures("engine")
def test_an_earlier_build_can_serve_again_and_answers_as_completely(embedder):
    add_products(units(60, seed=1), embedder)
    first = indexing.rebuild(embedder)
    add_products(units(60, seed=2), embedder)
    second = indexing.rebuild(embedder)
    [query] = units(1, seed=3)
    assert_equals_a_scan(embedder, query, 20)
    indexing.activate(first)
    assert (indexing.is_serving(first), indexing.is_serving(second)) == (True, False)
    assert indexing.status(embedder).newer == 60
    assert_equals_a_scan(embedder, query, 20)
    indexing.activate(second)
    assert_equals_a_scan(embedder, query, 20)


def test_a_build_that_was_removed_cannot_serve_again(embedder, settings):
    settings.INDEX_KEEP_BUILDS = 1
    first, second = indexing.rebuild(embedder), indexing.rebuild(embedder)
    with pytest.raises(BrokenBuild):
        indexing.activate(first)
    assert indexing.is_serving(second)


# --- Broken builds ---------------------------------------------------------------------------


def damage(build: IndexBuild) -> None:
    path = indexing.build_store(build.embedder).root / build.name / "vectors.npy"
    data = bytearray(path.read_bytes())
    data[-3] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.usefixtures("engine")
def test_when_the_current_build_is_broken_the_last_good_one_serves(embedder):
    add_products(units(60, seed=1), embedder)
    good = indexing.rebuild(embedder)
    add_products(units(60, seed=2), embedder)
    damage(broken := indexing.rebuild(embedder))
    indexing.forget()  # as a process that starts now sees it
    [query] = units(1, seed=3)
    assert_equals_a_scan(embedder, query, 20)
    status = indexing.status(embedder)
    assert status.serving == good.name
    assert broken.name in status.problem
    assert status.needs_rebuild
    assert not status.is_complete
    indexing.rebuild(embedder)
    assert indexing.status(embedder).problem is None


def test_when_no_build_is_good_all_vectors_are_scanned(embedder):
    add_products(units(60, seed=1), embedder)
    damage(indexing.rebuild(embedder))
    indexing.forget()
    [query] = units(1, seed=3)
    assert_equals_a_scan(embedder, query, 20)
    assert indexing.status(embedder).serving is None
    assert indexing.status(embedder).problem is not None


def test_a_broken_build_does_not_get_to_serve(embedder):
    add_products(units(60, seed=1), embedder)
    first, second = indexing.rebuild(embedder), indexing.rebuild(embedder)
    damage(first)
    with pytest.raises(BrokenBuild):
        indexing.activate(first)
    assert indexing.is_serving(second)


# --- What a build finds ----------------------------------------------------------------------


def test_a_build_finds_what_is_asked_for(embedder, settings, monkeypatch):
    monkeypatch.setattr("similarity.engine.indexes.annoy.ROWS_PER_NODE", 0)
    settings.INDEX, settings.INDEX_RECALL = "annoy", 0.95
    add_products(units(500, seed=1), embedder)
    build = indexing.rebuild(embedder)
    assert build.parameters.keys() == {"trees", "search_k", "seed"}
    assert build.recall >= 0.95
    assert build.search_ms > 0


def test_a_build_that_finds_less_than_asked_for_is_said_in_the_log(
    embedder, settings, monkeypatch, caplog
):
    monkeypatch.setattr("similarity.engine.indexes.annoy.ROWS_PER_NODE", 0)
    settings.INDEX = "annoy"
    settings.BACKEND_OPTIONS = {"annoy": {"trees": 1, "search_k": 10}}
    add_products(units(500, seed=1), embedder)
    build = indexing.rebuild(embedder)
    assert build.recall < 0.99
    assert f"{build.name} finds only {build.recall:.3f} of the nearest" in caplog.text


# --- When a rebuild is due -------------------------------------------------------------------


@pytest.mark.usefixtures("db")
def test_the_index_is_rebuilt_when_much_is_newer(settings):
    settings.INDEX_TAIL_LIMIT = 2
    for colour in ("red", "green"):
        add_product(colour.upper(), colour)
    assert services.rebuild_if_needed() is None
    add_photo(photo("blue"))
    run = services.rebuild_if_needed()
    assert services.rebuild_if_needed() == run, "one that waits is the one"
    pipeline.execute(run.pk)
    run.refresh_from_db()
    assert run.state == "done"
    assert run.builds.get().count == 3
    assert services.rebuild_if_needed() is None
