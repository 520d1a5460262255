"""What the tests of the pages share."""

import pytest

from similarity import backends


@pytest.fixture
def use(settings):
    """Has the shop use one of our `backends` from now on: `use("DETECTOR", "Halves")`."""

    def use(setting: str, name: str) -> None:
        setattr(settings, setting, f"tests.pages.backends:{name}")
        backends.forget()

    return use
