"""Golden sets: queries whose results people have called right or wrong, to measure embedders by."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.core.files.base import ContentFile
from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _
from PIL.Image import Image

from accounts.models import User
from catalog.models import Product, Segment
from similarity import indexing, serving
from similarity.engine import Box, images
from similarity.engine.errors import BadImage
from similarity.engine.evaluation import retrieval
from similarity.engine.evaluation.report import Table
from similarity.errors import NoSuchSet, NotMarkable
from similarity.models import Embedder, GoldenQuery, GoldenSet, Run, Verdict
from similarity.pipeline import stored
from similarity.rules import products_of
from similarity.services import take_in

USUAL = "golden"
"""The set that marks go into unless another is named."""

NEAREST = 10
"""Results of a query that are looked at."""

BATCH = 8
"""Queries that are described at once."""

WISHES = ("text", "without", "like", "unlike")
"""What a search may ask for beside its picture."""


# --- Marking --------------------------------------------------------------------------------


def is_markable(run: Run, person: Any) -> bool:
    """Whether somebody may call results of a search right or wrong.

    It must be their own, since its photo is kept with the mark, and by a picture alone: what is
    right for words is another matter.
    """
    return (
        person.is_staff
        and run.requested_by_id == person.pk
        and run.state == Run.State.DONE
        and (run.query_id or run.segment_id) is not None
        and not any(run.options.get(name) for name in WISHES)
        and person.has_perm("similarity.add_verdict")
    )


def mark(run: Run, product: Product, is_right: bool | None, *, name: str, by: User) -> None:
    """Call a product a right or a wrong result of a search, in the set of that name; with None,
    take back what was said. Raises NotMarkable, and Django's ValidationError for an odd name.
    """
    if not is_markable(run, by):
        raise NotMarkable(_("Only results of your own searches by a picture alone can be marked."))
    key = _key(run)
    if is_right is None:
        told = Verdict.objects.filter(query__golden_set__name=name, query__key=key)
        told.filter(product=product).delete()
        return
    golden_set = named(name)
    query = GoldenQuery.objects.filter(golden_set=golden_set, key=key).first()
    if query is None:
        query = _added(golden_set, key, run)
    Verdict.objects.update_or_create(
        query=query,
        product=product,
        defaults={"is_right": is_right, "given_by": by, "given_at": timezone.now()},
    )


def named(name: str) -> GoldenSet:
    """The set of that name, made if it is new. Raises Django's ValidationError for an odd name."""
    known = GoldenSet.objects.filter(name=name).first()
    if known is None:
        GoldenSet(name=name).clean_fields()
        known, _ = GoldenSet.objects.get_or_create(name=name)
    return known


def move_queries(going: Segment, kept: Segment) -> None:
    """Let a set's query by one garment be one by another, with all that was said of its results.

    Where the set has that query too, what is said of both is put together. Raises NotMarkable if
    they contradict each other.
    """
    for query in GoldenQuery.objects.filter(segment=going):
        known = GoldenQuery.objects.filter(golden_set=query.golden_set, segment=kept).first()
        if known is None:
            query.segment, query.key = kept, key_of(kept)
            query.save(update_fields=["segment", "key"])
        else:
            _put_together(query, known)


def _put_together(going: GoldenQuery, kept: GoldenQuery) -> None:
    said = dict(kept.verdicts.values_list("product", "is_right"))
    for verdict in going.verdicts.select_related("product"):
        if said.setdefault(verdict.product_id, verdict.is_right) != verdict.is_right:
            raise NotMarkable(
                f"{verdict.product} is marked right for one of {going} and {kept} and wrong for "
                "the other. Settle the marks first."
            )
    going.verdicts.exclude(product__in=kept.verdicts.values("product")).update(query=kept)
    going.delete()


def verdicts(run: Run, name: str) -> dict[int, bool]:
    """What has been said of products as results of a search, by their keys."""
    told = Verdict.objects.filter(query__golden_set__name=name, query__key=_key(run))
    return dict(told.values_list("product", "is_right"))


def _key(run: Run) -> str:
    if run.query is None:
        return key_of(run.segment)
    return _hash("photo", run.query.sha256, run.options.get("box"))


def key_of(segment: Segment | None) -> str:
    """By what a query by a known garment is known again."""
    return _hash("segment", None if segment is None else segment.pk)


def _hash(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _added(golden_set: GoldenSet, key: str, run: Run) -> GoldenQuery:
    """The query of a search as one of the set's own, with a copy of its photo."""
    query = GoldenQuery(golden_set=golden_set, key=key, segment=run.segment)
    if run.query is not None:
        query.segment, query.box = None, run.options.get("box")
        with run.query.file.open("rb") as photo:
            return _saved(query, photo.read())
    return _saved(query, b"")


def _saved(query: GoldenQuery, jpeg: bytes) -> GoldenQuery:
    """The query, saved; or the one of its key that the set has already."""
    known = GoldenQuery.objects.filter(golden_set=query.golden_set, key=query.key).first()
    if known is not None:
        return known
    if jpeg:  # under a name of its own: what is deleted takes its file along, and no other's
        query.file.save(f"{uuid.uuid4()}.jpg", ContentFile(jpeg), save=False)
    saved, is_new = GoldenQuery.objects.get_or_create(
        golden_set=query.golden_set,
        key=query.key,
        defaults={"segment": query.segment, "file": query.file, "box": query.box},
    )
    if jpeg and not is_new:
        query.file.delete(save=False)
    return saved


# --- Measuring ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Figures:
    """How an embedder does by a golden set, as shoppers meet it: means over queries, 0 to 1.

    A result that nobody has marked counts as not right: `marked_at_10` says how many were.
    """

    queries: int
    """Those that have a right result: only they count."""
    recall_at_1: float
    """Queries whose first result is right."""
    recall_at_10: float
    """Queries with a right one among the first 10."""
    ndcg_at_10: float
    wrong_at_10: float
    """Part of the first 10 that was marked wrong."""
    marked_at_10: float
    """Part of the first 10 that was marked at all."""


def get(name: str) -> GoldenSet:
    """The set of that name. Raises NoSuchSet."""
    known = GoldenSet.objects.filter(name=name).first()
    if known is None:
        names = ", ".join(GoldenSet.objects.values_list("name", flat=True)) or "none"
        raise NoSuchSet(f"There is no golden set {name!r}. There is: {names}.")
    return known


def only_one() -> GoldenSet | None:
    """The set, if there is exactly one."""
    known = list(GoldenSet.objects.all()[:2])
    return known[0] if len(known) == 1 else None


def table(name: str, models: Sequence[str], figures: Sequence[Figures]) -> str:
    """The figures of several embedders side by side, for people, and what they mean."""
    rows = [
        [title, *(f"{getattr(of_one, field):.3f}" for of_one in figures)]
        for title, field in TITLES.items()
    ]
    return (
        f"{Table([f'golden set {name}', *models], rows).as_text()}\n\n"
        f"{figures[0].queries} queries with a right result. recall@k: part of them with a right "
        "one among the first k. What nobody has marked counts as not right: where few of an "
        "embedder's results are marked, mark more before you believe the difference.\n"
    )


TITLES = {
    "recall@1": "recall_at_1",
    "recall@10": "recall_at_10",
    "nDCG@10": "ndcg_at_10",
    "marked wrong, of the first 10": "wrong_at_10",
    "marked at all": "marked_at_10",
}


def measure(golden_set: GoldenSet, embedder: Embedder) -> Figures:
    """Search the catalogue with each query of a set, as far as the embedder has described it.

    Raises EngineError.
    """
    queries = golden_set.queries.filter(verdicts__is_right=True).distinct().order_by("pk")
    queries = queries.select_related("segment__image").prefetch_related("verdicts")
    rows = list(queries)
    scores = []
    for start in range(0, len(rows), BATCH):
        some = rows[start : start + BATCH]
        vectors = serving.backend_of(embedder).embed([_picture(query) for query in some])
        scores += [
            _scores(query, _found(embedder, query, vector))
            for query, vector in zip(some, vectors, strict=True)
        ]
    means = np.array(scores).reshape(len(scores), 5).mean(axis=0) if scores else np.zeros(5)
    return Figures(len(scores), *(float(mean) for mean in means))


def _picture(query: GoldenQuery) -> Image:
    """What it searches with."""
    if query.segment is not None:
        return images.crop(stored(query.segment.image.file), Box(*query.segment.box))
    photo = stored(query.file)
    return images.crop(photo, Box(*query.box)) if query.box else photo


def _found(embedder: Embedder, query: GoldenQuery, vector: Any) -> list[int | None]:
    """Keys of the products that it finds, best first; None for a picture that belongs to none."""
    own = [] if query.segment is None else [query.segment]
    found = indexing.nearest(embedder, vector, limit=NEAREST, leave_out=own)
    products = products_of(found)
    return [products.get(neighbour.segment_id) for neighbour in found]


def _scores(query: GoldenQuery, found: Sequence[int | None]) -> tuple[float, ...]:
    """A query's own figures, in the order of `Figures`."""
    told = {verdict.product_id: verdict.is_right for verdict in query.verdicts.all()}
    marks = [None if product is None else told.get(product) for product in found]
    hits = np.zeros(NEAREST, np.bool_)
    hits[: len(marks)] = [is_right is True for is_right in marks]
    missed = sum(told.values()) - int(hits.sum())
    ranking = np.concatenate([hits, np.ones(missed, np.bool_)])
    count = max(1, len(marks))
    return (
        float(hits[0]),
        float(hits.any()),
        retrieval.ndcg(ranking, NEAREST),
        marks.count(False) / count,
        (len(marks) - marks.count(None)) / count,
    )


# --- As a file ------------------------------------------------------------------------------


def export(golden_set: GoldenSet) -> Iterator[str]:
    """The set as JSON lines, a query with all that was said of its results in each."""
    queries = golden_set.queries.select_related("segment").order_by("pk")
    for query in queries.prefetch_related("verdicts__product", "verdicts__given_by"):
        results = [
            {
                "product": verdict.product.reference,
                "right": verdict.is_right,
                "by": "" if verdict.given_by is None else verdict.given_by.get_username(),
                "at": verdict.given_at.isoformat(),
            }
            for verdict in query.verdicts.all()
        ]
        yield json.dumps({**_source(query), "results": results}, ensure_ascii=False) + "\n"


def _source(query: GoldenQuery) -> dict[str, Any]:
    if query.segment is not None:
        return {"segment": query.segment.identifier}
    with query.file.open("rb") as photo:
        picture = base64.b64encode(photo.read()).decode()
    return {"key": query.key, "photo": picture, "box": query.box}


class BadLine(Exception):
    """A line that cannot be taken in, and why."""


def take(golden_set: GoldenSet, line: str) -> int:
    """Take a line of `export` in, over what was said before; gives the number of results.

    Raises BadLine, and takes nothing of the line then.
    """
    try:
        said = json.loads(line)
        results = [_result(result) for result in said["results"]]
        with transaction.atomic():
            query = _taken(golden_set, said)
            for product, is_right, by, at in results:
                Verdict.objects.update_or_create(
                    query=query,
                    product=product,
                    defaults={"is_right": is_right, "given_by": by, "given_at": at},
                )
    except (KeyError, TypeError, ValueError) as error:
        raise BadLine(f"It is not a line of a golden set: {error!r}") from error
    return len(results)


def _taken(golden_set: GoldenSet, said: Mapping[str, Any]) -> GoldenQuery:
    if "segment" in said:
        segment = Segment.objects.filter(identifier=said["segment"]).first()
        if segment is None:
            raise BadLine(f"There is no garment {said['segment']!r}.")
        key = key_of(segment)
        return _saved(GoldenQuery(golden_set=golden_set, key=key, segment=segment), b"")
    box = _box(said.get("box"))
    try:
        picture = take_in(base64.b64decode(said["photo"], validate=True))
    except (binascii.Error, BadImage) as error:
        raise BadLine(f"Its photo cannot be read: {error}") from error
    key = said.get("key") or _hash("photo", picture.sha256, box)
    if not re.fullmatch("[0-9a-f]{64}", str(key)):
        raise BadLine(f"{key!r} is no key of a query.")
    return _saved(GoldenQuery(golden_set=golden_set, key=key, box=box), picture.jpeg)


def _box(said: Any) -> list[float] | None:
    if said is None:
        return None
    box = [float(edge) for edge in said]
    if len(box) != 4 or not (box[0] < box[2] and box[1] < box[3]):  # noqa: PLR2004  (edges)
        raise BadLine(f"{said} is no box.")
    return box


def _result(said: Mapping[str, Any]) -> tuple[Product, bool, User | None, dt.datetime]:
    product = Product.objects.filter(reference=said["product"]).first()
    if product is None:
        raise BadLine(f"There is no product {said['product']!r}.")
    if not isinstance(said["right"], bool):
        raise BadLine(f"{said['right']!r} is neither true nor false.")
    at = parse_datetime(said["at"])
    if at is None or at.tzinfo is None:
        raise BadLine(f"{said['at']!r} is no moment.")
    by = User.objects.filter(username=said.get("by") or None).first()
    return product, said["right"], by, at
