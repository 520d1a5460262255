"""Who may do what over the API: Django's own model permissions, which the groups carry."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from rest_framework.permissions import BasePermission, DjangoModelPermissionsOrAnonReadOnly
from rest_framework.request import Request

from accounts.models import ApiKey, User


class ReadOrModelPermission(DjangoModelPermissionsOrAnonReadOnly):
    """All may read; who adds, changes or deletes needs the model's permission for it."""


def may_search(user: User | AnonymousUser) -> bool:
    """Everybody may, or who has signed in, as the shop has it."""
    return user.is_authenticated or not settings.SEARCH_NEEDS_SIGN_IN


class MaySearch(BasePermission):
    """Lets through who may search; of API keys, those that are for searching."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if isinstance(request.auth, ApiKey):
            return request.auth.may_search
        return may_search(request.user)


class HasHistory(BasePermission):
    """Keeps out keys that may do no more than search, which everybody can read in a shop's page.

    What was searched with such a key is many visitors', and each knows their own by its id.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        return not (isinstance(request.auth, ApiKey) and request.auth.is_public)


class IsPerson(BasePermission):
    """Lets those through who have signed in: what is asked for is about their own account."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return request.user.is_authenticated and not isinstance(request.auth, ApiKey)


def needs(permission: str) -> type[BasePermission]:
    """A permission class that lets those through who have that one permission."""

    class Needs(BasePermission):
        def has_permission(self, request: Request, view: Any) -> bool:
            return request.user.has_perm(permission)

    return Needs
