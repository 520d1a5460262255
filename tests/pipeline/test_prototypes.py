"""Categories by their look: exact after every change, and what searches and uploads make of it."""

from __future__ import annotations

import random

import numpy as np
import pytest

from catalog.boxes import Drawn, garments, state_of
from catalog.models import Category, OriginalImage, Product, Segment
from catalog.services import delete_segment, save_product
from similarity import boxes, pipeline, prototypes, services, serving
from similarity.models import Embedder, Embedding, Prototype, StaleCategory
from tests.pictures import COLOURS, photo, picture
from tests.shop import add_photo, add_product, merge_into


def means() -> dict[str, tuple[int, np.ndarray]]:
    """Of each category, by its name: how many garments, and their sum."""
    embedder = serving.serving_embedder()
    rows = Prototype.objects.filter(embedder=embedder).select_related("category")
    return {row.category.name: (row.count, row.total) for row in rows}


def scanned() -> dict[str, tuple[int, np.ndarray]]:
    """The same by going through all that there is."""
    found: dict[str, list[np.ndarray]] = {}
    rows = Embedding.objects.filter(embedder=serving.serving_embedder())
    for row in rows.select_related("segment__image__product__category"):
        product = row.segment.image.product
        if product and product.category and not product.category_predicted:
            found.setdefault(product.category.name, []).append(row.vector)
    return {name: (len(own), np.sum(own, axis=0, dtype=np.float64)) for name, own in found.items()}


def assert_exact() -> None:
    prototypes.refresh()
    ours, true = means(), scanned()
    assert {name: count for name, (count, _) in ours.items()} == {
        name: count for name, (count, _) in true.items()
    }
    for name, (_, total) in ours.items():
        assert np.abs(total - true[name][1]).max() < 1e-9
    assert prototypes.check(serving.serving_embedder()) == []
    assert not StaleCategory.objects.exists()


@pytest.fixture
def shop(db):
    """Three reds, three blues, and a green without a category."""
    for seed in range(3):
        add_product(f"R-{seed}", "red", seed, category="Red")
        add_product(f"B-{seed}", "blue", seed, category="Blue")
    add_product("G-0", "green")
    prototypes.refresh()


def test_a_prototype_is_the_mean_of_its_categorys_garments(shop):
    assert {name: count for name, (count, _) in means().items()} == {"Red": 3, "Blue": 3}
    assert_exact()


def test_they_are_exact_after_additions(shop):
    add_product("R-9", "pink", 9, category="Red")
    add_product("Y-1", "yellow", category="Yellow")
    assert_exact()
    assert means()["Yellow"][0] == 1


CHANGES = {
    "a product is deleted": lambda: Product.objects.get(reference="R-1").delete(),
    "products are deleted together": lambda: Product.objects.filter(reference__lt="C").delete(),
    "its picture is deleted": lambda: OriginalImage.objects.get(product__reference="R-1").delete(),
    "its garment is deleted": lambda: delete_segment(
        Segment.objects.get(image__product__reference="R-1")
    ),
    "it gets another category": lambda: save_product("R-1", category="Blue"),
    "it gets a category": lambda: save_product("G-0", category="Green"),
    "it loses its category": lambda: save_product("R-1", category=""),
    "its category is deleted": lambda: Category.objects.get(name="Red").delete(),
    "its picture becomes another product's": lambda: move_picture("R-1", "B-1"),
    "its picture becomes nobody's": lambda: move_picture("R-1", None),
    "its picture gets a product": lambda: move_picture("G-0", "B-1"),
    "its picture is described anew": lambda: describe_again("R-1"),
    "two pictures are merged": lambda: merge_pictures("R-1", "G-0"),
    "its box is moved": lambda: move_box("R-1"),
}


def move_picture(reference: str, to: str | None) -> None:
    image = OriginalImage.objects.get(product__reference=reference)
    image.product = to and Product.objects.get(reference=to)
    image.save()


def describe_again(reference: str) -> None:
    run = services.describe_again(OriginalImage.objects.get(product__reference=reference))
    pipeline.execute(run.pk)


def move_box(reference: str) -> None:
    image = OriginalImage.objects.get(product__reference=reference)
    for edge in (10.0, 20.0, 30.0):
        segment = image.segments.get()
        drawn = Drawn((edge, edge, 90.0, 90.0), "dress", segment.pk)
        run = boxes.save(image, [drawn], seen=state_of(image, garments(image)))
        pipeline.execute(run.pk)
        prototypes.refresh()


def merge_pictures(kept: str, other: str) -> None:
    first = OriginalImage.objects.get(product__reference=kept)
    second = OriginalImage.objects.get(product__reference=other)
    second.product = None
    second.save()
    merge_into(first, second)


@pytest.mark.parametrize("change", CHANGES)
def test_they_are_exact_after_any_change(shop, change):
    CHANGES[change]()
    assert_exact()


def test_they_are_exact_after_many_changes_in_any_order(shop):
    chance = random.Random(7)
    for turn in range(30):
        if chance.random() < 0.4:
            add_product(f"N-{turn}", chance.choice(list(COLOURS)), turn, category="Red")
        else:
            product = Product.objects.order_by("?").first()
            chance.choice(
                (
                    lambda p: p.delete(),
                    lambda p: save_product(p.reference, category=chance.choice(["Red", "", "New"])),
                    lambda p: p.images.all().delete(),
                )
            )(product)
        if chance.random() < 0.3:
            prototypes.refresh()
    assert_exact()


def test_what_no_signal_tells_of_is_found_and_repaired(shop):
    red, blue = (Category.objects.get(name=name) for name in ("Red", "Blue"))
    Product.objects.filter(reference="R-1").update(category=blue)
    prototypes.refresh()
    embedder = serving.serving_embedder()
    assert sorted(prototypes.check(embedder)) == ["Blue", "Red"]
    prototypes.rebuild(embedder)
    assert_exact()
    assert (means()["Red"][0], means()["Blue"][0]) == (2, 4)
    assert red.pk != blue.pk


def test_of_two_that_refresh_at_once_the_slower_writes_nothing(shop, monkeypatch):
    add_product("R-9", "red", 9, category="Red")
    read = prototypes._sums

    def meanwhile(rows, dim):
        sums = read(rows, dim)
        monkeypatch.setattr(prototypes, "_sums", read)
        Product.objects.get(reference="R-9").delete()
        assert prototypes.refresh() == 1
        return sums

    monkeypatch.setattr(prototypes, "_sums", meanwhile)
    assert prototypes.refresh() == 0
    assert means()["Red"][0] == 3
    assert_exact()


def test_an_embedder_that_nobody_uses_any_more_starts_from_nothing(shop):
    other = Embedder.objects.create(name="old", fingerprint="1" * 64, dim=3, prototypes_upto=5)
    red = Category.objects.get(name="Red")
    Prototype.objects.create(embedder=other, category=red, total=np.ones(3), count=1, remade=1)
    prototypes.refresh()
    other.refresh_from_db()
    assert (other.prototypes_upto, other.prototypes.count()) == (0, 0)


# --- Searches ---------------------------------------------------------------------------------


def ranking(colour: str) -> list[str]:
    [vector] = serving.backend().embed([picture(colour, seed=77)])
    return [found.name for found in prototypes.ranked(serving.serving_embedder(), vector)]


def test_categories_are_ranked_by_likeness(shop):
    assert ranking("red")[0] == "Red"
    assert ranking("blue")[0] == "Blue"
    Product.objects.filter(category__name="Blue").first().delete()
    assert set(ranking("blue")) == {"Red", "Blue"}


def found(limit: int, top: int | None, colour: str = "red", **how) -> list[str]:
    run = services.search_photo(
        photo(colour, seed=77), limit=limit, top_categories=top, detect=False, **how
    )
    segments = Segment.objects.in_bulk([segment for segment, *_ in run.ranking])
    return [
        segments[segment].image.product.reference if segments[segment].image.product else "-"
        for segment, *_ in run.ranking
    ]


def test_a_search_is_narrowed_to_the_nearest_categories(shop):
    assert {reference[0] for reference in found(3, 1)} == {"R"}
    assert {reference[0] for reference in found(3, 1, "blue")} == {"B"}
    assert sorted(found(6, 2)) == ["B-0", "B-1", "B-2", "R-0", "R-1", "R-2"]


def test_what_the_nearest_categories_lack_comes_from_the_next_and_then_from_none(shop):
    add_photo(photo("black"))  # of no product
    references = found(7, 1)
    assert {reference[0] for reference in references[:3]} == {"R"}
    assert {reference[0] for reference in references[3:6]} == {"B"}
    assert references[6] in {"G-0", "-"}
    assert len(set(found(20, 1))) == len(found(20, 1)) == 8


def test_filters_hold_and_limit_is_reached_all_the_same(shop):
    Product.objects.filter(reference__in=["R-2", "B-1", "B-2", "G-0"]).update(brand="Ada")
    assert found(10, 1, filters={"brand": ["Ada"]})[0] == "R-2"
    assert sorted(found(10, 1, filters={"brand": ["Ada"]})) == ["B-1", "B-2", "G-0", "R-2"]


@pytest.mark.parametrize("scanned", [0, 20_000])
def test_narrowed_searches_follow_what_has_changed_since_at_once(shop, monkeypatch, scanned):
    """Whether categories are scanned, or too large for that and filtered."""
    monkeypatch.setattr(prototypes, "SCANNED", scanned)
    assert sorted(found(3, 1)) == ["R-0", "R-1", "R-2"]
    add_product("R-8", "red", 8, category="Red")  # the worker has not seen it yet
    Product.objects.get(reference="R-0").delete()
    assert sorted(found(3, 1)) == ["R-1", "R-2", "R-8"]
    prototypes.refresh()
    save_product("B-0", category="Red")
    add_product("R-9", "red", 9, category="Red")
    prototypes.refresh()
    assert sorted(found(5, 1)) == ["B-0", "R-1", "R-2", "R-8", "R-9"]


def test_without_prototypes_a_search_is_as_ever(db):
    add_product("R-0", "red", category="Red")
    add_product("B-0", "blue", category="Blue")
    assert found(5, 3) == found(5, None)


def test_a_garments_own_product_is_left_out(shop):
    segment = Segment.objects.get(image__product__reference="R-1")
    run = services.search(segment=segment, limit=20, top_categories=1)
    assert segment.pk not in [key for key, *_ in run.ranking]
    assert len(run.ranking) == 6


# --- Predicted categories ---------------------------------------------------------------------


def category_of(reference: str) -> tuple[str | None, bool]:
    product = Product.objects.select_related("category").get(reference=reference)
    return product.category and product.category.name, product.category_predicted


def test_an_upload_without_a_category_gets_the_nearest_marked_as_predicted(shop):
    add_product("N-1", "red", 50)
    add_product("N-2", "blue", 51)
    assert category_of("N-1") == ("Red", True)
    assert category_of("N-2") == ("Blue", True)
    assert_exact()


def test_what_was_predicted_teaches_nothing_until_somebody_confirms_it(shop):
    add_product("N-1", "red", 50)
    prototypes.refresh()
    assert means()["Red"][0] == 3
    save_product("N-1", category="Red")
    assert category_of("N-1") == ("Red", False)
    assert_exact()
    assert means()["Red"][0] == 4


def test_a_persons_category_is_never_overwritten(shop):
    add_product("N-1", "red", 50, category="Blue")
    assert category_of("N-1") == ("Blue", False)
    add_photo(photo("red", seed=51), Product.objects.get(reference="N-1"))
    assert category_of("N-1") == ("Blue", False)


def test_another_edit_leaves_the_mark(shop):
    add_product("N-1", "red", 50)
    save_product("N-1", name="Another name")
    assert category_of("N-1") == ("Red", True)


def test_nothing_is_predicted_before_there_are_prototypes(db):
    add_product("N-1", "red")
    assert category_of("N-1") == (None, False)


def test_products_are_found_by_the_name_of_a_predicted_category(shop):
    add_product("N-1", "red", 50, name="Thing")
    words = Product.objects.get(reference="N-1").words.values_list("word", flat=True)
    assert "red" in words
