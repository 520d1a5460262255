"""`manage.py index_words`: the words that products are found by, written anew."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand
from tqdm import tqdm

from catalog import word_index
from catalog.models import Product


class Command(BaseCommand):
    help = (
        "Write the words of all products anew: once after the release that brought them, and after "
        "changes of the database past this program. Searches go on meanwhile."
    )

    def handle(self, *_: Any, **options: Any) -> None:
        total = Product.objects.count()
        with tqdm(total=total, unit="product", disable=not sys.stderr.isatty()) as bar:
            done = word_index.rebuild(bar.update)
        self.stdout.write(f"Words of {done} products written.")
