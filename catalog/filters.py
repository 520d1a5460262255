"""Which products and pictures: the same filters for lists, searches and pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import django_filters as filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field

from catalog.models import OriginalImage, Product, Segment, SegmentColour


class ListField(forms.Field):
    """Any number of values: repeated parameters, or a list."""

    widget = forms.SelectMultiple

    def to_python(self, value: Any) -> list[str]:
        values = [value] if isinstance(value, str) else value or []
        return [str(item) for item in values if str(item).strip()]


class AnyOf(filters.Filter):
    """Lets through what has one of the values given."""

    field_class = ListField

    def filter(self, qs: QuerySet[Any], value: list[str]) -> QuerySet[Any]:
        if not value:
            return qs
        chosen = qs.filter(**{f"{self.field_name}__in": value})
        return chosen.distinct() if self.distinct else chosen


UNKNOWN_COLOUR = format_lazy(
    _("There is no colour “{{input}}”. Known are: {colours}."),
    colours=", ".join(SegmentColour.Name),
)


class ColoursField(ListField):
    """Any number of names of colours."""

    def validate(self, value: list[str]) -> None:
        super().validate(value)
        for name in value:
            if name not in SegmentColour.Name:
                raise ValidationError(str(UNKNOWN_COLOUR).format(input=name))


@extend_schema_field(
    {
        "type": "array",
        "items": {"type": "string", "enum": list(SegmentColour.Name.values)},
        "description": "Any of these.",
    }
)
class Coloured(filters.Filter):
    """Lets through what is, or has, a garment prominently of one of the colours given.

    `path` leads from a garment's colour to what is filtered.
    """

    field_class = ColoursField

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def filter(self, qs: QuerySet[Any], value: list[str]) -> QuerySet[Any]:
        if not value:
            return qs
        return qs.filter(pk__in=SegmentColour.objects.prominent(value).order_by().values(self.path))


class InStock(filters.BooleanFilter):
    """If true, keeps back what is sold out."""

    def filter(self, qs: QuerySet[Any], value: bool | None) -> QuerySet[Any]:
        return qs.exclude(sale_status=Product.SaleStatus.SOLD_OUT) if value else qs


class ProductFilter(filters.FilterSet):
    """Several values of one filter widen it; several filters narrow the result."""

    category = AnyOf(field_name="category__slug", help_text="Slugs.")
    brand = AnyOf()
    store = AnyOf()
    tag = AnyOf(field_name="tags__name", distinct=True)
    size = AnyOf(field_name="sizes__name", distinct=True)
    season = AnyOf()
    listing_season = AnyOf()
    sale_status = AnyOf()
    waist_type = AnyOf()
    in_stock = InStock(help_text="True: nothing that is sold out.")
    price_min = filters.NumberFilter(field_name="price", lookup_expr="gte", min_value=0)
    price_max = filters.NumberFilter(field_name="price", lookup_expr="lte", min_value=0)
    rating_min = filters.NumberFilter(field_name="rating", lookup_expr="gte", min_value=0)

    class Meta:
        model = Product
        fields: tuple[str, ...] = ()


def passing(filters: Mapping[str, Any]) -> QuerySet[Product]:
    """The products that pass filters which were validated before; other names are passed over.

    The same as `ProductFilter(filters).qs` without its form, which takes longer to make than the
    database takes to answer a search.
    """
    products: QuerySet[Product] = Product.objects.order_by()
    for name, kept in ProductFilter.base_filters.items():
        if name in filters:
            products = kept.filter(products, filters[name])
    return products


def concerns_products(filters: Mapping[str, Any]) -> bool:
    """Whether something of products is asked for: what belongs to none does not pass then."""
    return bool(ProductFilter.base_filters.keys() & filters.keys())


class ProductListFilter(ProductFilter):
    """The same for lists of products; searches ask for the colour of the garment itself."""

    colour = Coloured("segment__image__product")


class ImageFilter(filters.FilterSet):
    product = filters.CharFilter(field_name="product__reference", help_text="A reference.")

    class Meta:
        model = OriginalImage
        fields = ("status", "source")


class SegmentFilter(filters.FilterSet):
    image = filters.CharFilter(field_name="image__identifier", help_text="An identifier.")
    product = filters.CharFilter(field_name="image__product__reference", help_text="A reference.")
    label = AnyOf()
    colour = Coloured("segment")

    class Meta:
        model = Segment
        fields: tuple[str, ...] = ()
