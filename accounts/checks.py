"""Misconfigured sign-ins and limits, said at start-up with an id and a hint."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004


@register(Tags.security)
def check_provider(**_: Any) -> list[CheckMessage]:
    """Supabase, where it is chosen, can be reached by what is configured."""
    if settings.AUTH_PROVIDER != "supabase":
        return []
    messages: list[CheckMessage] = [
        Error(
            f"AUTH_PROVIDER is supabase, and {name} is not set.",
            hint="The project's settings at Supabase show it, under API.",
            id="accounts.E001",
        )
        for name in ("SUPABASE_URL", "SUPABASE_KEY")
        if not getattr(settings, name)
    ]
    if find_spec("supabase") is None:
        messages.append(
            Error(
                "AUTH_PROVIDER is supabase, and its client is not installed.",
                hint="pip install -r requirements/supabase.txt",
                id="accounts.E002",
            )
        )
    return messages


@register(Tags.security, deploy=True)
def check_cache(**_: Any) -> list[CheckMessage]:
    """How often one may ask is counted for all processes together."""
    if settings.REDIS_URL:
        return []
    return [
        Warning(
            "Each process counts requests for itself: the limits (THROTTLE_...) hold per process.",
            hint="Set REDIS_URL, so that all share one cache.",
            id="accounts.W001",
        )
    ]
