"""What people see of a stored picture: the whole or one garment of it, at a few sizes.

Crops and thumbnails are made when first asked for and kept beside the originals. They are
copies: whatever is lost is made again, and a box that moves needs no file moved.
"""

from __future__ import annotations

import io
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast

from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from PIL import Image

WIDTHS = (160, 320, 640, 1280)
"""The widths on offer, in pixels: few, so that a stranger cannot fill the disk with sizes."""

QUALITY = 87

DERIVED = "derived"
"""The folder of copies; below it they lie in one named as their original is, without its ending."""

Pixels = tuple[int, int, int, int]

CARD = (3, 4)
"""Width by height of a card's picture."""

AIR = 0.06
"""What a card shows around a garment, in its sides."""


def open_picture(name: str, *, crop: Pixels | None = None, width: int | None = None) -> File[bytes]:
    """The stored picture of that name, cut and made smaller as asked, as a JPEG file.

    `width` is one of WIDTHS; a picture is never enlarged. Raises FileNotFoundError when the
    picture has gone.
    """
    if crop is None and width is None:
        return default_storage.open(name)
    path = _derived(name) + f"/{_box(crop)}-{width or 'full'}.jpg"
    try:
        return default_storage.open(path)
    except FileNotFoundError:
        default_storage.save(path, ContentFile(_make(name, crop, width)))
        return default_storage.open(path)


def framed(box: Pixels, size: tuple[int, int]) -> Pixels:
    """What a card shows of a picture of that size: a garment with some air, in a card's shape.

    Nothing of the garment is left out for it. Near an edge the frame moves inwards; where the
    picture is too narrow or too low for the shape, it shows all of the picture that way.
    """
    across, down = (
        (1 + 2 * AIR) * (high - low) for low, high in ((box[0], box[2]), (box[1], box[3]))
    )
    unit = max(across / CARD[0], down / CARD[1])
    sides = (
        _within(low, high, unit * part, room)
        for low, high, part, room in zip(box[:2], box[2:], CARD, size, strict=True)
    )
    (left, right), (top, bottom) = sides
    return left, top, right, bottom


def _within(low: int, high: int, length: float, room: int) -> tuple[int, int]:
    """A stretch of that length around another, within 0..room."""
    whole = min(room, max(high - low, round(length)))
    start = min(max(0, round((low + high - whole) / 2)), room - whole)
    return start, start + whole


def forget(sender: Any, file_name: str, **signal: Any) -> None:
    """Delete what was derived from a picture that has been deleted (a signal's receiver)."""
    folder = _derived(file_name)
    try:
        names = default_storage.listdir(folder)[1]
    except FileNotFoundError:
        return
    for name in names:
        default_storage.delete(f"{folder}/{name}")
    default_storage.delete(folder)


def _derived(name: str) -> str:
    return f"{DERIVED}/{PurePosixPath(name).with_suffix('')}"


def _box(crop: Pixels | None) -> str:
    return "whole" if crop is None else "_".join(map(str, crop))


def _make(name: str, crop: Pixels | None, width: int | None) -> bytes:
    with default_storage.open(name) as file:
        image = Image.open(cast(BinaryIO, file), formats=["JPEG"])
        if crop is None and width is not None:
            # Decodes a large JPEG at a fraction of its size, never below what is asked for.
            image.draft("RGB", (width, round(image.height * width / image.width)))
        picture = image.convert("RGB")
    if crop is not None:
        picture = picture.crop(crop)
    if width is not None and picture.width > width:
        height = max(1, round(picture.height * width / picture.width))
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
