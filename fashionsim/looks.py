"""What the pages show of a search: the parts of its photo, and its results as cards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from catalog.models import Category, Product, Segment
from similarity import results
from similarity.indexing import Neighbour
from similarity.models import Query, Run

LIKENESS = ((0.92, "Very close"), (0.8, "Close"), (0.65, "Similar"))
"""Words for a cosine of at least so much: a bare number tells a shopper nothing."""

LOOSELY = "Loosely similar"

LIMITS = (12, 24, 48)
"""How many results the search page offers to show."""

STEPS = {
    "reading": "Reading your photo",
    "comparing": "Comparing it with what the shop has",
}
"""A running search's step, for people."""

FILTERS = ("category", "price_max", "sale_status")
"""The filters that the page offers; others, asked for over the API, are kept as they are."""

WHOLE = 0.95
"""A part that covers this share of its photo is the photo itself."""

BADGE = 0.026
"""Radius of a part's numbered badge, as a share of the photo's longer side."""

LETTER_SIZES = ("XXS", "XS", "S", "M", "L", "XL", "XXL", "3XL", "4XL")


# --- Results --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Card:
    """A garment in a grid, with its similarity (cosine) to what was searched with, if any."""

    segment: Segment
    similarity: float | None = None

    @property
    def product(self) -> Product | None:
        return self.segment.image.product

    @property
    def title(self) -> str:
        return self.segment.label.capitalize() if self.product is None else self.product.name

    @property
    def likeness(self) -> str:
        """The similarity in a word or two; empty where there is none."""
        if self.similarity is None:
            return ""
        words = (word for least, word in LIKENESS if self.similarity >= least)
        return next(words, LOOSELY)

    @property
    def width(self) -> int:
        x0, _, x1, _ = self.segment.pixels
        return x1 - x0

    @property
    def height(self) -> int:
        _, y0, _, y1 = self.segment.pixels
        return y1 - y0

    @property
    def sizes(self) -> list[str]:
        return sizes_of(self.product)


def cards(neighbours: Sequence[Neighbour]) -> list[Card]:
    """What was found as cards, in its order, without what has gone since: no query for each."""
    segments = (
        Segment.objects.select_related("image__product")
        .prefetch_related("image__product__sizes")
        .in_bulk([neighbour.segment_id for neighbour in neighbours])
    )
    return [
        Card(segments[item.segment_id], item.similarity)
        for item in neighbours
        if item.segment_id in segments
    ]


def newest(count: int) -> list[Card]:
    """The garments of the products that came last: somewhere to start from without a photo."""
    garments = (
        Segment.objects.filter(number=0, image__product__isnull=False, image__position=0)
        .select_related("image__product")
        .prefetch_related("image__product__sizes")
        .order_by("-image__product__created_at", "-pk")
    )
    return [Card(garment) for garment in garments[:count]]


def sizes_of(product: Product | None) -> list[str]:
    """The sizes that a product comes in, smallest first."""
    if product is None:
        return []
    return sorted((size.name for size in product.sizes.all()), key=_size_order)


def _size_order(name: str) -> tuple[int, float, str]:
    if name.upper() in LETTER_SIZES:
        return (0, LETTER_SIZES.index(name.upper()), name)
    if name.isdecimal():
        return (1, int(name), name)
    return (2, 0, name)


# --- The photo ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of the photo that can be searched with, in its pixels."""

    number: int
    """From 1; 0 for a part that the shopper has drawn."""
    label: str
    box: tuple[float, float, float, float]
    is_chosen: bool
    radius: float
    """Of the badge with its number: in step with the photo, as all that is drawn on it."""

    @property
    def badge(self) -> tuple[float, float]:
        """The badge's centre, inside of the part's upper left corner."""
        return self.box[0] + 1.4 * self.radius, self.box[1] + 1.4 * self.radius

    @property
    def width(self) -> float:
        return self.box[2] - self.box[0]

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]


def parts(query: Query, chosen: Sequence[float] | None) -> list[Part]:
    """The garments found in a photo, best first, and after them the shopper's own part, if any.

    One that covers the whole photo is left out: the photo itself stands for it.
    """
    radius = BADGE * max(query.width, query.height)
    garments = [
        found
        for found in query.detections or []
        if not covers(found["box"], query.width, query.height)
    ]
    found = [
        Part(number, item["label"], tuple(item["box"]), _same(item["box"], chosen), radius)
        for number, item in enumerate(garments, start=1)
    ]
    if chosen is None or any(part.is_chosen for part in found):
        return found
    x0, y0, x1, y1 = chosen
    return [*found, Part(0, "your selection", (x0, y0, x1, y1), True, radius)]


def covers(box: Sequence[float], width: int, height: int) -> bool:
    """Whether a box is as good as the whole of a picture of that size."""
    return (box[2] - box[0]) * (box[3] - box[1]) >= WHOLE * width * height


def _same(box: Sequence[float], other: Sequence[float] | None) -> bool:
    """Whether two boxes are one, but for what a form's rounding has taken off."""
    return other is not None and all(abs(a - b) < 1 for a, b in zip(box, other, strict=True))


# --- The page of a search -------------------------------------------------------------------


def look(run: Run) -> dict[str, Any]:
    """What the templates show of a search, in whatever state it is."""
    unfinished = not run.has_ended
    looking = run.query is not None and _is_being_looked_at(run.query)
    filters = run.options.get("filters") or {}
    return {
        "run": run,
        "step": STEPS.get(run.step, "Waiting for its turn"),
        "unfinished": unfinished,
        "looking": looking,
        "unsettled": unfinished or looking,
        "limit": run.options["limit"],
        "limits": sorted({*LIMITS, run.options["limit"]}),
        "categories": Category.objects.all(),
        "filters": filters,
        "kept_all": list(_fields(filters)),
        "kept_others": [field for field in _fields(filters) if field[0] not in FILTERS],
        "cards": cards(results.of_run(run)),
        **_photo(run.query, run.options.get("box")),
    }


def _is_being_looked_at(query: Query) -> bool:
    """Whether somebody still looks for garments in the photo."""
    return query.detections is None and query.runs.under_way(Run.Kind.DETECT).exists()


def _fields(filters: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Filters as a form sends them: a name for each value."""
    for name, values in filters.items():
        for value in values if isinstance(values, list) else [values]:
            yield name, value


def _photo(query: Query | None, box: Sequence[float] | None) -> dict[str, Any]:
    if query is None:
        return {"query": None, "box": None}
    found = parts(query, box)
    return {
        "query": query,
        "box": box,
        "parts": found,
        # Drawn largest first, so that a part inside of another can still be pointed at.
        "drawn": sorted(found, key=lambda part: part.width * part.height, reverse=True),
    }


# --- The page of a garment ------------------------------------------------------------------

DETAILS: tuple[tuple[str, Callable[[Product], object]], ...] = (
    ("Brand", lambda product: product.brand),
    ("Category", lambda product: product.category),
    ("Sizes", lambda product: ", ".join(sizes_of(product))),
    ("Waist", lambda product: product.get_waist_type_display()),
    ("Season", lambda product: product.get_season_display()),
    ("Listed", lambda product: product.listing_season),
    ("Rating", lambda product: product.rating and f"{product.rating} of 5"),
    ("Tags", lambda product: ", ".join(tag.name for tag in product.tags.all())),
    ("Store", lambda product: product.store),
    ("Reference", lambda product: product.reference),
)


def details(product: Product) -> Iterator[tuple[str, object]]:
    """What is known of a product, by name; what is not known is left out."""
    for name, value_of in DETAILS:
        if value := value_of(product):
            yield name, value


def shop_address(product: Product | None) -> str:
    """The product's page in the shop; empty unless it is one that a link may lead to."""
    if product is None or not product.url.lower().startswith(("https://", "http://")):
        return ""
    return product.url
