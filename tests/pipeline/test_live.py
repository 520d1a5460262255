"""A live engine in the product: updated after each commit, and never trusted against the rows."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.db.models.signals import post_delete

from catalog import bulk
from catalog.models import Category, OriginalImage, Product
from catalog.services import category_named, save_product
from similarity import (
    backends,
    indexing,
    pipeline,
    prototypes,
    services,
    serving,
    switching,
    upkeep,
)
from similarity.engine import NO_CATEGORY
from similarity.engine.errors import BrokenBuild, IndexUnavailable
from similarity.merging import merge_products
from similarity.models import Embedder, Embedding, IndexBuild
from tests.admin import send
from tests.api import references, refused
from tests.engine.live import LIVE, live_options
from tests.pictures import photo
from tests.pipeline.test_indexing import assert_categories_are_as_scanned
from tests.shop import add_photo, add_product


@pytest.fixture(params=LIVE)
def engine(request, settings, db):
    """The serving engine, empty; its deletions are heard of as `apps` has it."""
    settings.INDEX = request.param
    settings.BACKEND_OPTIONS = {request.param: live_options(request.param)}
    indexing.forget()
    post_delete.connect(upkeep.removed, sender=Embedding)
    yield indexing.live_index(serving.serving_embedder())
    post_delete.disconnect(upkeep.removed, sender=Embedding)
    if index := indexing.live_index(serving.serving_embedder()):
        for name in index.collections():
            index.drop(name)


@pytest.fixture
def committed(django_capture_on_commit_callbacks):
    """Run what is to run after the commit, at the end of a block."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


@pytest.fixture
def shop(engine, committed):
    """Three products, described before the index was built."""
    garments = {colour: add_product(colour.upper(), colour) for colour in ("red", "green", "blue")}
    indexing.rebuild(serving.serving_embedder())
    return garments


def held(index) -> list[int]:
    return sorted(int(key) for keys, _ in index.stored(None) for key in keys)


def rows() -> list[int]:
    return sorted(Embedding.objects.values_list("pk", flat=True))


def found(colour: str) -> list[str]:
    neighbours = services.find_similar(photo(colour, seed=9), limit=10)
    by_segment = dict(
        Embedding.objects.values_list("segment", "segment__image__product__reference")
    )
    return [by_segment[item.segment_id] for item in neighbours]


def test_before_the_first_build_all_vectors_are_scanned(engine):
    add_product("RED", "red")
    assert found("red") == ["RED"]
    status = indexing.status(serving.serving_embedder())
    assert (status.serving, status.newer, status.needs_rebuild) == (None, 1, True)


def test_a_build_is_a_collection_that_serves(engine, shop):
    [build] = IndexBuild.objects.all()
    assert (build.state, build.count, build.engine) == ("ready", 3, backends.settings.INDEX)
    assert build.recall == 1
    assert (engine.serving(), held(engine)) == (build.name, rows())
    assert services.is_serving(build)
    assert found("green")[0] == "GREEN"
    status = indexing.status(serving.serving_embedder())
    assert (status.indexed, status.newer, status.problem) == (3, 0, None)
    assert services.rebuild_if_needed() is None


def test_what_is_added_described_anew_and_deleted_is_so_in_the_engine(engine, shop, committed):
    with committed():
        pink = add_product("PINK", "pink")
    assert held(engine) == rows()
    assert found("pink")[0] == "PINK"
    with committed():
        pipeline.execute(services.describe_again(pink.image).pk)
    assert held(engine) == rows()
    with committed() as callbacks:
        Product.objects.filter(reference__in=["RED", "PINK"]).delete()
    assert held(engine) == rows()
    assert len(rows()) == 2
    assert len([c for c in callbacks if isinstance(c, upkeep._Removal)]) == 1


def test_deletions_reach_the_collections_of_embedders_that_do_not_serve(engine, shop, committed):
    other = Embedder.objects.create(name="tests", fingerprint="1" * 64, dim=4)
    segments = [shop["red"], shop["blue"]]
    with committed():
        pipeline.add_embeddings(other, segments, np.eye(4, dtype=np.float32)[:2])
    index = indexing.live_index(other)  # nothing serves for it yet, and nothing is missed
    indexing.rebuild(other)
    kept = Embedding.objects.get(embedder=other, segment=shop["blue"]).pk
    with committed():
        Product.objects.get(reference="RED").delete()
    assert held(index) == [kept]
    assert len(held(engine)) == 2


def test_searches_take_the_effort_that_was_measured_for_the_collection(engine, shop):
    [build] = IndexBuild.objects.all()
    assert build.parameters == {"ef_search": engine.ef_search, "categories": 1}
    IndexBuild.objects.update(parameters={"ef_search": 321})
    space = indexing._space(serving.serving_embedder())
    space.look_again()
    space._followed = None  # as in a process that has just come up
    found("red")
    assert engine.ef_search == 321


def test_an_effort_that_the_settings_name_is_taken_as_it_is(engine, settings):
    add_product("RED", "red")
    options = settings.BACKEND_OPTIONS[settings.INDEX]
    settings.BACKEND_OPTIONS = {settings.INDEX: {**options, "ef_search": 77}}
    engine.ef_search = 77
    assert indexing.rebuild(serving.serving_embedder()).parameters["ef_search"] == 77


def test_what_is_rolled_back_is_not_heard_of(engine, shop, committed):
    before = held(engine)
    with committed():
        with suppress(RuntimeError), transaction.atomic():
            Product.objects.all().delete()
            raise RuntimeError
        with transaction.atomic():
            Product.objects.get(reference="RED").delete()
    assert len(held(engine)) == len(before) - 1
    assert held(engine) == rows()


def test_a_missed_change_shows_nothing_wrong_and_is_repaired(engine, shop, committed, capsys):
    Product.objects.get(reference="RED").delete()  # nothing commits here: it is missed
    add_product("PINK", "pink")
    wrong = np.eye(engine.dim, dtype=np.float32)[:1]
    engine.add(None, np.array(rows()[:1]), wrong, np.array([NO_CATEGORY]))
    assert "RED" not in found("red")
    with pytest.raises(CommandError, match="--repair"):
        call_command("index_check")
    told = capsys.readouterr().out
    assert "1 are wrong, 1 are missing, 1 have gone" in told
    assert "0 are of another category" in told
    call_command("index_check", "--repair")
    assert "0 are wrong, 0 are missing, 0 have gone" in capsys.readouterr().out
    assert held(engine) == rows()
    assert found("pink")[0] == "PINK"
    call_command("index_check")


def test_what_comes_while_a_collection_is_filled_is_in_it(engine, shop, committed):
    late = []

    def add_one(done: float) -> None:
        if not late:
            with committed():
                late.append(add_product("LATE", "pink"))

    build = indexing.rebuild(serving.serving_embedder(), on_progress=add_one)
    assert engine.serving() == build.name
    assert held(engine) == rows()


def test_an_earlier_collection_can_serve_again_and_old_ones_go(engine, shop, settings):
    settings.INDEX_KEEP_BUILDS = 2
    embedder = serving.serving_embedder()
    builds = [*IndexBuild.objects.all(), indexing.rebuild(embedder), indexing.rebuild(embedder)]
    assert set(engine.collections()) == {build.name for build in builds[1:]}
    services.roll_back(builds[1])
    assert engine.serving() == builds[1].name
    with pytest.raises(BrokenBuild):
        services.roll_back(builds[0])


def test_a_build_that_fails_leaves_nothing(engine, shop):
    before = engine.collections()

    def fail(_: float) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        indexing.rebuild(serving.serving_embedder(), on_progress=fail)
    assert (engine.collections(), engine.serving()) == (before, before[0])


def test_a_collection_serves_though_it_could_not_be_told_of_what_came(engine, shop, monkeypatch):
    def fall_silent(name):
        raise IndexUnavailable("Down for a moment.")

    monkeypatch.setattr(engine, "categories", fall_silent)
    with pytest.raises(IndexUnavailable):
        indexing.rebuild(serving.serving_embedder())
    latest = IndexBuild.objects.first()
    assert (engine.serving(), latest.state, held(engine)) == (latest.name, "ready", rows())
    assert found("green")[0] == "GREEN"


def test_what_an_embedder_is_dropped_with_are_its_collections(engine, shop):
    other = Embedder.objects.create(name="tests", fingerprint="1" * 64, dim=4)
    pipeline.add_embeddings(other, [shop["red"]], np.eye(4, dtype=np.float32)[:1])
    index = indexing.live_index(other)
    indexing.rebuild(other)
    switching.drop("tests")
    assert (index.collections(), index.serving()) == ([], None)
    assert len(engine.collections()) == 1


def test_filters_and_colours_go_first_as_ever(engine, shop, stranger):
    response = stranger.get(
        f"/api/v1/segments/{shop['red'].identifier}/similar/", {"colour": "blue"}
    )
    assert references(response) == ["BLUE"]


# --- Categories ------------------------------------------------------------------------------


@pytest.fixture
def dressed(shop, engine, committed):
    """The same shop, in which red and green are dresses, and a picture is of no product."""
    with committed():
        save_product("RED", category="Dresses")
        save_product("GREEN", category="Dresses")
        add_photo(photo("white"))
    return shop


def sorted_as(engine) -> dict[int, int]:
    return {
        int(key): int(category)
        for keys, categories in engine.categories(None)
        for key, category in zip(keys, categories, strict=True)
    }


def by_rows() -> dict[int, int]:
    rows = Embedding.objects.values_list("pk", indexing.CATEGORY)
    return {key: category or NO_CATEGORY for key, category in rows}


def in_dresses(client, segment, **filters) -> list[str]:
    """What is like a garment among the dresses, as a shopper asks for it."""
    url = f"/api/v1/segments/{segment.identifier}/similar/"
    return references(client.get(url, {"category": "dresses", **filters}))


def put_category(merchandiser, name: str) -> None:
    answer = merchandiser.patch("/api/v1/products/BLUE/", {"category": name}, format="json")
    assert answer.status_code == 200


def edit_in_admin(merchandiser, name: str) -> None:
    keys = list(Product.objects.filter(reference="BLUE").values_list("pk", flat=True))
    category = category_named(name)
    form = {"_selected_action": keys, "action": "edit_together", "apply": "1"}
    answer = send(merchandiser, "/admin/catalog/product/", {**form, "category": category.pk})
    assert answer.status_code == 302


def move_picture(*_: object) -> None:
    image = OriginalImage.objects.get(product__reference="BLUE")
    image.product = Product.objects.get(reference="RED")
    image.save(update_fields=["product"])


def predict(*_: object) -> None:
    """A product that nobody has sorted gets another picture, and a category by it."""
    prototypes.refresh()
    add_photo(photo("red", seed=5), Product.objects.get(reference="BLUE"))
    assert Product.objects.get(reference="BLUE").category_predicted


CHANGES = {
    "by the API": lambda client: put_category(client, "Dresses"),
    "by the API to a new one": lambda client: put_category(client, "Skirts"),
    "in the admin, for many": lambda client: edit_in_admin(client, "Skirts"),
    "as a shop puts it": lambda _: save_product("RED", category=""),
    "by its deletion": lambda _: Category.objects.all().delete(),
    "of a picture, by another product": move_picture,
    "of a product that is merged": lambda _: merge_products(
        Product.objects.get(reference="RED"), Product.objects.get(reference="BLUE")
    ),
    "that is predicted": predict,
}


def test_a_build_and_additions_bring_their_categories(engine, dressed):
    assert sorted_as(engine) == by_rows()
    assert sorted(sorted_as(engine).values())[:2] == [NO_CATEGORY, NO_CATEGORY]
    indexing.rebuild(serving.serving_embedder())
    assert sorted_as(engine) == by_rows()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_category_is_known_after_its_commit(
    engine, dressed, committed, merchandiser, change
):
    before = by_rows()
    with committed():
        change(merchandiser)
    assert by_rows() != before
    assert sorted_as(engine) == by_rows()


def test_a_change_of_many_products_is_told_at_once(engine, dressed, committed):
    keys = Product.objects.values_list("pk", flat=True)
    with committed() as callbacks:
        bulk.edit(keys, bulk.Change(category=category_named("Skirts")))
    assert sorted_as(engine) == by_rows()
    assert len([c for c in callbacks if isinstance(c, upkeep._Sorting)]) == 1


def test_another_change_of_a_product_is_not_told(engine, dressed, committed):
    with committed() as callbacks:
        save_product("RED", brand="Ada", category="Dresses")
    assert not [c for c in callbacks if isinstance(c, upkeep._Changes)]


def test_a_missed_change_of_category_is_found_and_repaired(engine, dressed, stranger, capsys):
    dresses = Category.objects.get()
    Product.objects.filter(reference="RED").update(category=None)
    Product.objects.filter(reference="BLUE").update(category=dresses)
    assert in_dresses(stranger, dressed["red"]) == ["GREEN"]  # nothing wrong is shown
    with pytest.raises(CommandError, match="--repair"):
        call_command("index_check")
    assert "2 are of another category than the index says" in capsys.readouterr().out
    call_command("index_check", "--repair")
    assert "0 are of another category than the index says" in capsys.readouterr().out
    assert sorted_as(engine) == by_rows()
    assert sorted(in_dresses(stranger, dressed["red"])) == ["BLUE", "GREEN"]


def test_what_is_sorted_anew_while_a_collection_is_filled_is_so_in_it(engine, dressed, committed):
    late = []

    def move_one(done: float) -> None:
        if not late:
            with committed():
                late.append(save_product("BLUE", category="Dresses"))

    indexing.rebuild(serving.serving_embedder(), on_progress=move_one)
    assert sorted_as(engine) == by_rows()


@pytest.fixture
def asked(engine, monkeypatch):
    """What the service has been asked to keep searches to."""
    calls, search = [], engine.search

    def noted(*values, **how):
        calls.append((how.get("among"), how.get("categories")))
        return search(*values, **how)

    monkeypatch.setattr(engine, "search", noted)
    return calls


def test_a_category_is_asked_of_the_service_and_not_as_a_list_of_keys(
    engine, dressed, stranger, asked
):
    assert in_dresses(stranger, dressed["red"]) == ["GREEN"]
    assert in_dresses(stranger, dressed["blue"]) == ["RED", "GREEN"]
    assert {among for among, _ in asked} == {None}
    assert [categories for _, categories in asked] == [[Category.objects.get().pk]] * 2


def test_other_filters_hold_beside_a_category(engine, dressed, committed, stranger):
    Product.objects.filter(reference__in=["GREEN", "BLUE"]).update(brand="Ada")
    assert in_dresses(stranger, dressed["blue"], brand="Ada") == ["GREEN"]
    assert in_dresses(stranger, dressed["blue"], colour="red") == ["RED"]
    assert in_dresses(stranger, dressed["blue"], category="none-such") == []


def test_the_nearest_categories_are_asked_of_the_service_as_well(engine, dressed, asked):
    prototypes.refresh()
    run = services.search(segment=dressed["blue"], limit=2, top_categories=1)
    products = Product.objects.filter(images__segments__in=[key for key, *_ in run.ranking])
    assert {product.reference for product in products} == {"RED", "GREEN"}
    assert asked == [(None, [Category.objects.get().pk])]


def test_categories_give_what_a_scan_gives_whatever_they_keep(engine):
    embedder = Embedder.objects.create(name="tests", fingerprint="0" * 64, dim=8)
    assert_categories_are_as_scanned(embedder)
    index = indexing.live_index(embedder)
    for name in index.collections():
        index.drop(name)


def test_a_collection_of_before_there_were_categories_is_searched_as_it_was(
    engine, dressed, stranger, capsys
):
    keys = np.array(held(engine))
    engine.categorise(None, keys, np.full(len(keys), NO_CATEGORY))
    IndexBuild.objects.update(parameters={"ef_search": 64})
    indexing._space(serving.serving_embedder())._followed = None  # as in a process just come up
    assert in_dresses(stranger, dressed["blue"]) == ["RED", "GREEN"]
    call_command("index_check")
    assert "before vectors had categories: rebuild_index" in capsys.readouterr().out
    indexing.rebuild(serving.serving_embedder())
    assert sorted_as(engine) == by_rows()
    assert in_dresses(stranger, dressed["blue"]) == ["RED", "GREEN"]


# --- The service is down ---------------------------------------------------------------------

DOWN = {
    "qdrant": {"url": "http://127.0.0.1:1", "timeout": 1},
    "pgvector": {"url": "postgresql://nobody@127.0.0.1:1/none", "timeout": 1},
}


@pytest.fixture
def down(engine, shop, settings):
    settings.BACKEND_OPTIONS = DOWN
    indexing.forget()
    yield
    settings.BACKEND_OPTIONS = {settings.INDEX: live_options(settings.INDEX)}
    indexing.forget()


@pytest.mark.usefixtures("down")
def test_a_search_says_that_the_service_is_down(stranger, administrator, shop):
    url = f"/api/v1/segments/{shop['red'].identifier}/similar/"
    refused(stranger.get(url), 503, "index_unavailable")
    asked = {"segment": shop["red"].identifier}
    refused(stranger.post("/api/v1/searches/", asked), 503, "index_unavailable")
    assert stranger.get("/api/v1/health/ready").status_code == 503
    assert "does not answer" in stranger.get("/api/v1/index/").json()["problem"]
    builds = administrator.get("/api/v1/index/builds/").json()["results"]
    assert [build["is_serving"] for build in builds] == [False]
    assert administrator.get("/admin/similarity/indexbuild/").status_code == 200


@pytest.mark.usefixtures("down")
def test_garments_are_described_all_the_same(committed, caplog):
    with committed():
        add_product("PINK", "pink")
    assert Embedding.objects.count() == 4
    assert "has missed a change" in caplog.text


@pytest.mark.usefixtures("down")
def test_products_are_sorted_all_the_same(committed, caplog):
    with committed():
        save_product("RED", category="Dresses")
    assert Product.objects.get(reference="RED").category.name == "Dresses"
    assert "has missed a change" in caplog.text


@pytest.mark.usefixtures("down")
def test_the_check_fails_with_a_sentence():
    with pytest.raises(CommandError, match="does not answer"):
        call_command("index_check")
    with pytest.raises(IndexUnavailable):
        indexing.rebuild(serving.serving_embedder())
