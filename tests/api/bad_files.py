"""What people send for pictures that are none, or none that we take."""

import struct
import zlib

from tests.pictures import photo


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png_claiming(width: int, height: int) -> bytes:
    """A few bytes that say they are a picture of that size: a decompression bomb."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1_000_000))
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", pixels)
        + _chunk(b"IEND", b"")
    )


BAD_FILES = {
    "text": (b"This is no picture.", 415, "not_an_image"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', 415, "unsupported_format"),
    "nothing": (b"", 422, "empty_file"),
    "truncated": (photo()[:2000], 422, "damaged_image"),
    "bomb": (png_claiming(30_000, 30_000), 422, "too_many_pixels"),
    "tiny": (photo(size=(8, 8)), 422, "image_too_small"),
}
"""By name: the bytes, and the status and code that they are refused with."""
