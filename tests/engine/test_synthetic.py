"""The demonstration catalogue: drawn garments, their boxes and their product details."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from similarity.engine import Box
from similarity.engine.synthetic import (
    CUTS,
    KINDS,
    PALETTE,
    Garment,
    Scene,
    main_place,
    outfit,
    photo,
    product,
    street,
)
from similarity.engine.synthetic.facts import CATEGORIES, SEASONS
from similarity.engine.synthetic.geometry import dashes, ribbon
from similarity.engine.synthetic.painting import paint
from similarity.engine.synthetic.patterns import PATTERNS

ROOT = Path(__file__).parents[2]
SEED = 11
CATALOGUE = [product(SEED, number) for number in range(200)]

DIGEST = """
import hashlib
from similarity.engine.synthetic import outfit, photo, street
scenes = [photo(11, 3), photo(11, 4, 2), street(11, 5), outfit(11, 4)]
print(hashlib.sha256(b"".join(scene.image.tobytes() for scene in scenes)).hexdigest())
"""


@pytest.fixture(scope="module")
def photos() -> list[Scene]:
    return [photo(SEED, number, number % 4) for number in range(6)]


@pytest.fixture(scope="module")
def outfits() -> list[Scene]:
    """The five looks of the products 10 to 19."""
    return [outfit(SEED, number) for number in range(5, 10)]


def any_garment(cut: str, **changes: object) -> Garment:
    usual = Garment(CUTS[cut].kind, cut, "teal", "ivory", "plain", 0.5, 0.5, 0.5, 7)
    return replace(usual, **changes)


def covered(mask) -> np.ndarray:
    return np.asarray(mask) >= 128


# Determinism


def test_the_same_seed_and_number_give_the_same_product():
    assert product(SEED, 7) == product(SEED, 7)


def test_the_same_seed_and_number_give_the_same_bytes_in_every_process():
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            cwd=ROOT,
            env={"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1


def test_another_seed_is_another_shop():
    assert [product(1, n).garment for n in range(20)] != [product(2, n).garment for n in range(20)]


# Garments


def test_there_are_ten_kinds_with_at_least_three_cuts_each():
    assert len(KINDS) == 10
    for kind in KINDS:
        assert sum(cut.kind == kind for cut in CUTS.values()) >= 3


def test_ten_products_in_a_row_are_one_of_each_kind():
    assert {item.garment.kind for item in CATALOGUE[:10]} == set(KINDS)


def test_a_small_catalogue_shows_every_cut():
    assert {item.garment.cut for item in CATALOGUE[:80]} == set(CUTS)


def test_a_garment_is_of_a_colour_and_pattern_that_its_cut_comes_in():
    for garment in (item.garment for item in CATALOGUE):
        cut = CUTS[garment.cut]
        assert garment.kind == cut.kind
        assert garment.colour in cut.colours
        assert garment.colour in PALETTE
        assert garment.pattern in cut.patterns
        assert garment.second_colour != garment.colour
        assert garment.pattern == "plain" or garment.second_colour in PALETTE


@pytest.mark.parametrize("cut", CUTS)
def test_a_cut_can_be_drawn_at_its_extremes(cut):
    for share in (0.0, 1.0):
        garment = any_garment(cut, length=share, sleeve=share, fit=share)
        cutout = paint(garment, within=(90, 120), angle=25)
        assert cutout.image.size == cutout.mask.size
        assert cutout.image.width <= 91
        assert cutout.image.height <= 121
        assert covered(cutout.mask).mean() > 0.1


def test_a_plain_garment_has_its_colour_in_the_mean():
    cutout = paint(any_garment("crew-neck tee", second_colour=None), within=(200, 260), angle=0)
    mean = np.asarray(cutout.image)[covered(cutout.mask)].mean(0)
    assert np.abs(mean - PALETTE["teal"]).max() < 25


@pytest.mark.parametrize("pattern", [name for name in PATTERNS if name != "plain"])
def test_a_pattern_shows_both_colours(pattern):
    garment = any_garment("crew-neck tee", colour="black", second_colour="white", pattern=pattern)
    cutout = paint(garment, within=(150, 200), angle=10)
    grey = np.asarray(cutout.image.convert("L"))[covered(cutout.mask)]
    assert (grey < 90).mean() > 0.05
    assert (grey > 130).mean() > 0.02


def test_what_is_left_to_chance_changes_the_picture_and_not_the_outline():
    one, other = (
        paint(any_garment("wrap dress", variant=v), within=(200, 260), angle=0) for v in (1, 2)
    )
    assert one.image.tobytes() != other.image.tobytes()
    assert one.mask.tobytes() == other.mask.tobytes()


# Boxes


def test_a_box_is_tight_around_the_garments_pixels(photos, outfits):
    for placed in (placed for scene in photos + outfits for placed in scene.placed):
        rows, columns = np.nonzero(covered(placed.mask))
        left, top, right, bottom = placed.box.pixels()
        assert (left, top) == (columns.min(), rows.min())
        assert (right, bottom) == (columns.max() + 1, rows.max() + 1)


def test_a_box_lies_inside_its_picture(photos):
    for scene in photos:
        (placed,) = scene.placed
        assert placed.box == placed.box.clamped(*scene.image.size)
        assert placed.box.area > 0.05 * scene.image.width * scene.image.height


def test_the_garment_is_painted_where_its_mask_says():
    for number in (1, 4):
        scene = photo(SEED, number)
        (placed,) = scene.placed
        cutout = paint(placed.garment, within=(480, 656), angle=0)
        left, top = (
            round(side / 2 - own / 2)
            for side, own in zip(scene.image.size, cutout.image.size, strict=True)
        )
        inside = np.asarray(cutout.mask) == 255
        height, width = inside.shape
        seen = np.asarray(scene.image)[top : top + height, left : left + width]
        assert np.array_equal(seen[inside], np.asarray(cutout.image)[inside])


# Photographs


def test_views_of_a_product_differ_and_keep_the_garment():
    views = [photo(SEED, 2, view) for view in range(3)]
    assert len({view.image.tobytes() for view in views}) == 3
    assert {view.placed[0].garment for view in views} == {product(SEED, 2).garment}


def test_a_shoppers_picture_shows_the_product():
    (placed,) = street(SEED, 6).placed
    assert placed.garment == product(SEED, 6).garment
    assert placed.number == 6


def test_pictures_are_rgb(photos, outfits):
    assert {scene.image.mode for scene in photos + outfits} == {"RGB"}


def test_the_place_of_the_main_garment_holds_that_one_alone(outfits):
    for number, scene in enumerate(outfits, start=5):
        place = main_place(number)
        main, *others = (placed.box for placed in scene.placed)
        assert place.x0 <= main.x0 < main.x1 <= place.x1
        assert place.y0 <= main.y0 < main.y1 <= place.y1
        for box in others:
            shared = Box(
                max(box.x0, place.x0),
                max(box.y0, place.y0),
                min(box.x1, place.x1),
                min(box.y1, place.y1),
            )
            assert shared.area < 0.1 * box.area


def test_an_outfit_is_two_to_four_products_that_barely_overlap(outfits):
    for placed in (scene.placed for scene in outfits):
        assert 2 <= len(placed) <= 4
        assert all(item.garment == product(SEED, item.number).garment for item in placed)
        assert max(a.box.iou(b.box) for a, b in combinations(placed, 2)) < 0.05


def test_an_outfit_lies_inside_its_picture(outfits):
    for mask in (covered(placed.mask) for scene in outfits for placed in scene.placed):
        assert not np.concatenate((mask[0], mask[-1], mask[:, 0], mask[:, -1])).any()


def test_five_outfits_wear_the_products_of_one_ten(outfits):
    worn = {placed.number for scene in outfits for placed in scene.placed}
    assert worn <= set(range(10, 20))


# Product details


def test_a_name_says_the_cut_the_colour_and_the_pattern():
    for garment, facts in ((item.garment, item.facts) for item in CATALOGUE):
        words = facts.name.lower()
        assert garment.cut in words
        assert garment.colour in words
        assert PATTERNS[garment.pattern].adjective in words


def test_details_fit_the_garment():
    for garment, facts in ((item.garment, item.facts) for item in CATALOGUE):
        assert facts.category == CATEGORIES[garment.kind]
        assert {garment.colour, garment.pattern, garment.cut} <= set(facts.tags)
        assert facts.season in SEASONS
        assert facts.season in CUTS[garment.cut].seasons
        assert facts.description.count(". ") == 1


def test_only_what_has_a_waist_says_how_high_it_is():
    for garment, facts in ((item.garment, item.facts) for item in CATALOGUE):
        waisted = garment.kind in {"pants", "shorts", "skirt"}
        assert facts.waist_type in ({"high", "mid", "low"} if waisted else {""})


def test_sizes_fit_the_kind():
    for garment, facts in ((item.garment, item.facts) for item in CATALOGUE):
        if garment.kind == "shoes":
            assert all(36 <= int(size) <= 45 for size in facts.sizes)
        elif garment.kind in {"bag", "scarf"}:
            assert facts.sizes == ("one size",)
        else:
            assert set(facts.sizes) <= {"XS", "S", "M", "L", "XL"}
        assert len(facts.sizes) == len(set(facts.sizes)) >= 1


def test_prices_and_ratings_are_sound():
    for facts in (item.facts for item in CATALOGUE):
        assert facts.price > 0
        assert facts.price == facts.price.quantize(Decimal("0.01"))
        assert facts.currency == "EUR"
        assert 1 <= facts.rating <= 5
        assert facts.sale_status in {"regular", "sale"}


def test_a_listing_season_is_a_year_and_a_season():
    for facts in (item.facts for item in CATALOGUE):
        year, season = facts.listing_season.split()
        assert 2020 <= int(year) <= 2100
        assert season in SEASONS


def test_references_are_unique():
    assert len({item.facts.reference for item in CATALOGUE}) == len(CATALOGUE)
    assert CATALOGUE[7].facts.reference == "DEMO-0007"


# Geometry


def test_stitches_and_gaps_alternate_along_a_line():
    assert dashes(((0, 0), (10, 0)), 2, 3) == [((0, 0), (2, 0)), ((5, 0), (7, 0))]


def test_stitches_go_on_round_a_corner():
    stitches = dashes(((0, 0), (1, 0), (1, 9)), 2, 1)
    assert stitches[0] == ((0, 0), (1, 0))
    assert stitches[1] == ((1, 0), (1, 1))


def test_a_ribbon_is_as_wide_as_asked_at_both_ends():
    band = ribbon(((0, 0), (0, 10)), 4, 2)
    assert sorted(x for x, _ in band) == [-2, -1, 1, 2]
