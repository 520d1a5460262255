"""Many pictures at once, by the same road as one: intake, run, pipeline.

Pictures are read side by side in threads (decoding and numpy leave the interpreter free), the
next batch while the one before is described; crops are embedded a batch at a time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from catalog.models import OriginalImage, Product
from catalog.services import NewImage, Picture
from similarity import pipeline, services
from similarity.engine.errors import BadImage
from similarity.errors import NotRepeatable
from similarity.models import Run

BATCH = 64
"""Pictures that are described together: enough to keep a pool busy, and little to hold."""


@dataclass(frozen=True, slots=True)
class Item:
    """A picture to take in."""

    name: str
    read: Callable[[], bytes]
    product: Product | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of it."""

    name: str
    status: Literal["added", "known", "rejected"]
    reason: str = ""


Batch = list[tuple[Item, "Future[Picture]"]]


def ingest(items: Iterable[Item], *, source: OriginalImage.Source) -> Iterator[Outcome]:
    """Take pictures in and describe them; yields what becomes of each.

    One that cannot be read stops no other. Bytes that are known add nothing; if they could not be
    described before, that is tried again.
    """
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        for batch in _read_ahead(items, pool):
            yield from _describe(batch, source, pool)
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for what is yet to be read


def _read_ahead(items: Iterable[Item], pool: Executor) -> Iterator[Batch]:
    """Batches of pictures, the one after being read while its forerunner is in hand."""
    left = iter(items)

    def submit() -> Batch:
        return [(item, pool.submit(_read, item)) for item in islice(left, BATCH)]

    batch = submit()
    while batch:
        following = submit()
        yield batch
        batch = following


def _read(item: Item) -> Picture:
    return services.take_in(item.read())


def _describe(batch: Batch, source: OriginalImage.Source, pool: Executor) -> Iterator[Outcome]:
    names, new = [], []
    for item, reading in batch:
        try:
            picture = reading.result()
        except (BadImage, OSError) as error:
            yield Outcome(item.name, "rejected", str(error))
        else:
            names.append(item.name)
            new.append(NewImage(picture, source_name=item.name, product=item.product))
    uploads = services.start_uploads(new, source=source, queued=False)
    pks = [upload.run.pk for upload in uploads]
    for upload in uploads:
        if upload.run.state == Run.State.FAILED:
            with suppress(NotRepeatable):  # another process was faster
                services.run_again(upload.run, queued=False)
    if claimed := pipeline.claim(pks):
        _carry_out(claimed, pool)
    failed = Run.objects.filter(pk__in=pks, state=Run.State.FAILED).in_bulk()
    for name, upload in zip(names, uploads, strict=True):
        if run := failed.get(upload.run.pk):
            yield Outcome(name, "rejected", run.error_message)
        else:
            yield Outcome(name, "added" if upload.is_new else "known")


def _carry_out(runs: Sequence[Run], pool: Executor) -> None:
    try:
        with pipeline.beating(runs):
            pipeline.describe_all(runs, pool)
    except BaseException:
        for run in runs:  # after Ctrl-C, say, none of them looks as if it were worked on
            pipeline.fail(run, "interrupted", "Taking in many pictures was interrupted.")
        raise
