"""`manage.py sweep_runs`: look after what a lost worker or message has left."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from similarity import services


class Command(BaseCommand):
    help = (
        "Give runs whose worker has gone to another, queue again what the queue has lost, "
        "and delete expired queries. The worker does so by itself every few seconds."
    )

    def handle(self, *_: Any, **options: Any) -> None:
        swept = services.sweep()
        self.stdout.write(
            f"{swept.given_back} given back, {swept.failed} failed as orphaned, "
            f"{swept.queued_again} queued again, {swept.expired} expired queries deleted."
        )
