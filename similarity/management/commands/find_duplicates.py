"""`manage.py find_duplicates`: pictures that look alike, for what was described before."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from catalog.models import Lookalike, OriginalImage
from similarity import pipeline
from similarity.engine.errors import BadImage


class Command(BaseCommand):
    help = (
        "Look for pictures that may be the same, among those that were not looked at for it yet. "
        "May be stopped, and goes on where it was; searches and uploads go on meanwhile."
    )

    def handle(self, *_: Any, **options: Any) -> None:
        ready = OriginalImage.objects.filter(status=OriginalImage.Status.READY)
        pks = list(ready.filter(perceptual_hash=None).order_by("pk").values_list("pk", flat=True))
        before = Lookalike.objects.count()
        looked = failed = 0
        with tqdm(total=len(pks), unit="image", disable=not sys.stderr.isatty()) as bar:
            for image in (found for pk in pks for found in OriginalImage.objects.filter(pk=pk)):
                try:
                    pipeline.note_look(image)
                    looked += 1
                except (BadImage, OSError) as error:
                    failed += 1
                    bar.write(f"{image}: {error}", file=sys.stderr)
                bar.update()
        found = Lookalike.objects.count() - before
        self.stdout.write(f"{looked} pictures looked at, {found} pairs found that look alike.")
        if failed:
            raise CommandError(f"{failed} images could not be read.")
