"""Rules that pin, boost, bury and block products: whatever is searched with, and by any filter."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from catalog.models import Category, Product
from similarity import pipeline, rules, services
from similarity.combined import Wish
from similarity.models import Rule, Run
from tests.pictures import photo
from tests.shop import add_product

pytestmark = pytest.mark.django_db

COLOURS = ("red", "pink", "brown", "yellow", "green", "blue", "brown", "pink", "white", "black")
ACTIONS = Rule.Action.values


@pytest.fixture
def shop():
    """Ten products, P-0 the most like the red one that is searched with; by turns of two brands."""
    query = add_product("QUERY", "red", seed=50, category="Skirts", name="Asked for")
    for number, colour in enumerate(COLOURS):
        add_product(
            f"P-{number}",
            colour,
            seed=number,
            brand="ab"[number % 2],
            category="Dresses" if number < 5 else "Coats",
            name=f"linen {colour}",
        )
    return query


def rule(action: str, reference: str, **details) -> Rule:
    return Rule.objects.create(
        action=action, product=Product.objects.get(reference=reference), **details
    )


def found(run: Run) -> list[str]:
    hits = run.hits.select_related("segment__image__product")
    return [hit.segment.image.product.reference for hit in hits]


def search(shop, limit=20, **how) -> list[str]:
    return found(services.search(segment=shop, limit=limit, **how))


def test_a_pinned_product_comes_first_and_says_so(shop, stranger):
    rule("pin", "P-9", position=2)
    rule("pin", "P-6", position=1)
    usual = [name for name in search(shop) if name not in {"P-6", "P-9"}]
    assert search(shop) == ["P-6", "P-9", *usual]
    answer = stranger.post("/api/v1/searches/", {"segment": shop.identifier, "limit": 3}).json()
    assert [(item["product"]["reference"], item["pinned"]) for item in answer["results"]] == [
        ("P-6", True),
        ("P-9", True),
        ("P-0", False),
    ]
    assert answer["results"][0]["similarity"] < answer["results"][2]["similarity"]
    again = stranger.get(answer["link"]).json()["results"]
    assert again == answer["results"]


def test_a_blocked_product_is_found_nowhere(shop, stranger):
    rule("block", "P-0")
    rule("pin", "P-0")
    assert "P-0" not in search(shop)
    assert "P-0" not in search(shop, filters={"brand": ["a"]})
    assert "P-0" not in found(services.search(wish=Wish(text="linen"), limit=20))
    garment = Product.objects.get(reference="P-9").images.get().segments.get()
    for url in (f"/api/v1/segments/{garment.identifier}/similar/", "/api/v1/products/P-9/similar/"):
        answer = stranger.get(url, {"limit": 20}).json()["results"]
        assert len(answer) == 9, "all the others"
        assert "P-0" not in {item["product"]["reference"] for item in answer}
    query = services.keep_query(services.take_in(photo("red")), None)
    assert "P-0" not in found(services.search(query=query, limit=20))


def test_boosted_comes_sooner_and_buried_later_by_so_much_likeness(shop):
    before = {hit.segment.image.product.reference: hit.similarity for hit in hits(shop)}
    rule("boost", "P-8")
    rule("bury", "P-0")
    pushed = before | {
        "P-8": before["P-8"] + rules.PUSH,
        "P-0": before["P-0"] - rules.PUSH,
    }
    assert search(shop) == sorted(before, key=lambda name: -pushed[name])
    after = {hit.segment.image.product.reference: hit.similarity for hit in hits(shop)}
    assert after == before, "what is told of likeness stays true"


def hits(shop):
    run = services.search(segment=shop, limit=20)
    return run.hits.select_related("segment__image__product")


def test_boosting_and_burying_the_same_cancel_each_other(shop):
    before = search(shop)
    rule("boost", "P-4")
    rule("bury", "P-4")
    assert search(shop) == before


def test_in_words_boosted_comes_sooner_and_pinned_first(shop):
    usual = found(services.search(wish=Wish(text="linen"), limit=20))
    assert len(usual) == 10
    rule("boost", usual[8])
    rule("bury", usual[0])
    rule("pin", usual[9])
    ruled = found(services.search(wish=Wish(text="linen"), limit=20))
    assert ruled[0] == usual[9]
    assert ruled.index(usual[8]) == 5, "half as far down, behind what is pinned"
    assert ruled.index(usual[0]) == 2
    assert found(services.search(wish=Wish(text="linen"), limit=4)) == ruled[:4]
    with_photo = Wish(text="linen", unlike=[shop])
    assert found(services.search(wish=with_photo, limit=3))[0] == usual[9]


def test_what_is_pinned_passes_the_filters_or_is_not_there(shop):
    rule("pin", "P-8")
    rule("pin", "P-7")
    assert search(shop, filters={"brand": ["a"]})[0] == "P-8"
    assert "P-7" not in search(shop, filters={"brand": ["a"]})
    assert search(shop, filters={"colour": ["black"]}) == ["P-9"]
    words = services.search(wish=Wish(text="linen", without="white"), limit=20)
    assert found(words)[0] == "P-7"
    assert "P-8" not in found(words)


def test_what_is_searched_with_is_not_found_though_it_is_pinned(shop):
    rule("pin", "QUERY")
    assert "QUERY" not in search(shop)
    assert search(Product.objects.get(reference="P-0").images.get().segments.get())[0] == "QUERY"


def test_a_categorys_rule_holds_where_the_category_is_asked_for_or_searched_by(shop):
    rule("pin", "P-9", category=Category.objects.get(name="Coats"))
    assert search(shop)[0] != "P-9"
    assert search(shop, filters={"category": ["coats"]})[0] == "P-9"
    assert search(shop, filters={"category": ["coats", "dresses"]})[0] == "P-9"
    coat = Product.objects.get(reference="P-5").images.get().segments.get()
    assert search(coat)[0] == "P-9"
    assert services.similar(coat, limit=3)[0].pinned


def test_a_products_rule_holds_in_searches_by_it_and_on_its_page(shop, client):
    rule("pin", "P-9", query_product=shop.image.product)
    assert search(shop)[0] == "P-9"
    assert services.similar_products(shop.image.product, limit=2)[0].pinned
    page = client.get(f"/garments/{shop.identifier}/").content.decode()
    assert page.count("Our pick") == 1
    other = Product.objects.get(reference="P-0").images.get().segments.get()
    assert search(other)[0] != "P-9"
    assert "Our pick" not in client.get(f"/garments/{other.identifier}/").content.decode()


def test_a_rule_holds_between_its_dates_alone(shop):
    now, day = timezone.now(), dt.timedelta(days=1)
    kept = rule("block", "P-0", starts_at=now + day)
    assert "P-0" in search(shop)
    Rule.objects.filter(pk=kept.pk).update(starts_at=now - day, ends_at=now + day)
    assert "P-0" not in search(shop)
    Rule.objects.filter(pk=kept.pk).update(ends_at=now)
    assert "P-0" in search(shop)


def test_rows_of_results_beside_others_have_no_pins(shop):
    rule("pin", "P-9")
    rule("block", "P-0")
    row = services.similar(shop, limit=20, beside_others=True)
    assert not any(item.pinned for item in row)
    assert len(row) == 9


def test_a_shop_without_rules_pays_one_look_for_them(shop):
    def asked() -> list[str]:
        with CaptureQueriesContext(connection) as queries:
            services.similar(shop, limit=5)
        return [query["sql"] for query in queries if "similarity_rule" in query["sql"]]

    services.similar(shop, limit=5)  # composed once
    assert len(asked()) == 1
    rule("pin", "P-9")
    assert len(asked()) == 2


SAID = st.lists(
    st.tuples(st.sampled_from(ACTIONS), st.integers(0, 9), st.integers(1, 3)), max_size=12
)
SEARCHES = st.sampled_from(["garment", "words", "both"])
FILTERS = st.sampled_from([{}, {"brand": ["a"]}, {"category": ["coats"]}, {"colour": ["red"]}])


@effort(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(said=SAID, limit=st.integers(1, 12), by=SEARCHES, filters=FILTERS)
def test_whatever_the_rules_an_answer_keeps_its_promises(shop, said, limit, by, filters):
    Rule.objects.all().delete()
    plain = answer(shop, by, filters)
    keys = dict(Product.objects.values_list("reference", "pk"))
    Rule.objects.bulk_create(
        Rule(action=action, product_id=keys[f"P-{number}"], position=position)
        for action, number, position in said
    )
    whole, part = answer(shop, by, filters), answer(shop, by, filters, limit)
    assert len(part) <= limit
    assert part == whole[:limit], "a longer list begins as a shorter one does"
    blocked = {f"P-{number}" for action, number, _ in said if action == "block"}
    assert set(whole) == set(plain) - blocked, "nothing else goes, and nothing comes"
    ordered = sorted(
        (position, place, f"P-{number}")
        for place, (action, number, position) in enumerate(said)
        if action == "pin"
    )
    pins = [name for name in dict.fromkeys(name for *_, name in ordered) if name in set(whole)]
    assert whole[: len(pins)] == pins
    if by == "both":  # two rankings merged by places, which change with what they hold
        return
    moved = {f"P-{number}" for _, number, _ in said}
    rest = [name for name in whole if name not in moved]
    assert rest == [name for name in plain if name not in moved], "the others keep their order"


def answer(shop, by: str, filters: dict, limit: int = 20) -> list[str]:
    wish = Wish(text="linen") if by != "garment" else Wish()
    run = Run(
        kind=Run.Kind.SEARCH,
        segment=None if by == "words" else shop,
        options={"limit": limit, "filters": filters, **wish.options},
    )
    pipeline.answer(run)
    return found(run)
