"""/searches/{id}/mark/: staff call results right or wrong, for a golden set."""

import pytest

from similarity.models import GoldenQuery, GoldenSet, Run, Verdict
from tests.pictures import as_file, photo
from tests.shop import add_product


@pytest.fixture
def garments(db):
    return {
        reference: add_product(reference, colour)
        for reference, colour in (("RED", "red"), ("PINK", "pink"))
    }


def searched(client, **form) -> str:
    """A search on the page; its id."""
    form = form or {"image": as_file(photo("red", seed=3))}
    return client.post("/", form, format="multipart")["Location"].partition("=")[2]


@pytest.fixture
def search(merchandiser, garments):
    return searched(merchandiser)


def mark(client, search, **said):
    return client.post(f"/searches/{search}/mark/", said, format="multipart")


def said() -> dict[str, bool]:
    return dict(Verdict.objects.values_list("product__reference", "is_right"))


def test_a_result_is_marked_right_or_wrong_and_shown_so(merchandiser, garments, search):
    red, pink = (garments[name].identifier for name in ("RED", "PINK"))
    answer = mark(merchandiser, search, right=red)
    assert answer["Location"] == f"/?search={search}#result-{red}"
    mark(merchandiser, search, wrong=pink)
    assert said() == {"RED": True, "PINK": False}
    verdict = Verdict.objects.get(product__reference="RED")
    assert (verdict.given_by, verdict.query.golden_set.name) == (merchandiser.user, "golden")
    page = merchandiser.get(f"/?search={search}").text
    assert page.count('name="clear"') == 2
    assert f'name="clear" value="{red}" aria-pressed="true"' in page
    assert f'id="result-{red}"' in page
    assert 'name="clear"' in merchandiser.get(f"/searches/{search}/").text


def test_a_mark_can_be_changed_and_taken_back(merchandiser, garments, search):
    red = garments["RED"].identifier
    mark(merchandiser, search, right=red)
    mark(merchandiser, search, wrong=red)
    assert said() == {"RED": False}
    mark(merchandiser, search, clear=red)
    assert said() == {}


def test_a_mark_with_a_null_character_is_refused(merchandiser, garments, search):
    for name in ("right", "set"):
        assert mark(merchandiser, search, **{name: "RED\0"}).status_code == 400
    assert said() == {}


def test_the_same_photo_searched_again_is_the_same_query(merchandiser, garments, search):
    mark(merchandiser, search, right=garments["RED"].identifier)
    mark(merchandiser, searched(merchandiser), wrong=garments["PINK"].identifier)
    assert said() == {"RED": True, "PINK": False}
    assert GoldenQuery.objects.count() == 1


def test_the_photo_stays_with_the_set_when_the_search_is_deleted(merchandiser, garments, search):
    mark(merchandiser, search, right=garments["RED"].identifier)
    merchandiser.post(f"/history/{search}/delete/")
    query = GoldenQuery.objects.get()
    assert query.file.open().read(2) == b"\xff\xd8"
    assert not Run.objects.filter(pk=search).exists()


def test_a_search_by_a_garment_is_marked_as_well(merchandiser, garments):
    search = searched(merchandiser, segment=garments["RED"].identifier)
    mark(merchandiser, search, wrong=garments["PINK"].identifier)
    assert GoldenQuery.objects.get().segment == garments["RED"]


def test_another_set_may_be_named_and_is_remembered(merchandiser, garments, search):
    red = garments["RED"].identifier
    mark(merchandiser, search, right=red)
    assert mark(merchandiser, search, set="dresses")["Location"].endswith("#found-title")
    page = merchandiser.get(f"/?search={search}").text
    assert 'name="set" value="dresses"' in page
    assert 'name="clear"' not in page
    mark(merchandiser, search, set="dresses", wrong=red)
    assert set(GoldenSet.objects.values_list("name", flat=True)) == {"golden", "dresses"}
    assert Verdict.objects.count() == 2


def test_an_odd_name_is_refused(merchandiser, garments, search):
    answer = mark(merchandiser, search, set="../etc", right=garments["RED"].identifier)
    assert answer.status_code == 400
    assert "Use letters" in answer.text
    assert not GoldenSet.objects.exists()


def test_a_result_that_is_none_is_not_found(merchandiser, search):
    assert mark(merchandiser, search, right="nobody").status_code == 404


@pytest.mark.parametrize("who", ["stranger", "shopper"])
def test_shoppers_neither_see_the_marks_nor_make_them(request, who, garments):
    client = request.getfixturevalue(who)
    search = searched(client)
    page = client.get(f"/?search={search}").text
    assert "Right result" not in page
    assert "golden" not in page
    assert mark(client, search, right=garments["RED"].identifier).status_code == 403
    assert said() == {}


def test_nobody_marks_somebody_else_s_search(merchandiser, stranger, garments):
    search = searched(stranger)
    assert "Right result" not in merchandiser.get(f"/?search={search}").text
    assert mark(merchandiser, search, right=garments["RED"].identifier).status_code == 403


def test_results_for_words_are_not_marked(merchandiser, garments):
    search = searched(merchandiser, text="red")
    assert "Right result" not in merchandiser.get(f"/?search={search}").text
    assert mark(merchandiser, search, right=garments["RED"].identifier).status_code == 403
