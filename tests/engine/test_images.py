"""The intake: which pictures are taken, as what, and how the others are refused."""

from __future__ import annotations

import base64
import re
import struct
import time
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms

from similarity.engine.contracts import Box
from similarity.engine.errors import BadImage
from similarity.engine.images import (
    MAX_SCANS,
    Limits,
    crop,
    decode_base64,
    encode_jpeg,
    open_stored,
    read_image,
)

# Pillow warns of EXIF that it cannot read.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

RUST = (200, 60, 30)


def encoded(image: Image.Image, format_: str, **options: Any) -> bytes:
    buffer = BytesIO()
    if format_ == "HEIF":
        from pillow_heif import register_heif_opener

        register_heif_opener()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def plain(colour: Any = RUST, mode: str = "RGB", size: tuple[int, int] = (48, 32)) -> Image.Image:
    return Image.new(mode, size, colour)


def noise(size: tuple[int, int] = (48, 32), seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(pixels)


def middle(image: Image.Image) -> tuple[int, ...]:
    pixel = image.getpixel((image.width // 2, image.height // 2))
    assert isinstance(pixel, tuple)
    return pixel


def looks(image: Image.Image, colour: tuple[int, ...], tolerance: int = 4) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(middle(image), colour, strict=True))


def seconds(data: bytes, limits: Limits) -> float:
    """How long reading takes at best, of processor time: other processes do not count."""
    times = []
    for _ in range(3):
        started = time.thread_time()
        read_image(data, limits)
        times.append(time.thread_time() - started)
    return min(times)


def refusal(data: bytes, limits: Limits | None = None) -> str:
    """The code that the picture is refused with, well under a second."""
    started = time.thread_time()
    with pytest.raises(BadImage) as caught:
        read_image(data, limits or Limits())
    assert time.thread_time() - started < 0.5
    assert str(caught.value).endswith(".")
    return caught.value.code


def png(width: int, height: int, pixels: bytes = b"") -> bytes:
    """A PNG that declares that size, whatever its pixels are."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(pixels, 9))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


# --- Formats and modes ---


@pytest.mark.parametrize(
    ("format_", "modes"),
    [
        ("JPEG", "L RGB CMYK"),
        ("PNG", "1 L LA P RGB RGBA"),
        ("WEBP", "L RGB RGBA"),
        ("GIF", "1 L P RGB RGBA"),
        ("BMP", "1 L P RGB RGBA"),
        ("TIFF", "1 L LA P PA RGB RGBA RGBX CMYK YCbCr"),
        ("HEIF", "L LA RGB RGBA"),
        ("AVIF", "L RGB RGBA"),
    ],
)
def test_every_format_is_taken_in_every_mode(format_: str, modes: str) -> None:
    for mode in modes.split():
        source = plain().convert(mode)
        image = read_image(encoded(source, format_))
        assert image.mode == "RGB"
        assert image.size == (48, 32)
        assert looks(image, middle(source.convert("RGB"))), mode


def test_the_content_decides_and_not_the_order_of_formats() -> None:
    """A HEIC and an AVIF begin alike."""
    assert looks(read_image(encoded(plain(), "AVIF")), RUST)
    assert looks(read_image(encoded(plain(), "HEIF")), RUST)


def test_of_several_frames_the_first_is_taken() -> None:
    others = [plain("blue"), plain("green")]
    for format_ in ("GIF", "WEBP", "TIFF", "MPO", "AVIF", "PNG"):
        data = encoded(plain(), format_, save_all=True, append_images=others)
        assert looks(read_image(data), RUST), format_


def test_frames_behind_the_first_are_not_even_decoded() -> None:
    frames = [noise(seed=seed).quantize() for seed in range(4)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    broken = data[: len(data) // 2]
    assert read_image(broken).tobytes() == read_image(data).tobytes()


def test_a_lab_tiff_is_read_in_its_colours() -> None:
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    lab = ImageCms.profileToProfile(plain(), *profiles, outputMode="LAB")
    assert lab is not None
    lab.info.clear()
    assert looks(read_image(encoded(lab, "TIFF")), RUST)


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_to_eight(format_: str) -> None:
    grey = Image.fromarray(np.full((32, 48), 100 * 257, np.uint16))
    assert looks(read_image(encoded(grey, format_)), (100, 100, 100), 0)


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (100, np.int32, 100),
        (100 * 257, np.int32, 100),
        (-5, np.int32, 0),
        (2**30, np.int32, 255),
        (0.5, np.float32, 128),
        (100.0, np.float32, 100),
        (-1.0, np.float32, 0),
        (np.nan, np.float32, 0),
        (np.inf, np.float32, 0),
    ],
)
def test_deep_greys_are_scaled_by_what_they_hold(value: float, kind: type, expected: int) -> None:
    grey = Image.fromarray(np.full((32, 48), value, kind))
    assert looks(read_image(encoded(grey, "TIFF")), (expected,) * 3, 0)


# --- Colour ---


def swapped_profile() -> bytes:
    """A profile by which red and blue change places: sRGB's with two tags renamed."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tags = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}
    return re.sub(rb"[rb]XYZ", lambda match: tags[match[0]], profile)


def invisible_ink_profile() -> bytes:
    """A CMYK profile (ICC.1:2001-04) by which every ink is white: a table of 2 nodes a channel."""
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0))
    table += b"".join(struct.pack(">i", 65536 * (i % 4 == 0)) for i in range(9))
    table += bytes(range(256)) * 4 + bytes((255, 128, 128)) * 16 + bytes(range(256)) * 3
    tags = struct.pack(">I4sII", 1, b"A2B0", 144, len(table))
    size = 144 + len(table)
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02400000, b"prtr", b"CMYK", b"Lab ")
    head += struct.pack(">6H4s", 2024, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    head += struct.pack(">3i", 63190, 65536, 54061) + bytes(48)
    return head + tags + table


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_colours_are_read_by_the_embedded_profile(format_: str) -> None:
    data = encoded(plain(), format_, icc_profile=swapped_profile())
    assert looks(read_image(data), RUST[::-1], 6)


def test_transparent_colours_are_read_by_the_embedded_profile_too() -> None:
    data = encoded(plain((*RUST, 255), "RGBA"), "PNG", icc_profile=swapped_profile())
    assert looks(read_image(data), RUST[::-1])


def test_palette_colours_are_read_by_the_embedded_profile_too() -> None:
    palette = plain().convert("P", palette=Image.Palette.ADAPTIVE)
    data = encoded(palette, "PNG", icc_profile=swapped_profile())
    assert looks(read_image(data), RUST[::-1])


@pytest.mark.parametrize("format_", ["JPEG", "TIFF"])
def test_inks_are_read_by_the_embedded_profile(format_: str) -> None:
    data = encoded(plain().convert("CMYK"), format_, icc_profile=invisible_ink_profile())
    assert looks(read_image(data), (255, 255, 255))


def test_inverted_inks_as_photoshop_writes_them_are_read_right() -> None:
    data = encoded(plain().convert("CMYK"), "JPEG", quality=95)
    assert b"Adobe" in data
    assert looks(read_image(data), RUST)


@pytest.mark.parametrize("profile", [b"junk", b"\0" * 200, swapped_profile()[:300]])
def test_a_broken_profile_is_passed_over(profile: bytes) -> None:
    assert looks(read_image(encoded(plain(), "JPEG", icc_profile=profile)), RUST)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_profile_for_another_colour_space_is_passed_over(mode: str) -> None:
    source = plain().convert(mode)
    data = encoded(source, "JPEG", icc_profile=swapped_profile())
    assert looks(read_image(data), middle(source.convert("RGB")))


def test_a_profile_gives_the_same_colours_as_pillow_s_own_conversion() -> None:
    source = noise()
    profile = ImageCms.ImageCmsProfile(BytesIO(swapped_profile()))
    expected = ImageCms.profileToProfile(source, profile, ImageCms.createProfile("sRGB"))
    image = read_image(encoded(source, "PNG", icc_profile=swapped_profile()))
    assert np.array_equal(np.asarray(image), np.asarray(expected))


# --- Transparency ---


@pytest.mark.parametrize(
    ("source", "options", "expected"),
    [
        (plain((*RUST, 0), "RGBA"), {}, (255, 255, 255)),
        (plain((*RUST, 128), "RGBA"), {}, (227, 157, 142)),
        (plain((100, 0), "LA"), {}, (255, 255, 255)),
        (plain((100, 128), "LA"), {}, (177, 177, 177)),
        (plain(RUST, "RGB"), {"transparency": RUST}, (255, 255, 255)),
        (plain(RUST, "RGB"), {"transparency": (1, 2, 3)}, RUST),
        (plain(100, "L"), {"transparency": 100}, (255, 255, 255)),
        (plain(0, "1"), {"transparency": 0}, (255, 255, 255)),
        (plain().quantize(2), {"transparency": 0}, (255, 255, 255)),
        (plain().quantize(2), {"transparency": bytes([128] * 2)}, (227, 157, 142)),
    ],
)
def test_transparency_lies_on_white(
    source: Image.Image, options: dict[str, Any], expected: tuple[int, ...]
) -> None:
    assert looks(read_image(encoded(source, "PNG", **options)), expected)


def test_a_transparent_gif_lies_on_white() -> None:
    data = encoded(plain().quantize(2), "GIF", transparency=0)
    assert looks(read_image(data), (255, 255, 255))


def test_colours_under_full_transparency_do_not_bleed_when_scaled_down() -> None:
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[:, 32:] = (*RUST, 255)
    image = read_image(encoded(Image.fromarray(pixels), "PNG"), Limits(stored_side=16))
    assert image.getpixel((2, 8)) == (255, 255, 255)
    assert image.getpixel((13, 8)) == RUST
    assert np.asarray(image)[..., 0].min() >= RUST[0] - 2


# --- Orientation ---


def corner_marked() -> Image.Image:
    image = plain("white", size=(64, 32))
    image.paste(RUST, (0, 0, 32, 16))
    return image


@pytest.mark.parametrize("format_", ["JPEG", "MPO", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
@pytest.mark.parametrize(
    ("orientation", "size", "corner"),
    [
        (1, (64, 32), "top left"),
        (2, (64, 32), "top right"),
        (3, (64, 32), "bottom right"),
        (4, (64, 32), "bottom left"),
        (5, (32, 64), "top left"),
        (6, (32, 64), "top right"),
        (7, (32, 64), "bottom right"),
        (8, (32, 64), "bottom left"),
    ],
)
def test_pictures_are_turned_upright_once(
    format_: str, orientation: int, size: tuple[int, int], corner: str
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image = read_image(encoded(corner_marked(), format_, exif=exif.tobytes()))
    assert image.size == size
    red = np.asarray(image)[..., 2] < 128
    down, across = np.argwhere(red).mean(axis=0) > np.array(red.shape) / 2
    assert corner == f"{'bottom' if down else 'top'} {'right' if across else 'left'}"
    assert red.mean() == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_there_is_not_is_passed_over(orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    assert read_image(encoded(plain(), "JPEG", exif=exif.tobytes())).size == (48, 32)


@pytest.mark.parametrize("exif", [b"Exif\0\0junk", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM"])
def test_broken_exif_is_passed_over(exif: bytes) -> None:
    assert looks(read_image(encoded(plain(), "JPEG", exif=exif)), RUST)


# --- Size ---


def test_a_large_picture_is_scaled_to_the_stored_side() -> None:
    assert read_image(encoded(plain(size=(3000, 1500)), "PNG")).size == (2048, 1024)


def test_a_small_picture_keeps_its_pixels() -> None:
    source = noise((100, 60))
    assert np.array_equal(np.asarray(read_image(encoded(source, "PNG"))), np.asarray(source))


@pytest.mark.parametrize("size", [(2000, 1500), (2049, 500), (500, 2049), (4096, 512), (333, 512)])
@pytest.mark.parametrize("format_", ["JPEG", "MPO"])
def test_a_jpeg_decoded_smaller_has_the_size_and_looks_of_one_decoded_in_full(
    size: tuple[int, int], format_: str
) -> None:
    limits = Limits(stored_side=256)
    source = noise((8, 8)).resize(size, Image.Resampling.BICUBIC)
    frames = {"save_all": True, "append_images": [plain()]} if format_ == "MPO" else {}
    fast = read_image(encoded(source, format_, quality=95, **frames), limits)
    slow = read_image(encoded(source, "PNG", compress_level=1), limits)
    assert fast.size == slow.size
    difference = np.abs(np.asarray(fast, np.int16) - np.asarray(slow, np.int16))
    assert difference.mean() < 1


def test_a_sliver_keeps_a_pixel_of_width() -> None:
    assert read_image(encoded(plain(size=(16, 20_000)), "PNG")).size == (2, 2048)
    assert read_image(encoded(plain(size=(16, 2000)), "PNG"), Limits(stored_side=20)).size == (
        1,
        20,
    )


def test_a_large_photo_is_decoded_no_larger_than_it_is_stored() -> None:
    data = encoded(noise((400, 300)).resize((4000, 3000)), "JPEG")
    assert seconds(data, Limits(stored_side=500)) < seconds(data, Limits(stored_side=4000)) / 2


# --- Nothing but pixels ---


def loaded_with_metadata() -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "SECRETCAMERA"
    options = {"exif": exif.tobytes(), "comment": b"SECRETCOMMENT", "xmp": b"<x>SECRETXMP</x>"}
    return encoded(plain(), "JPEG", icc_profile=swapped_profile(), dpi=(300, 300), **options)


def test_a_picture_carries_no_metadata() -> None:
    image = read_image(loaded_with_metadata())
    assert image.info == {}
    assert dict(image.getexif()) == {}


def test_an_encoded_picture_carries_no_metadata() -> None:
    assert loaded_with_metadata().count(b"SECRET") == 3
    for image in (read_image(loaded_with_metadata()), Image.open(BytesIO(loaded_with_metadata()))):
        data = encode_jpeg(image)
        assert b"SECRET" not in data
        assert set(Image.open(BytesIO(data)).info) <= {
            "jfif",
            "jfif_version",
            "jfif_unit",
            "jfif_density",
        }


def test_what_hangs_behind_a_picture_is_dropped() -> None:
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("payload.js", "alert(1)")
    image = read_image(encoded(plain(), "JPEG") + archive.getvalue())
    assert looks(image, RUST)
    assert not zipfile.is_zipfile(BytesIO(encode_jpeg(image)))


def test_colour_is_stored_at_full_resolution() -> None:
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2] = (220, 20, 20)
    stripes[:, 1::2] = (20, 20, 220)
    stored = np.asarray(open_stored(BytesIO(encode_jpeg(Image.fromarray(stripes)))), np.int16)
    assert np.abs(stored - stripes).mean() < 10


# --- What is refused ---


def test_a_file_over_the_limit_is_refused() -> None:
    data = encoded(plain(), "PNG")
    assert refusal(data, Limits(max_bytes=len(data) - 1)) == "file_too_large"
    assert read_image(data, Limits(max_bytes=len(data)))


def test_an_empty_file_is_refused() -> None:
    assert refusal(b"") == "empty_file"


@pytest.mark.parametrize(
    "data",
    [
        b"\0",
        b"hello",
        b"<!doctype html><html><body><svg></svg></body></html>",
        b"PK\x03\x04" + bytes(100),
        np.random.default_rng(1).bytes(100_000),
    ],
)
def test_what_is_no_picture_is_refused_whatever_its_name(data: bytes) -> None:
    assert refusal(data) == "not_an_image"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- drawn -->\n<!DOCTYPE svg>\n<svg>', "SVG"),
        (b"%PDF-1.7\n", "PDF"),
        (b"8BPS\0\1", "Photoshop"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "EPS"),
        (b"\0\0\1\0\1\0", "icon"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xff\x0a\0\0", "JPEG XL"),
        (b"\0\0\0\x20ftypisom", "video"),
    ],
)
def test_a_format_that_is_not_taken_is_named_beside_those_that_are(data: bytes, name: str) -> None:
    with pytest.raises(BadImage, match=rf"{name}.*JPEG, PNG, WebP.* are taken") as caught:
        read_image(data + bytes(200))
    assert caught.value.code == "unsupported_format"


@pytest.mark.parametrize(
    "side", [8000, 10_000, 60_000, 2**31 - 1], ids=["ours", "warned", "error", "giant"]
)
@pytest.mark.filterwarnings("error")
def test_too_many_pixels_are_refused_by_the_header_alone(side: int) -> None:
    """Below Pillow's own limits, above its limit for a warning, and above that for an error."""
    assert refusal(png(side, side)) == "too_many_pixels"


def test_a_compressed_bomb_is_not_unpacked() -> None:
    data = png(3000, 3000, bytes(3000 * 9001))
    assert len(data) < 50_000
    assert refusal(data, Limits(max_pixels=8_999_999)) == "too_many_pixels"


def test_pillow_s_own_limit_is_left_as_it_was() -> None:
    before = Image.MAX_IMAGE_PIXELS
    refusal(png(60_000, 60_000))
    assert before == Image.MAX_IMAGE_PIXELS


def test_too_large_a_gif_frame_in_a_small_screen_is_refused() -> None:
    data = encoded(plain(0, "P"), "GIF")
    frame = data.rindex(b"\x2c\0\0\0\0\x30\0\x20\0")
    data = data[: frame + 5] + struct.pack("<HH", 60_000, 60_000) + data[frame + 9 :]
    assert refusal(data) == "too_many_pixels"


def test_a_picture_with_a_side_too_short_is_refused() -> None:
    assert refusal(encoded(plain(size=(200, 15)), "PNG")) == "image_too_small"
    assert read_image(encoded(plain(size=(200, 16)), "PNG")).size == (200, 16)


def test_the_message_says_what_was_sent_and_what_is_taken() -> None:
    with pytest.raises(BadImage, match="200 x 15 pixels; 16 "):
        read_image(encoded(plain(size=(200, 15)), "PNG"))
    with pytest.raises(BadImage, match="11 bytes; at most 10 "):
        read_image(bytes(11), Limits(max_bytes=10))
    with pytest.raises(BadImage, match="more than 50,000,000 pixels"):
        read_image(png(8000, 8000))


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_refused(format_: str, part: float) -> None:
    data = encoded(noise((200, 200)), format_)
    assert refusal(data[: int(len(data) * part)]) == "damaged_image"


def test_a_png_with_too_few_pixels_is_refused() -> None:
    assert refusal(png(7000, 7000, bytes(1000))) == "damaged_image"


def test_a_jpeg_with_endless_scans_is_refused() -> None:
    data = encoded(plain(size=(5000, 5000)), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    assert refusal(data[:-2] + last * 5000 + data[-2:]) == "damaged_image"


def test_a_photo_with_a_video_behind_it_is_taken() -> None:
    """As phones write them; by chance the video holds the bytes that begin a scan."""
    assert read_image(encoded(plain(), "JPEG") + b"\xff\xda" * (MAX_SCANS + 1))


# --- Hostile bytes ---

VICTIMS = {
    format_: encoded(noise((20, 18)), format_)
    for format_ in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF")
} | {
    "TIFF, compressed": encoded(noise((20, 18)), "TIFF", compression="tiff_lzw"),
    "JPEG, progressive": encoded(noise((20, 18)), "JPEG", progressive=True),
    "GIF, animated": encoded(plain(), "GIF", save_all=True, append_images=[plain("blue")]),
}

FUZZ = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def survives(data: bytes) -> None:
    """Reading gives a picture or BadImage; nothing else comes out."""
    with suppress(BadImage):
        assert read_image(data).mode == "RGB"


@FUZZ
@given(st.binary(max_size=200))
@example(b"\xff\xd8\xff")
def test_random_bytes_raise_nothing_but_bad_image(data: bytes) -> None:
    survives(data)


@FUZZ
@given(st.sampled_from(sorted(VICTIMS)), st.binary(max_size=100))
def test_random_bytes_behind_a_signature_raise_nothing_but_bad_image(
    victim: str, data: bytes
) -> None:
    survives(VICTIMS[victim][:16] + data)


@settings(FUZZ, max_examples=500)
@given(
    st.sampled_from(sorted(VICTIMS)),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_flipped_bytes_raise_nothing_but_bad_image(
    victim: str, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(VICTIMS[victim])
    for position, byte in changes:
        data[position % len(data)] = byte
    survives(bytes(data))


# --- Base64 ---


@given(st.binary(max_size=100))
def test_base64_gives_the_bytes_back(data: bytes) -> None:
    assert decode_base64(base64.b64encode(data).decode()) == data
    assert decode_base64("data:image/svg+xml;base64," + base64.b64encode(data).decode()) == data


def test_white_space_in_base64_is_passed_over() -> None:
    text = base64.encodebytes(bytes(200)).decode().replace("\n", "\r\n \t")
    assert decode_base64(f"\n data:image/jpeg;base64,\n{text}") == bytes(200)


@pytest.mark.parametrize(
    "text",
    ["a", "abc", "ab=c", "ab-_", "ab!d", "äbcd", "data:text/html;base64,abcd", "data:,ab"],
)
def test_what_is_not_base64_is_refused(text: str) -> None:
    with pytest.raises(BadImage) as caught:
        decode_base64(text)
    assert caught.value.code == "not_base64"


@pytest.mark.parametrize("size", [8, 9, 10])
def test_base64_is_measured_before_it_is_decoded(size: int) -> None:
    text = base64.b64encode(bytes(size)).decode()
    assert decode_base64(text, Limits(max_bytes=size)) == bytes(size)
    with pytest.raises(BadImage, match=f"{size} bytes; at most {size - 1} ") as caught:
        decode_base64(text, Limits(max_bytes=size - 1))
    assert caught.value.code == "file_too_large"


# --- Stored pictures and crops ---


def test_a_stored_picture_opens() -> None:
    image = open_stored(BytesIO(encode_jpeg(plain(size=(300, 200)))))
    assert (image.mode, image.size) == ("RGB", (300, 200))
    assert looks(image, RUST)


def test_a_damaged_stored_picture_is_refused() -> None:
    with pytest.raises(BadImage) as caught:
        open_stored(BytesIO(encode_jpeg(noise())[:300]))
    assert caught.value.code == "damaged_image"


def test_a_crop_holds_every_pixel_that_the_box_touches() -> None:
    assert crop(plain(size=(100, 80)), Box(10.2, 20.7, 30.1, 40.0)).size == (21, 20)


def test_a_crop_is_clamped_to_the_image() -> None:
    source = noise((100, 80))
    assert crop(source, Box(-50, -50, 500, 500)).tobytes() == source.tobytes()


def test_a_crop_is_at_least_one_pixel() -> None:
    assert crop(plain(), Box(5.4, 5.4, 5.6, 5.6)).size == (1, 1)


@pytest.mark.parametrize(
    "box",
    [
        Box(50, 0, 60, 10),
        Box(-10, 0, 0, 10),
        Box(10, 10, 10, 20),
        Box(20, 10, 10, 20),
        Box(float("nan"), 0, 10, 10),
    ],
)
def test_a_box_that_holds_nothing_of_the_image_is_refused(box: Box) -> None:
    with pytest.raises(BadImage) as caught:
        crop(plain(), box)
    assert caught.value.code == "empty_box"


def test_pictures_are_read_the_same_in_many_threads() -> None:
    files = [encoded(noise((300, 200), seed), "PNG") for seed in range(4)]
    expected = [read_image(data).tobytes() for data in files]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda data: read_image(data).tobytes(), files * 3)) == expected * 3
