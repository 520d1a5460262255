"""Dominant colours and their names."""

from __future__ import annotations

import csv
import json
import time

import numpy as np
import pytest
from PIL import Image, ImageDraw

from similarity.engine import colours, synthetic
from similarity.engine.colours import NAMES, Colour, dominant
from similarity.engine.images import crop
from similarity.engine.synthetic.colours import PALETTE
from tests.pictures import COLOURS, picture

CALLED = {
    "charcoal": {"grey", "black"},
    "ivory": {"white", "beige"},
    "camel": {"brown", "beige"},
    "burgundy": {"red"},
    "coral": {"orange", "pink", "red"},
    "lilac": {"purple"},
    "mustard": {"yellow"},
    "olive": {"green"},
    "teal": {"turquoise"},
    "sky blue": {"blue"},
    "denim blue": {"blue"},
}
"""What a shop may file the palette's colours under; the others go by their own names."""


def called(colour: str) -> set[str]:
    return CALLED.get(colour, {colour})


def names(picture: Image.Image) -> list[str]:
    return [colour.name for colour in dominant(picture)]


def laid(colour: tuple[int, int, int], sheet: tuple[int, int, int], part: float) -> Image.Image:
    """A garment of one colour, so large a part of the sides, in the middle of a sheet."""
    image = Image.new("RGB", (300, 400), sheet)
    left, top = (round(side * (1 - part) / 2) for side in image.size)
    ImageDraw.Draw(image).rectangle((left, top, 299 - left, 399 - top), colour)
    grain = np.random.default_rng(0).integers(-3, 4, (400, 300, 3))
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))


WHITE, RED, BLACK, NAVY = (243, 243, 241), (190, 40, 45), (25, 25, 27), (35, 45, 80)


# --- Names ----------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", COLOURS)
def test_a_plain_colour_goes_by_its_name(colour):
    assert dominant(picture(colour)) == [Colour(colour, pytest.approx(1, abs=0.01))]


@pytest.mark.parametrize("colour", PALETTE)
def test_the_colours_of_the_drawn_garments_have_the_names_that_a_shop_gives_them(colour):
    sheet = Image.new("RGB", (60, 80), PALETTE[colour])
    ImageDraw.Draw(sheet).line((0, 0, 60, 0), "white", 3)  # how bright white is in this light
    assert names(sheet)[0] in called(colour)


def test_every_example_has_the_name_that_it_is_an_example_of():
    for name, codes in colours.EXAMPLES.items():
        for code in codes.split():
            sheet = Image.new("RGB", (40, 40), code)
            ImageDraw.Draw(sheet).rectangle((0, 0, 40, 2), "white")
            assert names(sheet)[0] == name, code


# --- Shares ---------------------------------------------------------------------------------


@pytest.mark.parametrize("period", [10, 20, 30, 60])
def test_stripes_have_both_their_colours_most_first(period):
    stripes = Image.new("RGB", (300, 300), NAVY)
    for y in range(0, 300, period):
        ImageDraw.Draw(stripes).rectangle((0, y, 300, y + 0.3 * period - 1), WHITE)
    first, second = dominant(stripes)
    assert (first.name, second.name) == ("navy", "white")
    assert first.share == pytest.approx(0.7, abs=0.1)
    assert first.share + second.share == pytest.approx(1, abs=0.01)


def test_a_small_share_is_left_out_and_three_are_the_most():
    logo = laid(RED, BLACK, 0.2)
    assert names(logo) == ["black"]
    flags = Image.new("RGB", (300, 300))
    for number, colour in enumerate(("red", "yellow", "green", "blue", "white")):
        flags.paste(COLOURS[colour], (number * 60, 0, number * 60 + 60, 300))
    assert len(dominant(flags)) == 3


def test_light_and_shade_make_no_second_colour():
    slope = np.linspace(0.75, 1.1, 200)[None, :, None]
    folds = np.clip(np.full((200, 200, 3), RED) * slope, 0, 255).astype(np.uint8)
    assert names(Image.fromarray(folds)) == ["red"]


def test_the_same_picture_has_the_same_colours():
    image = synthetic.photo(seed=1, number=3).image
    assert dominant(image) == dominant(image.copy())


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (3, 2), (2048, 1500)])
def test_a_crop_of_any_size_has_a_colour(size):
    for colour in ("black", "white", "red"):
        assert names(picture(colour, size))[0] == colour


# --- The background -------------------------------------------------------------------------


@pytest.mark.parametrize("sheet", [WHITE, BLACK, (150, 120, 90)])
def test_the_sheet_that_a_garment_lies_on_does_not_count(sheet):
    assert names(laid(RED, sheet, 0.6)) == ["red"]


def test_a_white_garment_on_a_white_sheet_is_white():
    assert names(laid((236, 236, 235), WHITE, 0.7)) == ["white"]


def test_a_garment_that_fills_its_box_keeps_the_colour_of_the_border():
    assert names(laid(WHITE, BLACK, 0.4))[0] == "black"


def test_light_that_falls_off_over_the_sheet_leaves_it_a_sheet():
    x = np.linspace(-1, 1, 300)
    light = 1 - 0.12 * (x[None, :, None] ** 2) - 0.1 * x[:, None, None]
    shot = np.asarray(laid(NAVY, (225, 222, 216), 0.6).resize((300, 300))) * light
    assert names(Image.fromarray(np.clip(shot, 0, 255).astype(np.uint8))) == ["navy"]


# --- How well it does -----------------------------------------------------------------------


def masked(image: Image.Image, mask: Image.Image) -> str | None:
    """The first colour of what the mask shows alone; None if that is next to nothing."""
    weights = np.float32(colours.sampled(mask.convert("RGB"))[:, 0] > 50)
    if weights.sum() < 5:
        return None
    return colours.named(colours.sampled(image), weights)[0].name


@pytest.mark.slow
def test_most_drawn_garments_are_called_what_they_were_dyed():
    """By box, whole photo or mask, nine in ten studio photos were (240 measured).

    Of shoppers' photos, in coloured light: 83 boxes, 68 whole photos, 78 masks in 100 (of 120).
    """
    right = {"studio": [], "street": []}
    for number in range(100):
        for kind, scene in (
            ("studio", synthetic.photo(seed=3, number=number)),
            ("street", synthetic.street(seed=3, number=number)),
        ):
            (placed,) = scene.placed
            box = crop(scene.image, placed.box)
            mask = crop(placed.mask, placed.box)
            answers = (names(box)[0], names(scene.image)[0], masked(box, mask))
            right[kind].append([name in called(placed.garment.colour) for name in answers])
    box, whole, mask = np.mean(right["studio"], axis=0)
    assert min(box, whole, mask) >= 0.87, (box, whole, mask)
    box, whole, mask = np.mean(right["street"], axis=0)
    assert min(box, mask) >= 0.74, (box, mask)
    assert whole >= 0.6


@pytest.mark.slow
@pytest.mark.photos
def test_a_box_mostly_says_what_a_mask_says(photos):
    """Of 2,942 garments in street photos: the first colour agrees for three in four."""
    described = json.loads((photos / "street" / "garments.json").read_text())
    agree, among = [], []
    for name, about in list(described["photos"].items())[:200]:
        image = Image.open(photos / "street" / "photos" / name).convert("RGB")
        tags = np.asarray(Image.open(photos / "street" / "masks" / name.replace("jpg", "png")))
        for garment in about["garments"]:
            pixels = tags == described["labels"].index(garment["tag"])
            mask = Image.fromarray(np.uint8(255 * pixels)).crop(garment["box"])
            crop = image.crop(garment["box"])
            if expected := masked(crop, mask):
                found = names(crop)
                agree.append(found[0] == expected)
                among.append(expected in found)
    assert np.mean(agree) >= 0.7
    assert np.mean(among) >= 0.84


@pytest.mark.slow
@pytest.mark.photos
def test_real_photos_have_names_and_take_little_time(photos):
    with (photos / "clothing" / "labels.csv").open() as file:
        files = [row["image"] for row in csv.DictReader(file)][:200]
    images = [Image.open(photos / "clothing" / "images" / f).convert("RGB") for f in files]
    seconds = []
    for _ in range(3):  # the best of them: what others do to the caches makes none shorter
        start = time.process_time()
        found = [dominant(image) for image in images]
        seconds.append(time.process_time() - start)
    assert min(seconds) / len(images) < 0.01
    assert all({colour.name for colour in garment} <= set(NAMES) for garment in found)


def test_lab_is_as_the_standard_defines_it():
    white, black, red = colours.lab(np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    np.testing.assert_allclose(white, [100, 0, 0], atol=0.02)
    np.testing.assert_allclose(black, [0, 0, 0], atol=0.02)
    np.testing.assert_allclose(red, [53.24, 80.09, 67.20], atol=0.02)
