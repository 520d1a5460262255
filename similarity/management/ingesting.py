"""What the commands that take pictures in have in common."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

from django.core.management.base import CommandError
from tqdm import tqdm

from catalog.models import OriginalImage
from similarity import services
from similarity.engine.errors import EngineError
from similarity.ingestion import Item, ingest


def check_models() -> None:
    """All models are there, so that not every picture fails for the same reason."""
    try:
        services.probe_models()
    except EngineError as error:
        raise CommandError(str(error)) from error


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
    return counts
