"""What shoppers have done, day by day and product by product. Days are UTC's, as the log's are."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Avg, Count, Exists, OuterRef, Q
from django.db.models.functions import TruncDate
from django.utils import timezone

from catalog.models import Product
from shop.models import ShopperEvent
from shop.sheets import guarded
from similarity.models import Run

TOP = 50
"""Products and queries listed."""

LATEST = 5000
"""Searches looked at for those without a click: the period's latest."""

Kind = ShopperEvent.Kind


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days, the last of them today."""

    days: int

    @property
    def first(self) -> dt.date:
        return timezone.now().date() - dt.timedelta(days=self.days - 1)

    @property
    def dates(self) -> list[dt.date]:
        return [self.first + dt.timedelta(days=number) for number in range(self.days)]

    @property
    def start(self) -> dt.datetime:
        return dt.datetime.combine(self.first, dt.time(), dt.UTC)


@dataclass(slots=True)
class Figures:
    """Counts of a day, a product, or a whole period."""

    searches: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    position: float | None = None
    """Of clicks, on average; 1 is the first."""

    @property
    def impressions(self) -> int:
        return self.counts[Kind.IMPRESSION]

    @property
    def views(self) -> int:
        return self.counts[Kind.VIEW]

    @property
    def clicks(self) -> int:
        return self.counts[Kind.CLICK]

    @property
    def carts(self) -> int:
        return self.counts[Kind.ADD_TO_CART]

    @property
    def purchases(self) -> int:
        return self.counts[Kind.PURCHASE]

    @property
    def ctr(self) -> float | None:
        """Clicks for each impression; None where nothing was shown."""
        return self.clicks / self.impressions if self.impressions else None

    @property
    def percent(self) -> str:
        """The same for people."""
        return "-" if self.ctr is None else f"{self.ctr:.1%}"


@dataclass(frozen=True, slots=True)
class ProductFigures:
    """A product, and what was done with it."""

    reference: str
    name: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class Unclicked:
    """What was searched for and shown, without anybody's clicking on it."""

    query: str
    searches: int


def events_of(period: Period) -> Any:
    return ShopperEvent.objects.filter(at__gte=period.start).order_by()


def by_day(period: Period) -> dict[dt.date, Figures]:
    """Each day of a period, also those on which nothing was done."""
    days = {date: Figures() for date in period.dates}
    events = events_of(period).annotate(day=TruncDate("at", tzinfo=dt.UTC))
    for row in events.values("day", "kind").annotate(count=Count("pk"), place=Avg("position")):
        if (day := days.get(row["day"])) is None:  # tomorrow has begun meanwhile
            continue
        day.counts[row["kind"]] = row["count"]
        if row["kind"] == Kind.CLICK and row["place"] is not None:
            day.position = row["place"] + 1
    searches = Run.objects.filter(kind=Run.Kind.SEARCH, created_at__gte=period.start).order_by()
    dated = searches.annotate(day=TruncDate("created_at", tzinfo=dt.UTC))
    for date, count in dated.values_list("day").annotate(Count("pk")):
        if date in days:
            days[date].searches = count
    return days


def total(days: dict[dt.date, Figures]) -> Figures:
    """All days together."""
    whole = Figures(searches=sum(day.searches for day in days.values()))
    for day in days.values():
        whole.counts += day.counts
    clicked = [day for day in days.values() if day.position is not None]
    if clicks := sum(day.clicks for day in clicked):
        whole.position = sum((day.position or 0) * day.clicks for day in clicked) / clicks
    return whole


def by_product(period: Period) -> list[ProductFigures]:
    """The products that were clicked most, and of those the ones that were shown most."""
    return _by(period, "product")


def beside_products(period: Period) -> list[ProductFigures]:
    """The products beside which most was clicked, with what was done with what stood there."""
    return _by(period, "beside")


def _by(period: Period, name: str) -> list[ProductFigures]:
    found: dict[int, Figures] = defaultdict(Figures)
    chosen = (
        events_of(period)
        .exclude(**{name: None})
        .values(name)
        .annotate(
            clicks=Count("pk", filter=Q(kind=Kind.CLICK)),
            shown=Count("pk", filter=Q(kind=Kind.IMPRESSION)),
            place=Avg("position", filter=Q(kind=Kind.CLICK)),
        )
        .order_by("-clicks", "-shown", name)[:TOP]
    )
    places = {row[name]: row["place"] for row in chosen}
    counted = events_of(period).filter(**{f"{name}__in": list(places)})
    for product, kind, count in counted.values_list(name, "kind").annotate(Count("pk")):
        found[product].counts[kind] = count
    named = Product.objects.in_bulk(places)
    for key, place in places.items():
        found[key].position = None if place is None else place + 1
    return [
        ProductFigures(named[key].reference, named[key].name, found[key])
        for key in places
        if key in named
    ]


def without_clicks(period: Period) -> list[Unclicked]:
    """What was searched for, and its results seen, though nobody clicked: the most frequent first.

    Photos are a shopper's own, and only counted.
    """
    events = ShopperEvent.objects.filter(search=OuterRef("pk"))
    runs = Run.objects.filter(
        Exists(events.filter(kind=Kind.IMPRESSION)),
        ~Exists(events.filter(kind=Kind.CLICK)),
        kind=Run.Kind.SEARCH,
        created_at__gte=period.start,
    )
    rows = runs.order_by("-created_at").values_list(
        "options", "query", "segment__image__product__reference"
    )
    counted = Counter(_said(*row) for row in rows[:LATEST])
    return [Unclicked(query, count) for query, count in counted.most_common(TOP)]


def _said(options: dict[str, Any], photo: Any, reference: str | None) -> str:
    """What a search was for, in words."""
    source = "a photo" if photo else f"like {reference}" if reference else ""
    text = options.get("text") or ""
    words = f"“{text.strip().lower()}”" if text else ""
    return " and ".join(part for part in (words, source) if part) or "examples"


# --- As tables ------------------------------------------------------------------------------

FIGURES = (
    "impressions",
    "clicks",
    "ctr",
    "mean_click_position",
    "views",
    "add_to_cart",
    "purchases",
)

Rows = Iterator[Sequence[Any]]


def _cells(figures: Figures) -> list[Any]:
    return [
        figures.impressions,
        figures.clicks,
        "" if figures.ctr is None else f"{figures.ctr:.4f}",
        "" if figures.position is None else f"{figures.position:.2f}",
        figures.views,
        figures.carts,
        figures.purchases,
    ]


def days_table(period: Period) -> Rows:
    yield ("date", "searches", *FIGURES)
    for date, day in by_day(period).items():
        yield (date.isoformat(), day.searches, *_cells(day))


def products_table(period: Period) -> Rows:
    return _products_table(by_product(period))


def beside_table(period: Period) -> Rows:
    return _products_table(beside_products(period))


def _products_table(items: Sequence[ProductFigures]) -> Rows:
    yield ("product", "name", *FIGURES)
    for item in items:
        yield (guarded(item.reference), guarded(item.name), *_cells(item.figures))


def queries_table(period: Period) -> Rows:
    yield ("query", "searches_without_click")
    for item in without_clicks(period):
        yield (guarded(item.query), item.searches)  # shoppers' words are anybody's


TABLES = {
    "days": days_table,
    "products": products_table,
    "beside": beside_table,
    "queries": queries_table,
}


# --- As a picture ---------------------------------------------------------------------------

WIDTH, HEIGHT = 320, 90
"""Of a plot, in its own units."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A day in a plot."""

    x: float
    y: float
    width: float
    height: float
    date: dt.date
    told: str


@dataclass(frozen=True, slots=True)
class Plot:
    """One figure, day by day."""

    name: str
    whole: str
    most: str
    bars: list[Bar]


def plots(days: dict[dt.date, Figures]) -> list[Plot]:
    """A plot of each figure; the highest day fills its height."""
    whole = total(days)

    def percent(part: float | None) -> str:
        return "-" if part is None else f"{part:.1%}"

    return [
        _plot("Searches", days, [day.searches for day in days.values()], whole.searches),
        _plot("Impressions", days, [day.impressions for day in days.values()], whole.impressions),
        _plot("Clicks", days, [day.clicks for day in days.values()], whole.clicks),
        _plot("Click-through rate", days, [day.ctr for day in days.values()], whole.ctr, percent),
        _plot("Added to cart", days, [day.carts for day in days.values()], whole.carts),
        _plot("Purchases", days, [day.purchases for day in days.values()], whole.purchases),
    ]


def _plot(
    name: str,
    days: dict[dt.date, Figures],
    values: Sequence[float | None],
    whole: float | None,
    told: Any = "{:,}".format,
) -> Plot:
    most = max((value or 0 for value in values), default=0)
    step = WIDTH / max(1, len(values))
    bars = []
    for place, (date, value) in enumerate(zip(days, values, strict=True)):
        height = HEIGHT * (value or 0) / most if most else 0.0
        x, width = round(place * step, 2), round(0.8 * step, 2)
        bar = Bar(x, round(HEIGHT - height, 2), width, round(height, 2), date, told(value))
        bars.append(bar)
    return Plot(name, told(whole), told(most), bars)
