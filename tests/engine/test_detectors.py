"""What every registered detector promises."""

from __future__ import annotations

import pytest
from PIL import Image

from similarity.engine import Box, load
from tests.engine.conftest import every

HEAVY = ["torch", "torchvision", "transformers", "groundingdino", "open_clip", "cv2", "timm"]

LOOK_AT_IT = """
import json, sys
from pathlib import Path
from similarity.engine import load
name, models_dir = sys.argv[1:]
options = {"models_dir": Path(models_dir)} if models_dir else {}
detector = load("detector", name, **options)
detector.light, detector.missing()
print(json.dumps(sorted(sys.modules)))
"""


@pytest.fixture
def detector(options):
    return lambda name: load("detector", name, **options(name))


@every("detector")
def test_it_finds_boxes_inside_the_picture_best_first(detector, name, picture):
    found = detector(name).detect(picture)
    assert found
    for detection in found:
        assert detection.box == detection.box.clamped(*picture.size)
        assert detection.box.area > 0
        assert detection.label
        assert 0 <= detection.score <= 1
    assert [d.score for d in found] == sorted((d.score for d in found), reverse=True)


@every("detector")
@pytest.mark.parametrize("size", [(1, 1), (64, 64), (40, 800), (800, 60), (1, 1000), (1000, 1)])
def test_pictures_of_odd_sizes_are_looked_at(detector, name, size):
    """Grounding DINO picks 900 queries among the positions of its feature maps."""
    for detection in detector(name).detect(Image.new("RGB", size, "tan")):
        assert detection.box == detection.box.clamped(*size)


@every("detector")
def test_the_same_picture_gives_the_same_detections(detector, name, picture):
    assert detector(name).detect(picture) == detector(name).detect(picture.copy())


@every("detector")
def test_the_picture_is_left_as_it_was(detector, name, picture):
    before = picture.tobytes()
    detector(name).detect(picture)
    assert picture.tobytes() == before


@every("detector")
def test_nothing_is_missing_when_all_is_in_place(detector, name):
    assert detector(name).missing() == []


@every("detector")
def test_the_fingerprint_is_hex_and_stays(detector, name):
    assert int(detector(name).fingerprint, 16)
    assert detector(name).fingerprint == detector(name).fingerprint


@every("detector")
def test_constructing_it_imports_nothing_heavy(in_another_process, options, name):
    loaded = in_another_process(LOOK_AT_IT, name, options(name).get("models_dir", ""))
    assert not set(HEAVY) & set(loaded)


def test_whole_image_takes_the_whole_picture(picture):
    (garment,) = load("detector", "whole_image").detect(picture)
    assert garment.box == Box(0, 0, 200, 300)
    assert (garment.label, garment.score) == ("garment", 1.0)
