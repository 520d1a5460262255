from __future__ import annotations

import pytest

from tests import labelled


@pytest.fixture(scope="session")
def labelled_photos(tmp_path_factory):
    """Five products photographed by two senders, and two people in clothes."""
    folder = tmp_path_factory.mktemp("labelled")
    labelled.write_clothing(folder / "clothing")
    labelled.write_street(folder / "street")
    return folder


@pytest.fixture(scope="session")
def training_photos(tmp_path_factory):
    """Two products photographed by ten senders each, and five people in clothes: enough to hold
    some out."""
    folder = tmp_path_factory.mktemp("training")
    labelled.write_clothing(folder / "clothing", products=2, senders=10)
    labelled.write_street(folder / "street", photos=5, outlines=True)
    return folder
