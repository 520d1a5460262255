"""Misconfiguration, said at start-up with an id and a hint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004
from django.db import connection

from similarity import backends
from similarity.engine import load
from similarity.engine.errors import UnknownBackend


@register()
def check_backends(**_: Any) -> list[CheckMessage]:
    """The detector, embedder and index engine exist, and have their weights."""
    messages: list[CheckMessage] = []
    for kind, name in backends.configured():
        setting = kind.upper()
        try:
            backend: Any = load(kind, name, **backends.options(name))
        except (UnknownBackend, TypeError, ValueError) as error:
            messages.append(
                Error(str(error), hint=f"Correct {setting} or its options.", id="similarity.E001")
            )
            continue
        messages += [
            Warning(
                f"{setting} is {name!r}, and something of it is missing: {missing}",
                hint=f"Put it there, or choose another {kind} by {setting}.",
                id="similarity.W001",
            )
            for missing in getattr(backend, "missing", list)()
        ]
    return messages


@register(Tags.database)
def check_collation(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """References differ by case on MySQL, too, as they do on SQLite."""
    if "default" not in (databases or ()) or connection.vendor != "mysql":
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@collation_database")
        collation = cursor.fetchone()[0]
    if collation.endswith("_bin"):
        return []
    return [
        Warning(
            f"The database's collation, {collation}, takes D-1 and d-1 for one reference.",
            hint="CREATE DATABASE ... CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
            id="similarity.W002",
        )
    ]


@register()
def check_queue(**_: Any) -> list[CheckMessage]:
    """No task is given out a second time while the first may still run."""
    queue = settings.Q_CLUSTER
    least = queue["timeout"] * (queue["queue_limit"] / queue["workers"] + 2)
    if queue["retry"] > least:
        return []
    return [
        Error(
            f"The queue gives a task out again after {queue['retry']} s; with a time limit of "
            f"{queue['timeout']} s it must wait for more than {least:g} s, or tasks run twice.",
            hint="Raise Q_CLUSTER['retry'].",
            id="similarity.E002",
        )
    ]
