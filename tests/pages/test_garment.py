"""The page of one garment."""

from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.models import Segment
from similarity import backends
from similarity.models import Embedding
from tests.pictures import photo
from tests.shop import add_photo, add_product

DETAILS = {
    "name": "Linen dress",
    "brand": "Ada",
    "category": "Dresses",
    "price": "49.90",
    "currency": "GBP",
    "rating": "4.5",
    "sale_status": "sale",
    "season": "summer",
    "waist_type": "high",
    "store": "Riga",
    "tags": ["floral"],
    "sizes": ["M", "S"],
    "url": "https://shop.example/dress",
    "description": "Light <b>and</b> cool.",
}


def page_of(client, segment):
    return client.get(f"/garments/{segment.identifier}/")


def test_it_tells_all_that_is_known_of_the_product(stranger, db):
    response = page_of(stranger, add_product("DRESS", **DETAILS))
    shown = dict(response.context["details"])
    assert shown["Sizes"] == "S, M"
    assert shown["Season"] == "Summer"
    for word in ("Linen dress", "49.90 GBP", "On sale", "4.5 of 5", "floral", "Riga", "DRESS"):
        assert word in response.text


def test_what_is_not_known_is_left_out(stranger, db):
    response = page_of(stranger, add_product("PLAIN"))
    assert [name for name, _ in response.context["details"]] == ["Reference"]


def test_text_of_a_product_is_no_markup(stranger, db):
    response = page_of(stranger, add_product("DRESS", **DETAILS))
    assert "Light &lt;b&gt;and&lt;/b&gt; cool." in response.text


def test_the_shops_page_is_linked_without_lending_it_our_name(stranger, db):
    response = page_of(stranger, add_product("DRESS", **DETAILS))
    assert 'href="https://shop.example/dress" rel="noopener nofollow"' in response.text


def test_only_a_web_address_is_linked(stranger, db):
    response = page_of(stranger, add_product("DRESS", url="ftp://shop.example/dress"))
    assert response.context["shop_address"] == ""


def test_it_shows_what_looks_like_it_and_not_itself(stranger, db):
    red = add_product("RED", "red")
    add_product("PINK", "pink")
    add_product("ROSE", "red", seed=1)
    cards = page_of(stranger, red).context["cards"]
    assert [card.product.reference for card in cards] == ["ROSE", "PINK"]


def test_other_pictures_of_the_product_lead_to_their_garments(stranger, db):
    first = add_product("RED", "red")
    second = add_photo(photo("red", seed=8), first.image.product)
    response = page_of(stranger, first)
    assert [card.segment for card in response.context["others"]] == [second]
    assert f"/garments/{second.identifier}/" in response.text


def test_the_garment_is_marked_in_its_picture(stranger, db, use):
    use("DETECTOR", "Halves")
    assert '<rect class="part"' in page_of(stranger, add_product("HALF")).text


def test_a_garment_that_is_alone_in_its_picture_is_not_marked(stranger, db):
    assert '<rect class="part"' not in page_of(stranger, add_product("WHOLE")).text


def test_a_picture_without_a_garment_has_a_page_and_a_name(stranger, db, settings):
    settings.DETECTOR = "tests.pipeline.backends:NothingDetector"
    backends.forget()
    assert "<h1>Whole picture</h1>" in page_of(stranger, add_photo(photo())).text


def test_a_garment_without_a_product_has_its_page(stranger, db):
    response = page_of(stranger, add_photo(photo("red")))
    assert response.status_code == 200
    assert "No details are known" in response.text


def test_a_garment_that_is_not_described_yet_says_so(stranger, db):
    segment = add_product("RED")
    Embedding.objects.all().delete()
    response = page_of(stranger, segment)
    assert response.status_code == 200
    assert "has not been described yet" in response.text


def test_likeness_is_for_who_has_signed_in_where_the_shop_says_so(stranger, shopper, settings):
    segment = add_product("RED")
    add_product("ROSE", seed=1)
    settings.SEARCH_NEEDS_SIGN_IN = True
    response = page_of(stranger, segment)
    assert "cards" not in response.context
    assert f"/sign-in/?next=/garments/{segment.identifier}/" in response.text
    assert len(page_of(shopper, segment).context["cards"]) == 1


def test_what_is_not_there_is_not_found(stranger, db):
    response = stranger.get("/garments/nothing/")
    assert response.status_code == 404
    assert "There is nothing here." in response.text


def test_more_likeness_asks_no_more_of_the_database(stranger, db):
    def queries() -> int:
        page_of(stranger, segment)  # the index reads what is new once
        with CaptureQueriesContext(connection) as captured:
            assert page_of(stranger, segment).status_code == 200
        return len(captured)

    segment = add_product("RED", sizes=["S"], tags=["soft"])
    add_product("A", seed=1, sizes=["S"], tags=["soft"])
    few = queries()
    for seed in range(2, 8):
        add_product(f"P{seed}", seed=seed, sizes=["S"], tags=["soft"])
        add_photo(photo("red", seed=seed + 20), segment.image.product)
    assert queries() == few


def test_a_garment_s_colours_are_shown_with_their_names(stranger, db):
    for segment in (add_product("DRESS", "pink"), add_photo(photo("pink"))):
        text = page_of(stranger, segment).text
        assert "swatch-pink" in text
        assert "Pink" in text
    segment.colours.all().delete()
    assert "Colours" not in page_of(stranger, segment).text


# --- What else to show ----------------------------------------------------------------------


def test_what_is_worn_with_it_leads_to_the_like_of_it(stranger, db, use, settings):
    use("DETECTOR", "Halves")
    worn = add_product("OUTFIT")
    settings.DETECTOR = "whole_image"
    backends.forget()
    bag = add_product("BAG", seed=4)
    response = page_of(stranger, worn)
    [(other, cards)] = response.context["worn"]
    assert other.label != worn.label
    assert [card.product.reference for card in cards] == ["BAG"]
    assert "Goes with it" in response.text
    assert f"/garments/{bag.identifier}/" in response.text


def test_a_card_says_which_garment_of_its_picture_it_is(stranger, db, use, settings):
    use("DETECTOR", "Halves")
    add_product("OUTFIT")
    settings.DETECTOR = "whole_image"
    backends.forget()
    alone = add_product("ALONE", seed=4)
    [card] = page_of(stranger, alone).context["cards"]
    assert card.kind == card.segment.label.capitalize() in ("Top", "Bag")
    outfit = page_of(stranger, card.segment)
    assert [card.kind for card in outfit.context["cards"]] == [""]
    assert f'<p class="card-kind">{card.kind}</p>' in page_of(stranger, alone).text
    Segment.objects.update(score=0.4)
    [card] = page_of(stranger, alone).context["cards"]
    assert card.kind == "", "the detector is not sure of it"


def test_pictures_of_one_garment_alone_go_with_nothing(stranger, db):
    segment = add_product("RED")
    add_photo(photo("blue", seed=3), segment.image.product)
    add_product("ROSE", seed=1)
    response = page_of(stranger, segment)
    assert response.context["worn"] == []
    assert "Goes with it" not in response.text


def test_of_what_is_sold_out_the_like_that_can_be_had_is_shown(stranger, db):
    gone = add_product("GONE", sale_status="sold_out")
    add_product("ALSO", seed=1, sale_status="sold_out")
    add_product("THERE", seed=2)
    add_product("CHEAP", seed=3, sale_status="sale")
    response = page_of(stranger, gone)
    shown = {card.product.reference for card in response.context["cards"]}
    assert shown == {"THERE", "CHEAP"}
    assert "Sold out, but these are alike" in response.text


def test_what_is_alike_can_be_refined_by_more_and_less(stranger, db):
    red = add_product("RED", "red")
    blue, _ = add_product("BLUE", "blue"), add_product("GREEN", "green")
    assert 'form="refine" name="like"' in page_of(stranger, red).text
    form = {"segment": red.identifier, "limit": "100", "unlike": blue.identifier}
    page = stranger.post("/", form, format="multipart", follow=True)
    assert page.context["run"].options["unlike"] == [blue.identifier]
    assert [card.product.reference for card in page.context["cards"]] == ["GREEN"]


def test_the_picture_leads_to_itself_in_full_size(stranger, db):
    segment = add_product("RED", "red")
    address = f'<a class="zoom" href="/api/v1/images/{segment.image.identifier}/file/"'
    assert address in page_of(stranger, segment).text
