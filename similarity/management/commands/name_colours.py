"""`manage.py name_colours`: the colours of garments that were described before colours were."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from catalog.models import OriginalImage
from similarity import pipeline
from similarity.engine.errors import BadImage


class Command(BaseCommand):
    help = (
        "Name the colours of all garments that have none yet. May be stopped, and goes on where "
        "it was; searches and uploads go on meanwhile."
    )

    def handle(self, *_: Any, **options: Any) -> None:
        lacking = OriginalImage.objects.filter(segments__isnull=False, segments__colours=None)
        pks = list(lacking.distinct().order_by("pk").values_list("pk", flat=True))
        named = failed = 0
        with tqdm(total=len(pks), unit="image", disable=not sys.stderr.isatty()) as bar:
            for image in (found for pk in pks for found in OriginalImage.objects.filter(pk=pk)):
                try:
                    named += pipeline.name_colours(image)
                except (BadImage, OSError) as error:
                    failed += 1
                    bar.write(f"{image}: {error}", file=sys.stderr)
                bar.update()
        self.stdout.write(f"Colours of {named} garments named.")
        if failed:
            raise CommandError(f"{failed} images could not be read.")
