"""Pictures for tests, made on the spot."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image, ImageDraw

COLOURS = {
    "red": (200, 30, 30),
    "green": (30, 160, 60),
    "blue": (30, 60, 200),
    "yellow": (230, 210, 40),
    "black": (20, 20, 20),
    "white": (240, 240, 240),
    "pink": (240, 130, 170),
    "brown": (120, 80, 40),
}


def picture(colour: str = "red", size: tuple[int, int] = (120, 160), seed: int = 0) -> Image.Image:
    """A grainy picture of one colour; another seed gives other bytes of much the same look."""
    grain = np.random.default_rng(seed).integers(-8, 9, (size[1], size[0], 3))
    pixels = np.clip(np.array(COLOURS[colour]) + grain, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, format: str = "PNG") -> bytes:  # noqa: A002
    out = io.BytesIO()
    image.save(out, format)
    return out.getvalue()


def drawing(
    kind: str = "dress", colour: str = "red", size: tuple[int, int] = (240, 320)
) -> Image.Image:
    """A dress, or trousers, on a plain ground: shapes outlive a poor JPEG, grain does not."""
    image = Image.new("RGB", (240, 320), (235, 230, 220))
    draw = ImageDraw.Draw(image)
    if kind == "dress":
        outline = [(90, 40), (150, 40), (160, 130), (210, 290), (30, 290), (80, 130)]
        draw.polygon(outline, COLOURS[colour])
    else:
        draw.rectangle((60, 60, 180, 130), COLOURS[colour])
        draw.rectangle((60, 130, 105, 300), COLOURS[colour])
        draw.rectangle((135, 130, 180, 300), COLOURS[colour])
    draw.ellipse((100, 150, 120, 170), COLOURS["black"])
    return image.resize(size)


def poor_jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=40)
    return out.getvalue()


def photo(colour: str = "red", size: tuple[int, int] = (120, 160), seed: int = 0) -> bytes:
    """The bytes of such a picture."""
    return encoded(picture(colour, size, seed))


def as_file(data: bytes, name: str = "photo.png") -> io.BytesIO:
    """Bytes as a test client sends a file."""
    file = io.BytesIO(data)
    file.name = name
    return file


def as_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
