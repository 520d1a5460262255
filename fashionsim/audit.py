"""What the audit log is kept of, and which fields never get into it."""

from __future__ import annotations

from typing import Any

from auditlog.models import LogEntry
from auditlog.registry import auditlog
from auditlog.signals import pre_log
from django.apps import apps
from django.conf import settings
from django.db.models.signals import post_delete, pre_save

from accounts import audit

AUDITED: dict[str, dict[str, Any]] = {
    "catalog.Product": {"exclude_fields": ["updated_at"], "m2m_fields": {"tags", "sizes"}},
    "catalog.Category": {},
    "catalog.Tag": {},
    "catalog.Size": {},
    "catalog.OriginalImage": {
        "include_fields": [
            "identifier",
            "product",
            "position",
            "main_segment",
            "source_name",
            "source_url",
        ]
    },
    "catalog.Segment": {"include_fields": ["image", "number", "label", "x0", "y0", "x1", "y1"]},
    "similarity.Rule": {},
    "similarity.GoldenSet": {},
    # Of an account, what it may do: its name, address and password are its owner's.
    "accounts.User": {
        "include_fields": ["is_active", "is_staff", "is_superuser"],
        "m2m_fields": {"groups", "user_permissions"},
    },
    "auth.Group": {"m2m_fields": {"permissions"}},
    "accounts.ApiKey": {
        "include_fields": ["name", "may_search", "may_edit", "expires_at", "revoked_at"]
    },
    "shop.Webhook": {"exclude_fields": ["secret"]},
}
"""Builds of the index are noted by hand, where somebody has another one serve."""


def connect() -> None:
    """Keep the log from now on.

    Of a model's own fields, unless named: the library would note the relations from other
    models too, as names of their managers.
    """
    for name, options in AUDITED.items():
        model = apps.get_model(name)
        own = {"include_fields": [field.name for field in model._meta.concrete_fields]}
        auditlog.register(model, **own | options)
    pre_save.connect(audit.sign, sender=LogEntry, dispatch_uid="accounts.audit.sign")
    pre_log.connect(audit.is_noted, dispatch_uid="accounts.audit.is_noted")
    # After auditlog's own receiver, which has been connected above.
    post_delete.connect(
        audit.forget_person,
        sender=apps.get_model(settings.AUTH_USER_MODEL),
        dispatch_uid="accounts.audit.forget_person",
    )
