"""How often one may ask.

Requests are counted in Django's cache. The default one is each process's own: with it a limit holds
per process, and is as many times as high as there are processes. With Redis it holds for all.
Counting is not atomic, so a burst may exceed a limit by a few: this keeps the shop usable, and is
no lock. What must hold, failed sign-ins, is counted in the database by django-axes.
"""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from rest_framework.throttling import BaseThrottle, SimpleRateThrottle

from accounts.models import ApiKey

NETWORK = 64
"""Bits of an IPv6 address that say whose it is; with the others their owner does as they like."""


def address_of(request: HttpRequest) -> str | None:
    """The address that a request comes from, past so many proxies as are our own (PROXIES).

    Of an IPv6 address it is the first of its /64: nobody gets new tries by another of their own.
    None where there is none, as behind a socket of this machine: a database may take addresses
    alone, and nothing else, where they are kept.
    """
    try:
        address = ip_address(str(BaseThrottle().get_ident(request)))  # type: ignore[arg-type]
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        network = IPv6Network((int(address), NETWORK), strict=False)
        return str(address.ipv4_mapped or network.network_address)
    return str(address)


def asker_of(request: Any) -> tuple[str, str]:
    """Whose requests one is counted among: an API key's, a person's, or a stranger's address's."""
    if isinstance(key := getattr(request, "auth", None), ApiKey):
        return "key", str(key.pk)
    if request.user.is_authenticated:
        return "person", str(request.user.pk)
    return "stranger", address_of(request) or "nowhere"


class RequestThrottle(SimpleRateThrottle):
    """Counts all that somebody asks for."""

    scope = "request"

    def get_rate(self) -> None:
        """None yet: it depends on who asks."""

    def rate_for(self, kind: str) -> str | None:
        """How often those of that kind may ask; None for as often as they like."""
        rate: str | None = settings.THROTTLES[kind]
        return rate

    def asker(self, request: Any) -> tuple[str, str]:
        return asker_of(request)

    def allow_request(self, request: Any, view: Any) -> bool:
        kind, name = self.asker(request)
        self.rate = self.rate_for(kind)
        self.num_requests, self.duration = self.parse_rate(self.rate)
        self.counter = f"throttle-{self.scope}-{kind}-{name}"
        return super().allow_request(request, view)

    def get_cache_key(self, request: Any, view: Any) -> str:
        return self.counter


class SearchThrottle(RequestThrottle):
    """Counts searches that are started: they cost more than anything else."""

    scope = "search"

    def rate_for(self, kind: str) -> str | None:
        # A key's searches are those of a whole shop's visitors, for which its own limit is made.
        return None if kind == "key" else super().rate_for("search")


class EventThrottle(RequestThrottle):
    """Counts batches of events: a page sends a few, nobody needs many."""

    scope = "event"

    def rate_for(self, kind: str) -> str | None:
        # A key's own limit is made for a whole shop, as with searches.
        return None if kind == "key" else super().rate_for("event")


class SignInThrottle(RequestThrottle):
    """Counts what strangers do about accounts: guessing, registering, having e-mails sent."""

    scope = "sign-in"

    def rate_for(self, kind: str) -> str | None:
        return super().rate_for("sign-in")

    def asker(self, request: Any) -> tuple[str, str]:
        return "stranger", address_of(request) or "nowhere"
