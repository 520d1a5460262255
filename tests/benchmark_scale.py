"""`make benchmark-scale`: one shop at several sizes, from its tables to the answers of its server.

    python -m tests.benchmark_scale [--sizes 10000 100000 1000000] [--spread 0.5]
        [--engines annoy annoy:trees=20,search_k=10000 faiss_hnsw:bits=32,ef_search=128]
        [--database mysql://...] [--folder DIR] [--json FILE]

Each size is a shop of its own in a scratch DATA_DIR: synthetic garments of 128 dimensions in
clusters, one to a picture, one picture to a product, with a category, brand, price and tag.
`--spread` is the length of what parts a garment from its cluster's centre: 1 (cosine 0.71 to the
centre) are loose clusters, hard to search in, 0.5 (0.89) tight ones. An engine has what it is given
behind its name, and chooses the rest by measuring. Each step is a process of its own, as in
production: `rebuild_index`, gunicorn, and the clients that ask it. A database that is given is
emptied: never give one that is of use.

Machines are shared and noisy. Beside the time that passed stands the processor's, which what else
runs changes little; the machine's load says how much that was.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DIM = 128
CLIENTS = (1, 4, 16)
REQUESTS = 200
"""Of each number of clients, together."""
QUERIES = 300
ROOT = Path(__file__).parents[1]

Figures = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--engines", nargs="+", default=["annoy", "faiss_hnsw"])
    parser.add_argument("--spread", type=float, default=1.0, help="of clusters (default: 1)")
    parser.add_argument("--database", help="URL of a database to fill (default: SQLite)")
    parser.add_argument("--folder", type=Path, help="where shops are kept, and used again")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        print(json.dumps(STEPS[options.step](options.sizes[0], options.spread)))
        return
    folder = options.folder or Path(tempfile.mkdtemp(prefix="fashionsim-scale-"))
    shops = [Shop(size, options.spread, options.database, folder) for size in options.sizes]
    try:
        rows = [row for shop in shops for row in figures_of(shop, options.engines)]
    finally:
        if options.folder is None:
            shutil.rmtree(folder)
    show_growth(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


# --- The steps of one size, each in a process of its own ------------------------------------


@dataclass(frozen=True, slots=True)
class Shop:
    """What is filled, and where."""

    size: int
    spread: float
    database: str | None
    shops: Path

    @property
    def folder(self) -> Path:
        return self.shops / f"{self.size}-{self.spread}"

    @property
    def env(self) -> dict[str, str]:
        given = {"DATABASE_URL": self.database} if self.database else {}
        return {
            **os.environ,
            "DATA_DIR": str(self.folder),
            "DETECTOR": "whole_image",
            "EMBEDDER": "compact",
            "LOG_LEVEL": "ERROR",
            "THROTTLE_STRANGERS": "",
            "THROTTLE_PEOPLE": "",
            "THROTTLE_SEARCHES": "",
            "OMP_WAIT_POLICY": "PASSIVE",
            "DJANGO_SETTINGS_MODULE": "fashionsim.settings",
            **given,
        }


def figures_of(shop: Shop, engines: list[str]) -> Iterator[Figures]:
    shop.folder.mkdir(parents=True, exist_ok=True)
    place = shop.database or "SQLite"
    print(f"\n{shop.size:,} garments, {DIM} dimensions, spread {shop.spread}, {place}")
    if not (shop.folder / "filled").exists():
        took = step("fill", shop, shop.env)["seconds"]
        print(f"  filled in {took:.0f} s", flush=True)
        (shop.folder / "filled").touch()
    else:  # it may be of an earlier version
        command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(command, check=True, cwd=ROOT, env=shop.env)
    for engine in engines:
        name, _, given = engine.partition(":")
        env = {**shop.env, "INDEX": name, "INDEX_OPTIONS": given}
        row: Figures = {"size": shop.size, "spread": shop.spread, "engine": engine}
        row["load_before"] = os.getloadavg()[0]
        row |= rebuilt(env)
        row |= step("search", shop, env)
        row |= served(shop.size, env)
        row["load_after"] = os.getloadavg()[0]
        show(row)
        yield row


def step(name: str, shop: Shop, env: dict[str, str]) -> Figures:
    command = [
        *(sys.executable, "-m", "tests.benchmark_scale", "--step", name),
        *("--sizes", str(shop.size), "--spread", str(shop.spread)),
    ]
    done = subprocess.run(command, check=True, cwd=ROOT, env=env, stdout=subprocess.PIPE)
    figures: Figures = json.loads(done.stdout)
    return figures


def fill(size: int, spread: float) -> Figures:
    """A catalogue of so many garments, described by the embedder that serves."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import transaction

    started = time.perf_counter()
    call_command("migrate", verbosity=0)
    call_command("flush", interactive=False, verbosity=0)
    from similarity.engine.trials import synthetic

    batches = synthetic(size, DIM, spread=spread)
    fill_catalogue((keys, vectors, keys % 10) for keys, vectors in [next(batches)])
    for keys, vectors in batches:
        with transaction.atomic():
            copy_first(int(keys[0]), len(keys))
            describe(keys, vectors)
    return {"seconds": time.perf_counter() - started}


def copy_first(offset: int, count: int) -> None:
    """As many products as that, like the first ones, with tags, pictures and garments.

    By the database alone, for models take a quarter of an hour for a million of them.
    """
    from django.db import connection

    from catalog.models import OriginalImage, Product, Segment

    def text(*parts: str) -> str:
        mysql = connection.vendor == "mysql"
        return f"CONCAT({', '.join(parts)})" if mysql else " || ".join(parts)

    def moved(column: str) -> str:
        return f"{column} + {offset}"

    number = f"(id - 1 + {offset})"
    identifier = text("'i'", number)
    padded = f"SUBSTR({text(repr('0' * 64), number)}, -64)"
    copies: list[tuple[Any, dict[str, str], str]] = [
        (Product, {"id": moved("id"), "reference": text("'P'", number)}, "id"),
        (Product.tags.through, {"product_id": moved("product_id")}, "product_id"),
        (
            OriginalImage,
            {"id": moved("id"), "product_id": moved("product_id"), "identifier": identifier}
            | {"sha256": padded, "file": text(identifier, "'.jpg'")},
            "id",
        ),
        (
            Segment,
            {"id": moved("id"), "image_id": moved("image_id")}
            | {"identifier": text(identifier, "'_segment_0'")},
            "id",
        ),
    ]
    with connection.cursor() as cursor:
        for model, changed, counted in copies:
            fields = (field for field in model._meta.concrete_fields)
            columns = [f.column for f in fields if f.column in changed or not f.primary_key]
            values = ", ".join(changed.get(column, column) for column in columns)
            table = model._meta.db_table
            cursor.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) "  # noqa: S608  (our own words)
                f"SELECT {values} FROM {table} WHERE {counted} <= {count}"
            )


def describe(keys: Any, vectors: Any) -> None:
    """Give garments their vectors."""
    from django.db import connection

    from similarity import serving
    from similarity.models import Embedding

    embedder, field = serving.serving_embedder(), Embedding._meta.get_field("vector")
    table = Embedding._meta.db_table
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table} (segment_id, embedder_id, vector) "  # noqa: S608  (our own words)
            "VALUES (%s, %s, %s)",
            [
                (key + 1, embedder.pk, field.get_db_prep_save(vector, connection))
                for key, vector in zip(keys.tolist(), vectors, strict=True)
            ],
        )


def fill_catalogue(batches: Iterable[tuple[Any, Any, Any]]) -> None:
    """Garments into empty tables: their numbers from 0, vectors, and the numbers of categories."""
    from django.db import transaction

    from catalog.models import Category, OriginalImage, Product, Segment, Tag
    from similarity import serving
    from similarity.models import Embedding

    embedder = serving.serving_embedder()
    categories = [Category.objects.create(name=f"c{i}", slug=f"c{i}") for i in range(20)]
    tags = [Tag.objects.create(name=f"t{i}") for i in range(10)]
    tagged = Product.tags.through
    for keys, vectors, kinds in batches:
        numbers = keys.tolist()
        with transaction.atomic():
            # The tables are empty: keys of our own need not be looked up.
            Product.objects.bulk_create(
                Product(
                    pk=i + 1,
                    reference=f"P{i}",
                    name=f"Product {i}",
                    brand=f"b{i % 100}",
                    category=categories[kind],
                    price=i % 300,
                )
                for i, kind in zip(numbers, kinds.tolist(), strict=True)
            )
            tagged.objects.bulk_create(
                tagged(product_id=i + 1, tag=tags[i // 7 % 10]) for i in numbers
            )
            OriginalImage.objects.bulk_create(
                OriginalImage(
                    pk=i + 1,
                    identifier=f"i{i}",
                    sha256=f"{i:064}",
                    file=f"i{i}.jpg",
                    width=300,
                    height=400,
                    size=1,
                    status=OriginalImage.Status.READY,
                    product_id=i + 1,
                )
                for i in numbers
            )
            Segment.objects.bulk_create(
                Segment(
                    pk=i + 1,
                    identifier=f"i{i}_segment_0",
                    image_id=i + 1,
                    number=0,
                    x0=0,
                    y0=0,
                    x1=300,
                    y1=400,
                    label="garment",
                    score=1,
                    detector="whole_image",
                )
                for i in numbers
            )
            Embedding.objects.bulk_create(
                Embedding(segment_id=i + 1, embedder=embedder, vector=vector)
                for i, vector in zip(numbers, vectors, strict=True)
            )


def rebuilt(env: dict[str, str]) -> Figures:
    """`manage.py rebuild_index`, from the database to the build that serves."""
    started = time.perf_counter()
    command = [sys.executable, "manage.py", "rebuild_index"]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    spent = children_cpu()
    peaks: dict[str, float] = {}
    done = threading.Event()

    def watch() -> None:
        # What is mapped from files is the page cache's, and is given back when it is short:
        # of its own memory a process is killed.
        while not done.wait(0.2):
            for name in ("VmHWM", "RssAnon"):
                now = memory(process.pid, name)
                peaks[name] = max(peaks.get(name, 0.0), now)

    watcher = threading.Thread(target=watch)
    watcher.start()
    told = process.stdout.read()
    code = process.wait()
    done.set()
    watcher.join()
    assert code == 0, told
    found = re.search(r"recall@10 ([\d.]+)", told)
    return {
        "rebuild_s": time.perf_counter() - started,
        "rebuild_cpu_s": children_cpu() - spent,
        "rebuild_mb": peaks["VmHWM"],
        "rebuild_own_mb": peaks["RssAnon"],
        "build": told.strip(),
        "recall": float(found[1]) if found else None,
    }


def search(_: int, __: float) -> Figures:
    """`Index.search` of the build that serves, and the library's own call with the same effort."""
    import django
    import numpy as np

    django.setup()
    from similarity import indexing, serving
    from similarity.engine.tuning import Queries

    store = indexing.build_store(serving.serving_embedder())
    build = store.open(str(store.current()))
    vectors = np.load(store.root / build.manifest.name / "vectors.npy", mmap_mode="r")
    queries = Queries.drawn(vectors, QUERIES, seed=6)
    bare = bare_call(build.index)
    measured = queries.measure(build.index, build.keys)  # everything is in memory now
    ours, theirs, ours_cpu, theirs_cpu = [], [], [], []
    for _ in range(3):
        # In turns, so that what else the machine does harms both; and with different queries, so
        # that neither finds in the processor's caches what the other has looked at.
        for query, another in zip(queries.vectors, np.roll(queries.vectors, 100, 0), strict=True):
            took, cpu = timed(lambda q=query: build.search(q[None], 10))
            ours.append(took)
            ours_cpu.append(cpu)
            if bare:
                given = asked(another, build.index)
                took, cpu = timed(lambda q=given: bare(q, 10))
                theirs.append(took)
                theirs_cpu.append(cpu)
    scans = [timed(lambda q=query: np.argmax(vectors @ q))[0] for query in queries.vectors[:20]]
    return {
        "measured_recall": measured.recall,
        "search_p50_ms": percentile(ours, 50),
        "search_p95_ms": percentile(ours, 95),
        "search_cpu_ms": percentile(ours_cpu, 50),
        "bare_recall": bare and bare_recall(queries, bare, build, vectors),
        "bare_p50_ms": percentile(theirs, 50) if theirs else None,
        "bare_cpu_ms": percentile(theirs_cpu, 50) if theirs else None,
        "scan_ms": percentile(scans, 50),
    }


Bare = Callable[[Any, int], Any]
"""Gives positions and distances of so many neighbours, in the library's own form."""


def asked(query: Any, index: Any) -> Any:
    """A query as the library takes it."""
    return query.tolist() if hasattr(index, "_forest") else query[None]


def bare_call(index: Any) -> Bare | None:
    """The library's own search, with our effort, as a program without us would call it."""
    from similarity.engine.indexes.approximate import scaled

    if forest := getattr(index, "_forest", None):
        nodes = scaled(index.search_k, 10)
        return lambda query, k: forest.get_nns_by_vector(query, k, nodes, include_distances=True)
    if graph := getattr(index, "_faiss", None):
        how = index._how(10)
        return lambda query, k: graph.search(query, k, params=how)
    return None


def bare_recall(queries: Any, bare: Bare, build: Any, vectors: Any) -> float:
    """What the library finds by itself, which has no exact vectors to look at again."""
    from similarity.engine import Hit

    class Library:
        def search(self, batch: Any, k: int) -> list[list[Hit]]:
            found = bare(asked(batch[0], build.index), k)
            positions = found[0] if hasattr(build.index, "_forest") else found[1][0]
            return [[Hit(int(build.keys[i]), float(vectors[i] @ batch[0])) for i in positions]]

    recall: float = queries.measure(Library(), build.keys).recall
    return recall


def timed(act: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds that passed, and those of them in which this thread had a processor."""
    started, busy = time.perf_counter(), time.thread_time()
    act()
    return 1000 * (time.perf_counter() - started), 1000 * (time.thread_time() - busy)


def percentile(times: list[float], part: int) -> float:
    return statistics.quantiles(times, n=100)[part - 1]


STEPS: dict[str, Callable[[int, float], Figures]] = {"fill": fill, "search": search}


# --- The server, and its clients ------------------------------------------------------------


def served(size: int, env: dict[str, str]) -> Figures:
    """gunicorn with one process, from its start to its first answer, and under clients."""
    figures: Figures = {}
    started = time.perf_counter()
    with server(env) as (port, pid):
        ask(connected(port), "/api/v1/segments/i7_segment_0/similar/")
        figures["restart_s"] = time.perf_counter() - started
        child = children_of(pid)[0]
        figures["restart_cpu_s"] = cpu_of(pid) + cpu_of(child)
        while not is_warm(port):  # its models are loaded in a thread of its own
            time.sleep(0.5)
        for clients in CLIENTS:
            for name, path in {
                "rest": "/api/v1/segments/i{}_segment_0/similar/",
                "filtered": "/api/v1/segments/i{}_segment_0/similar/?category=c3",
            }.items():
                spent = cpu_of(child)
                times = asked_by(clients, port, path, size)
                figures[f"{name}_{clients}_cpu_ms"] = (
                    1000 * (cpu_of(child) - spent) / requests_of(clients)
                )
                figures[f"{name}_{clients}_p50_ms"] = percentile(times, 50)
                figures[f"{name}_{clients}_p95_ms"] = percentile(times, 95)
        figures["web_own_mb"] = memory(child, "RssAnon")
        figures["web_shared_mb"] = memory(child, "RssFile")
    return figures


@contextmanager
def server(env: dict[str, str]) -> Iterator[tuple[int, int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "gunicorn", "fashionsim.wsgi", "--threads", "8"),
        *("--bind", f"127.0.0.1:{port}", "--log-level", "warning", "--timeout", "600"),
        *("--keep-alive", "75"),  # a client that waits for a core keeps its connection
    ]
    process = subprocess.Popen(command, cwd=ROOT, env=env)
    try:
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def connected(port: int) -> http.client.HTTPConnection:
    """A connection, once somebody listens."""
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        try:
            connection.connect()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return connection


def is_warm(port: int) -> bool:
    connection = connected(port)
    connection.request("GET", "/api/v1/health/ready")
    return bool(json.loads(connection.getresponse().read()).get("warm"))


def ask(connection: http.client.HTTPConnection, path: str) -> None:
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == http.HTTPStatus.OK, body
    assert json.loads(body)["results"], path


def requests_of(clients: int) -> int:
    """How many requests so many clients send together."""
    return clients * max(20, REQUESTS // clients)


def asked_by(clients: int, port: int, path: str, size: int) -> list[float]:
    """Milliseconds of requests for different garments, by so many clients at a time."""
    times: list[float] = []

    def client(number: int) -> None:
        connection = connected(port)
        for turn in range(requests_of(clients) // clients):
            garment = (7919 * (number + 1) * (turn + 1)) % size
            took, _ = timed(lambda: ask(connection, path.format(garment)))  # noqa: B023
            if turn >= 5:  # the first few make room in caches
                times.append(took)
        connection.close()

    threads = [threading.Thread(target=client, args=[n]) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def memory(pid: int, what: str) -> float:
    """Megabytes, by Linux's account of a process; 0 once it has gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(rf"{what}:\s+(\d+)", status)
    return int(found[1]) / 1024 if found else 0.0


def children_cpu() -> float:
    """Seconds of the processor's that those processes of ours have taken which have ended."""
    times = os.times()
    return times.children_user + times.children_system


def cpu_of(pid: int) -> float:
    """The same of a process that runs."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


# --- What is printed ------------------------------------------------------------------------

SHOWN = {
    "rebuild_s": ("rebuild_index", "s", 180),
    "rebuild_cpu_s": ("  of the processor's time", "s", None),
    "rebuild_mb": ("  its peak memory, mapped files included", "MB", 3000),
    "rebuild_own_mb": ("  without them", "MB", None),
    "measured_recall": ("recall@10", "", None),
    "search_p50_ms": ("Index.search, p50", "ms", None),
    "search_p95_ms": ("Index.search, p95", "ms", None),
    "search_cpu_ms": ("  of the processor's time", "ms", None),
    "bare_recall": ("the bare library's recall@10", "", None),
    "bare_p50_ms": ("the bare library, p50", "ms", None),
    "bare_cpu_ms": ("  of the processor's time", "ms", None),
    "scan_ms": ("a scan by one matrix product", "ms", None),
    "restart_s": ("start of the server to its first answer", "s", 5),
    "restart_cpu_s": ("  of the processor's time", "s", None),
    **{
        f"{kind}_{clients}_{part}_ms": (
            f"{what}, {clients} clients, {part}",
            "ms",
            15 if (kind, clients, part) == ("rest", 1, "p50") else None,
        )
        for kind, what in (("rest", "GET similar/"), ("filtered", "  filtered to 10 %"))
        for clients in CLIENTS
        for part in ("p50", "p95", "cpu")
    },
    "web_own_mb": ("memory of a web process: its own", "MB", None),
    "web_shared_mb": ("  mapped, shared by all", "MB", None),
}


def show(row: Figures) -> None:
    print(f"\n  {row['engine']}: {row['build']}")
    load = f"{row['load_before']:.1f} before, {row['load_after']:.1f} after"
    print(f"  (load of the machine: {load}, {os.cpu_count()} cores)")
    for name, (words, unit, target) in SHOWN.items():
        if (value := row.get(name)) is not None:
            aim = f"asked at 1,000,000: at most {target} {unit}" if target else ""
            print(f"    {words:<46}{value:>10.2f} {unit:<3} {aim}", flush=True)


def show_growth(rows: list[Figures]) -> None:
    for engine in dict.fromkeys(row["engine"] for row in rows):
        first, *_, last = [row for row in rows if row["engine"] == engine] * 2
        if first["size"] == last["size"]:
            continue
        print(f"\n  {engine}, from {first['size']:,} to {last['size']:,}:")
        for name in (
            "search_p50_ms",
            "search_cpu_ms",
            "rest_1_p50_ms",
            "rest_1_cpu_ms",
            "rebuild_cpu_s",
            "web_own_mb",
            "web_shared_mb",
        ):
            times = last[name] / first[name]
            print(f"    {SHOWN[name][0]:<46}{times:>10.2f} times")


if __name__ == "__main__":
    main()
