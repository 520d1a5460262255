"""`make benchmark`: figures of speed and memory, each beside a baseline of the same run.

    python -m tests.benchmark [--items 100000] [--photos 300]
    python -m tests.benchmark --models     the networks alone, against the plain libraries

Machines are shared and noisy: read the ratios, and the medians rather than single times.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import tests.environment  # noqa: F401  (a data folder of its own; before Django's settings)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fashionsim.settings")
os.environ["LOG_LEVEL"] = "ERROR"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as workers have it; torch reads it
os.environ["ALLOWED_HOSTS"] = "testserver"
os.environ |= {"THROTTLE_STRANGERS": "", "THROTTLE_PEOPLE": "", "THROTTLE_SEARCHES": ""}

import django

django.setup()

import numpy as np
from django.conf import settings
from django.core.management import call_command
from django.db import connection, reset_queries, transaction
from django.test.utils import CaptureQueriesContext
from PIL import Image
from rest_framework.test import APIClient

from catalog.models import Category, OriginalImage, Product, Segment
from similarity import backends, indexing, services, serving
from similarity.engine import load
from similarity.models import Embedding
from tests.benchmark_models import benchmark_models
from tests.engine.tiny_models import write_resnet50
from tests.pictures import encoded, picture

DIM = 128
OK = 200
CHUNK = 5000
EMBEDDERS = ("colour", "resnet50")


def line(name: str, value: str, baseline: str = "") -> None:
    print(f"{name:<60}{value:>14}   {baseline}", flush=True)


def median_ms(act: Callable[[], object], runs: int = 200, warm: int = 10) -> float:
    """The median of so many runs, in milliseconds."""
    for _ in range(warm):
        act()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        act()
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)


def clustered(n: int, seed: int = 1) -> np.ndarray:
    """Unit vectors in clusters, as garments of a kind lie: shape (n, DIM)."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(n // 100 + 1, DIM))
    vectors = centres[random.integers(0, len(centres), n)] + 0.5 * random.normal(size=(n, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@transaction.atomic
def fill(n: int) -> None:
    """A catalogue of n garments, one to a product, described by the serving embedder."""
    embedder = serving.serving_embedder()
    categories = [Category.objects.create(name=f"c{i}", slug=f"c{i}") for i in range(10)]
    vectors = clustered(n)
    for start in range(0, n, CHUNK):
        numbers = range(start, min(start + CHUNK, n))
        products = Product.objects.bulk_create(
            Product(
                reference=f"P{i}",
                name=f"Product {i}",
                brand=f"b{i % 100}",
                category=categories[i % 10],
                price=i % 300,
            )
            for i in numbers
        )
        images = OriginalImage.objects.bulk_create(
            OriginalImage(
                identifier=f"i{i}",
                sha256=f"{i:064}",
                file=f"i{i}.jpg",
                width=300,
                height=400,
                size=1,
                status=OriginalImage.Status.READY,
                product=product,
            )
            for i, product in zip(numbers, products, strict=True)
        )
        segments = Segment.objects.bulk_create(
            Segment(
                identifier=f"i{i}_segment_0",
                image=image,
                number=0,
                x0=0,
                y0=0,
                x1=300,
                y1=400,
                label="garment",
                score=1,
                detector="whole_image",
            )
            for i, image in zip(numbers, images, strict=True)
        )
        Embedding.objects.bulk_create(
            Embedding(segment=segment, embedder=embedder, vector=vectors[i])
            for i, segment in zip(numbers, segments, strict=True)
        )


REBUILD = """
import django
django.setup()
from django.core.management import call_command
call_command("rebuild_index")
print(open("/proc/self/status").read())  # its VmHWM; getrusage would tell of its parent as well
"""


def benchmark_rebuild(n: int) -> None:
    """Run the command, while this process goes on searching."""
    started = time.perf_counter()
    with searching() as times:
        command = [sys.executable, "-c", REBUILD]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    took = time.perf_counter() - started
    megabytes = int(re.search(r"VmHWM:\s+(\d+)", out)[1]) / 1024
    line(f"rebuild_index of {n:,} x {DIM}, as a command", f"{took:.1f} s", "asked: at most 30 s")
    line("  its peak memory", f"{megabytes:.0f} MB", "asked: at most 1,000 MB")
    line(
        "  searches meanwhile, median",
        f"{1000 * statistics.median(times):.1f} ms",
        f"{len(times)} searches, none failed",
    )


@contextmanager
def searching() -> Iterator[list[float]]:
    """Search without pause in another thread; gives the seconds that each search took."""
    times: list[float] = []
    done = threading.Event()

    def search() -> None:
        client = APIClient()
        while not done.is_set():
            started = time.perf_counter()
            response = client.get("/api/v1/segments/i7_segment_0/similar/")
            assert response.status_code == OK, response.content
            times.append(time.perf_counter() - started)
        connection.close()

    thread = threading.Thread(target=search)
    thread.start()
    yield times
    done.set()
    thread.join()


def benchmark_searches(n: int) -> None:
    client = APIClient()
    embedder = serving.serving_embedder()
    vectors = np.stack([v for _, batch in indexing.stored_vectors(embedder) for v in batch])
    random = np.random.default_rng(2)

    def anyone() -> str:
        return f"i{random.integers(n)}_segment_0"

    def ok(response: object) -> None:
        assert response.status_code < 300, response.content  # type: ignore[attr-defined]

    scan = median_ms(lambda: np.argsort(-(vectors @ vectors[random.integers(n)]))[:20], runs=50)
    line(f"baseline: a scan of all {n:,} vectors in memory", f"{scan:.1f} ms")
    for name, act in {
        "GET segments/{id}/similar/": lambda: ok(
            client.get(f"/api/v1/segments/{anyone()}/similar/")
        ),
        "POST searches/ by segment": lambda: ok(
            client.post("/api/v1/searches/", {"segment": anyone()}, format="json")
        ),
        "the same, filtered to 50 %": lambda: ok(
            client.get(f"/api/v1/segments/{anyone()}/similar/?price_max=150")
        ),
        "the same, filtered to 10 %": lambda: ok(
            client.get(f"/api/v1/segments/{anyone()}/similar/?category=c3")
        ),
        "the same, filtered to 1 %": lambda: ok(
            client.get(f"/api/v1/segments/{anyone()}/similar/?brand=b42")
        ),
        "the same, with facets": lambda: ok(
            client.get(f"/api/v1/segments/{anyone()}/similar/?brand=b42&facets=true")
        ),
    }.items():
        took = median_ms(act)
        reset_queries()
        with CaptureQueriesContext(connection) as queries:
            act()
        line(name, f"{took:.1f} ms", f"{took / scan:.2f} x the scan, {len(queries)} queries")


def benchmark_embedders() -> None:
    random = np.random.default_rng(3)
    crops = [
        Image.fromarray(random.integers(0, 256, (400, 300, 3), dtype=np.uint8)) for _ in range(32)
    ]
    base = 0.0
    for name in EMBEDDERS:
        embedder = load("embedder", name, **backends.options(name))
        for size in (1, 8, 32):
            took = median_ms(lambda s=size, e=embedder: e.embed(crops[:s]), runs=5, warm=1)
            rate = 1000 * size / took
            base = base or rate
            ratio = f"{rate / base:.2f} x colour at 1"
            line(f"embedder {name}, batch of {size}", f"{rate:.0f} crops/s", ratio)


def children_cpu_seconds() -> float:
    """Spent by those processes of ours that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def benchmark_ingest(photos: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.jpg" for number in range(photos)]
        for number, file in enumerate(files):
            file.write_bytes(encoded(picture("red", (300, 400), number), "JPEG"))
        for name in EMBEDDERS:
            settings.EMBEDDER = name
            backends.forget()
            ingest_beside_a_loop(folder, files if name == "colour" else files[:64])
            OriginalImage.objects.all().delete()
    settings.EMBEDDER = "colour"
    backends.forget()


def ingest_beside_a_loop(folder: str, files: list[Path]) -> None:
    for file in set(Path(folder).iterdir()) - set(files):
        file.unlink()
    started = time.perf_counter()
    for file in files:
        backends.embedder().embed([services.read_image(file.read_bytes())])
    plain = len(files) / (time.perf_counter() - started)
    cpu = children_cpu_seconds()
    out = subprocess.run(
        [sys.executable, "manage.py", "ingest_folder", folder],
        env=os.environ | {"EMBEDDER": settings.EMBEDDER},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    seconds = float(re.search(r" in ([0-9.]+) s", out)[1])
    busy = (children_cpu_seconds() - cpu) / seconds
    rate = len(files) / seconds
    line(f"baseline: decode and {settings.EMBEDDER} in a loop", f"{plain:.0f} photos/s")
    line(
        f"ingest_folder with {settings.EMBEDDER}, {len(files)} photos of 300 x 400",
        f"{rate:.0f} photos/s",
        f"{rate / plain:.2f} x the loop, {busy:.1f} cores busy",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--photos", type=int, default=1500)
    parser.add_argument("--models", action="store_true", help="the networks alone")
    parser.add_argument("--pairs", type=int, default=5, help="of each comparison of networks")
    parser.add_argument("--threads", type=int, default=2, help="that a network computes in")
    options = parser.parse_args()
    if options.models:
        benchmark_models(options.pairs, options.threads)
        return
    call_command("migrate", verbosity=0)
    started = time.perf_counter()
    fill(options.items)
    took = time.perf_counter() - started
    line(f"(filling the shop with {options.items:,} garments)", f"{took:.0f} s")
    benchmark_rebuild(options.items)
    benchmark_searches(options.items)
    call_command("flush", interactive=False, verbosity=0)
    indexing.forget()
    # Random weights of the true shape: a network's speed does not depend on their values.
    settings.MODELS_DIR.mkdir()
    write_resnet50(settings.MODELS_DIR)
    benchmark_embedders()
    benchmark_models(options.pairs, options.threads)
    benchmark_ingest(options.photos)


if __name__ == "__main__":
    main()
