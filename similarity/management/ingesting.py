"""What the commands that take pictures in have in common."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from tqdm import tqdm

from catalog.models import OriginalImage
from similarity import services
from similarity.engine.errors import EngineError
from similarity.ingestion import Item, ingest
from similarity.signals import imported

SUFFIXES = {
    ".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif",
    ".avif",
}  # fmt: skip

FIELDS = (
    "name", "description", "url", "store", "brand", "category", "price", "currency", "rating",
    "sale_status", "waist_type", "listing_season", "season",
)  # fmt: skip
LISTS = ("tags", "sizes")
"""What a table may say of a product; lists are divided by |."""


def check_models() -> None:
    """All models are there, so that not every picture fails for the same reason."""
    try:
        services.probe_models()
    except EngineError as error:
        raise CommandError(str(error)) from error


def check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise CommandError(f"{folder} is no folder.")


def pictures_in(folder: Path) -> list[Path]:
    """The files of a folder, and of those below, that are named like pictures."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not files:
        raise CommandError(f"There are no pictures in {folder}.")
    return files


def shown(path: Path, folder: Path) -> str:
    """A file's name for people and the database, whatever bytes it has on the disk."""
    return os.fsencode(path.relative_to(folder)).decode(errors="replace")


def sentence(error: ValidationError) -> str:
    """What does not fit, by field, in one line."""
    if not hasattr(error, "error_dict"):
        return " ".join(error.messages)
    return "; ".join(
        f"{field}: {' '.join(messages)}" for field, messages in error.message_dict.items()
    )


def ingest_visibly(
    items: Sequence[Item], *, source: OriginalImage.Source, unit: str
) -> Counter[str]:
    """Take pictures in with a progress bar, each rejected one being told; how many became what."""
    counts: Counter[str] = Counter()
    with tqdm(total=len(items), unit=unit, disable=not sys.stderr.isatty()) as bar:
        for outcome in ingest(items, source=source):
            counts[outcome.status] += 1
            bar.update()
            if outcome.status == "rejected":
                bar.write(f"{outcome.name}: {outcome.reason}", file=sys.stderr)
    imported.send(sender=OriginalImage, counts=counts)
    return counts
