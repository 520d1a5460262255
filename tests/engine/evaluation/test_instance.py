"""Knowing a picture again."""

import numpy as np
import pytest
from PIL import Image

from similarity.engine.evaluation import instance


def test_recall_by_hand():
    # Picture 0 is nearest to itself, 1 is nearer to 0, and 2 is as near to 0 as to itself.
    gallery = np.eye(3, dtype=np.float32)
    changed = np.array([[1, 0, 0], [0.8, 0.6, 0], [0.6, 0, 0.6]], dtype=np.float32)
    result = instance.evaluate(changed, gallery)
    assert result.as_dict() == {"queries": 3, "recall_at_1": pytest.approx(1 / 3)}


def test_nothing_is_found_among_nothing_or_among_equals():
    assert instance.evaluate(np.empty((0, 2)), np.empty((0, 2))).recall_at_1 == 0
    assert instance.evaluate(np.ones((4, 2)), np.ones((4, 2))).recall_at_1 == 0


def test_more_pictures_than_fit_a_block(monkeypatch):
    monkeypatch.setattr(instance, "BLOCK", 4)
    vectors = np.eye(10, dtype=np.float32)
    assert instance.evaluate(vectors, vectors).recall_at_1 == 1


@pytest.fixture
def image() -> Image.Image:
    grain = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)
    return Image.fromarray(grain).resize((180, 240), Image.Resampling.BICUBIC)


def test_an_altered_picture_is_smaller_and_the_same_for_the_same_seed(image):
    one = instance.altered(image, seed=1)
    assert one.tobytes() == instance.altered(image, seed=1).tobytes()
    assert one.tobytes() != instance.altered(image, seed=2).tobytes()
    for seed in range(20):
        width, height = instance.altered(image, seed).size
        # Half of a side of sqrt(0.6) to 1 of the original's, rounded down.
        assert 180 * 0.6**0.5 / 2 - 1 <= width <= 90
        assert width / height == pytest.approx(180 / 240, abs=0.02)


def test_half_of_the_pictures_are_mirrored():
    halves = Image.new("RGB", (200, 200), "white")
    halves.paste("black", (0, 0, 100, 200))
    dark_left = 0
    for seed in range(200):
        pixels = np.asarray(instance.altered(halves, seed).convert("L"), float)
        middle = pixels.shape[1] // 2
        dark_left += pixels[:, :middle].mean() < pixels[:, middle:].mean()
    assert 75 < dark_left < 125


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (2, 3)])
def test_the_smallest_pictures_can_be_altered(size):
    assert min(instance.altered(Image.new("RGB", size, "red"), 0).size) >= 1
