"""The same shop on MariaDB and Redis: the suite once more, and a worker; a part on PostgreSQL."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.engine.live import postgresql
from tests.pictures import photo
from tests.scratch import REPOSITORY, Shop, connect_to_mariadb, eventually, shop_in

pytestmark = [pytest.mark.slow, pytest.mark.servers]

REQUESTS = ["tests/api", "tests/shopserver"]
WORK = ["tests/admin", "tests/pipeline", "tests/commands"]

SAMPLE = [
    "tests/api/test_batch.py",
    "tests/api/test_cancel.py",
    "tests/api/test_facets.py",
    "tests/api/test_idempotency.py",
    "tests/legacy/test_items.py",
    "tests/shopserver/test_exchange.py",
]
"""What leans most on the database: races that it decides, documents that it keeps, and counting."""

OPTIONS = ["-q", "--reuse-db", "-p", "no:xdist", "-p", "no:cacheprovider"]

AT_LEAST = 200
"""Tests of each half of the suite that a healthy run passes."""

LOCK = "fashionsim-tests"
LONGEST_RUN = 3600


def unreachable(what: str) -> None:
    """Skip where a developer has no such server; in CI, which has them all, fail."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture
def database() -> Iterator[str]:
    """The URL of a database on MariaDB that is this test's alone. It is gone afterwards."""
    name = f"fashionsim_{secrets.token_hex(4)}"
    try:
        server = connect_to_mariadb()
    except ImportError as error:
        unreachable(f"There is no MySQL driver: {error}")
    except Exception as error:  # noqa: BLE001  (the driver's own, which may not be there)
        unreachable(f"There is no MariaDB for root on 127.0.0.1: {error}")
    try:
        server.query(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        yield f"mysql://root@127.0.0.1:3306/{name}"
    finally:
        for doomed in (name, f"test_{name}"):
            server.query(f"DROP DATABASE IF EXISTS {doomed}")
        server.close()


@pytest.fixture
def broker() -> Iterator[str]:
    """The URL of a database on Redis that nobody else uses meanwhile. It is empty afterwards."""
    try:
        import redis
    except ImportError as error:
        unreachable(f"There is no Redis driver: {error}")
    for number in range(15, 0, -1):
        server = redis.Redis("127.0.0.1", db=number)
        try:
            is_ours = server.dbsize() == 0 and server.set(LOCK, 1, nx=True, ex=LONGEST_RUN)
        except redis.ConnectionError as error:
            unreachable(f"There is no Redis on 127.0.0.1: {error}")
        if is_ours:
            yield f"redis://127.0.0.1:6379/{number}"
            server.flushdb()
            return
    unreachable("All databases of the Redis on 127.0.0.1 are in use.")


def exists(database: str) -> bool:
    server = connect_to_mariadb()
    try:
        cursor = server.cursor()
        cursor.execute("SHOW DATABASES LIKE %s", [database])
        return cursor.fetchone() is not None
    finally:
        server.close()


def passes(parts: list[str], at_least: int = AT_LEAST, **servers: str) -> None:
    """Run that part of the suite with these settings."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
    }
    environment |= servers
    markers = "not slow and not browser and not servers and not photos"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, "-m", markers, *parts],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout[-20_000:] + done.stderr[-5_000:]
    assert done.returncode == 0, output
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= at_least, output


def passes_on_mariadb(parts: list[str], database: str, broker: str) -> None:
    passes(parts, DATABASE_URL=database, REDIS_URL=broker)
    assert exists(f"test_{database.rpartition('/')[2]}"), "it ran on another database"


def test_what_is_asked_for_passes_on_mariadb_and_redis(database, broker):
    passes_on_mariadb(REQUESTS, database, broker)


def test_what_leans_most_on_the_database_passes_on_postgresql():
    psycopg = pytest.importorskip("psycopg")
    passes(SAMPLE, at_least=80, DATABASE_URL=postgresql())
    with psycopg.connect(postgresql()) as server:
        names = server.execute("SELECT datname FROM pg_database").fetchall()
    assert ("test_postgres",) in names, "it ran on another database"


@pytest.fixture
def shop(database, broker, tmp_path) -> Iterator[Shop]:
    folder = tmp_path / "shop"
    with shop_in(folder, DATABASE_URL=database, REDIS_URL=broker, WORKERS=2) as shop:
        migrated = shop.manage("migrate", "--verbosity", 0)
        assert migrated.returncode == 0, migrated.stderr
        yield shop


def test_a_worker_on_mariadb_and_redis_describes_what_is_uploaded(shop):
    worker = shop.start("worker")
    shop.upload(photo("red"), photo("green"), photo("blue"))
    eventually(lambda: [run["state"] for run in shop.runs()] == ["done"] * 3)
    assert shop.count("catalog_segment") == shop.count("similarity_embedding") == 3
    assert not (shop.folder / "fashionsim.sqlite3").exists()
    worker.terminate()
    eventually(lambda: not shop.processes())
    assert worker.wait(180) == 0
    assert "Traceback" not in shop.log


def test_what_is_worked_on_passes_on_mariadb_and_redis(database, broker):
    """Not right after its other half: so two processes of pytest-xdist take one each."""
    passes_on_mariadb(WORK, database, broker)


def test_an_upload_is_accepted_while_the_queue_is_down_and_done_later(shop):
    broker = shop.env["REDIS_URL"]
    shop.env["REDIS_URL"] = "redis://127.0.0.1:1/0"
    shop.upload(photo("red"))
    assert [run["state"] for run in shop.runs()] == ["pending"]
    shop.env["REDIS_URL"] = broker
    shop.query("UPDATE similarity_run SET queued_at = '2020-01-01 00:00:00'")
    shop.start("worker")
    eventually(lambda: [run["state"] for run in shop.runs()] == ["done"])


def test_a_worker_waits_for_a_queue_that_is_down(shop):
    shop.env["REDIS_URL"] = "redis://127.0.0.1:1/0"
    worker = shop.start("worker")
    eventually(lambda: "cannot be reached: trying on" in shop.log)
    assert worker.poll() is None


def test_a_worker_that_is_killed_with_prefetched_messages_loses_no_run(shop):
    """Redis forgets a message once it is handed out; the rows do not."""
    shop.env["RUN_LEASE_SECONDS"] = "10"
    shop.env["DETECTOR"] = "tests.pipeline.backends:SlowDetector"
    worker = shop.start("worker")
    shop.upload(*(photo(colour) for colour in ("red", "green", "blue", "pink", "brown")))
    eventually(lambda: "running" in {run["state"] for run in shop.runs()})
    shop.kill_all()
    worker.wait(180)
    assert {run["state"] for run in shop.runs()} > {"running"}
    shop.query("UPDATE similarity_run SET queued_at = '2020-01-01 00:00:00'")
    shop.start("worker")
    eventually(lambda: {run["state"] for run in shop.runs()} == {"done"})
    assert shop.count("catalog_segment") == shop.count("similarity_embedding") == 5
    assert max(run["attempts"] for run in shop.runs()) == 2


def test_migrations_can_be_undone_and_done_again_on_mariadb(shop):
    from tests.test_structure import ROUNDTRIP

    assert shop.python(ROUNDTRIP).splitlines() == ["[]", "[]"]


def test_the_doctor_finds_a_shop_on_servers_healthy(shop):
    done = shop.manage("doctor")
    assert done.returncode == 0, done.stdout
    assert "database: mysql" in done.stdout
    assert "queue: Redis" in done.stdout
    shop.env["REDIS_URL"] = "redis://127.0.0.1:1/0"
    done = shop.manage("doctor")
    assert done.returncode == 1
    assert "MEND queue" in done.stdout
