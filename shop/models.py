"""What a shop's server has asked for, and what it is told of it: imports, webhooks, deliveries."""

from __future__ import annotations

import base64
import datetime as dt
import secrets
import uuid
from typing import Any

from django.conf import settings
from django.core.validators import URLValidator
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from catalog.models import Product
from shop.fields import EncryptedField
from similarity.models import Run


class ImportQuerySet(models.QuerySet["Import"]):
    def ready(self) -> ImportQuerySet:
        """Those that are not finished, though none of their runs is under way."""
        working = ImportedPicture.objects.filter(
            of=OuterRef("pk"), run__state__in=[Run.State.PENDING, Run.State.RUNNING]
        )
        return self.filter(~Exists(working), finished_at=None)

    def finish(self, pk: uuid.UUID) -> bool:
        """Whoever it succeeds for has finished it, and is to tell so."""
        return bool(self.filter(pk=pk, finished_at=None).update(finished_at=timezone.now()))


class Import(models.Model):
    """Products that a shop's server has put at a time, and the pictures that come with them."""

    class Kind(models.TextChoices):
        PRODUCT = "product", "One product"
        BATCH = "batch", "Batch"
        FOLDER = "folder", "Folder, by a command"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="imports",
    )
    created = models.PositiveIntegerField(default=0, help_text="Products that were new.")
    updated = models.PositiveIntegerField(default=0, help_text="Products that were known.")
    rejected = models.PositiveIntegerField(default=0, help_text="Products that were not taken.")
    done = models.PositiveIntegerField(default=0, help_text="Pictures that a command took in.")
    failed = models.PositiveIntegerField(default=0, help_text="Pictures that it could not.")
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    finished_at = models.DateTimeField(null=True, help_text="When the last picture was done with.")

    objects = ImportQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [models.Index(fields=["finished_at"])]

    def __str__(self) -> str:
        return f"{self.kind} {str(self.pk)[:8]}"


class ImportedPicture(models.Model):
    """A picture on its way into the catalogue with an import."""

    of = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="pictures")
    reference = models.CharField(max_length=100, help_text="Its product's.")
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="imported")

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["of", "run"], name="imported_picture_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.reference}: {self.run_id}"


class Event(models.TextChoices):
    """What a webhook can be told of."""

    IMPORT_FINISHED = "import.finished", "Import finished, all of it well"
    IMPORT_FAILED = "import.failed", "Import finished, some of it failed"
    TEST = "webhook.test", "Test, when somebody asks for it"


CLEAR = "whsec_"
"""What a secret begins with, as Standard Webhooks has it."""


def new_secret() -> str:
    """A secret of 256 random bits."""
    return CLEAR + base64.b64encode(secrets.token_bytes(32)).decode()


def all_events() -> list[str]:
    return [Event.IMPORT_FINISHED.value, Event.IMPORT_FAILED.value]


class Webhook(models.Model):
    """An address of the shop's that is told of events, each message being signed."""

    name = models.CharField(max_length=100, help_text="Whose it is: Web shop, stock system...")
    url = models.CharField(
        "URL", max_length=500, validators=[URLValidator(schemes=["https", "http"])]
    )
    secret = EncryptedField(max_length=255, clear=CLEAR, default=new_secret, editable=False)
    events = models.JSONField(default=all_events)
    is_active = models.BooleanField("active", default=True)
    unreachable_since = models.DateTimeField(
        null=True, editable=False, help_text="When an attempt first met nobody; then all did."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """The arrows between a delivery's states, each one conditional UPDATE."""

    def due(self) -> DeliveryQuerySet:
        return self.filter(state=Delivery.State.PENDING, due_at__lte=timezone.now())

    def claim(self, pk: int, lease: dt.timedelta) -> Delivery | None:
        """Take a delivery that is due, for one attempt; if its worker dies it is due again."""
        now = timezone.now()
        taken = (
            self.due()
            .filter(pk=pk)
            .update(attempts=F("attempts") + 1, queued_at=None, taken_at=now, due_at=now + lease)
        )
        return self.select_related("webhook").get(pk=pk) if taken else None

    def under_way(self, lease: dt.timedelta) -> DeliveryQuerySet:
        """Those that a worker is at."""
        return self.filter(state=Delivery.State.PENDING, taken_at__gt=timezone.now() - lease)

    def attempted(self, delivery: Delivery) -> DeliveryQuerySet:
        """The delivery, if this attempt is still the latest."""
        return self.filter(pk=delivery.pk, state=Delivery.State.PENDING, attempts=delivery.attempts)


class Delivery(models.Model):
    """A message to a webhook, and how its sending went.

    PENDING → DELIVERED | FAILED;  either → PENDING when somebody has it sent again
    """

    class State(models.TextChoices):
        PENDING = "pending", "Waiting"
        DELIVERED = "delivered", "Delivered"
        FAILED = "failed", "Given up"

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    message = models.CharField(max_length=60, help_text="Its id, the same at each attempt.")
    event = models.CharField(max_length=30, choices=Event)
    body = models.TextField(help_text="JSON, byte for byte as it is sent and signed.")
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(default=timezone.now, help_text="Of the next attempt.")
    queued_at = models.DateTimeField(
        null=True, help_text="When it was put into the queue for the next attempt."
    )
    taken_at = models.DateTimeField(
        null=True, help_text="When the attempt began that a worker is at."
    )
    status = models.PositiveSmallIntegerField(null=True, help_text="Of the last answer.")
    problem = models.CharField(max_length=300, blank=True, help_text="Of the last attempt.")
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    finished_at = models.DateTimeField(null=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name_plural = "deliveries"
        indexes = [models.Index(fields=["state", "due_at"])]
        constraints = [
            models.CheckConstraint(
                condition=Q(status=None) | Q(status__gte=100, status__lte=999),
                name="delivery_status_is_http",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.webhook}"


class ShopperEvent(models.Model):
    """Something that a shopper has done with a product, or been shown of it."""

    class Kind(models.TextChoices):
        IMPRESSION = "impression", "Impression"
        VIEW = "view", "View"
        CLICK = "click", "Click"
        ADD_TO_CART = "add_to_cart", "Add to cart"
        PURCHASE = "purchase", "Purchase"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=12, choices=Kind)
    product = models.ForeignKey(
        Product, null=True, on_delete=models.SET_NULL, related_name="events"
    )
    search = models.ForeignKey(
        Run,
        null=True,
        on_delete=models.SET_NULL,
        related_name="events",
        help_text="Among whose results the product stood.",
    )
    beside = models.ForeignKey(
        Product,
        null=True,
        on_delete=models.SET_NULL,
        related_name="events_beside",
        help_text="The one that was searched with, where no search is kept: on a product's page.",
    )
    answer = models.UUIDField(
        null=True, help_text="Of the answer that had the product, where no search is kept."
    )
    position = models.PositiveSmallIntegerField(
        null=True, help_text="Among results; 0 is the first."
    )
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.CASCADE,
        related_name="events",
        help_text="If they had signed in, and keep their history.",
    )
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-at", "-pk"]
        # All that a report reads of a period, in its order: the table itself is left alone.
        indexes = [models.Index(fields=["at", "kind", "product", "position"])]

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%Y-%m-%d %H:%M}"


class ImportJobQuerySet(models.QuerySet["ImportJob"]):
    """The arrows between a job's states, each one conditional UPDATE."""

    def waiting(self) -> ImportJobQuerySet:
        """Those with something to do that nobody is at, or whose worker has gone."""
        return self.filter(state__in=ImportJob.AT_WORK, due_at__lte=timezone.now())

    def claimed(self) -> ImportJobQuerySet:
        """Those that a worker is at."""
        return self.filter(
            state__in=ImportJob.AT_WORK, due_at__gt=timezone.now(), worker__isnull=False
        )

    def claim(self, pk: uuid.UUID, lease: dt.timedelta) -> ImportJob | None:
        """Take a job for a while; none if it is not to be had."""
        worker, until = uuid.uuid4(), timezone.now() + lease
        taken = self.waiting().filter(pk=pk)
        taken.update(worker=worker, due_at=until, attempts=F("attempts") + 1)
        return self.filter(pk=pk, worker=worker).select_related("requested_by").first()

    def mine(self, job: ImportJob) -> ImportJobQuerySet:
        """The job, while whoever has claimed it may go on."""
        return self.filter(pk=job.pk, worker=job.worker, state=job.state)

    def turn(self, job: ImportJob, state: str, **changes: Any) -> bool:
        """From the state that it was seen in to another; False if somebody was faster."""
        return bool(
            self.filter(pk=job.pk, state=job.state).update(
                state=state, worker=None, attempts=0, due_at=timezone.now(), **changes
            )
        )


class ImportJob(models.Model):
    """A sheet of products, or a ZIP of photos, on its way in: looked through, then taken in.

    NEW → CHECKING → CHECKED → RUNNING → DONE;  CHECKING → NEW and RUNNING → CANCELLED when somebody
    stops it; CANCELLED → RUNNING where it was; CHECKING, RUNNING → FAILED
    """

    class Kind(models.TextChoices):
        PRODUCTS = "products", "Products (CSV, XLSX)"
        PHOTOS = "photos", "Photos (ZIP)"

    class State(models.TextChoices):
        NEW = "new", "To be set up"
        CHECKING = "checking", "Being looked through"
        CHECKED = "checked", "Ready to be taken in"
        RUNNING = "running", "Being taken in"
        DONE = "done", "Done"
        CANCELLED = "cancelled", "Cancelled"
        FAILED = "failed", "Failed"

    AT_WORK = [State.CHECKING, State.RUNNING]
    COUNTS = ("created", "changed", "unchanged", "refused", "pictures")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    name = models.CharField(max_length=200, help_text="What its sender calls the file.")
    file = models.FileField(upload_to="imports/", max_length=200)
    archive = models.FileField(
        upload_to="imports/", max_length=200, blank=True, help_text="Pictures of a sheet's rows."
    )
    columns = models.JSONField(default=dict, help_text="Ours to theirs.")
    state = models.CharField(max_length=10, choices=State, default=State.NEW)
    problem = models.CharField(max_length=300, blank=True, help_text="Why it failed.")
    total = models.PositiveIntegerField(default=0, help_text="Rows, or photos.")
    position = models.PositiveIntegerField(default=0, help_text="So many have been looked at.")
    created = models.PositiveIntegerField(default=0, help_text="New products.")
    changed = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    pictures = models.PositiveIntegerField(default=0, help_text="New ones.")
    differences = models.JSONField(default=list, help_text="The first of what would change.")
    worker = models.UUIDField(null=True)
    attempts = models.PositiveSmallIntegerField(
        default=0, help_text="How often it was taken since it got on last."
    )
    due_at = models.DateTimeField(
        default=timezone.now, help_text="When a worker may take it, or take it over."
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="import_jobs"
    )
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    finished_at = models.DateTimeField(null=True)

    objects = ImportJobQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name = "import from a file"
        verbose_name_plural = "imports from files"
        indexes = [models.Index(fields=["state", "due_at"])]

    def __str__(self) -> str:
        return self.name

    @property
    def progress(self) -> float:
        return self.position / self.total if self.total else 0.0

    @property
    def is_at_work(self) -> bool:
        return self.state in self.AT_WORK


class ImportProblem(models.Model):
    """Why a row, or a photo, of an import was not taken."""

    job = models.ForeignKey(ImportJob, on_delete=models.CASCADE, related_name="problems")
    number = models.PositiveIntegerField(help_text="Of the row in its file, or the photo.")
    name = models.CharField(
        max_length=300, help_text="The product's reference, or the photo's path."
    )
    detail = models.CharField(max_length=500)

    class Meta:
        ordering = ["number", "pk"]
        indexes = [models.Index(fields=["job", "number"])]

    def __str__(self) -> str:
        return f"{self.number}: {self.detail}"
