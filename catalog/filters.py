"""Which products and pictures: the same filters for lists, searches and pages."""

from __future__ import annotations

from typing import Any

import django_filters as filters
from django import forms
from django.db.models import QuerySet

from catalog.models import OriginalImage, Product, Segment


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
        return qs.filter(**{f"{self.field_name}__in": value}).distinct() if value else qs


class ProductFilter(filters.FilterSet):
    """Several values of one filter widen it; several filters narrow the result."""

    category = AnyOf(field_name="category__slug", help_text="Slugs.")
    brand = AnyOf()
    store = AnyOf()
    tag = AnyOf(field_name="tags__name")
    size = AnyOf(field_name="sizes__name")
    season = AnyOf()
    listing_season = AnyOf()
    sale_status = AnyOf()
    waist_type = AnyOf()
    price_min = filters.NumberFilter(field_name="price", lookup_expr="gte", min_value=0)
    price_max = filters.NumberFilter(field_name="price", lookup_expr="lte", min_value=0)
    rating_min = filters.NumberFilter(field_name="rating", lookup_expr="gte", min_value=0)

    class Meta:
        model = Product
        fields: tuple[str, ...] = ()


class ImageFilter(filters.FilterSet):
    product = filters.CharFilter(field_name="product__reference", help_text="A reference.")

    class Meta:
        model = OriginalImage
        fields = ("status", "source")


class SegmentFilter(filters.FilterSet):
    image = filters.CharFilter(field_name="image__identifier", help_text="An identifier.")
    product = filters.CharFilter(field_name="image__product__reference", help_text="A reference.")
    label = AnyOf()

    class Meta:
        model = Segment
        fields: tuple[str, ...] = ()
