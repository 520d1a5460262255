"""Product details that fit a drawn garment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from similarity.engine.synthetic.cuts import CUTS
from similarity.engine.synthetic.garments import Garment
from similarity.engine.synthetic.patterns import PATTERNS

CATEGORIES: Mapping[str, str] = {
    "top": "Tops",
    "outwear": "Outerwear",
    "dress": "Dresses",
    "pants": "Pants",
    "shorts": "Shorts",
    "skirt": "Skirts",
    "shoes": "Shoes",
    "hat": "Hats",
    "bag": "Bags",
    "scarf": "Scarves",
}
"""The category of each kind."""

SEASONS = ("spring", "summer", "autumn", "winter", "all year")

_LETTERS = ("XS", "S", "M", "L", "XL")
_SHOES = tuple(str(size) for size in range(36, 46))
_ONE = ("one size",)
_SIZES: Mapping[str, tuple[str, ...]] = {
    "shoes": _SHOES,
    "hat": ("S", "M", "L"),
    "bag": _ONE,
    "scarf": _ONE,
}
_WAISTED = ("pants", "shorts", "skirt")
_HIGH = ("wide trousers", "pleated skirt", "a-line skirt", "maxi skirt", "pencil skirt")

_BRANDS: Mapping[str, Decimal] = {
    "Northmere": Decimal("1.15"),
    "Plain & Purl": Decimal("0.95"),
    "Atelier Solveig": Decimal("1.6"),
    "Harbour Row": Decimal("1.0"),
    "Little Quarry": Decimal("0.8"),
    "Fernhollow": Decimal("1.25"),
    "Tessera": Decimal("0.9"),
    "Ostinato": Decimal("1.4"),
}
"""Invented brands, and how dear each is."""
_STORES = ("Riverside", "Old Mill", "Station Arcade", "Market Hall")

_TEXTURES: Mapping[str, tuple[str, ...]] = {
    "cotton": ("soft cotton", "organic cotton", "a cotton blend"),
    "linen": ("sturdy canvas", "a linen blend"),
    "denim": ("firm denim", "denim with a little stretch"),
    "knit": ("merino wool", "a soft wool blend", "chunky cotton yarn"),
    "leather": ("smooth leather", "grained leather", "vegan leather"),
    "satin": ("flowing satin", "washed silk", "recycled satin"),
    "nylon": ("light recycled nylon", "water-repellent nylon"),
    "wool": ("a warm wool blend", "brushed wool", "fine wool"),
    "straw": ("natural straw", "paper straw"),
}
_OCCASIONS = (
    "meant for everyday wear",
    "easy to dress up or down",
    "as good on the second day as on the first",
    "ready for the weekend",
    "cut to be worn for years",
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a shop says of a product."""

    reference: str
    """Unique in the shop: "DEMO-0007" is product 7."""
    store: str
    brand: str
    name: str
    description: str
    """Two sentences."""
    category: str
    price: Decimal
    """Above 0, two decimals; the reduced one if it is on sale."""
    currency: str
    """ISO 4217."""
    rating: Decimal
    """1 to 5, one decimal."""
    tags: tuple[str, ...]
    sale_status: str
    """"regular" or "sale"."""
    sizes: tuple[str, ...]
    waist_type: str
    """"high", "mid" or "low" for pants, shorts and skirts; otherwise empty."""
    listing_season: str
    """When it was first shown, such as "2026 spring"."""
    season: str
    """When it is worn: one of SEASONS."""


def facts(random: Random, number: int, garment: Garment) -> Facts:
    """The details of product `number`, which is that garment."""
    cut = CUTS[garment.cut]
    brand = random.choice(list(_BRANDS))
    cloth = random.choice(_TEXTURES[cut.texture])
    season = random.choice(cut.seasons)
    sale = random.random() < 0.25  # noqa: PLR2004 - a quarter is on sale
    return Facts(
        reference=f"DEMO-{number:04d}",
        store=random.choice(_STORES),
        brand=brand,
        name=name(garment),
        description=_description(random, garment, cloth),
        category=CATEGORIES[garment.kind],
        price=_price(random, cut.price * _BRANDS[brand], sale=sale),
        currency="EUR",
        rating=Decimal(random.randint(34, 50)).scaleb(-1),
        tags=_tags(garment, season),
        sale_status="sale" if sale else "regular",
        sizes=_sizes(random, garment.kind),
        waist_type=_waist(random, garment),
        listing_season=_listing(random, season),
        season=season,
    )


def name(garment: Garment) -> str:
    """A title such as "Striped crew-neck tee in navy and white"."""
    words = f"{PATTERNS[garment.pattern].adjective} {garment.cut}".strip()
    return f"{words[0].upper()}{words[1:]} in {_colours(garment)}"


def _colours(garment: Garment) -> str:
    if garment.pattern == "plain" or garment.second_colour is None:
        return garment.colour
    return f"{garment.colour} and {garment.second_colour}"


def _description(random: Random, garment: Garment, cloth: str) -> str:
    cut = CUTS[garment.cut]
    adjective = PATTERNS[garment.pattern].adjective or "plain"
    article = "An" if adjective[0] in "aeiou" else "A"
    pair = " pair of" if garment.kind in {"pants", "shorts", "shoes"} else ""
    return (
        f"{article} {adjective}{pair} {garment.cut}, {cut.phrase}. "
        f"Made of {cloth} in {_colours(garment)}, {random.choice(_OCCASIONS)}."
    )


def _price(random: Random, usual: Decimal, *, sale: bool) -> Decimal:
    whole = int(usual * random.randint(85, 120) / 100)
    full = Decimal(whole) - Decimal(random.choice(("0.01", "0.05", "0.10")))
    reduced = full * (100 - random.choice((20, 30, 40, 50))) / 100
    return (reduced if sale else full).quantize(Decimal("0.01"))


def _tags(garment: Garment, season: str) -> tuple[str, ...]:
    trim = garment.second_colour if garment.pattern != "plain" else None
    tags = (garment.colour, trim, garment.pattern, garment.cut, CUTS[garment.cut].texture, season)
    return tuple(tag for tag in tags if tag)


def _sizes(random: Random, kind: str) -> tuple[str, ...]:
    """A run of the kind's sizes: the smallest or the largest may be sold out."""
    sizes = _SIZES.get(kind, _LETTERS)
    if len(sizes) < len(_LETTERS):
        return sizes
    return sizes[random.randint(0, 1) : len(sizes) - random.randint(0, 1)]


def _waist(random: Random, garment: Garment) -> str:
    if garment.kind not in _WAISTED:
        return ""
    return "high" if garment.cut in _HIGH else random.choice(("mid", "mid", "low", "high"))


def _listing(random: Random, season: str) -> str:
    shown = random.choice(SEASONS[:4]) if season == "all year" else season
    return f"{random.choice((2025, 2026))} {shown}"
