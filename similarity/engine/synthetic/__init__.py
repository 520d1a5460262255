"""A demonstration catalogue that draws itself: garments, their photos and product details.

    from similarity.engine.synthetic import photo, product
    product(seed=1, number=7).facts.name
    photo(seed=1, number=7, view=2).image

Everything follows from a seed and a number alone, to the byte, on every machine.
"""

from similarity.engine.synthetic.colours import PALETTE
from similarity.engine.synthetic.cuts import CUTS
from similarity.engine.synthetic.facts import Facts
from similarity.engine.synthetic.garments import KINDS, Garment
from similarity.engine.synthetic.products import Product, product
from similarity.engine.synthetic.scenes import (
    Placed,
    Scene,
    main_place,
    outfit,
    photo,
    street,
    worn,
)

__all__ = [
    "CUTS",
    "KINDS",
    "PALETTE",
    "Facts",
    "Garment",
    "Placed",
    "Product",
    "Scene",
    "main_place",
    "outfit",
    "photo",
    "product",
    "street",
    "worn",
]
