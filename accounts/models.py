"""Who asks: a person who signs in, or a shop's program that has a key."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class User(AbstractUser):
    """A shopper, unless a group (`accounts.roles`) makes a merchandiser or staff of them."""

    supabase_id = models.UUIDField(
        "Supabase id",
        null=True,
        blank=True,
        unique=True,
        editable=False,
        help_text="Who signs in by way of Supabase has no password here.",
    )

    @property
    def shown_name(self) -> str:
        """What a page calls them: a name that Supabase has made up says nothing to anybody."""
        return self.email if self.supabase_id and self.email else self.get_username()


class Departure(models.Model):
    """Somebody who has deleted their account, and with it that at Supabase.

    The access tokens that they had are good by themselves for a while; none makes a new account.
    """

    supabase_id = models.UUIDField("Supabase id", primary_key=True)
    at = models.DateTimeField(auto_now_add=True, db_index=True)

    def __str__(self) -> str:
        return str(self.supabase_id)


MAX_RESULTS = 100
"""More results than that no search gives."""


def languages() -> list[tuple[str, str]]:
    """Those that the pages can be read in."""
    return list(settings.LANGUAGES)


class Preferences(models.Model):
    """How somebody wants the shop to behave. Who has never chosen has no row."""

    class Theme(models.TextChoices):
        SYSTEM = "system", _("As on my device")
        LIGHT = "light", pgettext_lazy("theme", "Light")
        DARK = "dark", pgettext_lazy("theme", "Dark")

    class Contrast(models.TextChoices):
        SYSTEM = "system", _("As on my device")
        NORMAL = "normal", pgettext_lazy("contrast", "Normal")
        HIGH = "high", pgettext_lazy("contrast", "High")

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        primary_key=True,
        on_delete=models.CASCADE,
        related_name="preferences",
        editable=False,
    )
    results = models.PositiveSmallIntegerField(
        _("results per search"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_RESULTS)],
        help_text=_("1 to 100; empty: as many as the shop usually shows."),
    )
    detects = models.BooleanField(
        _("find garments at once"),
        default=True,
        help_text=_("Look for the garments in each photo that you search with."),
    )
    keeps_history = models.BooleanField(
        _("keep my searches"),
        default=True,
        help_text=_("Otherwise a search and its photo are deleted within the hour."),
    )
    language = models.CharField(
        max_length=10,
        blank=True,
        choices=languages,
        help_text=_("Empty: the one that your browser asks for."),
    )
    theme = models.CharField(max_length=10, choices=Theme, default=Theme.SYSTEM)
    contrast = models.CharField(max_length=10, choices=Contrast, default=Contrast.SYSTEM)

    class Meta:
        verbose_name_plural = "preferences"

    def __str__(self) -> str:
        return f"Of {self.user_id}"


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def live(self) -> ApiKeyQuerySet:
        """Those that open doors."""
        unexpired = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
        return self.filter(unexpired, revoked_at=None, account__is_active=True)

    def revoke(self) -> int:
        """End those that had not been ended before; gives how many that were."""
        return self.filter(revoked_at=None).update(revoked_at=timezone.now())


class ApiKey(models.Model):
    """What a shop's program shows with each request. The key itself is not kept, only its hash.

    A key acts as an account of its own, to which nobody signs in: what it searches for and uploads
    is found under that account, and whoever made the key may leave the shop.
    """

    USE_NOTED_EVERY = dt.timedelta(minutes=1)

    name = models.CharField(max_length=100, help_text="Where it is used: Web shop, stock system...")
    account = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_key", editable=False
    )
    beginning = models.CharField(max_length=12, editable=False, help_text="To tell it from others.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    may_search = models.BooleanField("search", default=True, help_text="May search.")
    may_edit = models.BooleanField(
        "catalogue", default=False, help_text="May do to the catalogue what a merchandiser may."
    )
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="keys_made",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="Empty: it is good until it is revoked."
    )
    revoked_at = models.DateTimeField(null=True, editable=False)
    last_used_at = models.DateTimeField(
        null=True, editable=False, help_text="To the minute, or so."
    )

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.name} ({self.beginning}...)"

    @property
    def is_public(self) -> bool:
        """Whether it may do no more than search: a shop's pages have such keys for all to read."""
        return self.may_search and not self.may_edit

    def note_use(self) -> None:
        """Remember that it was used just now; once in a while is enough."""
        now = timezone.now()
        if self.last_used_at is None or self.last_used_at < now - self.USE_NOTED_EVERY:
            ApiKey.objects.filter(pk=self.pk).update(last_used_at=now)


class EnquiryQuerySet(models.QuerySet["Enquiry"]):
    def mark_answered(self) -> int:
        """Take them off the list of what waits; gives how many waited."""
        return self.filter(answered_at=None).update(answered_at=timezone.now())


class Enquiry(models.Model):
    """What somebody has asked the shop's people, by the form on the support page."""

    LONGEST = 4000

    email = models.EmailField("e-mail", help_text="Where the answer goes.")
    text = models.TextField("question", max_length=LONGEST)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        editable=False,
        on_delete=models.CASCADE,
        related_name="enquiries",
        help_text="Whoever had signed in.",
    )
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    answered_at = models.DateTimeField(null=True, editable=False)

    objects = EnquiryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "enquiries"
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.email}: {self.text[:60]}"


class IdempotencyKey(models.Model):
    """A request that its sender may send again, and what was answered (`accounts.idempotency`)."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    digest = models.CharField(max_length=64, help_text="SHA-256 of the key.")
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of what was asked.")
    status = models.PositiveSmallIntegerField(null=True, help_text="Null until it is answered.")
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "digest"], name="idempotency_key_unique"),
        ]

    def __str__(self) -> str:
        return self.digest[:12]
