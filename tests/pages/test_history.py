"""/history/: what somebody has searched for."""

import pytest

from similarity.models import Run
from tests.pictures import as_file, photo
from tests.shop import add_product


@pytest.fixture
def searches(shopper):
    """A search that found much alike, and one that found nothing."""
    add_product("D-1", "red")
    alike = shopper.post("/", {"image": as_file(photo("red", seed=3))}, format="multipart")
    nothing = shopper.post("/", {"product": "D-1", "filters.brand": "None"}, format="multipart")
    return [response["Location"].partition("=")[2] for response in (alike, nothing)]


def shown(client, **query):
    """The searches on the page, in its order."""
    page = client.get("/history/", query).text
    return [part.partition('"')[0] for part in page.split("?search=")[1:]]


def test_it_shows_one_s_searches_newest_first_to_open_again(shopper, searches):
    assert shown(shopper) == searches[::-1]
    page = shopper.get("/history/").text
    run = Run.objects.get(pk=searches[0])
    assert f"/api/v1/queries/{run.query_id}/file/?width=320" in page
    assert f"{run.hits.get().similarity:.2f}" in page
    assert shopper.get(f"/?search={searches[0]}").status_code == 200


def test_it_can_be_narrowed_to_what_was_much_alike(shopper, searches):
    assert shown(shopper, high="") == [
        str(run.pk) for run in Run.objects.history(shopper.user) if (run.best or 0) >= 0.8
    ]
    assert searches[0] in shown(shopper, high="")


def test_one_can_be_deleted(shopper, searches):
    assert shopper.post(f"/history/{searches[0]}/delete/")["Location"] == "/history/"
    assert shown(shopper) == searches[1:]


def test_all_can_be_deleted(shopper, searches):
    assert shopper.post("/history/clear/")["Location"] == "/history/"
    assert shown(shopper) == []
    assert "You have not searched yet." in shopper.get("/history/").text


def test_somebody_else_s_are_not_found(other_shopper, shopper, searches):
    assert shown(other_shopper) == []
    assert other_shopper.post(f"/history/{searches[0]}/delete/").status_code == 404
    other_shopper.post("/history/clear/")
    assert len(shown(shopper)) == 2


def test_a_long_history_has_pages(shopper, searches):
    options = {"limit": 1, "box": None, "filters": {}}
    for _ in range(24):
        Run.objects.create(kind=Run.Kind.SEARCH, requested_by=shopper.user, options=options)
    assert len(shown(shopper)) == 24
    assert shown(shopper, page=2) == searches[::-1]
    assert "?page=2" in shopper.get("/history/").text


@pytest.mark.parametrize("path", ["/history/", "/account/export/"])
def test_a_stranger_is_sent_to_sign_in(stranger, db, path):
    assert stranger.get(path)["Location"] == f"/sign-in/?next={path}"


def test_the_account_s_page_leads_to_it(shopper):
    page = shopper.get("/account/").text
    assert 'href="/history/"' in page
    assert 'href="/account/export/"' in page
