"""The demonstration catalogue: product `number` of the shop `seed`, always the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from random import Random

from similarity.engine.synthetic.colours import PALETTE, STORIES, luma
from similarity.engine.synthetic.cuts import CUTS, Cut
from similarity.engine.synthetic.facts import Facts, facts
from similarity.engine.synthetic.garments import KINDS, Garment
from similarity.engine.synthetic.noise import rng

BLOCK = len(KINDS)
"""Products come in blocks of ten, one of each kind, whose colours go together."""


@dataclass(frozen=True, slots=True)
class Product:
    """A garment, and what the shop says of it."""

    garment: Garment
    facts: Facts


@cache
def _names() -> Mapping[str, list[str]]:
    """The cuts of each kind."""
    names: dict[str, list[str]] = defaultdict(list)
    for name, cut in CUTS.items():
        names[cut.kind].append(name)
    return names


def product(seed: int, number: int) -> Product:
    """Product `number` (0 or more) of the shop `seed`."""
    garment = _garment(seed, number)
    return Product(garment, facts(rng(seed, number, "facts"), number, garment))


def with_kind(seed: int, block: int, kind: str) -> int:
    """The number of the product of that kind in a block of ten."""
    return block * BLOCK + _order(seed, block).index(kind)


def _order(seed: int, block: int) -> list[str]:
    return rng(seed, block, "order").sample(KINDS, BLOCK)


def _garment(seed: int, number: int) -> Garment:
    block, place = divmod(number, BLOCK)
    kind = _order(seed, block)[place]
    names = _names()[kind]
    name = names[(block + rng(seed, kind).randrange(len(names))) % len(names)]
    random = rng(seed, number, "garment")
    cut, story = CUTS[name], rng(seed, block, "story").choice(STORIES)
    colour = _colour(random, cut, story)
    pattern = random.choice(cut.patterns)
    trimmed = pattern != "plain" or random.random() < 0.5  # noqa: PLR2004 - half of them
    return Garment(
        kind=kind,
        cut=name,
        colour=colour,
        second_colour=_second(random, colour, story) if trimmed else None,
        pattern=pattern,
        length=round(random.random(), 3),
        sleeve=round(random.random(), 3),
        fit=round(random.random(), 3),
        variant=random.randrange(1 << 30),
    )


def _colour(random: Random, cut: Cut, story: tuple[str, ...]) -> str:
    """One of the cut's colours, from the block's story if there is one."""
    return random.choice([name for name in cut.colours if name in story] or list(cut.colours))


def _second(random: Random, colour: str, story: tuple[str, ...]) -> str:
    """A colour of the story that stands out from the first."""
    first = luma(PALETTE[colour])
    clear = [name for name in (*story, "white", "navy") if abs(luma(PALETTE[name]) - first) > 45]  # noqa: PLR2004
    return random.choice(clear)
