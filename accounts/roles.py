"""The roles above that of a shopper: two groups, and how a migration gives them permissions.

An administrator gives a role to an account, in the admin. Nothing else does: no registration, and
no claim of a token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import AbstractUser

MERCHANDISER = "Merchandiser"
STAFF = "Staff"


def role_of(user: AbstractUser) -> str:
    """The highest role of an account, in one word."""
    if user.is_superuser:
        return "administrator"
    groups = {group.name for group in user.groups.all()}
    return next((role.lower() for role in (STAFF, MERCHANDISER) if role in groups), "shopper")


def grants(role: str, permissions: Iterable[str]) -> Callable[[Any, Any], None]:
    """A migration's step that gives a role permissions, each named "app.codename".

    Django makes the permissions of an app only after all migrations have run; so the step makes
    those of the apps that it names first.
    """
    wanted = [name.split(".", 1) for name in permissions]

    def grant(apps: Any, schema_editor: Any) -> None:
        for label in sorted({label for label, _ in wanted}):
            config = apps.get_app_config(label)
            # A migration's app has no module, and would be passed over.
            config.models_module = getattr(config, "models_module", None) or True
            create_permissions(config, apps=apps, verbosity=0)
        group, _ = apps.get_model("auth", "Group").objects.get_or_create(name=role)
        permission = apps.get_model("auth", "Permission").objects
        group.permissions.add(
            *(permission.get(content_type__app_label=a, codename=c) for a, c in wanted)
        )

    return grant
