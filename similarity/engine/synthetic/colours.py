"""The palette, and a little arithmetic on its colours."""

from __future__ import annotations

Rgb = tuple[int, int, int]

PALETTE: dict[str, Rgb] = {
    "black": (50, 49, 54),
    "charcoal": (82, 84, 90),
    "grey": (158, 160, 164),
    "white": (240, 239, 236),
    "ivory": (235, 226, 208),
    "beige": (211, 191, 163),
    "camel": (189, 143, 92),
    "brown": (110, 76, 56),
    "burgundy": (118, 38, 52),
    "red": (190, 52, 50),
    "coral": (231, 128, 106),
    "pink": (228, 170, 180),
    "lilac": (176, 160, 203),
    "mustard": (211, 162, 58),
    "olive": (110, 112, 70),
    "green": (58, 112, 84),
    "teal": (44, 122, 128),
    "sky blue": (150, 189, 219),
    "denim blue": (84, 116, 156),
    "navy": (47, 60, 98),
}

STORIES: tuple[tuple[str, ...], ...] = (
    ("navy", "white", "camel", "denim blue", "burgundy", "beige"),
    ("black", "white", "grey", "red", "denim blue", "charcoal"),
    ("olive", "ivory", "brown", "mustard", "camel", "black"),
    ("pink", "white", "lilac", "sky blue", "grey", "beige"),
    ("teal", "ivory", "coral", "navy", "camel", "denim blue"),
    ("green", "beige", "black", "ivory", "brown", "pink"),
    ("sky blue", "white", "navy", "mustard", "beige", "charcoal"),
    ("burgundy", "pink", "charcoal", "ivory", "black", "camel"),
)
"""Colours that go together; each block of ten products is dyed from one of them."""


def mix(one: Rgb, other: Rgb, share: float) -> Rgb:
    """`one` with that share (0 to 1) of `other`."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def shade(colour: Rgb, factor: float) -> Rgb:
    """The colour made darker (factor below 1) or lighter (above 1)."""
    red, green, blue = (min(255, round(part * factor)) for part in colour)
    return red, green, blue


def luma(colour: Rgb) -> float:
    """Perceived lightness, 0 to 255 (ITU-R BT.601 weights)."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
