"""Searches that are kept: with a photo, a box of it, a known garment, words."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from accounts.keys import is_program
from accounts.models import User
from accounts.services import preferences_of
from catalog.facets import Facets, Scope
from catalog.facets import count as count_facets
from catalog.models import Segment
from catalog.services import Picture
from similarity import backends, combined, pipeline, serving
from similarity.combined import Wish
from similarity.engine import Box
from similarity.engine.errors import EngineError
from similarity.errors import BadBox, IdTaken
from similarity.models import Embedder, Query, Run
from similarity.services.runs import FORGOTTEN_AFTER, added, known_run, leave_to_worker
from similarity.services.uploads import take_in

NO_WISH = Wish()


def keep_query(picture: Picture, owner: User | None, *, briefly: bool = False) -> Query:
    """Keep a photo to search with, until it expires; `briefly` for what nobody comes back to."""
    lifetime = FORGOTTEN_AFTER if briefly else _lifetime()
    query = Query(
        sha256=picture.sha256,
        width=picture.width,
        height=picture.height,
        owner=owner,
        expires_at=_forgotten_at(owner) or timezone.now() + lifetime,
    )
    query.file.save(f"{query.pk}.jpg", ContentFile(picture.jpeg))
    return query


@contextmanager
def _kept(picture: Picture, owner: User | None, *, briefly: bool = False) -> Iterator[Query]:
    """A photo that is kept, unless what it is kept for cannot be started."""
    query = keep_query(picture, owner, briefly=briefly)
    try:
        yield query
    except BaseException:
        query.delete()
        raise


def _lifetime() -> dt.timedelta:
    return dt.timedelta(days=settings.QUERY_LIFETIME_DAYS)


def _forgotten_at(person: User | None) -> dt.datetime | None:
    """When what somebody searches for now is to be forgotten; None if it is their history."""
    if preferences_of(person).keeps_history:
        return None
    return timezone.now() + FORGOTTEN_AFTER


def search(
    *,
    query: Query | None = None,
    segment: Segment | None = None,
    wish: Wish = NO_WISH,
    limit: int,
    box: Sequence[float] | None = None,
    filters: Mapping[str, Any] | None = None,
    model: str | None = None,
    facets: bool = False,
    top_categories: int | None = None,
    asked_by: User | None = None,
    detect: bool | None = None,
    pk: uuid.UUID | None = None,
) -> Run:
    """Search with a photo, a box of it, or a known garment, with a wish, or with both.

    `model` names another embedder than the serving one; `top_categories` narrows the search to so
    many of the nearest categories, as `prototypes.nearest` does.

    A search that is fast enough is done when this returns; any other is left to a worker. The
    first search with a photo also has its garments looked for, unless `detect` or, where that is
    not said, whoever asks does not want it. A `pk` that they have given before is that search.
    Raises MissingWeights, BadBox, NotDescribed, ModelNotReady, IdTaken.
    """
    if pk is not None and (known := known_run(pk, Run.Kind.SEARCH, asked_by)):
        return known
    embedder = serving.chosen(model)
    if query is not None and box is not None:
        box = _clamped(box, query)
    expires_at = _forgotten_at(asked_by)
    if query is None and (asked_by is None or is_program(asked_by)):
        # It is no person's history, and no photo takes it along.
        expires_at = timezone.now() + _lifetime()
    run = Run(
        id=pk or uuid.uuid4(),
        kind=Run.Kind.SEARCH,
        query=query,
        segment=segment,
        requested_by=asked_by,
        options={
            "limit": limit,
            "box": box,
            "filters": dict(filters or {}),
            "model": model,
            "facets": facets,
            "top_categories": top_categories,
            **wish.options,
        },
        expires_at=expires_at,
    )
    if not _needs_embedder(query, wish, embedder) or serving.backend_of(embedder).light:
        run.embedder = embedder
        run = added(run, pipeline.answer)
    else:
        run = added(run, leave_to_worker)
    wants = preferences_of(asked_by).detects if detect is None else detect
    if query is not None and wants:
        look_for_garments(query, asked_by)
    return run


def sort(
    *,
    query: Query | None = None,
    segment: Segment | None = None,
    limit: int,
    box: Sequence[float] | None = None,
    model: str | None = None,
    asked_by: User | None = None,
    pk: uuid.UUID | None = None,
) -> Run:
    """Compare a photo, a box of it, or a known garment with the categories, and with nothing else.

    Done when this returns, or left to a worker, as `search` is; gone after an hour. Raises as it
    does.
    """
    if pk is not None and (known := known_run(pk, Run.Kind.SORT, asked_by)):
        return known
    embedder = serving.chosen(model)
    run = Run(
        id=pk or uuid.uuid4(),
        kind=Run.Kind.SORT,
        query=query,
        segment=segment,
        requested_by=asked_by,
        options={
            "limit": limit,
            "box": None if query is None or box is None else _clamped(box, query),
            "model": model,
        },
        expires_at=timezone.now() + FORGOTTEN_AFTER,
    )
    if query is None or serving.backend_of(embedder).light:
        run.embedder = embedder
        return added(run, pipeline.answer_with_categories)
    return added(run, leave_to_worker)


def _needs_embedder(query: Query | None, wish: Wish, embedder: Embedder) -> bool:
    """Whether a search has the embedder describe something: a photo, or words if it can."""
    if query is not None:
        return True
    return wish.has_words and backends.text_side(serving.backend_of(embedder)) is not None


def search_photo(data: bytes, **how: Any) -> Run:
    """Search with a new photo. Raises BadImage, and what `search` does: before it is kept."""
    return _with_photo(search, Run.Kind.SEARCH, data, **how)


def sort_photo(data: bytes, **how: Any) -> Run:
    """Compare a new photo with the categories, as `sort` does."""
    return _with_photo(sort, Run.Kind.SORT, data, **how)


def _with_photo(
    start: Callable[..., Run],
    kind: Run.Kind,
    data: bytes,
    *,
    box: Sequence[float] | None = None,
    model: str | None = None,
    asked_by: User | None = None,
    pk: uuid.UUID | None = None,
    **how: Any,
) -> Run:
    if pk is not None and (known := known_run(pk, kind, asked_by)):
        return known
    picture = take_in(data)
    serving.chosen(model)
    if box is not None:
        box = _clamped(box, picture)
    with _kept(picture, asked_by, briefly=kind == Run.Kind.SORT) as query:
        run = start(query=query, box=box, model=model, asked_by=asked_by, pk=pk, **how)
    if run.query_id != query.pk:  # the same id came twice at once, and the other was faster
        query.delete()
    return run


def look_for_garments(query: Query, asked_by: User | None) -> Run | None:
    """Have the garments of a photo looked for, unless that was done; the run that is at it.

    With a light detector it has ended when this returns.
    """
    if run := query.being_looked_at():
        return run
    return None if query.detections is not None else _detection(query, asked_by)


def _detection(query: Query, asked_by: User | None, pk: uuid.UUID | None = None) -> Run:
    run = Run(id=pk or uuid.uuid4(), kind=Run.Kind.DETECT, query=query, requested_by=asked_by)
    if not backends.detector().light:
        leave_to_worker(run)
        return run
    with transaction.atomic():
        run.save(force_insert=True)
    pipeline.execute(run.pk)
    query.refresh_from_db(fields=["detections"])
    run.refresh_from_db()
    return run


def _clamped(box: Sequence[float], picture: Picture | Query) -> list[float]:
    inside = Box(*box).clamped(picture.width, picture.height)
    if inside.width < 1 or inside.height < 1:
        sentence = _(
            "The box holds nothing of the picture, which is {width} pixels wide and {height} high."
        )
        raise BadBox(format_lazy(sentence, width=picture.width, height=picture.height))
    return list(inside.edges)


def facets_of(run: Run) -> Facets | None:
    """The facets of a search that asked for them, as they are now; None before it is done."""
    if run.state != Run.State.DONE or not run.options.get("facets"):
        return None
    return count_facets(run.options.get("filters") or {}, scope_of(run))


def scope_of(run: Run) -> Scope:
    """What a search that is done can show, whatever its filters let pass."""
    wish = Wish.of(run.options)
    return combined.scope(
        run.options.get("filters") or {},
        wish,
        run.segment,
        has_seed=bool(run.query_id or run.segment_id),
        reads=bool(wish.text) and _reads(run.embedder),
    )


def _reads(embedder: Embedder | None) -> bool:
    """Whether words were compared with pictures by an embedder; not if it is no longer there."""
    with suppress(EngineError):
        if embedder is not None:
            return backends.text_side(backends.embedder(embedder.name)) is not None
    return False


def split_photo(data: bytes, *, asked_by: User | None = None, pk: uuid.UUID | None = None) -> Run:
    """Have the garments of a new photo looked for, and nothing else; raises BadImage, IdTaken.

    The photo is there until the caller deletes the run's query, so no id is good twice.
    """
    try:
        with _kept(take_in(data), asked_by, briefly=True) as query:
            return _detection(query, asked_by, pk)
    except IntegrityError as error:
        raise IdTaken from error


def forget_search(run: Run) -> None:
    """Delete a search, and its photo unless another search needs it."""
    query = run.query
    run.delete()
    if query is not None and not query.runs.filter(kind=Run.Kind.SEARCH).exists():
        query.delete()


def forget_searches(person: User) -> None:
    """Delete all that somebody has searched for, and the photos with it."""
    with transaction.atomic():
        searches = Run.objects.filter(kind__in=[Run.Kind.SEARCH, Run.Kind.DETECT])
        searches.filter(requested_by=person).delete()
        Query.objects.filter(owner=person).delete()
