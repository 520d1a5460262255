"""Who may do what over the API: Django's own model permissions, which the groups carry."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import BasePermission, DjangoModelPermissionsOrAnonReadOnly
from rest_framework.request import Request


class ReadOrModelPermission(DjangoModelPermissionsOrAnonReadOnly):
    """All may read; who adds, changes or deletes needs the model's permission for it."""


def needs(permission: str) -> type[BasePermission]:
    """A permission class that lets those through who have that one permission."""

    class Needs(BasePermission):
        def has_permission(self, request: Request, view: Any) -> bool:
            return request.user.has_perm(permission)

    return Needs
