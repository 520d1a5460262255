"""Where the one garment of a photo lies, judged from the photo alone: no model, no training.

For photos of a single garment that is laid flat or hung, which nobody has boxed. The box is where
two ways of looking agree: one begins at *colours* (what differs from those along the photo's
border), one at the *place* (the middle of the photo). Both are refined by GrabCut (Rother,
Kolmogorov and Blake, "GrabCut: interactive foreground extraction using iterated graph cuts",
SIGGRAPH 2004). Where they disagree there is no answer, rather than a doubtful one.

Of 74 photos of the Clothing Dataset 60 got a box. Looked at by eye, each of these holds its
garment, two of them loosely. Needs OpenCV (requirements/ml.txt).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, Resampling

from similarity.engine.contracts import Box

Mask = NDArray[np.bool_]

SIDE = 88
"""Photos are looked at with a longer side of so many pixels; more makes the boxes little better
and GrabCut much slower."""

AGREEMENT = 0.8
"""Intersection over union from which two boxes say the same."""

PARTS = 0.12
"""A pair of shoes is two parts: so much of the largest part's area makes another one count."""

SMALLEST, LARGEST = 0.06, 0.85
"""Shares of the photo: what is less or more is no garment, or no background."""

NARROWEST = 3
"""Pixels: a box's outermost row or column holds so many, so that a seam between floor tiles, or
a hanger's hook, does not stretch it."""

EDGE, CORNER, RIM = 0.90, 0.82, 0.93
"""Distances from the middle, 1 at the photo's edge: whose colours are the background's; where in
both directions nothing else is; up to where a garment may be."""

MIDDLE = 0.45
"""Squared radius of the ellipse in the middle of the photo that shows the garment, mostly."""


def box(image: Image) -> Box | None:
    """The garment's box in pixels of the RGB image; None where the estimate is unreliable.

    The same image always gives the same box.
    """
    found = box_and_mask(image)
    return None if found is None else found[0]


def mask(image: Image) -> Mask | None:
    """Which pixels are the garment's, on a small copy whose longer side is `SIDE`; None where the
    estimate is unreliable."""
    found = box_and_mask(image)
    return None if found is None else found[1]


def box_and_mask(image: Image) -> tuple[Box, Mask] | None:
    """Both, for the price of either."""
    found = _agreed(image)
    if found is None:
        return None
    extent, outline = found
    return _enlarged(extent, outline.shape, image), outline


def _agreed(image: Image) -> tuple[Box, Mask] | None:
    """The box half way between two that agree, and the mask of the more refined one."""
    seen: list[tuple[str, Box]] = []
    for way, garment in _Photo(image).masks():
        extent = _extent(garment)
        if extent is None:
            continue
        for other_way, other in seen:
            if {way, other_way} != {"colours"} and extent.iou(other) >= AGREEMENT:
                return _between(extent, other), garment
        seen.append((way, extent))
    return None


class _Photo:
    """A small copy of a photo, and where each of its pixels lies."""

    def __init__(self, image: Image) -> None:
        scale = SIDE / max(image.size)
        size = [max(2, round(side * scale)) for side in image.size]
        small = image.resize((size[0], size[1]), Resampling.BILINEAR)
        self.pixels = np.asarray(small)[:, :, ::-1].copy()  # as OpenCV has them: blue first
        across, down = (np.abs((np.arange(side) + 0.5) / side * 2 - 1) for side in size)
        self.distance = np.maximum(across[None, :], down[:, None])
        self.middle = across[None, :] ** 2 + down[:, None] ** 2 < MIDDLE
        self.corners = (across[None, :] > CORNER) & (down[:, None] > CORNER)

    def masks(self) -> Iterator[tuple[str, Mask]]:
        """Foregrounds, each with how it was come by, the cheap and the likely ones first."""
        import cv2

        within = self.distance < RIM
        unlike = self._unlike_the_border()
        closed = cv2.morphologyEx(unlike.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5)))
        yield "colours", closed.astype(bool)
        yield "place", self._refined(self.middle)
        yield "colours", self._refined(unlike & within)
        yield "place", self._refined(within)

    def _unlike_the_border(self) -> Mask:
        """Pixels that differ from the five colours that the border is made of, by Otsu."""
        import cv2

        lab = cv2.cvtColor(self.pixels, cv2.COLOR_BGR2LAB).astype(np.float32)
        cv2.setRNGSeed(0)
        stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 10, 1.0)
        border = lab[self.distance > EDGE]
        groups = min(5, len(border))
        _, _, colours = cv2.kmeans(border, groups, None, stop, 1, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
        distances = np.linalg.norm(lab[:, :, None] - colours, axis=-1).min(axis=-1)
        smooth = cv2.GaussianBlur(distances, (0, 0), 1.0)
        levels = np.clip(2 * smooth, 0, 255).astype(np.uint8)
        threshold, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_OTSU)
        return np.asarray(levels > threshold)

    def _refined(self, start: Mask) -> Mask:
        """What GrabCut makes of it in two rounds; only the photo's corners are sure."""
        import cv2

        if start.all() or not start.any():
            return start
        mask = np.where(start, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
        mask[self.corners] = cv2.GC_BGD
        if (mask & 1).all() or not (mask & 1).any():
            return start
        background, garment = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.setRNGSeed(0)
        cv2.grabCut(self.pixels, mask, None, background, garment, 2, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
        return np.asarray(mask & 1, dtype=bool)


def _extent(mask: Mask) -> Box | None:
    """The box, in the mask's pixels, of its largest parts; None if they cannot be a garment."""
    import cv2

    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3)))
    count, parts, facts, _ = cv2.connectedComponentsWithStats(opened)
    if count == 1:
        return None
    areas = facts[:, cv2.CC_STAT_AREA]
    areas[0] = 0  # the background
    kept = (areas >= PARTS * areas.max())[parts]
    rows, columns = (np.flatnonzero(kept.sum(axis) >= NARROWEST) for axis in (1, 0))
    if not SMALLEST < kept.mean() < LARGEST or not len(rows) or not len(columns):
        return None
    return Box(float(columns[0]), float(rows[0]), columns[-1] + 1.0, rows[-1] + 1.0)


def _between(one: Box, other: Box) -> Box:
    """The box half way between two."""
    return Box(*((a + b) / 2 for a, b in zip(one.edges, other.edges, strict=True)))


def _enlarged(small: Box, shape: tuple[int, ...], image: Image) -> Box:
    """A box in pixels of the image, from one in a mask of that shape."""
    across, down = image.width / shape[1], image.height / shape[0]
    return Box(small.x0 * across, small.y0 * down, small.x1 * across, small.y1 * down)
