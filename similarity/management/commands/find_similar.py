"""`manage.py find_similar`: what looks like a photo."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from similarity import results, services
from similarity.engine.errors import EngineError
from similarity.errors import Refused


class Command(BaseCommand):
    help = "Print the garments of the catalogue that look most like a photo."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("photo", type=Path)
        parser.add_argument("--limit", type=int, default=10, help="results, 1 to 100 (default 10)")
        parser.add_argument(
            "--model", metavar="NAME", help="another embedder that has described the catalogue"
        )
        parser.add_argument("--json", action="store_true", help="print JSON, and nothing else")

    def handle(self, *_: Any, **options: Any) -> None:
        photo: Path = options["photo"]
        if not 1 <= options["limit"] <= 100:  # noqa: PLR2004  (as the API has it)
            raise CommandError("--limit goes from 1 to 100.")
        try:
            found = results.read(
                services.find_similar(
                    photo.read_bytes(), limit=options["limit"], model=options["model"]
                )
            )
        except OSError as error:
            raise CommandError(f"{photo} cannot be read: {error.strerror}.") from error
        except (EngineError, Refused) as error:
            raise CommandError(str(error)) from error
        rows = [
            {
                "segment": result.segment,
                "similarity": round(result.similarity or 0.0, 6),
                "product": result.product and result.product["reference"],
                "image": result.image,
            }
            for result in found
        ]
        if options["json"]:
            self.stdout.write(json.dumps({"query": str(photo), "results": rows}))
            return
        for row in rows:
            self.stdout.write("  ".join(str(value) for value in row.values()))
        if not rows:
            self.stdout.write("Nothing found: the catalogue has no described garments yet.")
