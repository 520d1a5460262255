"""Labelled photos on disk, for training and evaluation.

Two layouts are read. A *clothing* folder holds `images/` and `labels.csv` (columns `image`,
`label`, `sender_id`): one garment a photo, named but not boxed. A *street* folder holds
`photos/` and `garments.json` (per photo `size` and `garments`, each with `garment` and `box`):
several garments a photo, boxed in pixels. A folder that holds folders of these layouts is all
of them together.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, UnidentifiedImageError

from similarity.engine.contracts import Box
from similarity.engine.errors import BadDataset

HELD_OUT = 0.18
"""Share of the photos that training never sees, unless told otherwise."""

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


def split(photos: Sequence[Photo], held_out: float = HELD_OUT, seed: int = 0) -> Split:
    """Part the photos by group: about `held_out` (0 to 1) of each kind of label to measure on.

    The same photos and seed give the same split on every machine: groups are taken in the order
    of a hash of their name, so that one group more or less moves few of the others.
    """
    held: set[str] = set()
    for part in ([p for p in photos if _is_boxed(p)], [p for p in photos if not _is_boxed(p)]):
        held |= _held_out(part, held_out, seed)
    return Split(
        tuple(photo for photo in photos if photo.group not in held),
        tuple(photo for photo in photos if photo.group in held),
    )


def crop(photo: Photo, garment: Garment) -> Image.Image:
    """The garment's pixels, RGB: its box, or the whole photo where it has none."""
    image = open_rgb(photo)
    return image if garment.box is None else image.crop(garment.box.pixels())


def all_labels(photos: Iterable[Photo]) -> list[str]:
    """The labels of their garments, in order."""
    return sorted({garment.label for photo in photos for garment in photo.garments})


def open_rgb(photo: Photo) -> Image.Image:
    """A photo of the data set. Raises BadDataset for one that cannot be read."""
    try:
        stored = photo.opened() if photo.opened else photo.path.open("rb")
        with stored, Image.open(stored) as image:
            return image.convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise BadDataset(f"{photo.path} cannot be read: {error}") from error


def _folders(folder: Path) -> Iterable[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir()]
    except OSError as error:
        raise BadDataset(f"{folder} cannot be read: {error}") from error


def _checked(listing: Path, reader: Any) -> list[Photo]:
    try:
        photos: list[Photo] = reader(listing)
    except (AttributeError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise BadDataset(f"{listing} is not laid out as it should be: {error!r}") from error
    absent = [photo.path for photo in photos if not photo.path.is_file()]
    if absent:
        raise BadDataset(f"{listing} names {len(absent)} photos that are not there: {absent[0]}")
    return photos


def _clothing(listing: Path) -> list[Photo]:
    with listing.open(newline="", encoding="utf-8") as file:
        return [
            Photo(
                listing.parent / "images" / Path(row["image"]).name,
                f"sender {row['sender_id']}",
                (Garment(row["label"].lower(), None),),
            )
            for row in csv.DictReader(file)
        ]


def _street(listing: Path) -> list[Photo]:
    photos = json.loads(listing.read_text(encoding="utf-8"))["photos"]
    return [
        Photo(
            listing.parent / "photos" / Path(name).name,
            f"photo {name}",
            tuple(
                Garment(str(found["garment"]).lower(), Box(*map(float, found["box"])))
                for found in photo["garments"]
            ),
        )
        for name, photo in photos.items()
    ]


def _is_boxed(photo: Photo) -> bool:
    return any(garment.box is not None for garment in photo.garments)


def _held_out(photos: Sequence[Photo], share: float, seed: int) -> set[str]:
    sizes = Counter(photo.group for photo in photos)
    room = share * len(photos)
    largest = max(LARGEST_GROUP * room, len(photos) / max(1, len(sizes)))
    held = set()
    for group in sorted(sizes, key=lambda name: _order(seed, name)):
        if sizes[group] <= min(room, largest):
            held.add(group)
            room -= sizes[group]
    return held


def _order(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
