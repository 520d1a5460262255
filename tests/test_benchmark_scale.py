"""What `make benchmark-scale` fills its shops with."""

from __future__ import annotations

import numpy as np
import pytest

from catalog.models import OriginalImage, Product, Segment
from similarity.engine.trials import synthetic
from similarity.models import Embedding
from tests.benchmark_scale import copy_first, describe, fill_catalogue
from tests.engine.test_indexes import random_units

pytestmark = pytest.mark.django_db

OWN = {"id", "created_at", "updated_at"}


def plain(model, pk: int) -> dict[str, object]:
    """A row without what each has of its own."""
    row = model.objects.filter(pk=pk).values().get()
    numbers = {"reference", "identifier", "sha256", "file", "product_id", "image_id", "name"}
    return {name: value for name, value in row.items() if name not in OWN | numbers}


@pytest.fixture
def filled() -> np.ndarray:
    """Five garments by models, and five more like them by the database."""
    vectors = random_units(10, 128)
    numbers = np.arange(10)
    fill_catalogue([(numbers[:5], vectors[:5], numbers[:5] % 2)])
    copy_first(5, 5)
    describe(numbers[5:], vectors[5:])
    return vectors


def test_copies_are_like_what_models_have_made(filled):
    for model in (Product, OriginalImage, Segment):
        assert model.objects.count() == 10
        assert plain(model, 8) == plain(model, 3)
    garment = Segment.objects.get(pk=8)
    assert (garment.identifier, garment.image.identifier) == ("i7_segment_0", "i7")
    assert garment.image.sha256 == f"{7:064}"
    assert garment.image.product.reference == "P7"
    assert list(garment.image.product.tags.all()) == list(Product.objects.get(pk=3).tags.all())


def test_copies_have_vectors_of_their_own(filled):
    assert np.array_equal(Embedding.objects.get(segment=8).vector, filled[7])


@pytest.mark.parametrize(("spread", "cosine"), [(1.0, 0.71), (0.5, 0.89)])
def test_a_spread_parts_garments_from_their_centre(spread, cosine):
    [(_, vectors)] = synthetic(299, 128, spread=spread)  # one cluster
    centre = vectors.mean(0)
    assert np.mean(vectors @ centre / np.linalg.norm(centre)) == pytest.approx(cosine, abs=0.02)
