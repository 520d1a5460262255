"""`manage.py evaluate_embedder`: how well an embedder finds the like of a garment."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand, CommandError
from PIL.Image import Image

from catalog.models import Product, Segment, findable
from similarity import golden, labelled, serving
from similarity.engine import Box, Embedder, Vectors, datasets, images
from similarity.engine.errors import EngineError
from similarity.engine.evaluation import instance, retrieval
from similarity.engine.evaluation.report import Line, Picture, Section, Table
from similarity.errors import Refused
from similarity.management import evaluating
from similarity.management.evaluating import CASES, Model, Sample
from similarity.models import Embedder as Row

BATCH = 32
SHOWN = 5
"""First results shown of a case."""

NOTE = (
    "Queries are never in their gallery, and neither is what is of their group (a sender's or a "
    "photo's own). recall@k: share of queries with a relevant item among the first k. Instance: "
    "share of pictures that are nearest to themselves after a crop to 60-100 % of the area, a "
    "mirror for half of them, a turn of up to 15 degrees, a colour cast, half the resolution and "
    "JPEG quality 40."
)


@dataclass(frozen=True)
class Measure:
    """Some of the samples, with what makes them relevant to each other."""

    name: str
    rows: Sequence[int]
    """Places in the list of samples."""
    labels: Sequence[str]
    groups: Sequence[str]


@dataclass(frozen=True)
class Measured:
    """What a model came to in a measure."""

    model: Model
    items: retrieval.Items
    retrieval: retrieval.Retrieval
    instance: instance.Instance


class Command(BaseCommand):
    help = "Print how well an embedder finds garments' like: recall@k, mAP, MRR, nDCG."

    def add_arguments(self, parser: ArgumentParser) -> None:
        evaluating.add_arguments(parser, "embedder")
        parser.add_argument(
            "--seed", type=int, default=0, help="of how pictures are altered (default 0)"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        models = evaluating.models("embedder", options)
        if options["golden"]:
            self._by_golden_set(models, options)
            return
        if options["catalogue"]:
            samples, measures = _catalogue()
        else:
            samples, measures = _folder(evaluating.photos(options))
        try:
            vectors = [_described(model, samples, options["seed"]) for model in models]
        except (EngineError, OSError) as error:
            raise CommandError(str(error)) from error
        results = {
            measure.name: [
                _measured(model, measure, plain, changed)
                for model, (plain, changed) in zip(models, vectors, strict=True)
            ]
            for measure in measures
        }
        for name, measured in results.items():
            self.stdout.write(f"{_summary(name, measured[0])}\n\n{_table(measured).as_text()}\n")
            self.stdout.write(f"{_label_table(measured).as_text()}\n\n")
        evaluating.save(
            f"Embedder {models[0].name}",
            options,
            evaluating.facts("embedder", options, models),
            {name: _as_dict(measured) for name, measured in results.items()},
            (_section(measure, results[measure.name], samples) for measure in measures),
        )

    def _by_golden_set(self, models: Sequence[Model], options: dict[str, Any]) -> None:
        """Search the catalogue as shoppers do, by each model's own index of it."""
        try:
            golden_set = golden.get(options["golden"])
            figures = [golden.measure(golden_set, _filled(model.name)) for model in models]
        except (EngineError, Refused, OSError) as error:
            raise CommandError(str(error)) from error
        names = [model.name for model in models]
        self.stdout.write(golden.table(golden_set.name, names, figures))
        evaluating.save(
            f"Embedder {names[0]}",
            options,
            evaluating.facts("embedder", options, models),
            {golden_set.name: dict(zip(names, map(asdict, figures), strict=True))},
            [],
        )


def _filled(name: str) -> Row:
    """The row of an embedder that has described the whole catalogue."""
    embedder = serving.installed(name)
    if lacking := serving.lacking(embedder).count():
        raise CommandError(
            f"{embedder} has not described {lacking} garments. "
            f"Run: manage.py embed_catalogue --embedder {name}"
        )
    return embedder


# --- What is measured on -------------------------------------------------------------------------


def _folder(photos: Sequence[datasets.Photo]) -> tuple[list[Sample], list[Measure]]:
    """Garments of a folder: those laid flat and those on people, each among their own."""
    garments = [(photo, garment) for photo in photos for garment in photo.garments]
    samples = [
        Sample(photo.path.name, partial(datasets.crop, photo, garment))
        for photo, garment in garments
    ]
    kinds = {
        "clothing": [row for row, (_, garment) in enumerate(garments) if garment.box is None],
        "street": [row for row, (_, garment) in enumerate(garments) if garment.box is not None],
    }
    return samples, [
        Measure(
            name,
            rows,
            [garments[row][1].label for row in rows],
            [garments[row][0].group for row in rows],
        )
        for name, rows in kinds.items()
        if rows
    ]


def _catalogue() -> tuple[list[Sample], list[Measure]]:
    """Garments that a search finds: pictures of one product find each other, then of a category."""
    segments = list(labelled.garments().filter(findable()).order_by("pk"))
    if not segments:
        raise CommandError("The catalogue has no garments that belong to a product.")
    samples = [Sample(segment.identifier, partial(_crop, segment)) for segment in segments]
    products = [_product(segment).reference for segment in segments]
    pictures = [segment.image.identifier for segment in segments]
    categories = [str(_product(segment).category or "") for segment in segments]
    known = [row for row, category in enumerate(categories) if category]
    return samples, [
        Measure("product", range(len(segments)), products, pictures),
        Measure(
            "category", known, [categories[row] for row in known], [products[row] for row in known]
        ),
    ]


def _crop(segment: Segment) -> Image:
    return images.crop(evaluating.picture(segment.image), Box(*segment.box))


def _product(segment: Segment) -> Product:
    product = segment.image.product
    assert product is not None  # as the query asks for
    return product


# --- Measuring -----------------------------------------------------------------------------------


def _described(model: Model, samples: Sequence[Sample], seed: int) -> tuple[Vectors, Vectors]:
    """The vectors of the samples as they are, and of the samples altered."""
    embedder: Embedder = model.backend
    plain, changed = [np.empty((0, embedder.dim), np.float32)], []
    starts = range(0, len(samples), BATCH)
    for start in evaluating.visibly(starts, f"x{BATCH}", model.name):
        crops = [sample.open() for sample in samples[start : start + BATCH]]
        plain.append(embedder.embed(crops))
        again = [instance.altered(crop, seed + row) for row, crop in enumerate(crops, start)]
        changed.append(embedder.embed(again))
    return np.concatenate(plain), np.concatenate([plain[0], *changed])


def _measured(model: Model, measure: Measure, plain: Vectors, changed: Vectors) -> Measured:
    rows = list(measure.rows)
    items = retrieval.Items(plain[rows], measure.labels, measure.groups)
    return Measured(
        model, items, retrieval.evaluate(items), instance.evaluate(changed[rows], plain[rows])
    )


# --- Telling -------------------------------------------------------------------------------------


def _summary(name: str, measured: Measured) -> str:
    result = measured.retrieval
    return (
        f"{name}: {result.overall.queries} queries of {len(result.by_label)} labels among "
        f"{len(measured.items.labels)} garments; {result.left_out} left out, nothing being "
        "relevant to them"
    )


def _table(results: Sequence[Measured]) -> Table:
    columns = ["", "R@1", "R@5", "R@10", "mAP", "MRR", "nDCG@10", "instance R@1"]
    return Table(columns, [_row(measured) for measured in results])


def _row(measured: Measured) -> list[str]:
    overall = measured.retrieval.overall
    figures = (
        overall.recall_at_1,
        overall.recall_at_5,
        overall.recall_at_10,
        overall.mean_average_precision,
        overall.mean_reciprocal_rank,
        overall.ndcg_at_10,
        measured.instance.recall_at_1,
    )
    return [measured.model.name, *(f"{figure:.3f}" for figure in figures)]


def _label_table(results: Sequence[Measured], most: int = 30) -> Table:
    """R@1 and mAP by label, the commonest first: the products of a shop are too many to show."""
    by_label = results[0].retrieval.by_label
    labels = sorted(by_label, key=lambda label: -by_label[label].queries)[:most]
    columns = [f"{m.model.name} {figure}" for m in results for figure in ("R@1", "mAP")]
    rows = [
        [label, str(by_label[label].queries)]
        + [
            f"{figure:.3f}"
            for measured in results
            for figures in [measured.retrieval.by_label[label]]
            for figure in (figures.recall_at_1, figures.mean_average_precision)
        ]
        for label in labels
    ]
    return Table(["label", "queries", *columns], rows)


def _as_dict(results: Iterable[Measured]) -> dict[str, Any]:
    return {
        measured.model.name: {
            **measured.retrieval.as_dict(),
            "instance": measured.instance.as_dict(),
        }
        for measured in results
    }


def _section(measure: Measure, results: Sequence[Measured], samples: Sequence[Sample]) -> Section:
    shown = results[0]
    lines = [
        Line(
            measured.model.name,
            list(zip(retrieval.LEVELS, measured.retrieval.precision, strict=True)),
        )
        for measured in results
    ]
    good, bad = _extremes(shown)
    return Section(
        title=measure.name,
        note=f"{_summary(measure.name, shown)}. {NOTE}",
        tables=[_table(results), _label_table(results)],
        lines=lines,
        cases={
            "Good cases": list(_cases(good, measure, shown, samples)),
            "Bad cases": list(_cases(bad, measure, shown, samples)),
        },
    )


def _extremes(measured: Measured) -> tuple[list[int], list[int]]:
    """Queries with the highest and the lowest average precision, of as many labels as there are."""
    scores = measured.retrieval.average_precisions
    order = [
        row for row in np.argsort(-scores, kind="stable").tolist() if not np.isnan(scores[row])
    ]

    def first_of_each(rows: Iterable[int]) -> list[int]:
        of_label: dict[str, int] = {}
        for row in rows:
            of_label.setdefault(measured.items.labels[row], row)
        return list(of_label.values())[:CASES]

    return first_of_each(order), first_of_each(reversed(order))


def _cases(
    queries: Sequence[int], measure: Measure, measured: Measured, samples: Sequence[Sample]
) -> Iterator[list[Picture]]:
    """Of each query its picture and those of its first results."""
    items = measured.items
    asked = retrieval.Items(
        items.vectors[queries],
        [items.labels[row] for row in queries],
        [items.groups[row] for row in queries],
    )

    def shown(row: int, right: bool | None) -> Picture:
        sample = samples[measure.rows[row]]
        return Picture(sample.open(), f"{items.labels[row]}, {sample.name}", right)

    for query, (rows, hits) in zip(queries, retrieval.rankings(asked, items), strict=True):
        first = zip(rows[:SHOWN].tolist(), hits[:SHOWN].tolist(), strict=True)
        yield [shown(query, None), *(shown(row, right) for row, right in first)]
