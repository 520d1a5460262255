"""What a cloth feels like: small grey reliefs, and how much it shines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from similarity.engine.synthetic.noise import clouds, grain, rng, signed

Relief = NDArray[np.int16]
_SIDE = 192


def _smooth() -> Relief:
    return signed(grain(rng("smooth"), (_SIDE, _SIDE))) // 42


def _woven() -> Relief:
    random = rng("woven")
    warp = signed(clouds(random, (_SIDE, _SIDE), (1, 24)))
    weft = signed(clouds(random, (_SIDE, _SIDE), (24, 1)))
    return (warp + weft) // 26


def _denim() -> Relief:
    rows, columns = np.indices((_SIDE, _SIDE))
    twill = np.where((rows + columns) % 4 < 2, 5, -5)  # noqa: PLR2004 - a 2/2 twill
    wear = signed(clouds(rng("denim"), (_SIDE, _SIDE), (2, 14))) // 30
    return (twill + wear).astype(np.int16)


def _knit() -> Relief:
    """Columns of V-shaped stitches, eight pixels wide and six high."""
    rows, columns = np.indices((_SIDE, _SIDE))
    across = np.abs(columns % 8 - 4)
    slanted = (rows - across) % 6
    return (np.where(slanted < 3, 5, -4) - np.where(across == 4, 9, 0)).astype(np.int16)  # noqa: PLR2004


def _leather() -> Relief:
    random = rng("leather")
    fine = signed(clouds(random, (_SIDE, _SIDE), (3, 3))) // 26
    return (fine + signed(clouds(random, (_SIDE, _SIDE), (48, 48))) // 40).astype(np.int16)


def _straw() -> Relief:
    rows, columns = np.indices((_SIDE, _SIDE))
    over = (rows // 6 + columns // 6) % 2 == 0
    along = np.where(over, columns % 6, rows % 6)
    noise = signed(grain(rng("straw"), (_SIDE, _SIDE))) // 24
    return (np.where(along == 0, -22, 4) + noise).astype(np.int16)


@dataclass(frozen=True, slots=True)
class Texture:
    """A texture's relief and gloss."""

    relief: Callable[[], Relief]
    gloss: float
    """Contrast of its light and shade; 1 is that of cotton."""


TEXTURES: Mapping[str, Texture] = {
    "cotton": Texture(_smooth, 1.0),
    "linen": Texture(_woven, 1.0),
    "denim": Texture(_denim, 1.0),
    "knit": Texture(_knit, 1.05),
    "leather": Texture(_leather, 1.5),
    "satin": Texture(_smooth, 1.6),
    "nylon": Texture(_smooth, 1.3),
    "wool": Texture(_woven, 0.95),
    "straw": Texture(_straw, 0.9),
}


@cache
def _relief(name: str) -> Relief:
    return TEXTURES[name].relief()


def relief(name: str, width: int, height: int) -> Relief:
    """The texture over that many pixels, as steps of brightness around 0 (of 128)."""
    tile = _relief(name)
    return tile[np.arange(height) % _SIDE][:, np.arange(width) % _SIDE]
