"""`manage.py rotate_secrets`: what is encrypted in the database, by the SECRET_KEY of now."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from shop import webhooks


class Command(BaseCommand):
    help = (
        "Encrypt the webhooks' secrets anew by SECRET_KEY, after it was changed and the one before "
        "put into SECRET_KEY_FALLBACKS; that one may go then."
    )

    def handle(self, *_: Any, **__: Any) -> None:
        if unreadable := webhooks.encrypt_anew():
            raise CommandError(
                f"The secrets of {unreadable} webhooks cannot be read: put the key that they were "
                "written with into SECRET_KEY_FALLBACKS, or make the webhooks anew."
            )
        self.stdout.write("All secrets are encrypted by the present SECRET_KEY.")
