"""What narrows a search's results, as its page shows it: choices with counts, what has been chosen,
and where nothing is left, what to take back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.formats import number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from catalog import facets
from catalog.facets import PRICES, FacetValue, PriceBand, Scope
from catalog.models import Category, Product, SegmentColour
from fashionsim import sizes

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise as StrOrPromise

Filters = Mapping[str, Any]

Field = tuple[str, Any]
"""A filter as a form sends it: a name and one value."""

LISTS = {
    "category": _("Category"),
    "brand": _("Brand"),
    "colour": _("Colour"),
    "size": _("Size"),
    "season": _("Season"),
    "tag": _("Style"),
}
"""Facets that are lists of values, by their filter, in the order in which they are shown."""

STOCK = {"in_stock": ("true",), "sale_status": (Product.SaleStatus.SALE,)}
"""What is offered of availability; other statuses, asked for over the API, are kept as they are."""

WITHOUT = {
    "category": _("Any category"),
    "brand": _("Any brand"),
    "colour": _("Any colour"),
    "size": _("Any size"),
    "season": _("Any season"),
    "tag": _("Any style"),
    "price": _("Any price"),
    "in_stock": _("Any availability"),
    "sale_status": _("Any availability"),
    "store": _("Any store"),
    "waist_type": _("Any waist"),
    "listing_season": _("Listed at any time"),
    "rating_min": _("Any rating"),
}
"""What a search is without a filter."""

NAMES: dict[str, dict[str, StrOrPromise]] = {
    "colour": dict(SegmentColour.Name.choices),
    "season": dict(Product.Season.choices),
    "sale_status": dict(Product.SaleStatus.choices),
    "waist_type": dict(Product.Waist.choices),
    "in_stock": {"true": _("In stock")},
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A value that can be ticked, with how many results it would leave."""

    filter: str
    value: str
    name: str
    count: int
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Facet:
    """Choices of one kind, and what the form that offers them keeps of the other filters."""

    name: str
    title: StrOrPromise
    choices: list[Choice]
    kept: list[Field]

    @property
    def chosen(self) -> int:
        return sum(choice.is_chosen for choice in self.choices)


@dataclass(frozen=True, slots=True)
class Band:
    """A range of prices that can be chosen with one press."""

    text: str
    count: int
    is_chosen: bool
    kept: list[Field]


@dataclass(frozen=True, slots=True)
class Chip:
    """Something chosen that can be taken back, and the filters without it."""

    filter: str
    value: str
    text: str
    kept: list[Field]


@dataclass(frozen=True, slots=True)
class WayOut:
    """A filter that keeps everything back, with how many results there are without it."""

    text: StrOrPromise
    """What the search is without it: "Any brand"."""
    count: int
    kept: list[Field]


def fields(filters: Filters) -> Iterator[Field]:
    """Filters as a form sends them: a name for each value."""
    for name, values in filters.items():
        for value in values if isinstance(values, list) else [values]:
            yield name, _plain(value)


def narrowing(filters: Filters, scope: Scope) -> dict[str, Any]:
    """What the page offers to narrow results by, under the filters that there are."""
    counted = facets.count(filters, scope)
    offered: dict[str, list[FacetValue]] = {name: getattr(counted, name) for name in LISTS}
    offered["size"] = sorted(offered["size"], key=lambda size: sizes.order(str(size.name)))
    names = {name: {item.value: item.name for item in values} for name, values in offered.items()}
    names = {name: names.get(name, {}) | NAMES.get(name, {}) for name in {**names, **NAMES}}
    names["category"] |= _category_names(filters)
    lists = [
        Facet(name, title, _choices(name, filters, offered[name], names), _kept(filters, name))
        for name, title in LISTS.items()
    ]
    return {
        "facets": [facet for facet in lists if facet.choices],
        "stock": _stock(filters, counted, names),
        "bands": [_band(filters, band) for band in counted.price],
        "price_is_chosen": any(name in filters for name in PRICES),
        "kept_but_price": _kept(filters, *PRICES),
        "chips": list(_chips(filters, names)),
    }


def ways_out(filters: Filters, scope: Scope) -> list[WayOut]:
    """Filters to take back where nothing passes them all: those that leave most come first."""
    left = facets.without_each(filters, scope)
    ranked = sorted(left, key=lambda name: -left[name])
    return [
        WayOut(
            WITHOUT.get(name, name),
            left[name],
            _kept(filters, *(PRICES if name == "price" else [name])),
        )
        for name in ranked
        if left[name]
    ]


def _kept(filters: Filters, *without: str) -> list[Field]:
    return list(fields({name: value for name, value in filters.items() if name not in without}))


def _choices(
    name: str,
    filters: Filters,
    offered: Iterable[FacetValue],
    names: Mapping[str, Mapping[str, StrOrPromise]],
) -> list[Choice]:
    """The values of a facet, and after them those that are chosen and leave nothing."""
    chosen = [value for _, value in fields({name: filters.get(name, [])})]
    numbers = {item.value: item.count for item in offered}
    numbers |= {value: 0 for value in chosen if value not in numbers}
    return [
        Choice(name, value, _name(names, name, value), number, value in chosen)
        for value, number in numbers.items()
    ]


def _stock(
    filters: Filters,
    counted: facets.Facets,
    names: Mapping[str, Mapping[str, StrOrPromise]],
) -> Facet:
    choices = [
        choice
        for name, values in STOCK.items()
        for choice in _choices(name, filters, getattr(counted, name), names)
        if choice.value in values
    ]
    others = [field for field in fields(filters) if field[1] not in STOCK.get(field[0], ())]
    return Facet("stock", _("Availability"), choices, others)


def _band(filters: Filters, band: PriceBand) -> Band:
    ends = {"price_min": float(band.price_min)}
    if band.price_max is not None:
        ends["price_max"] = float(band.price_max)
    chosen = {name: filters[name] for name in PRICES if name in filters}
    return Band(
        price_text(ends),
        band.count,
        chosen == ends,
        [*_kept(filters, *PRICES), *ends.items()],
    )


def price_text(ends: Filters) -> str:
    """A range of prices in words: "25 to 49.99"."""
    low, high = (_amount(ends[name]) if name in ends else "" for name in PRICES)
    if not high:
        return gettext("From %(low)s") % {"low": low}
    if low in {"", "0"}:
        return gettext("Up to %(high)s") % {"high": high}
    return gettext("%(low)s to %(high)s") % {"low": low, "high": high}


def _amount(price: float) -> str:
    return number_format(price, decimal_pos=0 if price % 1 == 0 else 2)


def _chips(filters: Filters, names: Mapping[str, Mapping[str, StrOrPromise]]) -> Iterator[Chip]:
    everything = list(fields(filters))
    for name, value in everything:
        if name not in PRICES:
            others = [field for field in everything if field != (name, value)]
            yield Chip(name, value, _name(names, name, value), others)
    if prices := {name: filters[name] for name in PRICES if name in filters}:
        yield Chip("price", "", price_text(prices), _kept(filters, *PRICES))


def _name(names: Mapping[str, Mapping[str, StrOrPromise]], filter_name: str, value: str) -> str:
    if filter_name == "rating_min":
        return gettext("Rated %(stars)s or more") % {"stars": value}
    return str(names.get(filter_name, {}).get(value, value))


def _plain(value: Any) -> Any:
    return "true" if value is True else value


def _category_names(filters: Filters) -> dict[str, str]:
    """The names of chosen categories: those that leave nothing are in no facet."""
    if not (chosen := filters.get("category")):
        return {}
    return dict(Category.objects.filter(slug__in=chosen).values_list("slug", "name"))
