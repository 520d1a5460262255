"""Many pictures at once, by the same road as one: intake, run, pipeline.

With light backends, batches are worked on by as many processes as there are cores; a neural
network uses all cores by itself, and one process holds it once.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import UUID

from django.conf import settings

from accounts import audit
from catalog.models import FormerItem, OriginalImage, Product
from catalog.services import NewImage
from similarity import backends, pipeline, services, serving
from similarity.engine import Vectors
from similarity.engine.errors import EngineError
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
    vector: Callable[[], Vectors | None] | None = None
    """Of a crop: the vector that it has already, (dim,), if it is any good."""
    former: tuple[int, str] | None = None
    """Number and name that it had in the service before."""


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


def ingest(
    items: Sequence[Item], *, source: OriginalImage.Source, cut_out_by: str = ""
) -> Iterator[Outcome]:
    """Take pictures in and describe them; yields what becomes of each, in the order given.

    One that cannot be read stops no other. Bytes that are known add nothing. `cut_out_by` is as
    `services.start_uploads` has it.
    """
    batches = [items[start : start + BATCH] for start in range(0, len(items), BATCH)]
    light = backends.detector().light and serving.are_all_light()
    processes = min(len(batches), os.cpu_count() or 1) if light else 1
    if processes > 1:
        yield from _side_by_side(batches, source, cut_out_by, processes)
        return
    for batch in batches:
        yield from take_in(batch, source, cut_out_by)


def _side_by_side(
    batches: Sequence[Sequence[Item]],
    source: OriginalImage.Source,
    cut_out_by: str,
    processes: int,
) -> Iterator[Outcome]:
    # Started afresh, not forked: this process has threads, and a connection to the database.
    context = multiprocessing.get_context("spawn")
    threads = max(1, (os.cpu_count() or 1) // processes)
    with ProcessPoolExecutor(
        processes, mp_context=context, initializer=set_up_django, initargs=(threads,)
    ) as pool:
        under_way: deque[Future[list[Outcome]]] = deque()
        try:
            for batch in batches:
                under_way.append(pool.submit(take_in, batch, source, cut_out_by))
                if len(under_way) > 2 * processes:
                    yield from under_way.popleft().result()
            for outcomes in under_way:
                yield from outcomes.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)  # what is in hand is finished: it takes a moment
            raise


def take_in(
    batch: Sequence[Item], source: OriginalImage.Source, cut_out_by: str = ""
) -> list[Outcome]:
    """Take one batch in, here and now."""
    outcomes: dict[int, Outcome] = {}
    new: dict[int, NewImage] = {}
    vectors: list[Vectors | None] = []
    former: list[tuple[int, str] | None] = []
    for place, item in enumerate(batch):
        try:
            picture = services.take_in(item.read())
            vector = item.vector() if item.vector else None
        except (EngineError, OSError) as error:
            outcomes[place] = Outcome(item.name, "rejected", str(error))
        else:
            new[place] = NewImage(picture, source_name=item.name, product=item.product)
            vectors.append(vector)
            former.append(item.former)
    described = _describe(list(new.values()), vectors, former, source, cut_out_by)
    outcomes |= zip(new, described, strict=True)
    return [outcomes[place] for place in range(len(batch))]


def _describe(
    new: Sequence[NewImage],
    vectors: Sequence[Vectors | None],
    former: Sequence[tuple[int, str] | None],
    source: OriginalImage.Source,
    cut_out_by: str,
) -> list[Outcome]:
    uploads = services.start_uploads(new, source=source, queued=False, cut_out_by=cut_out_by)
    FormerItem.objects.bulk_create(
        [
            FormerItem(number=ids[0], name=ids[1], image=upload.image)
            for ids, upload in zip(former, uploads, strict=True)
            if ids is not None
        ],
        ignore_conflicts=True,
    )
    pks = [upload.run.pk for upload in uploads]
    known = {pk: v for pk, v in zip(pks, vectors, strict=True) if v is not None}
    if claimed := pipeline.claim(pks):
        _carry_out(claimed, known)
    failed = Run.objects.filter(pk__in=pks, state=Run.State.FAILED).in_bulk()
    return [
        _outcome(item.source_name, upload, failed.get(upload.run.pk))
        for item, upload in zip(new, uploads, strict=True)
    ]


def _carry_out(runs: Sequence[Run], vectors: Mapping[UUID, Vectors]) -> None:
    try:
        with audit.quietly(), pipeline.beating(runs):
            pipeline.describe_all(runs, vectors)
    except BaseException:
        for run in runs:  # after Ctrl-C, say, none of them looks as if it were worked on
            pipeline.fail(run, "interrupted", "Taking in many pictures was interrupted.")
        raise


def _outcome(name: str, upload: services.Upload, failed: Run | None) -> Outcome:
    if failed is not None:
        return Outcome(name, "rejected", failed.error_message)
    return Outcome(name, "added" if upload.is_new else "known")
