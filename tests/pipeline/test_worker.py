"""`manage.py worker`, as a process of its own: what it does, and what it survives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from similarity.management.commands.worker import GRACE_SECONDS
from tests.pictures import photo
from tests.pipeline.backends import HERE
from tests.scratch import Shop, eventually, parent

pytestmark = pytest.mark.slow

PATIENCE = 30
"""Seconds that a cluster which hangs is given: more than a slow machine takes to start one."""


@pytest.fixture
def shop(open_shop) -> Shop:
    return open_shop(WORKERS=2, RUN_LEASE_SECONDS=10, DETECTOR=f"{HERE}:SlowDetector")


def started(shop: Shop, *options: object) -> subprocess.Popen[str]:
    """A worker whose processes have all loaded their models, and detected something with them."""
    worker = shop.start("worker", *options)
    eventually(lambda: len(workers(shop)) == 2)
    return worker


def workers(shop: Shop) -> list[int]:
    """The processes that work on runs, by what their detectors have noted."""
    path = shop.folder / "loaded"
    pids = path.read_text().split() if path.exists() else []
    return [int(pid) for pid in pids if Path(f"/proc/{pid}").exists()]


def is_done(shop: Shop, count: int = 1) -> bool:
    return [run["state"] for run in shop.runs()] == ["done"] * count


def assert_whole(shop: Shop, count: int) -> None:
    """So many images with one garment and one vector each, and nothing besides."""
    assert shop.query("SELECT status, COUNT(*) FROM catalog_originalimage GROUP BY status") == [
        ("ready", count)
    ]
    assert shop.count("catalog_segment") == shop.count("similarity_embedding") == count
    files = [path for path in (shop.folder / "media").rglob("*") if path.is_file()]
    assert len(files) == count


def test_uploads_are_described_and_models_loaded_once_a_process(shop):
    worker = started(shop)
    shop.upload(photo("red"), photo("green"), photo("blue"), photo("pink"))
    eventually(lambda: is_done(shop, 4))
    assert_whole(shop, 4)
    runs = shop.runs()
    assert {run["attempts"] for run in runs} == {1}
    pids = {int(run["worker"].split(":")[-2]) for run in runs}
    assert pids <= set(workers(shop))
    assert len((shop.folder / "loaded").read_text().split()) == 2
    assert worker.poll() is None


def test_what_a_killed_worker_was_at_is_done_by_another(shop):
    started(shop)
    hold = shop.folder / "hold"
    hold.touch()
    shop.upload(photo("red"), photo("green"))
    eventually(lambda: "running" in {run["state"] for run in shop.runs()})
    busy = next(run for run in shop.runs() if run["state"] == "running")
    os.kill(int(busy["worker"].split(":")[-2]), signal.SIGKILL)
    assert shop.count("similarity_embedding") == 0
    hold.unlink()
    eventually(lambda: is_done(shop, 2))
    attempts = {run["id"]: run["attempts"] for run in shop.runs()}
    assert attempts.pop(busy["id"]) == 2
    assert list(attempts.values()) == [1]
    assert_whole(shop, 2)


def test_a_run_that_kills_every_worker_fails_at_last(shop):
    shop.env |= {"RUN_MAX_ATTEMPTS": "2", "DETECTOR": f"{HERE}:DeadlyDetector"}
    shop.start("worker")
    shop.upload(photo("black"), photo("red"))
    eventually(lambda: {run["state"] for run in shop.runs()} == {"failed", "done"})
    states = {run["state"]: run for run in shop.runs()}
    assert states["failed"]["error_code"] == "orphaned"
    assert states["failed"]["attempts"] == 2
    statuses = shop.query("SELECT status FROM catalog_originalimage ORDER BY status")
    assert statuses == [("failed",), ("ready",)]
    assert shop.count("similarity_embedding") == 1


def test_a_cluster_that_hangs_is_started_anew(shop):
    """An idle worker that is killed takes the queue's lock along: nobody else gets a task."""
    worker = started(shop, "--patience", PATIENCE)
    shop.upload(photo("red"))
    eventually(lambda: is_done(shop))
    time.sleep(4)  # until both wait for a task
    for pid in workers(shop):
        os.kill(pid, signal.SIGKILL)
    shop.upload(photo("green"))
    eventually(lambda: is_done(shop, 2))
    assert_whole(shop, 2)
    assert worker.poll() is None
    assert "died or hangs: starting it anew" in shop.log


def test_a_cluster_that_dies_is_started_anew_and_leaves_no_second_one(shop):
    worker = started(shop)
    [cluster] = [pid for pid in shop.processes() if parent(pid) == worker.pid]
    sentinel = next(pid for pid in shop.processes() if parent(pid) == cluster)
    before = set(shop.processes()) - {worker.pid}
    os.kill(sentinel, signal.SIGKILL)
    eventually(lambda: before.isdisjoint(shop.processes()))
    shop.upload(photo("red"))
    eventually(lambda: is_done(shop))
    assert worker.poll() is None


def test_a_run_whose_message_is_lost_is_done_all_the_same(shop):
    shop.upload(photo("red"))
    assert shop.count("django_q_ormq") == 1
    shop.query("DELETE FROM django_q_ormq")
    shop.query("UPDATE similarity_run SET queued_at = '2020-01-01 00:00:00'")
    shop.start("worker")
    eventually(lambda: is_done(shop))
    assert_whole(shop, 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_ends_everything_within_seconds_and_finishes_what_is_begun(shop, number):
    worker = started(shop)
    shop.upload(photo("red"))
    eventually(lambda: shop.runs()[0]["state"] == "running")
    worker.send_signal(number)
    eventually(lambda: not shop.processes(), within=GRACE_SECONDS + 10)
    assert worker.wait(180) == 0
    assert is_done(shop)
    assert_whole(shop, 1)
    assert "Traceback" not in shop.log


def test_a_worker_that_is_killed_outright_takes_its_cluster_along(shop):
    worker = started(shop)
    worker.kill()
    worker.wait(180)
    eventually(lambda: not shop.processes())


ASK = """
import json, time, uuid
from django.contrib.auth import get_user_model
from rest_framework.test import APIClient
from tests.pictures import as_base64, photo

User = get_user_model()
client, other = APIClient(HTTP_HOST="localhost"), APIClient(HTTP_HOST="localhost")
client.force_authenticate(User.objects.create_superuser("ada"))
other.force_authenticate(User.objects.create_superuser("olga"))
path, body = sys.argv[1:3]
pk = str(uuid.uuid4())
asked = json.loads(body)
name = "images" if "uploads" in path else "image"
asked |= {"id": pk, name: [as_base64(photo())] if name == "images" else as_base64(photo())}
started = client.post(path, asked, format="json")
assert started.status_code == 202, started.content
query = (started.json().get("query") or {}).get("id")
from similarity.models import Run
kind = "detect" if query else "upload"
deadline = time.monotonic() + 180
while not Run.objects.filter(kind=kind, state="running", step="detecting").exists():
    assert time.monotonic() < deadline, list(Run.objects.values())
    time.sleep(0.05)
run = Run.objects.get(kind=kind)
assert other.post(f"/cancel_processing/{run.pk}").status_code == 404
at = time.thread_time()
answer = client.post(f"/cancel_processing/{run.pk}")
seconds = time.thread_time() - at
run.refresh_from_db()
print(json.dumps({"status": answer.status_code, "seconds": seconds, "id": run.pk.hex,
                  "given": pk, "state": run.state, "step": run.step}))
"""


@pytest.mark.parametrize(
    ("path", "body"),
    [("/api/v1/uploads/", "{}"), ("/api/v1/searches/", '{"detect": true, "wait": 0}')],
    ids=["upload", "search"],
)
def test_a_run_in_a_worker_is_cancelled_in_well_under_a_second_and_leaves_nothing(shop, path, body):
    """It waits for nothing: the worker has not got to its checkpoint when the answer comes."""
    shop.env["EMBEDDER"] = "tests.api.heavy:HeavyColour"
    started(shop)
    hold = shop.folder / "hold"
    hold.touch()
    told = json.loads(shop.python(ASK, path, body).splitlines()[-1])
    hold.unlink()
    assert told["status"] == 200
    assert told["seconds"] < 1
    assert (told["state"], told["step"]) == ("running", "detecting")
    columns = "state, step, finished_at IS NULL"
    row = f"SELECT {columns} FROM similarity_run WHERE id = '{told['id']}'"  # noqa: S608
    eventually(lambda: shop.query(row)[0][0] == "cancelled")
    assert shop.query(row) == [("cancelled", "detecting", 0)]
    assert shop.count("catalog_segment") == shop.count("similarity_embedding") == 0
    if "uploads" in path:
        assert told["id"] == told["given"].replace("-", "")
        assert shop.count("catalog_originalimage") == 0
        eventually(lambda: not list((shop.folder / "media").rglob("*.*")))
    else:
        assert shop.query("SELECT detections FROM similarity_query") == [(None,)]
