"""/api/v1/segments/: garments, their own pictures, and what looks like them."""

import io

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from catalog.models import Segment
from catalog.pictures import framed
from tests.api import queries_of, references, refused
from tests.api.test_searches import FILTERS, ONE, OTHER
from tests.pictures import encoded, photo, picture
from tests.shop import add_photo, add_product

URL = "/api/v1/segments/"


def page(segment):
    return f"{URL}{segment.identifier}/"


def similar(client, segment, **parameters):
    return client.get(f"{page(segment)}similar/", parameters)


@pytest.fixture
def segment(db):
    return add_product("D-1", "red")


# --- Reading --------------------------------------------------------------------------------


def test_a_garment_is_shown_with_its_box_and_its_own_picture(stranger, segment):
    shown = stranger.get(page(segment)).json()
    assert (shown["id"], shown["image"]) == (segment.identifier, segment.image.identifier)
    assert (shown["product"], shown["number"], shown["label"]) == ("D-1", 0, "garment")
    assert shown["box"] == [0, 0, 120, 160]
    assert stranger.get(shown["crop"]).status_code == 200
    assert stranger.get(shown["link"]).json() == shown


def test_the_list_can_be_narrowed(stranger, segment):
    other = add_photo(photo("blue"))
    Segment.objects.filter(pk=other.pk).update(label="shoes")
    for filters, expected in (
        ({"product": "D-1"}, segment),
        ({"image": other.image.identifier}, other),
        ({"label": "shoes"}, other),
        ({"label": ["shoes", "hat"]}, other),
    ):
        (found,) = stranger.get(URL, filters).json()["results"]
        assert found["id"] == expected.identifier


def test_the_list_costs_no_query_per_garment(stranger, db):
    counts = []
    for number in range(20):
        add_product(f"P-{number}", seed=number)
        if number in {2, 19}:
            counts.append(queries_of(lambda: stranger.get(URL)))
    assert counts[0] == counts[1]


def test_an_unknown_garment_is_not_found(stranger, db):
    for address in (f"{URL}none/", f"{URL}none/crop/", f"{URL}none/similar/"):
        refused(stranger.get(address), 404, "not_found")


# --- Its own picture ------------------------------------------------------------------------


def test_the_crop_shows_the_box_alone(stranger, segment):
    Segment.objects.filter(pk=segment.pk).update(x0=10.5, y0=20, x1=60, y1=99.5)
    response = stranger.get(f"{page(segment)}crop/")
    assert response["Content-Type"] == "image/jpeg"
    assert Image.open(io.BytesIO(response.getvalue())).size == (50, 80)


def test_a_framed_crop_has_the_shape_of_a_card_and_some_air(stranger, segment):
    image = segment.image
    Segment.objects.filter(pk=segment.pk).update(x0=10, y0=10, x1=20, y1=30)
    response = stranger.get(f"{page(segment)}crop/", {"framed": "true"})
    with Image.open(io.BytesIO(response.getvalue())) as picture:
        assert picture.size == (17, 22)
    assert response["ETag"] != stranger.get(f"{page(segment)}crop/")["ETag"]
    whole = stranger.get(f"{page(segment)}crop/", {"framed": "false"})
    with Image.open(io.BytesIO(whole.getvalue())) as picture:
        assert picture.size == (10, 20)
    assert min(image.width, image.height) > 30
    refused(stranger.get(f"{page(segment)}crop/", {"framed": "perhaps"}), 400, "invalid")


@given(st.tuples(*[st.integers(0, 300)] * 4), st.tuples(st.integers(1, 400), st.integers(1, 400)))
def test_a_frame_holds_all_of_the_garment_within_the_picture(box, size):
    left, right = sorted((box[0] % size[0], box[2] % size[0] + 1))
    top, bottom = sorted((box[1] % size[1], box[3] % size[1] + 1))
    assume(left < right and top < bottom)
    x0, y0, x1, y1 = framed((left, top, right, bottom), size)
    assert 0 <= x0 <= left < right <= x1 <= size[0]
    assert 0 <= y0 <= top < bottom <= y1 <= size[1]
    if x1 - x0 < size[0] and y1 - y0 < size[1]:
        assert abs((x1 - x0) * 4 - (y1 - y0) * 3) <= 4


def test_the_crop_comes_in_few_widths(stranger, db):
    segment = add_photo(photo(size=(400, 200)))
    response = stranger.get(f"{page(segment)}crop/", {"width": 160})
    assert Image.open(io.BytesIO(response.getvalue())).size == (160, 80)
    refused(stranger.get(f"{page(segment)}crop/", {"width": 161}), 400, "invalid")


def test_a_crop_that_has_not_changed_is_not_sent_again(stranger, segment):
    tag = stranger.get(f"{page(segment)}crop/")["ETag"]
    again = stranger.get(f"{page(segment)}crop/", headers={"If-None-Match": tag})
    assert (again.status_code, again["ETag"]) == (304, tag)


def test_a_box_that_moves_has_another_etag(stranger, segment):
    tag = stranger.get(f"{page(segment)}crop/")["ETag"]
    Segment.objects.filter(pk=segment.pk).update(x0=40)
    assert stranger.get(f"{page(segment)}crop/", headers={"If-None-Match": tag}).status_code == 200


# --- What looks like it ---------------------------------------------------------------------


def test_what_looks_like_it_comes_first_and_not_its_own_product(stranger, segment):
    add_photo(photo("red", seed=8), segment.image.product)
    add_product("D-2", "blue")
    add_product("D-3", "red", seed=9)
    assert references(similar(stranger, segment)) == ["D-3", "D-2"]


def test_a_look_leaves_no_trace(shopper, segment):
    add_product("D-2", "blue")
    similar(shopper, segment)
    assert shopper.get("/api/v1/searches/").json()["count"] == 0


def test_the_limit_holds(stranger, segment):
    for number in range(3):
        add_product(f"P-{number}", seed=number + 5)
    assert len(similar(stranger, segment, limit=2).json()["results"]) == 2
    for limit in (0, 101, "many"):
        problem = refused(similar(stranger, segment, limit=limit), 400, "invalid")
        assert set(problem["errors"]) == {"limit"}


@pytest.mark.parametrize("filters", FILTERS, ids=lambda filters: next(iter(filters)))
def test_each_filter_narrows(stranger, segment, filters):
    add_product("ONE", "red", seed=1, **ONE)
    add_product("OTHER", "red", seed=2, **OTHER)
    assert references(similar(stranger, segment, **filters)) == ["ONE"]


def test_a_filter_that_does_not_exist_is_refused(stranger, segment):
    problem = refused(similar(stranger, segment, brnd="Ada"), 400, "invalid")
    assert set(problem["errors"]) == {"brnd"}


def test_a_garment_that_is_not_described_yet_is_told_so(stranger, segment):
    segment.embeddings.all().delete()
    refused(similar(stranger, segment), 409, "not_described")


def test_results_cost_no_query_each(stranger, segment):
    counts = []
    for number in range(20):
        add_product(f"P-{number}", seed=number + 5, tags=["a"], sizes=["M"], category="Tops")
        if number in {2, 19}:
            counts.append(queries_of(lambda: similar(stranger, segment)))
    assert counts[0] == counts[1]


# --- Colours --------------------------------------------------------------------------------


def striped() -> bytes:
    """A photo of broad stripes, two thirds of them white and the others red."""
    cloth = picture("white", (120, 180))
    for top in (0, 60, 120):
        cloth.paste(picture("red", (120, 20)), (0, top))
    return encoded(cloth)


def test_a_garment_is_shown_with_its_colours_most_first(stranger, db):
    segment = add_photo(striped())
    first, second = stranger.get(page(segment)).json()["colours"]
    assert (first["name"], second["name"]) == ("white", "red")
    assert first["share"] == pytest.approx(2 / 3, abs=0.1)
    assert first["share"] + second["share"] == pytest.approx(1, abs=0.01)


def test_the_list_can_be_narrowed_by_colour(stranger, segment):
    both, blue = add_photo(striped()), add_photo(photo("blue"))
    for names, expected in (
        ("red", {segment, both}),
        ("white", {both}),
        (["blue", "white"], {blue, both}),
        ("pink", set()),
    ):
        found = stranger.get(URL, {"colour": names}).json()["results"]
        assert {item["id"] for item in found} == {row.identifier for row in expected}


def test_a_trace_of_a_colour_does_not_count(stranger, segment):
    segment.colours.create(colour="pink", share=0.2)
    assert [item["name"] for item in stranger.get(page(segment)).json()["colours"]] == [
        "red",
        "pink",
    ]
    assert stranger.get(URL, {"colour": "pink"}).json()["count"] == 0


def test_what_looks_like_it_can_be_narrowed_by_colour(stranger, segment):
    add_product("D-2", "red", seed=2)
    add_product("D-3", "blue")
    lone = add_photo(photo("blue", seed=4))
    found = similar(stranger, segment, colour=["blue", "pink"]).json()["results"]
    assert {item["segment"] for item in found} == {
        Segment.objects.get(image__product__reference="D-3").identifier,
        lone.identifier,
    }
    assert references(similar(stranger, segment, colour="red")) == ["D-2"]


@pytest.mark.parametrize("part", ["", "similar/"])
def test_an_unknown_colour_is_refused_by_naming_the_known(stranger, segment, part):
    address = f"{page(segment)}{part}" if part else URL
    problem = refused(stranger.get(address, {"colour": ["red", "mauve"]}), 400, "invalid")
    told = str(problem["errors"]["colour"])
    assert "mauve" in told
    assert "navy" in told
