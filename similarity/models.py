"""What is known of pictures' likeness: vectors, index builds, and the runs that make them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Count, Exists, F, Max, Q
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import pgettext_lazy

from catalog.models import Category, OriginalImage, Product, Segment, valid_identifier
from similarity.fields import SumField, VectorField


class Embedder(models.Model):
    """A way of describing garments: an algorithm with its weights. Vectors of two never mix."""

    name = models.CharField(max_length=100)
    fingerprint = models.CharField(max_length=64, help_text="Hash of its weights.")
    dim = models.PositiveIntegerField(help_text="Length of its vectors.")
    is_kept = models.BooleanField(
        "kept filled", default=False, help_text="New garments are described by it, too."
    )
    is_filled = models.BooleanField(
        "filled", default=False, help_text="It has described the whole catalogue."
    )
    prototypes_upto = models.PositiveBigIntegerField(
        default=0, help_text="The highest embedding that its categories' prototypes know of."
    )
    prototypes_version = models.PositiveIntegerField(
        default=0, help_text="How often they have been written."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "fingerprint"], name="embedder_unique"),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def key(self) -> str:
        """A short name that differs when the weights do; safe as a folder's name."""
        return f"{self.name.rpartition(':')[2]}-{self.fingerprint[:12]}"


class Switch(models.Model):
    """Searches went over from one embedder to another. The latest tells which one serves.

    One row more is the whole of a switch: every process reads the latest before it searches.
    """

    embedder = models.ForeignKey(
        Embedder, on_delete=models.PROTECT, related_name="switches", help_text="Serves since then."
    )
    before = models.ForeignKey(
        Embedder, on_delete=models.PROTECT, related_name="+", help_text="Served until then."
    )
    comparison = models.JSONField(
        default=dict, blank=True, help_text="How both compared when it was decided."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "switches"

    def __str__(self) -> str:
        return f"from {self.before} to {self.embedder}"


class Embedding(models.Model):
    """The vector of one garment. Never changed: a garment described anew gets a new row.

    So an index's entry whose row has gone is out of date, and rows above the highest that an
    index holds are all that it lacks (see `pipeline`, which gives ids in the order of commits).
    """

    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="embeddings")
    embedder = models.ForeignKey(Embedder, on_delete=models.CASCADE, related_name="embeddings")
    vector = VectorField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["segment", "embedder"], name="embedding_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.segment_id} by {self.embedder_id}"


class Prototype(models.Model):
    """What the garments of a category look like on average. Written by `prototypes` alone."""

    embedder = models.ForeignKey(Embedder, on_delete=models.CASCADE, related_name="prototypes")
    category = models.ForeignKey(Category, on_delete=models.CASCADE, related_name="prototypes")
    total = SumField(help_text="Sum of its garments' vectors.")
    count = models.PositiveIntegerField(help_text="Garments of the category.")
    remade = models.PositiveIntegerField(
        help_text="In which version it was made anew; since then garments have only come."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["embedder", "category"], name="prototype_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.category_id} by {self.embedder_id}"


class StaleCategory(models.Model):
    """A category that has lost garments, or gained some that were described before.

    A line of a list: whoever changes the catalogue adds one, and waits for nobody.
    """

    category = models.ForeignKey(Category, on_delete=models.CASCADE, related_name="+")

    def __str__(self) -> str:
        return str(self.category_id)


class QueryQuerySet(models.QuerySet["Query"]):
    def visible_to(self, user: Any) -> QueryQuerySet:
        """Those that a person may search with again: their own, and a stranger's by its id."""
        live = self.filter(expires_at__gt=timezone.now())
        return live.filter(Q(owner=None) | Q(owner=user.pk))


class Query(models.Model):
    """A photo that somebody searched with. It expires."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    file = models.FileField(upload_to="queries/", max_length=200)
    sha256 = models.CharField("SHA-256", max_length=64)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="queries",
    )
    detections = models.JSONField(
        null=True, blank=True, help_text="Garments found: box, label, score. Null until looked."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(db_index=True)

    objects = QueryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "queries"

    def __str__(self) -> str:
        return str(self.id)

    def being_looked_at(self) -> Run | None:
        """The run that looks for its garments; without one, `detections` are as they are now."""
        if self.detections is not None:
            return None
        if run := self.runs.under_way(Run.Kind.DETECT).first():
            return run
        self.refresh_from_db(fields=["detections"])  # they may have come since it was read
        return None


class RunQuerySet(models.QuerySet["Run"]):
    """The arrows between a run's states. Each is one conditional UPDATE: who gets it, has it."""

    def claim(
        self, pks: Iterable[uuid.UUID], worker: str, *, unless_paused: bool = False
    ) -> list[Run]:
        """Take pending runs to work on; those that are not, or no longer, to be had are left out.

        `worker` is a name that nobody has used before: it tells this claim from any other.
        With `unless_paused`, what can wait is not to be had while the queue is paused.
        """
        now = timezone.now()
        pending = self.filter(pk__in=list(pks), state=Run.State.PENDING)
        if unless_paused:
            pending = pending.may_go_on()
        pending.update(
            state=Run.State.RUNNING,
            worker=worker,
            attempts=F("attempts") + 1,
            started_at=now,
            heartbeat=now,
        )
        claimed = self.filter(worker=worker, pk__in=list(pks))
        return list(
            claimed.select_related("image", "query", "segment__image", "embedder", "product")
        )

    def may_go_on(self) -> RunQuerySet:
        """Runs that a pause of the queue does not hold up: all while there is none."""
        return self.filter(Q(kind__in=Run.AWAITED) | ~Exists(Pause.objects.filter(ended_at=None)))

    def mine(self, *runs: Run) -> RunQuerySet:
        """The runs, of one claim, that are still being worked on by whoever claimed them."""
        return self.filter(
            pk__in=[run.pk for run in runs],
            state=Run.State.RUNNING,
            worker__in={run.worker for run in runs},
        )

    def report(self, runs: Sequence[Run], step: str, progress: float) -> list[Run]:
        """Say how far running runs of one claim are.

        Gives those that may go on: the others were cancelled or taken away.
        """
        return self._advance(runs, step=step, progress=progress, heartbeat=timezone.now())

    def beat(self, *runs: Run) -> None:
        """Let it be known that running runs of one claim are still being worked on."""
        self.mine(*runs).update(heartbeat=timezone.now())

    def finish(self, runs: Sequence[Run]) -> list[Run]:
        """RUNNING → DONE, for those that may; the others must stop."""
        return self._advance(
            runs, state=Run.State.DONE, step="", progress=1.0, finished_at=timezone.now()
        )

    def _advance(self, runs: Sequence[Run], **changes: Any) -> list[Run]:
        advanced = self.mine(*runs).filter(cancel_requested=False).update(**changes)
        if advanced == len(runs):
            return list(runs)
        changes.pop("heartbeat", None)  # another beat may have come since
        changed = self.filter(
            pk__in=[run.pk for run in runs],
            worker__in={run.worker for run in runs},
            cancel_requested=False,
            **changes,
        )
        kept = set(changed.values_list("pk", flat=True))
        return [run for run in runs if run.pk in kept]

    def fail(self, run: Run, code: str, message: str) -> bool:
        """RUNNING → FAILED, with a code for programs and a sentence for people."""
        return bool(
            self.mine(run).update(
                state=Run.State.FAILED,
                error_code=code[:50],
                error_message=message[:300],
                finished_at=timezone.now(),
            )
        )

    def stop(self, run: Run) -> bool:
        """RUNNING → CANCELLED, once its partial writes are undone."""
        return bool(
            self.mine(run)
            .filter(cancel_requested=True)
            .update(state=Run.State.CANCELLED, finished_at=timezone.now())
        )

    def cancel(self, pk: uuid.UUID) -> bool:
        """PENDING → CANCELLED at once; a running one is asked to stop. False if it has ended."""
        now = timezone.now()
        return bool(
            self.filter(pk=pk, state=Run.State.PENDING).update(
                state=Run.State.CANCELLED, finished_at=now
            )
            or self.filter(pk=pk, state=Run.State.RUNNING).update(cancel_requested=True)
        )

    def reset(self, pk: uuid.UUID) -> bool:
        """FAILED or CANCELLED → PENDING, with its attempts counted from the start."""
        return bool(
            self.filter(pk=pk, state__in=[Run.State.FAILED, Run.State.CANCELLED]).update(
                state=Run.State.PENDING, attempts=0, queued_at=timezone.now(), **Run.FRESH
            )
        )

    def under_way(self, kind: str) -> RunQuerySet:
        """Runs of that kind that wait or run."""
        return self.filter(kind=kind, state__in=[Run.State.PENDING, Run.State.RUNNING])

    def give_back(self, run: Run) -> bool:
        """RUNNING → PENDING, for a run whose worker has gone and which nobody has cancelled."""
        return bool(
            self.mine(run)
            .filter(heartbeat=run.heartbeat, cancel_requested=False)
            .update(state=Run.State.PENDING, queued_at=timezone.now(), **Run.FRESH)
        )

    def give_way(self, run: Run) -> bool:
        """RUNNING → PENDING, for one that goes on where it is, behind whatever else waits."""
        return bool(
            self.mine(run)
            .filter(cancel_requested=False)
            .update(
                state=Run.State.PENDING,
                worker="",
                heartbeat=None,
                attempts=0,
                queued_at=timezone.now(),
            )
        )

    def lost(self, lease: dt.timedelta) -> RunQuerySet:
        """Running runs that have not reported within the lease."""
        return self.filter(state=Run.State.RUNNING, heartbeat__lt=timezone.now() - lease)

    def waiting(self, since: dt.timedelta) -> RunQuerySet:
        """Pending runs that nobody has claimed for so long."""
        return self.filter(state=Run.State.PENDING, queued_at__lt=timezone.now() - since)

    def history(self, user: Any) -> RunQuerySet:
        """A person's searches, newest first, with the number `found` and the `best` likeness.

        A program's are its history as long as they are kept.
        """
        kept = Q(expires_at=None)
        kept |= Q(expires_at__gt=timezone.now(), requested_by__api_key__isnull=False)
        runs = self.filter(kept, kind=Run.Kind.SEARCH, requested_by=user.pk)
        runs = runs.annotate(found=Count("hits"), best=Max("hits__similarity"))
        return runs.order_by("-created_at", "-pk")  # Django drops Meta.ordering when it groups

    def visible_to(self, user: Any) -> RunQuerySet:
        """Those that a person may know of: their own; a stranger's for whoever has the id."""
        mine = Q(requested_by=None)
        if user.is_authenticated:
            mine |= Q(requested_by=user)
        return self.filter(mine).exclude(expires_at__lt=timezone.now())


class Run(models.Model):
    """One piece of work, from its asking to its end. The row is the truth, the queue a hint.

    PENDING → RUNNING → DONE | FAILED | CANCELLED
       ↓ ↑       ↓
       ↓ └───────┘ its worker has gone (up to RUN_MAX_ATTEMPTS), or it gives way to others
    CANCELLED        FAILED | CANCELLED → PENDING: run again
    """

    class Kind(models.TextChoices):
        UPLOAD = "upload", "Upload"
        SEARCH = "search", "Search"
        DETECT = "detect", "Detection in a query"
        REBUILD = "rebuild", "Index rebuild"
        FILL = "fill", "Description by another embedder"
        SORT = "sort", "Comparison with categories"
        BOXES = "boxes", "Description of drawn garments"

    class State(models.TextChoices):
        PENDING = "pending", pgettext_lazy("run", "Pending")
        RUNNING = "running", pgettext_lazy("run", "Running")
        DONE = "done", pgettext_lazy("run", "Done")
        FAILED = "failed", pgettext_lazy("run", "Failed")
        CANCELLED = "cancelled", pgettext_lazy("run", "Cancelled")

    AWAITED: ClassVar[tuple[str, ...]] = ("search", "detect")
    """Kinds that somebody waits for at a page: no pause holds them up."""

    FRESH: ClassVar[dict[str, Any]] = {
        "worker": "",
        "step": "",
        "progress": 0.0,
        "cancel_requested": False,
        "error_code": "",
        "error_message": "",
        "started_at": None,
        "finished_at": None,
        "heartbeat": None,
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    step = models.CharField(max_length=30, blank=True, help_text="What it is doing now.")
    progress = models.FloatField(default=0.0, help_text="0 to 1.")
    attempts = models.PositiveSmallIntegerField(default=0)
    worker = models.CharField(max_length=100, blank=True, help_text="Who claimed it.")
    heartbeat = models.DateTimeField(null=True, blank=True, help_text="When it last reported.")
    cancel_requested = models.BooleanField(default=False)
    error_code = models.CharField(max_length=50, blank=True)
    error_message = models.CharField(max_length=300, blank=True)
    options = models.JSONField(default=dict, blank=True, help_text="As asked; never changed.")
    categories = models.JSONField(
        null=True,
        blank=True,
        help_text="Slug and similarity of the nearest categories, where they were compared with.",
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="runs",
    )
    image = models.ForeignKey(
        OriginalImage, null=True, blank=True, on_delete=models.SET_NULL, related_name="runs"
    )
    product = models.ForeignKey(
        Product,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="runs",
        help_text="Whose picture it is to fetch.",
    )
    query = models.ForeignKey(
        Query, null=True, blank=True, on_delete=models.CASCADE, related_name="runs"
    )
    segment = models.ForeignKey(
        Segment, null=True, blank=True, on_delete=models.SET_NULL, related_name="searches"
    )
    embedder = models.ForeignKey(
        Embedder,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="runs",
        help_text="That has answered a search, or that the run works for.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    queued_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(
        null=True,
        blank=True,
        db_index=True,
        help_text="When a search is forgotten that is not to be in anybody's history.",
    )

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [
            models.Index(fields=["state", "queued_at"]),
            models.Index(fields=["requested_by", "kind", "-created_at"]),
            models.Index(fields=["kind", "-created_at"]),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(progress__gte=0, progress__lte=1), name="run_progress_0_to_1"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {str(self.pk)[:8]} ({self.state})"

    def is_lost(self, lease: dt.timedelta) -> bool:
        """Whether it runs, and has not reported within the lease."""
        if self.state != Run.State.RUNNING or self.heartbeat is None:
            return False
        return self.heartbeat < timezone.now() - lease

    @property
    def has_ended(self) -> bool:
        return self.state not in {Run.State.PENDING, Run.State.RUNNING}

    @property
    def is_stopping(self) -> bool:
        """Whether it has been asked to stop, and has not yet."""
        return self.state == Run.State.RUNNING and self.cancel_requested

    @cached_property
    def ranking(self) -> list[tuple[int, float | None, tuple[str, ...], bool]]:
        """Segment's key, similarity, matched words and whether it is pinned, of a done search's
        hits, best first."""
        hits = self.hits.order_by("rank")
        rows = hits.values_list("segment_id", "similarity", "matched", "pinned")
        return [(segment, score, tuple(words), pinned) for segment, score, words, pinned in rows]


class Hit(models.Model):
    """One result of a search."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="hits")
    rank = models.PositiveSmallIntegerField(help_text="0 is the most similar.")
    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="hits")
    similarity = models.FloatField(
        null=True, blank=True, help_text="Cosine, -1 to 1; null for what words alone have found."
    )
    matched = models.JSONField(
        default=list, blank=True, help_text="Words asked for that the product's fields have."
    )
    pinned = models.BooleanField(default=False, help_text="A rule had put it first.")

    class Meta:
        ordering = ["run", "rank"]
        constraints = [models.UniqueConstraint(fields=["run", "rank"], name="hit_rank_in_run")]

    def __str__(self) -> str:
        return f"{self.rank}: {self.segment_id}"


class SearchDay(models.Model):
    """How many searches there were on a day, and how many found nothing good.

    Runs are no record of that: they go with their photos, and with whoever deletes their history.
    """

    day = models.DateField(unique=True)
    searches = models.PositiveIntegerField(default=0)
    poor = models.PositiveIntegerField(
        default=0, help_text="Those whose best result was below GOOD_SIMILARITY."
    )

    class Meta:
        ordering = ["-day"]

    def __str__(self) -> str:
        return str(self.day)

    @classmethod
    def note(cls, day: dt.date, *, is_poor: bool) -> None:
        """Count one search more."""
        counted = {"searches": F("searches") + 1, "poor": F("poor") + int(is_poor)}
        if not cls.objects.filter(day=day).update(**counted):
            cls.objects.get_or_create(day=day)  # whoever is first that day
            cls.objects.filter(day=day).update(**counted)


class Pause(models.Model):
    """Somebody has paused the queue. Until it ends, workers claim only what people wait for."""

    started_at = models.DateTimeField(default=timezone.now)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    ended_at = models.DateTimeField(null=True, blank=True, db_index=True)
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"since {self.started_at:%Y-%m-%d %H:%M}"


class IndexBuild(models.Model):
    """One build of the index, in a folder of its own. Which one serves is on disk (`indexing`)."""

    class State(models.TextChoices):
        BUILDING = "building", "Building"
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"
        REMOVED = "removed", "Removed"

    embedder = models.ForeignKey(Embedder, on_delete=models.CASCADE, related_name="builds")
    run = models.ForeignKey(
        Run, null=True, blank=True, on_delete=models.SET_NULL, related_name="builds"
    )
    state = models.CharField(max_length=10, choices=State, default=State.BUILDING)
    name = models.CharField(max_length=100, blank=True, help_text="Of its folder.")
    engine = models.CharField(max_length=100)
    parameters = models.JSONField(default=dict, blank=True)
    count = models.PositiveIntegerField(default=0, help_text="Vectors in it.")
    size = models.PositiveBigIntegerField(default=0, help_text="Of its files, in bytes.")
    seconds = models.FloatField(default=0.0, help_text="That building took.")
    recall = models.FloatField(
        null=True,
        blank=True,
        help_text="Part of the 10 nearest that a search finds, as measured; null if it was not.",
    )
    search_ms = models.FloatField(
        "search time", null=True, blank=True, help_text="Median, in milliseconds, as measured."
    )
    problem = models.CharField(max_length=300, blank=True, help_text="Why it failed.")
    checked_at = models.DateTimeField(
        null=True, blank=True, help_text="When index_check last compared it with the database."
    )
    finding = models.CharField(max_length=300, blank=True, help_text="What that has found.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [models.Index(fields=["embedder", "state", "-created_at"])]
        permissions = [("rebuild_index", "Can rebuild the index and roll it back")]

    def __str__(self) -> str:
        return self.name or f"build {self.pk}"


class RuleQuerySet(models.QuerySet["Rule"]):
    def active(self) -> RuleQuerySet:
        """Those in force now."""
        now = timezone.now()
        begun = Q(starts_at=None) | Q(starts_at__lte=now)
        return self.filter(begun, Q(ends_at=None) | Q(ends_at__gt=now))


class Rule(models.Model):
    """What a merchandiser says of a product among results, beside its likeness (see `rules`)."""

    class Action(models.TextChoices):
        PIN = "pin", "Pin: comes first"
        BOOST = "boost", "Boost: comes sooner"
        BURY = "bury", "Bury: comes later"
        BLOCK = "block", "Block: never comes"

    action = models.CharField(max_length=10, choices=Action)
    product = models.ForeignKey(
        Product, on_delete=models.CASCADE, related_name="rules", help_text="That is among results."
    )
    category = models.ForeignKey(
        Category,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="rules",
        help_text="In searches that ask for it, or are by a product of it.",
    )
    query_product = models.ForeignKey(
        Product,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="rules_as_query",
        help_text="In searches by this product, and on its page.",
    )
    position = models.PositiveSmallIntegerField(
        default=1, help_text="Order among what is pinned: 1 comes first."
    )
    starts_at = models.DateTimeField(
        null=True, blank=True, help_text="If it is not to hold from the start."
    )
    ends_at = models.DateTimeField(
        null=True, blank=True, help_text="If it is to hold no longer then."
    )
    note = models.CharField(max_length=200, blank=True, help_text="Why, for the others.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = RuleQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [models.Index(fields=["ends_at"])]
        constraints = [
            models.CheckConstraint(
                condition=Q(category=None) | Q(query_product=None),
                name="rule_for_one_thing",
                violation_error_message="Choose a category or a product, not both.",
            ),
            models.CheckConstraint(
                condition=Q(starts_at=None)
                | Q(ends_at=None)
                | Q(ends_at__gt=models.F("starts_at")),
                name="rule_ends_after_it_starts",
                violation_error_message="It has to end after it starts.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_action_display().partition(':')[0]} {self.product}"

    @property
    def is_active(self) -> bool:
        """Whether it is in force now."""
        now = timezone.now()
        return (self.starts_at is None or self.starts_at <= now) and not self.is_over

    @property
    def is_over(self) -> bool:
        return self.ends_at is not None and self.ends_at <= timezone.now()


class GoldenSet(models.Model):
    """Queries with results that people have called right or wrong: embedders are measured by it."""

    name = models.CharField(max_length=100, unique=True, validators=[valid_identifier])
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class GoldenQuery(models.Model):
    """What a golden set searches with: a garment of the catalogue, or a photo or a part of one.

    A photo is a copy of the set's own, since queries expire.
    """

    golden_set = models.ForeignKey(GoldenSet, on_delete=models.CASCADE, related_name="queries")
    key = models.CharField(max_length=64, help_text="Hash of what it searches with.")
    segment = models.ForeignKey(
        Segment, null=True, blank=True, on_delete=models.CASCADE, related_name="golden_queries"
    )
    file = models.FileField("photo", upload_to="golden/", max_length=200, blank=True)
    box = models.JSONField(
        null=True, blank=True, help_text="Part of the photo, in its pixels; null for all of it."
    )

    class Meta:
        verbose_name_plural = "golden queries"
        constraints = [
            models.UniqueConstraint(fields=["golden_set", "key"], name="golden_query_unique"),
        ]

    def __str__(self) -> str:
        return f"photo {self.key[:8]}" if self.segment is None else self.segment.identifier


class Verdict(models.Model):
    """What somebody has said of one product as a result of one query."""

    query = models.ForeignKey(GoldenQuery, on_delete=models.CASCADE, related_name="verdicts")
    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="verdicts")
    is_right = models.BooleanField("right", help_text="Whether it is a good result.")
    given_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    given_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["query", "product"], name="verdict_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.product_id} is {'right' if self.is_right else 'wrong'} for {self.query_id}"
