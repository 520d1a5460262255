"""`manage.py evaluate_duplicates`: how surely pictures that show the same are flagged."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from PIL.Image import Image

from similarity import backends, serving
from similarity.engine import Vectors, datasets
from similarity.engine.datasets import Photo, open_rgb
from similarity.engine.errors import EngineError
from similarity.engine.evaluation.duplicates import WAYS, near_pairs
from similarity.engine.evaluation.report import Table
from similarity.engine.images import crop
from similarity.engine.perceptual import RADIUS, distance, is_double, likeness, perceptual_hash
from similarity.management.evaluating import new_file, visibly
from similarity.management.ingesting import check_models
from similarity.management.training import positive


class Command(BaseCommand):
    help = (
        "Print how many photos of a folder are known again as a poor JPEG, at half the size and "
        "cropped; and how many pairs of different photos are taken for one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--data", type=Path, required=True, metavar="FOLDER", help="a folder of labelled photos"
        )
        parser.add_argument(
            "--altered",
            type=positive(int),
            default=300,
            metavar="N",
            help="photos that are altered and looked for (default %(default)s)",
        )
        parser.add_argument("--seed", type=int, default=0, help="of their choice (default 0)")
        parser.add_argument("--json", type=new_file, metavar="PATH", help="save the figures there")

    def handle(self, *_: Any, **options: Any) -> None:
        check_models()
        try:
            photos = datasets.read(options["data"])
            figures = _flagged(photos)
            chosen = Random(options["seed"]).sample(photos, min(options["altered"], len(photos)))
            figures["known_again"] = _known_again(chosen)
        except (EngineError, OSError) as error:
            raise CommandError(str(error)) from error
        self._print(figures, len(chosen))
        if path := options["json"]:
            path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")

    def _print(self, figures: dict[str, Any], altered: int) -> None:
        rows = [
            (way, f"{shares['hash']:.3f}", f"{shares['flagged']:.3f}")
            for way, shares in figures["known_again"].items()
        ]
        table = Table([f"of {altered} photos", f"hash within {RADIUS}", "and flagged"], rows)
        self.stdout.write(table.as_text())
        self.stdout.write(
            f"\nPairs of {figures['photos']} photos as they are: {figures['near_pairs']} hashes "
            f"within {RADIUS} bits, {len(figures['flagged_pairs'])} of them flagged:"
        )
        for pair in figures["flagged_pairs"]:
            self.stdout.write("{0}  {1}  {distance}  {likeness:.3f}".format(*pair["of"], **pair))


def _flagged(photos: list[Photo]) -> dict[str, Any]:
    """The pairs of different files that are taken for one picture."""
    hashes = [perceptual_hash(open_rgb(photo)) for photo in visibly(photos, "photo", "hashes")]
    pairs = list(near_pairs(hashes))
    vectors = cache(lambda place: _vectors(open_rgb(photos[place])))
    likenesses = [
        (likeness(vectors(one), vectors(other)), one, other)
        for one, other in visibly(pairs, "pair", "confirming")
    ]
    return {
        "photos": len(photos),
        "near_pairs": len(pairs),
        "flagged_pairs": [
            {
                "of": [photos[one].path.name, photos[other].path.name],
                "distance": distance(hashes[one], hashes[other]),
                "likeness": cosine,
            }
            for cosine, one, other in sorted(likenesses, reverse=True)
            if is_double(distance(hashes[one], hashes[other]), cosine)
        ],
    }


def _known_again(photos: list[Photo]) -> dict[str, dict[str, float]]:
    """By what was done to the photos: the share with a near hash, and with near vectors too."""
    near = dict.fromkeys(WAYS, 0)
    flagged = dict.fromkeys(WAYS, 0)
    for photo in visibly(photos, "photo", "altered"):
        image = open_rgb(photo)
        look, vectors = perceptual_hash(image), _vectors(image)
        for way, change in WAYS.items():
            changed = change(image)
            if (bits := distance(look, perceptual_hash(changed))) <= RADIUS:
                near[way] += 1
                flagged[way] += is_double(bits, likeness(vectors, _vectors(changed)))
    total = max(1, len(photos))
    return {way: {"hash": near[way] / total, "flagged": flagged[way] / total} for way in WAYS}


def _vectors(image: Image) -> Vectors:
    """Of the garments that an upload of the photo would be described by."""
    boxes = [found.box for found in backends.detector().detect(image)]
    return serving.backend().embed([crop(image, box) for box in boxes] or [image])
