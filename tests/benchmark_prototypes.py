"""What narrowing searches to the nearest categories costs and saves.

    python -m tests.benchmark_prototypes [--items 20000] [--engines exact annoy]

A scratch shop of synthetic garments: 20 categories around centres of their own, styles within each,
garments around those (cosine to the style about 0.8); each tenth is sorted elsewhere, as a tunic is
now a dress, now a top. Searches are by garments with noise added. Times are the processor's, of
the thread that searches: what else the machine does changes little of them.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator

import tests.environment  # noqa: F401  (a data folder of its own; before Django's settings)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fashionsim.settings")
os.environ["LOG_LEVEL"] = "ERROR"

import django

django.setup()

import numpy as np
from django.conf import settings
from django.core.management import call_command

from similarity import indexing, prototypes, serving
from tests.benchmark_scale import fill_catalogue

DIM = 128
KINDS = 20
STYLE = 100
"""Garments to a style, on average."""
ELSEWHERE = 0.1
"""Part of the garments that are not sorted as their look would have it."""

QUERIES = 200
LIMIT = 10
BATCH = 5000


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def noise(random: np.random.Generator, count: int, length: float) -> np.ndarray:
    return length * unit(random.standard_normal((count, DIM)))


def garments(count: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Numbers, vectors and categories, in batches."""
    random = np.random.default_rng(1)
    centres = unit(random.standard_normal((KINDS, DIM)))
    of_style = random.integers(KINDS, size=max(1, count // STYLE))
    styles = unit(centres[of_style] + noise(random, len(of_style), 1.2))
    for start in range(0, count, BATCH):
        numbers = np.arange(start, min(start + BATCH, count))
        worn = random.integers(len(styles), size=len(numbers))
        elsewhere = random.random(len(numbers)) < ELSEWHERE
        kinds = np.where(elsewhere, random.integers(KINDS, size=len(numbers)), of_style[worn])
        yield numbers, unit(styles[worn] + noise(random, len(numbers), 0.75)), kinds


def measure(name: str, search, queries: np.ndarray, true: list[set[int]]) -> None:
    for query in queries[:5]:
        search(query)
    right, times = 0, []
    for query, nearest in zip(queries, true, strict=True):
        started = time.thread_time()
        found = search(query)
        times.append(1000 * (time.thread_time() - started))
        assert len(found) == LIMIT
        right += len(nearest & {item.segment_id for item in found})
    p50, p95 = np.percentile(times, [50, 95])
    recall = right / (LIMIT * len(queries))
    print(f"  {name:<28}{recall:>10.3f}{p50:>10.2f}{p95:>10.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--engines", nargs="+", default=["exact", "annoy"])
    options = parser.parse_args()
    call_command("migrate", verbosity=0)
    fill_catalogue(garments(options.items))
    embedder = serving.serving_embedder()
    started = time.thread_time()
    prototypes.refresh()
    took = time.thread_time() - started
    print(f"{options.items:,} garments, {KINDS} categories; first means in {took:.1f} s")
    stored = list(indexing.stored_vectors(embedder))
    vectors = np.concatenate([rows for _, rows in stored])
    random = np.random.default_rng(2)
    drawn = random.choice(len(vectors), QUERIES, replace=False)
    queries = unit(vectors[drawn] + noise(random, QUERIES, 0.3))
    # A garment's key is its number and one: the tables were empty.
    scores = queries @ vectors.T
    true = [set((np.argsort(-row)[:LIMIT] + 1).tolist()) for row in scores]
    for engine in options.engines:
        settings.INDEX = engine
        indexing.forget()
        indexing.rebuild(embedder)
        print(f"\n  {engine:<28}{'recall@10':>10}{'p50 ms':>10}{'p95 ms':>10}")
        measure(
            "without",
            lambda query: indexing.nearest(embedder, query, limit=LIMIT),
            queries,
            true,
        )
        for top in (1, 3, 10):
            measure(
                f"top_categories={top}",
                lambda query, top=top: prototypes.nearest(embedder, query, limit=LIMIT, top=top),
                queries,
                true,
            )


if __name__ == "__main__":
    main()
