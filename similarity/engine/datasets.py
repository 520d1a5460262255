"""Labelled photos on disk, for training and evaluation.

Two layouts are read. A *clothing* folder holds `images/` and `labels.csv` (columns `image`,
`label`, `sender_id`): one garment a photo, named but not boxed. A *street* folder holds
`photos/` and `garments.json` (per photo `size` and `garments`, each with `garment` and `box`):
several garments a photo, boxed in pixels. It may hold `masks/` as well, a PNG of bytes for a photo,
each the place of a name in the listing's `labels`, of which a garment's `tag` is one: they tell
which pixels are whose. A folder that holds folders of these layouts is all of them together.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from similarity.engine import images
from similarity.engine.contracts import Box
from similarity.engine.errors import BadDataset, BadImage

HELD_OUT = 0.18
"""Share of the photos that training never sees, unless told otherwise."""

SALT = 0
"""Of the hash that parts photos. With another, shipped weights would be measured on photos that
they have learnt from."""

LARGEST_GROUP = 0.25
"""A group is held out only if it makes up no more than this share of what is held out, or is no
larger than most: one person's hundreds of photos would otherwise decide the figures."""


@dataclass(frozen=True, slots=True)
class Garment:
    """A garment in a photo."""

    label: str
    """Lower case: "dress", "t-shirt"."""
    box: Box | None
    """In pixels of the photo; None where only the photo as a whole is labelled."""
    product: str | None = None
    """Which product it is, where that is known: garments of one product look alike."""


@dataclass(frozen=True, slots=True)
class Outlines:
    """Which pixels of a photo show somebody, and what they wear."""

    path: Path
    """A picture of bytes as large as the photo; 0 is where there is nobody."""
    labels: tuple[tuple[int, str], ...]
    """The bytes that are a garment, and its label; others are skin, hair, a belt or a watch."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A labelled photo."""

    path: Path
    """Where it lies on the disk, or what it is called if it lies elsewhere."""
    group: str
    """Whose photo it is. Photos of one group share a person and a background: they are never
    on both sides of a split, and never each other's results."""
    garments: tuple[Garment, ...]
    opened: Callable[[], BinaryIO] | None = None
    """Opens one that lies elsewhere, such as in an object store; whoever calls it closes it.
    Raises OSError."""
    outlines: Outlines | None = None
    """None where nobody has drawn them."""


@dataclass(frozen=True, slots=True)
class Split:
    """Photos to learn from and photos to measure on, of different groups."""

    train: tuple[Photo, ...]
    held_out: tuple[Photo, ...]


def read(folder: Path) -> list[Photo]:
    """The photos of a folder, in the order in which they are listed.

    Raises BadDataset, which says what is wrong, where nothing can be read or a listed photo is
    absent.
    """
    readers = {"labels.csv": _clothing, "garments.json": _street}
    folders = [folder, *sorted(path for path in _folders(folder))]
    photos = [
        photo
        for place in folders
        for name, reader in readers.items()
        if (place / name).is_file()
        for photo in _checked(place / name, reader)
    ]
    if not photos:
        raise BadDataset(f"{folder} holds neither a labels.csv nor a garments.json with photos.")
    return photos


def split(photos: Sequence[Photo], held_out: float = HELD_OUT) -> Split:
    """Part the photos by group: about `held_out` (0 to 1) of each kind of label to measure on.

    The same photos are parted in the same way on every machine and at all times, so that what is
    measured is never what weights have learnt from, whichever training they began with. Groups
    are taken in the order of a hash of their name: one more or less moves few of the others.
    """
    held: set[str] = set()
    for part in ([p for p in photos if _is_boxed(p)], [p for p in photos if not _is_boxed(p)]):
        held |= _held_out(part, held_out)
    return Split(
        tuple(photo for photo in photos if photo.group not in held),
        tuple(photo for photo in photos if photo.group in held),
    )


def crop(photo: Photo, garment: Garment) -> Image.Image:
    """The garment's pixels, RGB: its box, or the whole photo where it has none.

    Raises BadDataset if the photo cannot be read, or nothing of it lies in the box.
    """
    return cropped(open_rgb(photo), photo, garment)


def cropped(image: Image.Image, photo: Photo, garment: Garment) -> Image.Image:
    """The same of a photo that has been opened."""
    box = box_in(image, photo, garment)
    return image if box is None else image.crop(box.pixels())


def box_in(image: Image.Image, photo: Photo, garment: Garment) -> Box | None:
    """The part of a garment's box that lies in its photo; None where it has no box.

    Raises BadDataset if it has no such part.
    """
    if garment.box is None:
        return None
    box = garment.box.clamped(image.width, image.height)
    if not box.area:
        raise BadDataset(
            f"The {garment.label} of {photo.path} lies outside the photo, "
            f"which is {image.width} x {image.height}."
        )
    return box


def all_labels(photos: Iterable[Photo]) -> list[str]:
    """The labels of their garments, in order."""
    return sorted({garment.label for photo in photos for garment in photo.garments})


def open_rgb(photo: Photo) -> Image.Image:
    """A photo of the data set, as it would be seen if it were uploaded. Raises BadDataset for one
    that cannot be read."""
    try:
        with photo.opened() if photo.opened else photo.path.open("rb") as stored:
            return images.open_picture(stored)
    except (OSError, BadImage) as error:
        raise BadDataset(f"{photo.path} cannot be read: {error}") from error


NOBODY = 0
"""What `outlined` has where there is nobody and nothing worn."""


def outlined(photo: Photo, labels: Sequence[str] = ()) -> NDArray[np.uint8] | None:
    """What each pixel (height, width) of a photo shows; None where nobody has drawn outlines.

    `NOBODY`, n + 1 for the label n of `labels`, or len(labels) + 1 for whatever else somebody
    wears or is. Raises BadDataset for outlines that cannot be read.
    """
    if photo.outlines is None:
        return None
    numbers = np.full(256, len(labels) + 1, dtype=np.uint8)
    numbers[0] = NOBODY
    for byte, label in photo.outlines.labels:
        if label in labels:
            numbers[byte] = labels.index(label) + 1
    try:
        with Image.open(photo.outlines.path) as drawn:
            marked: NDArray[np.uint8] = np.asarray(drawn)
            shape = (drawn.height, drawn.width)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise BadDataset(f"{photo.outlines.path} cannot be read: {error}") from error
    if marked.dtype != np.uint8 or marked.shape != shape:
        raise BadDataset(f"{photo.outlines.path} is not a picture of one byte a pixel.")
    shown: NDArray[np.uint8] = numbers[marked]
    return shown


def _folders(folder: Path) -> Iterable[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir()]
    except OSError as error:
        raise BadDataset(f"{folder} cannot be read: {error}") from error


def _checked(listing: Path, reader: Any) -> list[Photo]:
    try:
        photos: list[Photo] = reader(listing)
    except (AttributeError, KeyError, OSError, TypeError, ValueError, csv.Error) as error:
        raise BadDataset(f"{listing} is not laid out as it should be: {error!r}") from error
    absent = [photo.path for photo in photos if not photo.path.is_file()]
    if absent:
        raise BadDataset(f"{listing} names {len(absent)} photos that are not there: {absent[0]}")
    return photos


def _clothing(listing: Path) -> list[Photo]:
    with listing.open(newline="", encoding="utf-8-sig") as file:
        return [
            Photo(
                listing.parent / "images" / Path(row["image"]).name,
                f"sender {row['sender_id']}",
                (Garment(row["label"].lower(), None),),
            )
            for row in csv.DictReader(file)
        ]


def _street(listing: Path) -> list[Photo]:
    listed = json.loads(listing.read_text(encoding="utf-8-sig"))
    masks = listing.parent / "masks"
    bytes_of = {str(tag): byte for byte, tag in enumerate(listed.get("labels", []))}
    return [
        Photo(
            listing.parent / "photos" / Path(name).name,
            f"photo {name}",
            tuple(
                Garment(str(found["garment"]).lower(), _box(name, found["box"]))
                for found in photo["garments"]
            ),
            outlines=_outlines(masks / f"{Path(name).stem}.png", photo["garments"], bytes_of),
        )
        for name, photo in listed["photos"].items()
    ]


def _box(name: str, edges: Sequence[Any]) -> Box:
    x0, y0, x1, y1 = map(float, edges)
    if not (math.isfinite(x0 + y0 + x1 + y1) and x0 < x1 and y0 < y1):
        raise ValueError(f"{edges} in {name} is no box: it takes left, top, right and bottom.")
    return Box(x0, y0, x1, y1)


def _outlines(path: Path, garments: Sequence[Any], bytes_of: Mapping[str, int]) -> Outlines | None:
    if not path.is_file():
        return None
    worn = ((bytes_of.get(str(found.get("tag"))), found["garment"]) for found in garments)
    return Outlines(path, tuple((byte, str(label).lower()) for byte, label in worn if byte))


def _is_boxed(photo: Photo) -> bool:
    return any(garment.box is not None for garment in photo.garments)


def _held_out(photos: Sequence[Photo], share: float) -> set[str]:
    sizes = Counter(photo.group for photo in photos)
    room = share * len(photos)
    largest = max(LARGEST_GROUP * room, len(photos) / max(1, len(sizes)))
    held = set()
    for group in sorted(sizes, key=_order):
        if sizes[group] <= min(room, largest):
            held.add(group)
            room -= sizes[group]
    return held


def _order(name: str) -> str:
    return hashlib.sha256(f"{SALT}:{name}".encode()).hexdigest()
