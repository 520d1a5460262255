"""What the pages show of a search: the parts of its photo, and its results as cards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.db.models import Exists, OuterRef
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.text import capfirst
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from accounts.models import MAX_RESULTS
from catalog.models import OriginalImage, Product, Segment
from fashionsim import narrowing, sizes
from similarity import golden, results, services, serving
from similarity.engine import Box
from similarity.indexing import Neighbour
from similarity.models import GoldenSet, Query, Run
from similarity.serializers import LONGEST_TEXT

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise as StrOrPromise

CLOSE = 0.74
"""A search whose best result is at least as similar as that has found something."""

CLOSENESS = ((0.88, "very-close"), (CLOSE, "close"), (0.55, "similar"))
"""Names for a cosine of at least so much. By the shipped embedder, on photos of other people: three
quarters of the best results are close or more, and 19 of 20 garments picked blindly not similar."""

LOOSELY = "loosely-similar"

LIKENESS = {
    "very-close": pgettext_lazy("likeness", "Very close"),
    "close": pgettext_lazy("likeness", "Close"),
    "similar": pgettext_lazy("likeness", "Similar"),
    LOOSELY: pgettext_lazy("likeness", "Loosely similar"),
}
"""Words for them: a bare number tells a shopper nothing."""

USUAL = 24
"""So many results are shown at first to who has chosen no other number."""

MOST = MAX_RESULTS
"""So many are looked for: who has not found it among these tries another part or filter."""

SORTS = {
    "": _("Most alike"),
    "price": _("Price, low to high"),
    "-price": _("Price, high to low"),
    "new": _("Newest"),
}
"""Orders in which results can be shown."""

STEPS = {
    "reading": _("Reading your photo"),
    "comparing": _("Comparing it with what the shop has"),
}
"""A running search's step, for people."""

GARMENTS = {
    "bag": pgettext_lazy("garment", "bag"),
    "blazer": pgettext_lazy("garment", "blazer"),
    "blouse": pgettext_lazy("garment", "blouse"),
    "body": pgettext_lazy("garment", "body"),
    "dress": pgettext_lazy("garment", "dress"),
    "hat": pgettext_lazy("garment", "hat"),
    "hoodie": pgettext_lazy("garment", "hoodie"),
    "longsleeve": pgettext_lazy("garment", "longsleeve"),
    "outwear": pgettext_lazy("garment", "outwear"),
    "pants": pgettext_lazy("garment", "pants"),
    "polo": pgettext_lazy("garment", "polo"),
    "scarf": pgettext_lazy("garment", "scarf"),
    "shirt": pgettext_lazy("garment", "shirt"),
    "shoes": pgettext_lazy("garment", "shoes"),
    "shorts": pgettext_lazy("garment", "shorts"),
    "skirt": pgettext_lazy("garment", "skirt"),
    "t-shirt": pgettext_lazy("garment", "t-shirt"),
    "top": pgettext_lazy("garment", "top"),
    "undershirt": pgettext_lazy("garment", "undershirt"),
}
"""Labels of the detectors that we ship, for people. Others are shown as they are."""

EXAMPLES = ("like", "unlike")

FEW_SIZES = 6
"""So many sizes stand on a card."""

TWICE = 0.8
"""Two boxes that have so much in common, of what both cover, are around the same garment."""

WHOLE = 0.95
"""A part that covers this share of its photo is the photo itself."""

BADGE = 0.026
"""Radius of a part's numbered badge, as a share of the photo's longer side."""


# --- Results --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Card:
    """A garment in a grid, with how it was found, if it was: its similarity (cosine), and words."""

    segment: Segment
    similarity: float | None = None
    matched: tuple[str, ...] = ()
    pinned: bool = False
    """Whether the shop has put it first."""
    verdict: bool | None = None
    """Whether it was marked right or wrong in a golden set; None where it was not."""

    @property
    def product(self) -> Product | None:
        return self.segment.image.product

    @property
    def title(self) -> str:
        return self.label if self.product is None else self.product.name

    @property
    def label(self) -> str:
        """What the garment is, in a word."""
        return garment(self.segment.label) or gettext("Whole picture")

    @property
    def kind(self) -> str:
        """What it is, where its picture shows other kinds as well; empty where it is alone.

        A bag beside the coat that is sold is found by its own looks, under the coat's name. What
        the detector is not sure of is not said.
        """
        is_amid = getattr(self.segment, "is_amid", False)
        return garment(self.segment.label) if is_amid and self.segment.score >= SURE else ""

    @property
    def likeness(self) -> str:
        """The similarity in a word or two; empty where there is none."""
        return likeness(self.similarity)

    @property
    def closeness(self) -> str:
        """The same for the style sheet."""
        return closeness(self.similarity)

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

    @property
    def few_sizes(self) -> list[str]:
        """As many of them as one line has room for: of many, the smallest and the largest."""
        names = self.sizes
        return names if len(names) <= FEW_SIZES else [*names[:2], "…", *names[-2:]]


def garment(label: str) -> str:
    """What a garment is, as a heading has it, in the reader's language; empty for no label."""
    return capfirst(str(GARMENTS.get(label.lower(), label.lower())))


def closeness(similarity: float | None) -> str:
    """The name of a similarity; empty where there is none."""
    if similarity is None:
        return ""
    return next((name for least, name in CLOSENESS if similarity >= least), LOOSELY)


def likeness(similarity: float | None) -> str:
    """A similarity in a word or two; empty where there is none."""
    return "" if similarity is None else str(LIKENESS[closeness(similarity)])


@dataclass(frozen=True, slots=True)
class Past:
    """A search of the history; its run has been annotated with `found` and `best`."""

    run: Run

    @property
    def picture(self) -> str:
        """The address of what was searched with; empty where that has gone."""
        if self.run.query is not None:
            return reverse("query-file", args=[self.run.query.pk])
        if self.run.segment is not None:
            return reverse("segment-crop", args=[self.run.segment.identifier])
        return ""

    @property
    def likeness(self) -> str:
        """How alike the best result is, in a word or two."""
        return likeness(self.run.best)  # type: ignore[attr-defined]

    @property
    def closeness(self) -> str:
        """The same for the style sheet."""
        return closeness(self.run.best)  # type: ignore[attr-defined]


SURE = 0.5
"""A detector's score from which a card says what was found. Of 220 photos of single garments, this
keeps half of the right labels and a twelfth of the wrong ones."""

OTHER_KINDS = Exists(
    Segment.objects.filter(image=OuterRef("image")).exclude(label=OuterRef("label"))
)
"""Whether a garment's picture shows garments of another label as well."""


def cards(neighbours: Sequence[Neighbour]) -> list[Card]:
    """What was found as cards, in its order, without what has gone since: no query for each."""
    segments = (
        Segment.objects.annotate(is_amid=OTHER_KINDS)
        .select_related("image__product")
        .prefetch_related("image__product__sizes")
        .in_bulk([neighbour.segment_id for neighbour in neighbours])
    )
    return [
        Card(segments[item.segment_id], item.similarity, item.matched, item.pinned)
        for item in neighbours
        if item.segment_id in segments
    ]


def arranged(found: Sequence[Card], sort: str) -> list[Card]:
    """Cards in one of the SORTS; what cannot be told comes last, and those alike stay in order."""
    if sort == "new":
        return _by(found, lambda product: product.created_at, descending=True)
    if sort:
        return _by(found, lambda product: product.price, descending=sort.startswith("-"))
    return list(found)


def _by(found: Sequence[Card], key: Callable[[Product], Any], *, descending: bool) -> list[Card]:
    told: list[Any] = [None if card.product is None else key(card.product) for card in found]
    known = [place for place, value in enumerate(told) if value is not None]
    known.sort(key=lambda place: told[place], reverse=descending)
    unknown = [place for place, value in enumerate(told) if value is None]
    return [found[place] for place in known + unknown]


def newest(count: int) -> list[Card]:
    """The garments of the products that came last: somewhere to start from without a photo."""
    garments = (
        Segment.objects.filter(number=0, image__product__isnull=False, image__position=0)
        .select_related("image__product")
        .prefetch_related("image__product__sizes")
        .order_by("-image__product__created_at", "-pk")
    )
    return [Card(garment) for garment in garments[:count]]


LOOKED_AT = 200
"""Garments that came last among which photos of several are looked for."""


def examples(count: int) -> list[OriginalImage]:
    """Photos to try the search with: of several garments, the most first; one of each product."""
    latest = Segment.objects.filter(image__product__isnull=False, number__gt=0).order_by("-pk")
    rows = latest.values_list("image__product", "image", "number")[:LOOKED_AT]
    of_products: dict[int, int] = {}
    for product, image, _number in sorted(rows, key=lambda row: -row[2]):
        of_products.setdefault(product, image)
    several = list(of_products.values())[:count]
    found = OriginalImage.objects.in_bulk(several)
    return [found[pk] for pk in several if pk in found]


def sizes_of(product: Product | None) -> list[str]:
    """The sizes that a product comes in, smallest first."""
    if product is None:
        return []
    return sorted((size.name for size in product.sizes.all()), key=sizes.order)


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

    One that covers the whole photo is left out: the photo itself stands for it. One that was found
    twice, as a top and as a coat perhaps, is shown as what it surest is.
    """
    radius = BADGE * max(query.width, query.height)
    garments: list[dict[str, Any]] = []
    for found in query.detections or []:
        is_known = any(_is_twice(found["box"], one["box"]) for one in garments)
        if not is_known and not covers(found["box"], query.width, query.height):
            garments.append(found)
    found = [
        Part(number, garment(item["label"]), tuple(item["box"]), _same(item["box"], chosen), radius)
        for number, item in enumerate(garments, start=1)
    ]
    if chosen is None or any(part.is_chosen for part in found):
        return found
    x0, y0, x1, y1 = chosen
    return [*found, Part(0, gettext("your selection"), (x0, y0, x1, y1), True, radius)]


def _is_twice(one: Sequence[float], other: Sequence[float]) -> bool:
    return Box(*one).iou(Box(*other)) >= TWICE


def covers(box: Sequence[float], width: int, height: int) -> bool:
    """Whether a box is as good as the whole of a picture of that size."""
    return (box[2] - box[0]) * (box[3] - box[1]) >= WHOLE * width * height


def _same(box: Sequence[float], other: Sequence[float] | None) -> bool:
    """Whether two boxes are one, but for what a form's rounding has taken off."""
    return other is not None and all(abs(a - b) < 1 for a, b in zip(box, other, strict=True))


@dataclass(frozen=True, slots=True)
class Piece:
    """A garment of the photo, and what the shop has like it."""

    part: Part
    cards: list[Card]

    @property
    def frame(self) -> str:
        """Its part of the photo, as an SVG's viewBox."""
        return f"{self.part.box[0]} {self.part.box[1]} {self.part.width} {self.part.height}"


def outfit(query: Query, found: Sequence[Sequence[Neighbour]]) -> list[Piece]:
    """The garments of a photo with what was found for each; without those that cover it all."""
    by_box = {
        tuple(detection["box"]): neighbours
        for detection, neighbours in zip(query.detections or [], found, strict=True)
    }
    return [Piece(part, cards(by_box[part.box])) for part in parts(query, None)]


# --- The page of a search -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class View:
    """How the results of a search are looked at; the address says it."""

    shown: int = USUAL
    sort: str = ""
    usual: int = USUAL
    """How many whoever asks is shown at first."""

    def address(self, run: Run, shown: int | None = None) -> str:
        """The page of a search looked at like this, or with another number shown."""
        count = self.shown if shown is None else shown
        return f"{reverse('home')}?{urlencode(self._parameters(run, count))}"

    def _parameters(self, run: Run, shown: int) -> dict[str, Any]:
        parameters: dict[str, Any] = {"search": run.pk}
        if self.sort:
            parameters["sort"] = self.sort
        if shown != self.usual:
            parameters["show"] = shown
        return parameters


def look(run: Run, view: View = View()) -> dict[str, Any]:
    """What the templates show of a search, in whatever state it is."""
    unfinished = not run.has_ended
    looking = run.query is not None and run.query.being_looked_at() is not None
    filters = run.options.get("filters") or {}
    found = results.of_run(run)
    shown = cards(found if view.sort else found[: view.shown])
    wish = _wish(run)
    return {
        "run": run,
        "step": STEPS.get(run.step, _("Waiting for its turn")),
        "unfinished": unfinished,
        "looking": looking,
        "unlooked": run.query is not None and run.query.detections is None and not looking,
        "unsettled": unfinished or looking,
        "limit": MOST,
        "filters": filters,
        "kept_all": list(narrowing.fields(filters)),
        "cards": arranged(shown, view.sort)[: view.shown],
        "sort": view.sort,
        "sorts": SORTS.items(),
        "address": view.address(run),
        "more": _more(run, view, len(found)),
        **_narrowing(run, filters),
        **wish,
        **_photo(run.query, run.options.get("box")),
    }


def _more(run: Run, view: View, found: int) -> str:
    """The address that shows more of what was found; empty where that is all."""
    return view.address(run, min(view.shown + view.usual, found)) if found > view.shown else ""


def _narrowing(run: Run, filters: dict[str, Any]) -> dict[str, Any]:
    """What narrows the results of a search that has any, or had before it was narrowed."""
    if run.state != Run.State.DONE:
        return {}
    scope = services.scope_of(run)
    offered = narrowing.narrowing(filters, scope)
    if filters and not run.ranking:
        offered["ways_out"] = narrowing.ways_out(filters, scope)
    return offered


def marking(run: Run, found: Sequence[Card], name: str) -> dict[str, Any]:
    """What a page needs to let results be marked for a golden set, and how they are marked now."""
    told = golden.verdicts(run, name)
    return {
        "cards": [
            replace(card, verdict=None if card.product is None else told.get(card.product.pk))
            for card in found
        ],
        "marking": {"name": name, "names": GoldenSet.objects.values_list("name", flat=True)},
    }


@dataclass(frozen=True, slots=True)
class Example:
    """A garment that the results are to be like, or not."""

    segment: Segment
    is_liked: bool
    others: list[tuple[str, str]]
    """The other examples, as a form sends them: the search without this one."""
    is_last: bool
    """Whether there would be nothing to search with without it."""

    @property
    def label(self) -> str:
        return garment(self.segment.label)


def _wish(run: Run) -> dict[str, Any]:
    """What a search asks for in words and by examples, as the page shows it and forms send it."""
    text, without = run.options.get("text") or "", run.options.get("without") or ""
    kept = [(name, value) for name in EXAMPLES for value in run.options.get(name) or []]
    known = Segment.objects.filter(identifier__in=[value for _, value in kept]) if kept else ()
    segments = {segment.identifier: segment for segment in known}
    kept = [field for field in kept if field[1] in segments]
    goes_alone = bool(run.query_id or run.segment_id or text)
    examples = []
    for name, value in kept:
        others = [field for field in kept if field[1] != value]
        is_last = not goes_alone and not any(field[0] == "like" for field in others)
        examples.append(Example(segments[value], name == "like", others, is_last))
    return {
        "text": text,
        "without": without,
        # Between words and a picture, a cosine says nothing of how alike two pictures are.
        "words_alone": bool(text) and not (run.query_id or run.segment_id or kept),
        "longest_text": LONGEST_TEXT,
        "kept_examples": kept,
        "examples": examples,
    }


def _photo(query: Query | None, box: Sequence[float] | None) -> dict[str, Any]:
    if query is None:
        return {"query": None, "box": None}
    found = parts(query, box)
    return {
        "query": query,
        "box": box,
        "parts": found,
        "has_outfit": serving.is_light() and len(found) > 1,
        # Drawn largest first, so that a part inside of another can still be pointed at.
        "drawn": sorted(found, key=lambda part: part.width * part.height, reverse=True),
    }


# --- The page of a garment ------------------------------------------------------------------


def rating(stars: Decimal) -> str:
    return gettext("%(stars)s of 5") % {"stars": number_format(stars)}


DETAILS: tuple[tuple[StrOrPromise, Callable[[Product], object]], ...] = (
    (_("Brand"), lambda product: product.brand),
    (_("Category"), lambda product: product.category),
    (_("Sizes"), lambda product: ", ".join(sizes_of(product))),
    (_("Waist"), lambda product: product.get_waist_type_display()),
    (_("Season"), lambda product: product.get_season_display()),
    (_("Listed"), lambda product: product.listing_season),
    (_("Rating"), lambda product: product.rating and rating(product.rating)),
    (_("Tags"), lambda product: ", ".join(tag.name for tag in product.tags.all())),
    (_("Store"), lambda product: product.store),
    (_("Reference"), lambda product: product.reference),
)


def details(product: Product) -> Iterator[tuple[StrOrPromise, object]]:
    """What is known of a product, by name; what is not known is left out."""
    for name, value_of in DETAILS:
        if value := value_of(product):
            yield name, value


def shop_address(product: Product | None) -> str:
    """The product's page in the shop; empty unless it is one that a link may lead to."""
    if product is None or not product.url.lower().startswith(("https://", "http://")):
        return ""
    return product.url
