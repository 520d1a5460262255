"""What the pages make of results and photos."""

import re
from pathlib import Path

import pytest

from catalog.models import Segment, SegmentColour
from fashionsim.looks import Card, parts, sizes_of
from similarity.models import Query
from tests.shop import add_product


@pytest.mark.parametrize(
    ("similarity", "word"),
    [(1.0, "Very close"), (0.85, "Close"), (0.7, "Similar"), (0.1, "Loosely similar"), (None, "")],
)
def test_similarity_is_told_in_words(similarity, word):
    assert Card(Segment(), similarity).likeness == word


def test_sizes_come_smallest_first(db):
    product = add_product("A", sizes=["L", "one size", "XS", "40", "M", "8"]).image.product
    assert sizes_of(product) == ["XS", "M", "L", "8", "40", "one size"]


def test_every_colour_has_its_swatch():
    sheet = Path("static/css/swatches.css").read_text()
    drawn = re.findall(r"^\.swatch-(\w+) { background: #[0-9a-f]{6}; }$", sheet, re.MULTILINE)
    assert drawn == SegmentColour.Name.values


def test_garments_are_numbered_as_they_were_found():
    found = [
        {"box": [0, 0, 100, 100], "label": "dress", "score": 0.9},
        {"box": [10, 10, 40, 40], "label": "bag", "score": 0.8},
        {"box": [50, 50, 90, 90], "label": "hat", "score": 0.7},
    ]
    query = Query(width=100, height=100, detections=found)
    assert [(part.number, part.label) for part in parts(query, None)] == [(1, "Bag"), (2, "Hat")]


def test_a_photo_that_was_not_looked_at_has_no_parts():
    assert parts(Query(width=100, height=100), None) == []


def test_a_garment_that_was_found_twice_is_shown_as_what_it_surest_is():
    found = [
        {"box": [10, 10, 60, 60], "label": "top", "score": 0.9},
        {"box": [10, 10, 60, 64], "label": "outwear", "score": 0.6},
        {"box": [40, 10, 90, 60], "label": "bag", "score": 0.5},
    ]
    query = Query(width=100, height=100, detections=found)
    assert [(part.number, part.label) for part in parts(query, None)] == [(1, "Top"), (2, "Bag")]


def test_of_many_sizes_a_card_shows_the_smallest_and_the_largest(db):
    shoe = add_product("SHOE", sizes=[str(size) for size in range(36, 46)])
    assert Card(shoe).few_sizes == ["36", "37", "…", "44", "45"]
    dress = add_product("DRESS", "blue", sizes=["S", "M", "L"])
    assert Card(dress).few_sizes == ["S", "M", "L"]
