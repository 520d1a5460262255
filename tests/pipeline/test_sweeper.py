"""The sweeper: nothing is lost with a worker or a message."""

from __future__ import annotations

import datetime as dt
import time
from functools import partial
from pathlib import Path

import pytest
from django.conf import settings as configured
from django.utils import timezone
from django_q.brokers import get_broker

from catalog.models import OriginalImage
from similarity import pipeline, services
from similarity.ingestion import Item, ingest
from similarity.models import Query, Run
from tests.pictures import photo
from tests.pipeline.backends import HERE
from tests.shop import add_photo, add_product

pytestmark = pytest.mark.usefixtures("transactional_db", "empty_queue")

COLOURS = ("red", "green", "blue", "yellow")


def upload_of(colour: str = "red", **options) -> services.Upload:
    return services.start_upload(services.take_in(photo(colour)), queued=False, **options)


def silent(run: Run, attempts: int = 1) -> Run:
    """The same run, claimed by a worker that has not been heard of since its lease ended."""
    pipeline.claim([run.pk])
    ago = timezone.now() - dt.timedelta(seconds=configured.RUN_LEASE_SECONDS + 1)
    Run.objects.filter(pk=run.pk).update(heartbeat=ago, attempts=attempts)
    return Run.objects.get(pk=run.pk)


def waiting_since(run: Run, seconds: float) -> None:
    ago = timezone.now() - dt.timedelta(seconds=seconds)
    Run.objects.filter(pk=run.pk).update(queued_at=ago)


def queued() -> int:
    return int(get_broker().queue_size())


def test_a_run_whose_worker_is_lost_is_given_to_another():
    upload = upload_of()
    silent(upload.run)
    assert services.sweep() == services.Swept(1, 0, 0, 0)
    upload.run.refresh_from_db()
    assert (upload.run.state, upload.run.attempts) == (Run.State.PENDING, 1)
    assert queued() == 1
    pipeline.execute(upload.run.pk)
    upload.run.refresh_from_db()
    assert (upload.run.state, upload.run.attempts) == (Run.State.DONE, 2)


def test_the_lost_worker_writes_nothing_when_it_comes_back():
    upload = upload_of()
    [late] = pipeline.claim([upload.run.pk])
    silent_since = timezone.now() - dt.timedelta(hours=1)
    Run.objects.filter(pk=late.pk).update(heartbeat=silent_since)
    services.sweep()
    pipeline.execute(upload.run.pk)
    [segment] = upload.image.segments.all()
    pipeline.carry_out(late)
    assert list(upload.image.segments.all()) == [segment]
    upload.run.refresh_from_db()
    assert (upload.run.state, upload.run.attempts) == (Run.State.DONE, 2)


def test_a_run_that_reports_is_left_to_its_worker():
    upload = upload_of()
    pipeline.claim([upload.run.pk])
    assert services.sweep() == services.Swept(0, 0, 0, 0)
    upload.run.refresh_from_db()
    assert upload.run.state == Run.State.RUNNING


def test_a_run_that_loses_one_worker_after_another_fails_with_its_image(settings):
    settings.RUN_MAX_ATTEMPTS = 2
    upload = upload_of()
    silent(upload.run, attempts=1)
    assert services.sweep().given_back == 1
    silent(upload.run, attempts=2)
    assert services.sweep() == services.Swept(0, 1, 0, 0)
    upload.run.refresh_from_db()
    upload.image.refresh_from_db()
    assert (upload.run.state, upload.run.error_code) == (Run.State.FAILED, "orphaned")
    assert upload.image.status == OriginalImage.Status.FAILED
    assert upload.image.problem == upload.run.error_message != ""


def test_a_rerun_that_is_orphaned_leaves_its_image_ready(settings):
    settings.RUN_MAX_ATTEMPTS = 1
    segment = add_photo(photo())
    silent(services.describe_again(segment.image))
    assert services.sweep().failed == 1
    assert OriginalImage.objects.get().status == OriginalImage.Status.READY


def test_a_cancelled_run_whose_worker_is_lost_is_cancelled_and_leaves_nothing():
    upload = upload_of()
    run = silent(upload.run)
    services.cancel(run)
    assert services.sweep() == services.Swept(0, 0, 0, 0)
    run.refresh_from_db()
    assert run.state == Run.State.CANCELLED
    assert not OriginalImage.objects.exists()
    assert not [path for path in Path(configured.MEDIA_ROOT).rglob("*") if path.is_file()]


def test_a_run_whose_message_is_lost_is_queued_again():
    run = upload_of().run
    waiting_since(run, services.UNCLAIMED.total_seconds() + 1)
    assert services.sweep() == services.Swept(0, 0, 1, 0)
    assert queued() == 1


def test_a_run_that_was_just_queued_again_is_not_queued_once_more():
    run = upload_of().run
    waiting_since(run, services.UNCLAIMED.total_seconds() + 1)
    services.sweep()
    get_broker().purge_queue()
    assert services.sweep().queued_again == 0


def test_a_run_that_has_only_begun_to_wait_is_left_alone():
    upload_of()
    assert services.sweep() == services.Swept(0, 0, 0, 0)


def test_runs_that_wait_behind_others_are_not_queued_twice():
    upload = services.start_upload(services.take_in(photo()))
    waiting_since(upload.run, 10 * services.UNCLAIMED.total_seconds())
    assert services.sweep().queued_again == 0
    assert queued() == 1


def test_expired_queries_go_with_their_files_and_results():
    add_product("RED", "red")
    old = services.keep_query(services.take_in(photo("red", seed=1)), None)
    new = services.keep_query(services.take_in(photo("red", seed=2)), None)
    for query in (old, new):
        services.search(query=query, limit=3)
    Query.objects.filter(pk=old.pk).update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    assert services.sweep() == services.Swept(0, 0, 0, 1)
    assert list(Query.objects.all()) == [new]
    assert not Run.objects.filter(query=old.pk).exists()
    [file] = (Path(configured.MEDIA_ROOT) / "queries").iterdir()
    assert file.name == f"{new.pk}.jpg"


def test_a_query_is_kept_as_long_as_the_settings_say(settings):
    settings.QUERY_LIFETIME_DAYS = 3
    query = services.keep_query(services.take_in(photo()), None)
    left = query.expires_at - timezone.now()
    assert dt.timedelta(days=2, hours=23) < left <= dt.timedelta(days=3)


def swept_meanwhile(work) -> int:
    """How many runs a sweeper takes away while the work goes on."""
    given_back = 0
    while not work.done():
        given_back += services.sweep().given_back
        time.sleep(0.1)
    work.result()
    return given_back


def test_a_batch_may_take_longer_than_the_lease(settings, beside):
    settings.RUN_LEASE_SECONDS = 6
    settings.DETECTOR = f"{HERE}:SlowDetector"
    settings.BACKEND_OPTIONS = {settings.DETECTOR: {"seconds": 2.0}}
    items = [Item(colour, partial(photo, colour)) for colour in COLOURS]
    work = beside(lambda: list(ingest(items, source=OriginalImage.Source.FOLDER)))
    assert swept_meanwhile(work) == 0
    assert set(Run.objects.values_list("state", "attempts")) == {(Run.State.DONE, 1)}


def test_a_rebuild_may_take_longer_than_the_lease(settings, beside):
    settings.RUN_LEASE_SECONDS = 6
    settings.INDEX = f"{HERE}:SlowIndex"
    run = services.start_rebuild()
    assert swept_meanwhile(beside(pipeline.execute, run.pk)) == 0
    run.refresh_from_db()
    assert (run.state, run.attempts) == (Run.State.DONE, 1)


def test_waiting_runs_with_nobody_at_work_are_a_stall(db):
    assert not services.is_stalled()
    run = upload_of().run
    other = upload_of("green").run
    assert services.is_stalled()
    pipeline.claim([run.pk])
    assert not services.is_stalled()
    long_ago = timezone.now() - services.UNCLAIMED - dt.timedelta(seconds=1)
    Run.objects.filter(pk=run.pk).update(heartbeat=long_ago)
    assert services.is_stalled()
    services.cancel(other)
    assert not services.is_stalled()
