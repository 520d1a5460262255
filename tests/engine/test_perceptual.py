"""A picture's look in 64 bits."""

from __future__ import annotations

import io
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from similarity.engine.perceptual import (
    PARTS,
    RADIUS,
    distance,
    likeness,
    near,
    parts,
    perceptual_hash,
)
from tests.pictures import drawing, poor_jpeg

HASHES = st.integers(0, 2**64 - 1)


def test_the_hash_is_the_signs_of_the_lowest_cosines():
    """Against the obvious sum over all pixels (pHash: 32 x 32 luminance, 8 x 8 frequencies)."""
    small = drawing().convert("L").resize((32, 32), Image.Resampling.LANCZOS, reducing_gap=2.0)
    pixels = np.asarray(small, float)
    place = (2 * np.arange(32) + 1) * np.pi / 64
    lowest = [
        sum((pixels * np.outer(np.cos(u * place), np.cos(v * place))).ravel())
        for u in range(8)
        for v in range(8)
    ]
    bits = "".join("1" if value > np.median(lowest) else "0" for value in lowest)
    assert perceptual_hash(drawing()) == int(bits, 2)


def test_what_does_not_change_the_picture_changes_few_bits():
    known = perceptual_hash(drawing())
    poor = Image.open(io.BytesIO(poor_jpeg(drawing()))).convert("RGB")
    for image in (poor, drawing(size=(120, 160)), drawing().crop((3, 4, 237, 316))):
        assert distance(known, perceptual_hash(image)) <= RADIUS
    assert distance(known, perceptual_hash(drawing("trousers"))) > RADIUS


@pytest.mark.parametrize("size", [(16, 16), (1, 1), (2048, 30)])
def test_pictures_of_any_size_have_a_hash(size):
    assert 0 <= perceptual_hash(Image.new("RGB", size, (200, 30, 30))) < 2**64


@given(HASHES, st.sets(st.integers(0, 63), max_size=RADIUS))
def test_of_two_near_hashes_one_part_is_among_the_probes_of_the_other_s(value, flipped):
    other = value ^ sum(1 << bit for bit in flipped)
    assert distance(value, other) == len(flipped)
    pairs = zip(parts(value), parts(other), strict=True)
    assert any(part in near(known) for part, known in pairs)


@given(HASHES)
def test_the_parts_make_up_the_hash(value):
    assert sum(part << 16 * place for place, part in enumerate(parts(value))) == value


def test_a_part_is_probed_in_each_way_that_few_enough_bits_differ_and_no_other():
    few = RADIUS // PARTS
    wanted = {
        sum(1 << b for b in bits) for n in range(few + 1) for bits in combinations(range(16), n)
    }
    assert sorted(near(0)) == sorted(wanted)
    assert {value ^ 0xBEEF for value in near(0xBEEF)} == wanted


def test_likeness_asks_for_all_garments_of_the_picture_that_has_fewer():
    shirt, other_shirt, trousers = np.eye(3, dtype=np.float32)
    assert likeness(np.stack([shirt, trousers]), np.stack([trousers, shirt])) == 1
    assert likeness(np.stack([shirt, trousers]), np.stack([other_shirt, trousers])) == 0.5
    assert likeness(np.stack([shirt]), np.stack([trousers, shirt])) == 1
    assert likeness(np.stack([trousers, shirt]), np.stack([shirt])) == 1
    assert likeness(np.empty((0, 3), np.float32), np.stack([shirt])) == 0
