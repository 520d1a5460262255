"""Many pictures at once, by the same road as one: intake, run, pipeline.

With light backends, batches are worked on by as many processes as there are cores; a neural
network uses all cores by itself, and one process holds it once.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from django.conf import settings

from catalog.models import OriginalImage, Product
from catalog.services import NewImage
from similarity import backends, pipeline, services
from similarity.engine.errors import BadImage
from similarity.models import Run
from similarity.processes import set_up_django

BATCH = 32
"""Pictures that are described together: enough for a network's batch, and little to hold."""


@dataclass(frozen=True, slots=True)
class Item:
    """A picture to take in. Other processes call `read`, so it must be picklable."""

    name: str
    read: Callable[[], bytes]
    product: Product | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of it."""

    name: str
    status: Literal["added", "known", "rejected"]
    reason: str = ""


def read_file(path: Path) -> bytes:
    """The bytes of a file; of one that is too large for the intake, enough to tell."""
    with path.open("rb") as file:
        return file.read(settings.MAX_UPLOAD_BYTES + 1)


def ingest(items: Sequence[Item], *, source: OriginalImage.Source) -> Iterator[Outcome]:
    """Take pictures in and describe them; yields what becomes of each, in the order given.

    One that cannot be read stops no other. Bytes that are known add nothing.
    """
    batches = [items[start : start + BATCH] for start in range(0, len(items), BATCH)]
    light = backends.detector().light and backends.embedder().light
    processes = min(len(batches), os.cpu_count() or 1) if light else 1
    if processes > 1:
        yield from _side_by_side(batches, source, processes)
        return
    for batch in batches:
        yield from take_in(batch, source)


def _side_by_side(
    batches: Sequence[Sequence[Item]], source: OriginalImage.Source, processes: int
) -> Iterator[Outcome]:
    # Started afresh, not forked: this process has threads, and a connection to the database.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=set_up_django) as pool:
        under_way: deque[Future[list[Outcome]]] = deque()
        try:
            for batch in batches:
                under_way.append(pool.submit(take_in, batch, source))
                if len(under_way) > 2 * processes:
                    yield from under_way.popleft().result()
            for outcomes in under_way:
                yield from outcomes.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)  # what is in hand is finished: it takes a moment
            raise


def take_in(batch: Sequence[Item], source: OriginalImage.Source) -> list[Outcome]:
    """Take one batch in, here and now."""
    outcomes: dict[int, Outcome] = {}
    new: dict[int, NewImage] = {}
    for place, item in enumerate(batch):
        try:
            picture = services.take_in(item.read())
        except (BadImage, OSError) as error:
            outcomes[place] = Outcome(item.name, "rejected", str(error))
        else:
            new[place] = NewImage(picture, source_name=item.name, product=item.product)
    outcomes |= zip(new, _describe(list(new.values()), source), strict=True)
    return [outcomes[place] for place in range(len(batch))]


def _describe(new: Sequence[NewImage], source: OriginalImage.Source) -> list[Outcome]:
    uploads = services.start_uploads(new, source=source, queued=False)
    pks = [upload.run.pk for upload in uploads]
    if claimed := pipeline.claim(pks):
        _carry_out(claimed)
    failed = Run.objects.filter(pk__in=pks, state=Run.State.FAILED).in_bulk()
    return [
        _outcome(item.source_name, upload, failed.get(upload.run.pk))
        for item, upload in zip(new, uploads, strict=True)
    ]


def _carry_out(runs: Sequence[Run]) -> None:
    try:
        with pipeline.beating(runs):
            pipeline.describe_all(runs)
    except BaseException:
        for run in runs:  # after Ctrl-C, say, none of them looks as if it were worked on
            pipeline.fail(run, "interrupted", "Taking in many pictures was interrupted.")
        raise


def _outcome(name: str, upload: services.Upload, failed: Run | None) -> Outcome:
    if failed is not None:
        return Outcome(name, "rejected", failed.error_message)
    return Outcome(name, "added" if upload.is_new else "known")
