"""`manage.py measure_pictures`: the quality of pictures that were read before it was measured."""

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
        "Measure the quality of all pictures that were not measured yet. May be stopped, and goes "
        "on where it was."
    )

    def handle(self, *_: Any, **options: Any) -> None:
        lacking = OriginalImage.objects.filter(quality=None, status=OriginalImage.Status.READY)
        pks = list(lacking.order_by("pk").values_list("pk", flat=True))
        measured = failed = 0
        with tqdm(total=len(pks), unit="image", disable=not sys.stderr.isatty()) as bar:
            for image in (found for pk in pks for found in OriginalImage.objects.filter(pk=pk)):
                try:
                    pipeline.measure(image)
                    measured += 1
                except (BadImage, OSError) as error:
                    failed += 1
                    bar.write(f"{image}: {error}", file=sys.stderr)
                bar.update()
        self.stdout.write(f"{measured} pictures measured.")
        if failed:
            raise CommandError(f"{failed} images could not be read.")
