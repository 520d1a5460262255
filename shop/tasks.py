"""What the queue and signals call."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from accounts import idempotency
from accounts import services as accounts
from accounts.models import User
from shop import events, exchange, services, webhooks
from shop.models import ImportJob


def deliver(pk: int) -> None:
    """Attempt a delivery if it is due."""
    webhooks.deliver(pk)


def work_on(pk: str) -> None:
    """Go on with an import from a file, if it is to be had."""
    exchange.work(uuid.UUID(pk))


def run_has_ended(sender: Any, pk: uuid.UUID, **_: Any) -> None:
    """After a run: perhaps it was the last of an import (a signal's receiver)."""
    services.finish_imports(run=pk)


def pictures_imported(sender: Any, counts: Mapping[str, int], **_: Any) -> None:
    """After a command has taken many pictures in (a signal's receiver)."""
    services.note_import(done=counts["added"] + counts["known"], failed=counts["rejected"])


def events_of(sender: Any, person: User, **_: Any) -> tuple[str, list[dict[str, Any]]]:
    """What a person has done, for them to take away (a signal's receiver)."""
    return events.of_person(person)


def imports_of(sender: Any, person: User, **_: Any) -> tuple[str, list[dict[str, Any]]]:
    """What a person has brought in, the same (a signal's receiver)."""
    return services.imports_of(person)


def is_at_work(sender: Any, **_: Any) -> bool:
    """Whether a worker is at an import from a file, or a delivery (a signal's receiver)."""
    return ImportJob.objects.claimed().exists() or webhooks.is_sending()


def sweep(sender: Any, **_: Any) -> None:
    """Every few seconds: what was lost, is due, or has expired (a signal's receiver)."""
    services.finish_imports()
    webhooks.sweep()
    idempotency.sweep()
    accounts.sweep()
    events.sweep()
    exchange.sweep()
