"""/api/docs/: Swagger UI, served from the project itself."""

import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest


class References(HTMLParser):
    """The addresses that a page has its browser load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in {"src", "href"}]


@pytest.fixture
def page(stranger):
    response = stranger.get("/api/docs/")
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/html")
    return response.content.decode()


def test_the_page_loads_nothing_from_other_hosts(page):
    loaded = References(page).found
    assert len(loaded) >= 3
    assert [address for address in loaded if urlsplit(address).netloc] == []
    assert re.findall(r"https?://[^\s\"'<]+", page) == []


def test_all_that_the_page_loads_is_there(page, stranger):
    for address in References(page).found:
        response = stranger.get(address)
        assert response.status_code == 200, address


def test_the_page_shows_the_schema_and_asks_nobody_to_validate_it(page, stranger):
    script = stranger.get("/api/docs/?script=").content.decode()
    assert "/api/docs/?script=" in page
    assert 'url: "/api/schema/"' in script
    assert 'layout: "BaseLayout"' in script  # the standalone one asks validator.swagger.io
