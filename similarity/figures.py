"""The shop in figures, for whoever looks after it.

Some of them take a look at all rows. Those are remembered for a while (`remembering`), so that a
page that is open all day costs no more than one look a minute.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Min
from django.utils import timezone

from catalog.models import OriginalImage, Product, Segment
from similarity import indexing, serving
from similarity.engine.errors import EngineError
from similarity.indexing import IndexStatus
from similarity.models import Hit, IndexBuild, Pause, Run, SearchDay
from similarity.remembering import MINUTE, remembered

FIVE_MINUTES = 300

DAYS = 30

RECENT = dt.timedelta(minutes=10)
"""The queue's pace is that of so long."""


@dataclass(frozen=True, slots=True)
class Size:
    """What the catalogue holds."""

    products: int
    images: int
    segments: int


def catalogue_size() -> Size:
    return remembered(
        "figures-size",
        MINUTE,
        lambda: Size(
            Product.objects.order_by().count(),
            OriginalImage.objects.order_by().count(),
            Segment.objects.order_by().count(),
        ),
    )


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures that cannot be found yet."""

    waiting: int
    failed: int
    latest: list[OriginalImage]
    """The latest that failed, with their products."""


def undescribed(most: int = 5) -> Pictures:
    """Pictures that wait or have failed: few, and found by an index on their state."""
    rows = OriginalImage.objects.order_by()
    failed = OriginalImage.objects.filter(status=OriginalImage.Status.FAILED)
    return Pictures(
        waiting=rows.filter(status=OriginalImage.Status.PENDING).count(),
        failed=failed.order_by().count(),
        latest=list(failed.select_related("product")[:most]),
    )


@dataclass(frozen=True, slots=True)
class Freshness:
    """How the index stands that answers searches, and what its last build measured."""

    status: IndexStatus | None
    problem: str
    build: IndexBuild | None

    @property
    def share(self) -> float:
        """The part of all vectors that is in the build, 0 to 1."""
        if self.status is None:
            return 0.0
        return self.status.indexed / max(1, self.status.indexed + self.status.newer)


def freshness() -> Freshness:
    try:
        embedder = serving.serving_embedder()
        status = remembered("figures-index", MINUTE // 4, lambda: indexing.status(embedder))
    except EngineError as error:
        return Freshness(None, str(error), None)
    builds = IndexBuild.objects.filter(embedder=embedder, name=status.serving or "-")
    return Freshness(status, status.problem or "", builds.first())


@dataclass(frozen=True, slots=True)
class Day:
    """The searches of one day."""

    day: dt.date
    searches: int
    poor: int


def searches_by_day() -> list[Day]:
    """The last DAYS days, oldest first; those without a search as well."""
    today = timezone.localdate()
    known = SearchDay.objects.filter(day__gt=today - dt.timedelta(days=DAYS)).in_bulk(
        field_name="day"
    )
    days = (today - dt.timedelta(days=back) for back in range(DAYS - 1, -1, -1))
    return [
        Day(day, known[day].searches, known[day].poor) if day in known else Day(day, 0, 0)
        for day in days
    ]


@dataclass(frozen=True, slots=True)
class LookedUp:
    """A garment that many searches came upon first."""

    segment: Segment
    searches: int


def most_looked_up(most: int = 8) -> list[LookedUp]:
    """Garments that were the best answer to most searches that are still kept."""
    since = timezone.now() - dt.timedelta(days=DAYS)

    def look() -> list[tuple[int, int]]:
        first = Hit.objects.filter(
            rank=0, run__kind=Run.Kind.SEARCH, run__created_at__gte=since
        ).order_by()
        return list(
            first.values_list("segment")
            .annotate(number=Count("pk"))
            .order_by("-number", "segment")[: 5 * most]
        )

    counted = remembered("figures-looked-up", FIVE_MINUTES, look)
    segments = Segment.objects.select_related("image__product").in_bulk([pk for pk, _ in counted])
    shown: dict[tuple[str, int], LookedUp] = {}
    for pk, number in counted:
        if (segment := segments.get(pk)) is None:
            continue
        product = segment.image.product_id
        entry = indexing.entry_of(segment.image_id, product)
        before = shown.get(entry, LookedUp(segment, 0))
        shown[entry] = LookedUp(before.segment, before.searches + number)
    return sorted(shown.values(), key=lambda one: -one.searches)[:most]


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits for a worker, and how fast it goes."""

    waiting: int
    running: int
    failed: int
    oldest: dt.datetime | None
    """Since when the first of them waits."""
    per_minute: float
    """Runs that have ended, in the last minutes."""
    pause: Pause | None

    @property
    def ready_at(self) -> dt.datetime | None:
        """When nothing waits any more, at this pace; None if nothing waits, or moves."""
        if not self.waiting or not self.per_minute:
            return None
        return timezone.now() + dt.timedelta(minutes=self.waiting / self.per_minute)


def queue() -> Queue:
    """How the queue stands now: by the index on state, so for as many rows as wait."""
    states: dict[str, Any] = {
        row["state"]: row
        for row in Run.objects.filter(
            state__in=[Run.State.PENDING, Run.State.RUNNING, Run.State.FAILED]
        )
        .order_by()
        .values("state")
        .annotate(number=Count("pk"), oldest=Min("queued_at"))
    }
    waiting = states.get(Run.State.PENDING, {})
    return Queue(
        waiting=waiting.get("number", 0),
        running=states.get(Run.State.RUNNING, {}).get("number", 0),
        failed=states.get(Run.State.FAILED, {}).get("number", 0),
        oldest=waiting.get("oldest"),
        per_minute=remembered("figures-pace", MINUTE // 6, _pace),
        pause=Pause.objects.filter(ended_at=None).select_related("started_by").first(),
    )


def _pace() -> float:
    """Runs of workers that ended in the last minutes; answers given at once are none."""
    since = timezone.now() - RECENT
    ended = Run.objects.filter(
        created_at__gte=since - dt.timedelta(days=1), finished_at__gte=since, attempts__gt=0
    )
    return ended.order_by().count() / (RECENT.total_seconds() / MINUTE)


def time_left(run: Run) -> dt.timedelta | None:
    """How long a running run takes still, if it goes on as it has begun."""
    if run.state != Run.State.RUNNING or run.started_at is None or not run.progress:
        return None
    elapsed = timezone.now() - run.started_at
    return elapsed * (1 - run.progress) / run.progress
