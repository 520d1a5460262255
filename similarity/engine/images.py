"""The one intake: every picture that enters the product comes through here.

`read_image` turns bytes from a stranger into an upright sRGB picture of a size that we store, or
raises BadImage. What it returns is safe to store and to serve once it went through `encode_jpeg`:
pixels only, no metadata, nothing of the file it came from.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageFile, UnidentifiedImageError
from PIL.Image import Transpose

from similarity.engine.contracts import Box
from similarity.engine.errors import BadImage, gettext_noop

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF")
"""What we take, by content. "JPEG" includes MPO, a phone's JPEG with further frames behind it."""

MAX_SCANS = 32
"""A progressive JPEG of any camera or editor has about ten scans; each one costs a pass over all
pixels for a few bytes of file, so thousands of them would keep a processor busy for hours."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a picture may measure."""

    max_bytes: int = 20 * 1024 * 1024
    """Size of the file."""
    max_pixels: int = 50_000_000
    """Width times height as the file declares them; beyond 2 x PIL.Image.MAX_IMAGE_PIXELS
    (179 million) Pillow refuses in any case."""
    min_side: int = 16
    """Shorter side as the file declares it, in pixels."""
    stored_side: int = 2048
    """Longer side of what `read_image` returns, in pixels: larger pictures are scaled down."""


LIMITS = Limits()


def decode_base64(text: str, limits: Limits = LIMITS) -> bytes:
    """The bytes of a picture in base64 (RFC 4648, section 4), with or without a data: prefix.

    White space is passed over; the URL-safe alphabet and missing padding are refused. Raises
    BadImage: `not_base64`, or `file_too_large` before anything is decoded.
    """
    try:
        payload = _DATA_PREFIX.sub("", text).encode("ascii").translate(None, b" \t\r\n\f\v")
        check_bytes(len(payload) // 4 * 3 - payload[-2:].count(b"="), limits)
        return base64.b64decode(payload, validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise BadImage("not_base64", gettext_noop("The picture is not valid base64.")) from error


def read_image(data: bytes, limits: Limits = LIMITS) -> Image.Image:
    """An upright RGB picture in sRGB, its longer side at most `limits.stored_side`.

    Of an animation it is the first frame. Transparency lies on white. Raises BadImage:
    `file_too_large`, `empty_file`, `not_an_image`, `unsupported_format`, `too_many_pixels`,
    `image_too_small` or `damaged_image`.
    """
    check_bytes(len(data), limits)
    if not data:
        raise BadImage("empty_file", gettext_noop("The file is empty."))
    with _refusing_damage(), _opened(data, limits) as picture:
        _check_size(picture.size, limits)
        _check_scans(picture, data)
        _load(picture, limits.stored_side)
        return _bare(_srgb(_shrunk(_eight_bit(_upright(picture)), limits.stored_side)))


def encode_jpeg(image: Image.Image, quality: int = 92) -> bytes:
    """An RGB image as a JPEG file without metadata.

    Colour is kept at full resolution (4:4:4): thin saturated stripes and prints, which 4:2:0
    smears, are what tells garments apart.
    """
    buffer = BytesIO()
    _bare(image).save(buffer, "JPEG", quality=quality, subsampling="4:4:4")
    return buffer.getvalue()


def open_stored(file: BinaryIO) -> Image.Image:
    """A picture that we stored ourselves with `encode_jpeg`: RGB and loaded.

    Raises BadImage `damaged_image`.
    """
    with _refusing_damage(), Image.open(file, formats=["JPEG"]) as picture:
        return picture.convert("RGB")


def open_picture(file: BinaryIO) -> Image.Image:
    """A picture of somebody's own, as `read_image` would see it, whatever its size.

    Raises BadImage: `unsupported_format`, `not_an_image`, `too_many_pixels` or `damaged_image`.
    """
    with _refusing_damage(), _opened(file.read(), LIMITS) as picture:
        picture.load()
        return _bare(_srgb(_eight_bit(_upright(picture))))


def crop(image: Image.Image, box: Box) -> Image.Image:
    """The part of the image inside the box, in whole pixels, at least 1 x 1.

    Raises BadImage `empty_box` if no part of the box lies inside the image.
    """
    inside = box.clamped(image.width, image.height)
    if not inside.area:
        sentence = gettext_noop("The box lies outside the picture, which is {width} x {height}.")
        raise BadImage("empty_box", sentence, width=image.width, height=image.height)
    return image.crop(inside.pixels())


# --- What is refused -----------------------------------------------------------------------------

_DATA_PREFIX = re.compile(r"\A\s*data:image/[\w.+-]+;base64,", re.IGNORECASE)

# How the formats that we take begin: a file that begins so and cannot be opened is damaged.
_OURS = re.compile(
    rb"\xff\xd8\xff|\x89PNG|GIF8[79]a|RIFF.{4}WEBP|BM|II\*\0|MM\0\*"
    rb"|.{4}ftyp(?:avi[fs]|mif1|msf1|he[iv][cmsx])",
    re.DOTALL,
)

# How formats begin that people take for pictures, and we do not take.
_FOREIGN = {
    gettext_noop("an SVG drawing"): re.compile(
        rb"(?:\xef\xbb\xbf)?\s*(?:<[?!][^>]*>\s*)*<svg\b", re.IGNORECASE
    ),
    gettext_noop("a PDF document"): re.compile(rb"%PDF-"),
    gettext_noop("a Photoshop file"): re.compile(rb"8BPS"),
    gettext_noop("an EPS file"): re.compile(rb"%!PS|\xc5\xd0\xd3\xc6"),
    gettext_noop("an icon"): re.compile(rb"\0\0[\1\2]\0"),
    gettext_noop("a JPEG 2000 file"): re.compile(rb"\0{3}\x0cjP {2}|\xff\x4f\xff\x51"),
    gettext_noop("a JPEG XL file"): re.compile(rb"\0{3}\x0cJXL |\xff\x0a"),
    gettext_noop("a video"): re.compile(
        rb".{4}ftyp(?:iso|mp4|qt|M4V|3gp)|\x1a\x45\xdf\xa3", re.DOTALL
    ),
}


@contextmanager
def _refusing_damage() -> Iterator[None]:
    """The boundary to the decoders: whatever they raise is damage to the picture.

    On hostile bytes Pillow and the libraries below it raise nearly anything: OSError, SyntaxError,
    ValueError, struct.error, IndexError, ZeroDivisionError, MemoryError, zlib.error, EOFError...
    The original stands as the cause.
    """
    try:
        yield
    except BadImage:
        raise
    except Exception as error:
        sentence = gettext_noop(
            "The picture is damaged or incomplete: export it again from where it came from."
        )
        raise BadImage("damaged_image", sentence) from error


def _opened(data: bytes, limits: Limits) -> ImageFile.ImageFile:
    """The picture's header, read by content; nothing is decoded yet."""
    _register_heif()
    try:
        return Image.open(BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels(limits) from error
    except UnidentifiedImageError as error:
        raise _unidentified(data[:1024]) from error


@cache
def _register_heif() -> None:
    from pillow_heif import register_heif_opener

    register_heif_opener()


def _unidentified(head: bytes) -> Exception:
    if _OURS.match(head):
        return ValueError("The signature is right and the header is not.")
    for kind, signature in _FOREIGN.items():
        if signature.match(head):
            sentence = gettext_noop(
                "The file is {kind}. JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC and AVIF are taken."
            )
            return BadImage("unsupported_format", sentence, kind=kind)
    sentence = gettext_noop(
        "The file is not a picture that we know. "
        "JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC and AVIF are taken."
    )
    return BadImage("not_an_image", sentence)


def check_bytes(size: int, limits: Limits) -> None:
    """Raises BadImage `file_too_large` for a file of more bytes than are taken."""
    if size > limits.max_bytes:
        sentence = gettext_noop("The file has {size} bytes; at most {most} are taken.")
        raise BadImage("file_too_large", sentence, size=size, most=limits.max_bytes)


def _check_size(size: tuple[int, int], limits: Limits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise _too_many_pixels(limits)
    if min(width, height) < limits.min_side:
        sentence = gettext_noop("The picture is {size} pixels; {least} a side are needed.")
        least = limits.min_side
        raise BadImage("image_too_small", sentence, size=f"{width} x {height}", least=least)


def _too_many_pixels(limits: Limits) -> BadImage:
    sentence = gettext_noop("The picture has more than {most} pixels: scale it down first.")
    return BadImage("too_many_pixels", sentence, most=limits.max_pixels)


def _check_scans(picture: Image.Image, data: bytes) -> None:
    # Inside a scan 0xFF is always escaped, so the marker is found without walking the file. Only
    # progressive files are looked at: a phone appends its motion video to a plain JPEG.
    if picture.info.get("progressive") and data.count(b"\xff\xda") > MAX_SCANS:
        raise ValueError("The JPEG has too many scans.")


# --- From what a file holds to an RGB picture ----------------------------------------------------

_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""What makes a picture upright again, by its EXIF orientation (EXIF 2.3, tag 0x0112)."""

_OPAQUE = {"1": "L", "P": "RGB", "RGBX": "RGB", "YCbCr": "RGB", "HSV": "RGB"}
_TRANSPARENT = {
    "1": "LA",
    "L": "LA",
    "La": "LA",
    "P": "RGBA",
    "PA": "RGBA",
    "RGB": "RGBA",
    "RGBa": "RGBA",
}


def _load(picture: ImageFile.ImageFile, longest: int) -> None:
    """Decode; a JPEG at 1/2, 1/4 or 1/8 as long as no side gets shorter than `longest`.

    Other formats are decoded as they are: a HEIC would offer its embedded thumbnail, which need
    not show the same picture.
    """
    if picture.format in {"JPEG", "MPO"}:
        picture.thumbnail((longest, longest), Image.Resampling.LANCZOS, reducing_gap=1.0)
    picture.load()


def _upright(picture: Image.Image) -> Image.Image:
    """Turned as its EXIF orientation says.

    Pillow turns a TIFF, and pillow-heif a HEIC, by themselves and then report orientation 1.
    """
    turn = _TURNS.get(_orientation(picture))
    return picture if turn is None else picture.transpose(turn)


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001  broken EXIF raises anything; the pixels are still good
        return 1


def _eight_bit(image: Image.Image) -> Image.Image:
    """The same colours as L, LA, RGB, RGBA, CMYK or LAB: 8 bits a channel, no palette."""
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        return _scaled(image)
    modes = _TRANSPARENT if image.has_transparency_data else _OPAQUE
    return image.convert(modes.get(image.mode, image.mode))


def _scaled(image: Image.Image) -> Image.Image:
    """One deep channel as L: its full scale becomes 255.

    32-bit and float pictures do not say what their full scale is; it is taken to be the least of
    1, 255 and 65535 that holds all values, or else the highest value.
    """
    values = np.nan_to_num(np.asarray(image, np.float32), posinf=0.0, neginf=0.0)
    scales = (65535,) if image.mode.startswith("I;16") else (1, 255, 65535)
    highest = float(values.max())
    full = next((scale for scale in scales if highest <= scale), highest)
    grey = Image.fromarray(np.clip(values * (255 / full), 0, 255).round().astype(np.uint8))
    grey.info = image.info
    return grey


def _shrunk(image: Image.Image, longest: int) -> Image.Image:
    """Scaled down in place, if need be, so that the longer side is at most `longest`."""
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return image


def _srgb(image: Image.Image) -> Image.Image:
    """In RGB by its ICC profile, on white."""
    if image.mode not in {"LA", "RGBA"}:
        return _converted(image)
    white = Image.new("RGB", image.size, "white")
    opaque = _converted(image.convert(image.mode.removesuffix("A")))
    return Image.composite(opaque, white, image.getchannel("A"))


def _converted(image: Image.Image) -> Image.Image:
    """From the colour space of an opaque image to sRGB; a profile that does not fit is ignored."""
    if image.mode == "LAB":
        return _transformed(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
        return _transformed(image, profile)
    except (KeyError, TypeError, ValueError, OSError, ImageCms.PyCMSError):
        return image.convert("RGB")


def _transformed(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    return ImageCms.ImageCmsTransform(profile, srgb, image.mode, "RGB").apply(image)


def _bare(image: Image.Image) -> Image.Image:
    """A copy of the pixels alone: Pillow would save a comment or a profile out of `info`."""
    bare = image.copy()
    bare.info = {}
    return bare
