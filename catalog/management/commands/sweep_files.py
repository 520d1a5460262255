"""`manage.py sweep_files`: delete stored files that no row has."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.files.storage import default_storage
from django.core.management.base import BaseCommand

from catalog.strays import strays


class Command(BaseCommand):
    help = (
        "Delete stored files that no row has and that are older than a day: pictures, and what was "
        "made of them, that a process left which was killed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="name them, delete nothing")

    def handle(self, *_: Any, **options: Any) -> None:
        count = 0
        for name in strays():
            count += 1
            if options["dry_run"]:
                self.stdout.write(name)
            else:
                default_storage.delete(name)
        said = "would be deleted" if options["dry_run"] else "deleted"
        self.stdout.write(f"{count} {'file' if count == 1 else 'files'} {said}.")
