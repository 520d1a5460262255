"""The audit log: who has changed what, when, and what it was before (django-auditlog's table).

Signals of the models tell of what is saved, changed and deleted one by one, by whatever road: the
admin, the API, a command. What a worker does is nobody's change and is not noted; nor is what goes
past the signals, in bulk, unless it is noted here by hand. Secrets are left out field by field,
where a model is registered (`fashionsim.audit`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from auditlog.context import auditlog_disabled, disable_auditlog
from auditlog.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.http import HttpRequest, HttpResponseBase

Action = LogEntry.Action

quietly: Callable[[], Any] = disable_auditlog
"""A context in which nothing is noted: a worker's."""

_request: ContextVar[HttpRequest | None] = ContextVar("request", default=None)


class AuditMiddleware:
    """Remembers the request while it is answered.

    Who asks is looked up when something is noted, not before: the API finds it out late.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with during(request):
            return self.get_response(request)


@contextmanager
def during(request: HttpRequest) -> Iterator[None]:
    """What is changed meanwhile, the request's asker changes."""
    token = _request.set(request)
    try:
        yield
    finally:
        _request.reset(token)


def actor() -> Any:
    """Who changes things now; None for a stranger or a command."""
    user = getattr(_request.get(), "user", None)
    return user if user is not None and user.is_authenticated else None


def _road() -> dict[str, str]:
    """By what road a change comes: an address of the site, or a command."""
    if (request := _request.get()) is not None:
        return {"by": f"{request.method} {request.path}"[:200]}
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]])
    return {"by": command[:200]}


def sign(sender: Any, instance: Any, **_: Any) -> None:
    """Write down who and by what road, before an entry is saved (a signal's receiver).

    Neither an address of the network nor of e-mail: an entry outlives the account, which it
    names by its key.
    """
    if instance.actor is None:
        instance.actor = actor()
    instance.actor_email = None
    known = {} if instance.actor is None else {"account": instance.actor.pk}
    instance.additional_data = _road() | known


def is_noted(sender: Any, instance: Any, action: int, **_: Any) -> bool:
    """False for an account that its own person makes or deletes (a signal's receiver)."""
    if not isinstance(instance, get_user_model()) or action == Action.UPDATE:
        return True
    by = actor()
    is_command = _request.get() is None
    return is_command if by is None else by.pk != instance.pk


def forget_person(sender: Any, instance: Any, **_: Any) -> None:
    """After an account is deleted: what is noted of it says its name no more (a receiver)."""
    about = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(sender), object_pk=str(instance.pk)
    )
    about.update(object_repr=f"account {instance.pk}")


def note(row: Model, changes: dict[str, tuple[Any, Any]]) -> None:
    """Note a change that no signal tells of: by field, what it was and what it is."""
    note_all([row], Action.UPDATE, lambda _: changes)


def note_all(
    rows: Iterable[Model],
    action: int,
    changes: Callable[[Any], dict[str, tuple[Any, Any]]],
    by: Any = None,
) -> None:
    """The same for many rows of one kind, in one INSERT."""
    rows = list(rows)
    if not rows or auditlog_disabled.get():
        return
    kind = ContentType.objects.get_for_model(rows[0])
    entries = []
    for row in rows:
        told = {name: [str(before), str(after)] for name, (before, after) in changes(row).items()}
        entry = LogEntry(
            content_type=kind,
            object_pk=str(row.pk),
            object_id=row.pk if isinstance(row.pk, int) else None,
            object_repr=str(row),
            action=action,
            changes=told,
            actor=by,
        )
        sign(LogEntry, entry)
        entries.append(entry)
    LogEntry.objects.bulk_create(entries)
