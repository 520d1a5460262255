"""What a shop's server has asked for, and what it is told of it: imports, webhooks, deliveries."""

from __future__ import annotations

import base64
import datetime as dt
import secrets
import uuid

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
        taken = self.due().filter(pk=pk).update(attempts=F("attempts") + 1, due_at=now + lease)
        return self.select_related("webhook").get(pk=pk) if taken else None

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
