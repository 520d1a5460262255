"""Every cut by its name."""

from __future__ import annotations

from collections.abc import Mapping

from similarity.engine.synthetic.cuts.accessories import BAGS, HATS, SCARVES
from similarity.engine.synthetic.cuts.cut import Cut
from similarity.engine.synthetic.cuts.dresses import DRESSES
from similarity.engine.synthetic.cuts.footwear import FOOTWEAR
from similarity.engine.synthetic.cuts.lower import PANTS, SHORTS, SKIRTS
from similarity.engine.synthetic.cuts.outerwear import OUTERWEAR
from similarity.engine.synthetic.cuts.tops import TOPS

CUTS: Mapping[str, Cut] = {
    **TOPS,
    **OUTERWEAR,
    **DRESSES,
    **PANTS,
    **SHORTS,
    **SKIRTS,
    **FOOTWEAR,
    **HATS,
    **BAGS,
    **SCARVES,
}

__all__ = ["CUTS", "Cut"]
