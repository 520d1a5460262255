"""The API is tested with the backends that need neither torch nor weights, and quickly."""

import pytest

from tests.pipeline.conftest import beside  # noqa: F401  (a fixture)


@pytest.fixture(autouse=True)
def plain_backends(fresh_shop, settings):
    settings.DETECTOR = "whole_image"
    settings.EMBEDDER = "colour"
    settings.INDEX = "exact"
