"""The garment of a plain photo is found by its colours and its place, or there is no answer."""

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from similarity.engine import Box, datasets, foreground

pytest.importorskip("cv2")


def _laid_flat(box: tuple[int, int, int, int], garment: str = "navy") -> Image.Image:
    """A garment of one colour on a floor of tiles."""
    image = Image.new("RGB", (240, 288), "beige")
    pen = ImageDraw.Draw(image)
    for across in range(0, 240, 80):
        pen.line((across, 0, across, 288), fill="tan", width=2)
    pen.rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=garment)
    grain = np.random.default_rng(0).normal(0, 6, (288, 240, 3))
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("drawn", [(60, 50, 180, 240), (30, 100, 200, 200), (80, 80, 150, 220)])
def test_a_garment_on_a_floor_is_boxed(drawn: tuple[int, int, int, int]) -> None:
    found = foreground.box(_laid_flat(drawn))
    assert found is not None
    assert found.iou(Box(*drawn)) > 0.9


def test_a_pair_of_shoes_is_one_box() -> None:
    image = _laid_flat((70, 90, 110, 220))
    image.paste("navy", (130, 90, 170, 220))
    found = foreground.box(image)
    assert found is not None
    assert found.iou(Box(70, 90, 170, 220)) > 0.9


@pytest.mark.parametrize("size", [(16, 16), (300, 300), (16, 600)])
def test_a_photo_of_nothing_has_no_box(size: tuple[int, int]) -> None:
    assert foreground.box(Image.new("RGB", size, "gray")) is None


def test_noise_has_no_box() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (288, 240, 3), dtype=np.uint8)
    assert foreground.box(Image.fromarray(noise)) is None


def test_the_same_photo_gives_the_same_box() -> None:
    image = _laid_flat((60, 50, 180, 240))
    first = foreground.box(image)
    foreground.box(_laid_flat((80, 80, 150, 220), "red"))
    assert foreground.box(image) == first


@pytest.mark.photos
def test_most_real_photos_get_a_box(photos: Path) -> None:
    chosen = random.Random(0).sample(datasets.read(photos / "clothing"), 60)
    boxes = [foreground.box(datasets.open_rgb(photo)) for photo in chosen]
    assert sum(found is not None for found in boxes) >= 0.7 * len(boxes)


def test_the_mask_covers_the_garment_and_leaves_the_floor_out() -> None:
    mask = foreground.mask(_laid_flat((60, 50, 180, 240)))
    assert mask is not None
    height, width = mask.shape
    assert max(height, width) == foreground.SIDE
    drawn = np.zeros(mask.shape, bool)
    drawn[round(50 * height / 288) : round(240 * height / 288), width // 4 : width * 3 // 4] = True
    assert (mask & drawn).sum() / (mask | drawn).sum() > 0.9


def test_what_has_no_box_has_no_mask() -> None:
    assert foreground.mask(Image.new("RGB", (300, 300), "gray")) is None


@pytest.mark.parametrize("corner", [915, 925])
def test_a_mark_in_a_corner_is_no_garment(corner: int) -> None:
    image = Image.new("RGB", (1000, 1000), "white")
    image.paste("black", (corner, corner, corner + 21, corner + 21))
    assert foreground.box(image) is None
