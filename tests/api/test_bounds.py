"""What a stranger sends is bounded before it is looked at."""

import pytest

from similarity.models import Run
from tests.api import refused
from tests.shop import add_product

URL = "/api/v1/searches/"


@pytest.mark.parametrize(
    "wrong",
    [
        {"box": ["x"] * 100_000},
        {"filters": {"category": ["c"] * 51}},
        {"filters": {"brand": ["b" * 101]}},
    ],
)
def test_long_lists_and_words_are_refused_and_kept_nowhere(stranger, wrong):
    segment = add_product("P-1").identifier
    refused(stranger.post(URL, {"segment": segment} | wrong), 400, "invalid")
    assert not Run.objects.filter(kind=Run.Kind.SEARCH).exists()


def test_a_browser_is_not_made_to_ask_for_a_password(stranger, settings):
    settings.SEARCH_NEEDS_SIGN_IN = True
    program = stranger.post(URL, {})
    browser = stranger.post(URL, {}, headers={"Sec-Fetch-Mode": "cors"})
    assert (program.status_code, browser.status_code) == (401, 401)
    assert program["WWW-Authenticate"].startswith("Basic")
    assert not browser["WWW-Authenticate"].startswith("Basic")


def test_a_picture_that_waits_is_for_no_shared_cache(merchandiser):
    image = add_product("P-1").image
    image.status = "pending"
    image.save()
    response = merchandiser.get(f"/api/v1/images/{image.identifier}/file/")
    assert "private" in response["Cache-Control"]
