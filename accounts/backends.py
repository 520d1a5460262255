"""How a name and a password are checked, for the pages, the admin and the API alike."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from axes.models import AccessAttempt
from axes.utils import reset
from django.conf import settings
from django.contrib.auth.backends import BaseBackend, ModelBackend
from django.db.models import Max
from django.http import HttpRequest
from django.utils import timezone

from accounts.errors import InvalidToken, WrongCredentials
from accounts.models import User
from accounts.throttles import address_of


class PasswordBackend(ModelBackend):
    """Names and passwords of our own. An e-mail address may stand for the name."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        name = _name_behind(username) if username else username
        user: User | None = super().authenticate(request, name, password, **kwargs)
        return user


class SupabaseBackend(BaseBackend):
    """E-mail addresses and passwords of Supabase."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **_: Any,
    ) -> User | None:
        """Whose they are; raises ProviderDown, Unconfirmed."""
        # Only where it is in use: Supabase's client need not be installed otherwise.
        from accounts.providers.supabase import Supabase  # noqa: PLC0415

        if not username or not password or "@" not in username:
            return None
        try:
            user = Supabase().sign_in(username, password)
        except (InvalidToken, WrongCredentials):
            return None
        if request is not None:
            # axes would do so by the row's user name, which is not what failed sign-ins gave.
            attempted = attempted_name(request, {"username": username})
            reset(ip=address_of(request), username=attempted)
        return user

    def get_user(self, user_id: int) -> User | None:
        return User.objects.filter(pk=user_id, is_active=True).first()


def _name_behind(typed: str) -> str:
    """The user name that somebody means: what they typed, or that of the account it addresses."""
    if "@" not in typed or User.objects.filter(username=typed).exists():
        return typed
    addressed = User.objects.filter(email__iexact=typed, supabase_id=None)
    names = list(addressed.values_list("username", flat=True)[:2])
    return names[0] if len(names) == 1 else typed


def attempted_name(request: HttpRequest, credentials: Mapping[str, Any] | None) -> str:
    """The name that failed sign-ins are counted by (AXES_USERNAME_CALLABLE)."""
    return str((credentials or {}).get("username") or "").strip().lower()[:255]


def forget_attempts(sender: Any, instance: User, **_: Any) -> None:
    """After an account is deleted: failed sign-ins tell of it no more (a signal's receiver)."""
    names = {instance.get_username().lower(), instance.email.lower()} - {""}
    AccessAttempt.objects.filter(username__in=names).delete()


def seconds_locked(request: HttpRequest, credentials: Mapping[str, Any] | None) -> float:
    """How long a name that has failed too often has to wait, from that address."""
    attempts = AccessAttempt.objects.filter(
        username=attempted_name(request, credentials), ip_address=address_of(request)
    )
    latest = attempts.aggregate(latest=Max("attempt_time"))["latest"] or timezone.now()
    until: dt.datetime = latest + settings.AXES_COOLOFF_TIME
    return max((until - timezone.now()).total_seconds(), 1)
