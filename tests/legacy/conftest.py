"""What the tests of the old paths share."""

import pytest

from similarity import backends
from tests.pipeline.conftest import beside, gate  # noqa: F401  (fixtures)


@pytest.fixture(autouse=True)
def plain_backends(fresh_shop, settings):
    settings.DETECTOR = "whole_image"
    settings.EMBEDDER = "colour"
    settings.INDEX = "exact"


@pytest.fixture
def use(settings):
    """Has the shop use another detector from now on: `use("tests.pipeline.backends:Halves...")`."""

    def use(detector: str) -> None:
        settings.DETECTOR = detector
        backends.forget()

    return use
