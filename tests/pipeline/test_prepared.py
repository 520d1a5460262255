"""Prepared queries answer as the querysets do that they are made of."""

from decimal import Decimal

import pytest

from catalog.models import Product
from similarity.models import Embedding
from similarity.prepared import Prepared, composed_once
from tests.shop import add_product

DETAILS = ("pk", "reference", "price", "category__name", "created_at")


def details(products):
    return Product.objects.filter(pk__in=products).order_by("pk").values_list(*DETAILS)


@pytest.fixture
def products(db):
    for number in range(4):
        add_product(f"P-{number}", seed=number, price=Decimal("19.90") + number, category="Tops")
    return list(Product.objects.order_by("pk").values_list("pk", flat=True))


@pytest.mark.parametrize("number", [0, 1, 2, 4])
def test_the_rows_are_those_of_the_queryset(products, number):
    prepared, some = Prepared(details), products[:number]
    for keys in (some, some[::-1]):
        assert [tuple(row) for row in prepared(keys)] == list(details(keys))


def test_a_vector_is_a_vector_whatever_order_django_puts_the_conditions_in(products):
    one = Embedding.objects.last()
    prepared = Prepared(
        lambda segment, embedder: Embedding.objects.filter(
            segment=segment, embedder=embedder
        ).values_list("vector")
    )
    assert prepared(one.segment_id, one.embedder_id + 1) == []
    [[vector]] = prepared(one.segment_id, one.embedder_id)
    assert vector.tolist() == one.vector.tolist()


def test_what_is_written_since_is_found(products):
    prepared = Prepared(details)
    before = prepared(products)
    Product.objects.filter(pk=products[0]).update(price=Decimal("5.00"))
    add_product("P-9", seed=9)
    assert prepared(products)[0][2] == Decimal("5.00")
    assert prepared(products)[1:] == before[1:]
    assert len(prepared([*products, Product.objects.get(reference="P-9").pk])) == 5


def test_the_sql_is_composed_once_for_each_number_of_keys(products):
    composed = []
    prepared = Prepared(lambda keys: composed.append(len(keys)) or details(keys))
    for keys in (products[:2], products[2:], products[:1], products[3:]):
        prepared(keys)
    assert composed == [2, 1]


@pytest.mark.parametrize(
    "query",
    [
        lambda key: Product.objects.filter(pk=key, brand="Ada").values_list("pk"),
        lambda key: Product.objects.filter(pk__lte=key, pk__gte=key).values_list("pk"),
        lambda key: Product.objects.values_list("pk"),
    ],
    ids=["another value", "a value twice", "a value not at all"],
)
def test_a_query_of_anything_but_what_is_given_is_refused(db, query):
    with pytest.raises(ValueError, match="just what is given"):
        Prepared(query)(1)


def test_what_is_composed_once_answers_for_any_number_of_keys(products):
    def cheap(keys):
        return details(keys).filter(price__lt=Decimal("21.95"), name__contains="r")

    rows = composed_once(cheap)
    for keys in ([], products[:1], products, products[1:3], [*products, 10**9]):
        assert [tuple(row) for row in rows(keys)] == list(cheap(keys))
    assert 0 < len(rows(products)) < len(products)
