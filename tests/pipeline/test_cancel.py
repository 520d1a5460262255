"""Cancelling: at once before a run has begun, at its next checkpoint when it has."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings as configured

from catalog.models import OriginalImage, Segment
from similarity import backends, indexing, pipeline, services, serving
from similarity.errors import AlreadyEnded
from similarity.models import Embedding, Hit, IndexBuild, Query, Run
from tests.pictures import photo
from tests.shop import add_photo, add_product


def upload_of(colour: str = "red"):
    return services.start_upload(services.take_in(photo(colour)), queued=False)


def stored_files() -> list[Path]:
    folder = Path(configured.MEDIA_ROOT)
    return [path for path in folder.rglob("*") if path.is_file()]


def cancelled_midway(gate, beside, pk) -> Run:
    """A run that somebody cancels while a worker is at its detection."""
    work = beside(pipeline.execute, pk)
    assert gate.has_begun.wait(120)
    services.cancel(Run.objects.get(pk=pk))
    assert Run.objects.get(pk=pk).state == Run.State.RUNNING
    gate.may_go_on.set()
    work.result(120)
    return Run.objects.get(pk=pk)


def assert_nothing_is_left() -> None:
    assert not OriginalImage.objects.exists()
    assert not Segment.objects.exists()
    assert not Embedding.objects.exists()
    assert stored_files() == []


def test_an_upload_that_waits_is_cancelled_at_once_and_leaves_nothing(transactional_db):
    upload = upload_of()
    assert len(stored_files()) == 1
    services.cancel(upload.run)
    assert upload.run.state == Run.State.CANCELLED
    assert upload.run.finished_at is not None
    assert_nothing_is_left()


def test_a_cancelled_upload_is_not_begun_when_its_message_comes(transactional_db):
    upload = upload_of()
    services.cancel(upload.run)
    pipeline.execute(upload.run.pk)
    assert Run.objects.get(pk=upload.run.pk).state == Run.State.CANCELLED
    assert_nothing_is_left()


def test_an_upload_under_way_stops_at_its_next_checkpoint_and_leaves_nothing(beside, gate):
    run = cancelled_midway(gate, beside, upload_of().run.pk)
    assert run.state == Run.State.CANCELLED
    assert (run.step, run.finished_at is None) == ("detecting", False)
    assert_nothing_is_left()


def test_a_run_under_way_can_be_cancelled_twice(beside, gate):
    upload = upload_of()
    work = beside(pipeline.execute, upload.run.pk)
    assert gate.has_begun.wait(120)
    services.cancel(upload.run)
    services.cancel(upload.run)
    gate.may_go_on.set()
    work.result(120)
    assert Run.objects.get(pk=upload.run.pk).state == Run.State.CANCELLED


def test_cancelling_one_of_a_batch_leaves_the_others_alone(beside, gate):
    uploads = [upload_of(colour) for colour in ("red", "green", "blue")]

    def work():
        pipeline.describe_all(pipeline.claim([upload.run.pk for upload in uploads]))

    batch = beside(work)
    assert gate.has_begun.wait(120)
    services.cancel(uploads[1].run)
    gate.may_go_on.set()
    batch.result(120)
    states = [Run.objects.get(pk=upload.run.pk).state for upload in uploads]
    assert states == [Run.State.DONE, Run.State.CANCELLED, Run.State.DONE]
    assert OriginalImage.objects.count() == Segment.objects.count() == len(stored_files()) == 2


def test_cancelling_a_rerun_keeps_what_was_found_before(beside, gate, settings):
    settings.DETECTOR = "whole_image"
    segment = add_photo(photo())
    [embedding] = Embedding.objects.values_list("pk", flat=True)
    settings.DETECTOR = "tests.pipeline.backends:GatedDetector"
    backends.forget()
    run = cancelled_midway(gate, beside, services.describe_again(segment.image).pk)
    assert run.state == Run.State.CANCELLED
    assert list(Segment.objects.values_list("pk", flat=True)) == [segment.pk]
    assert list(Embedding.objects.values_list("pk", flat=True)) == [embedding]
    assert OriginalImage.objects.get().status == OriginalImage.Status.READY
    assert len(stored_files()) == 1


def test_cancelling_a_rerun_that_waits_keeps_the_image(transactional_db):
    segment = add_photo(photo())
    run = services.describe_again(segment.image)
    services.cancel(run)
    assert list(Segment.objects.all()) == [segment]
    assert len(stored_files()) == 1


def test_a_search_can_be_cancelled_and_keeps_no_results(beside, gate, settings):
    settings.DETECTOR = "whole_image"
    add_product("RED", "red")
    settings.DETECTOR = "tests.pipeline.backends:GatedDetector"
    backends.forget()
    query = services.keep_query(services.take_in(photo("red", seed=4)), None)
    services.search(query=query, limit=5)
    detection = query.runs.get(kind=Run.Kind.DETECT)
    assert cancelled_midway(gate, beside, detection.pk).state == Run.State.CANCELLED
    assert Query.objects.get().detections is None


def test_a_search_that_waits_is_cancelled_at_once(transactional_db):
    segment = add_product("RED", "red")
    run = Run.objects.create(kind=Run.Kind.SEARCH, segment=segment, options={"limit": 5})
    services.cancel(run)
    pipeline.execute(run.pk)
    run.refresh_from_db()
    assert run.state == Run.State.CANCELLED
    assert not Hit.objects.exists()


def test_a_rebuild_under_way_stops_and_the_build_before_goes_on_serving(transactional_db):
    add_product("RED", "red")
    before = indexing.rebuild(serving.serving_embedder())
    [run] = pipeline.claim([services.start_rebuild().pk])
    services.cancel(run)
    pipeline.carry_out(run)
    run.refresh_from_db()
    assert run.state == Run.State.CANCELLED
    assert indexing.is_serving(before)
    assert run.builds.get().state == IndexBuild.State.FAILED
    folders = [path for path in (configured.INDEX_DIR).glob("*/*") if path.is_dir()]
    assert [folder.name for folder in folders] == [before.name]


@pytest.mark.parametrize("end", [Run.State.DONE, Run.State.FAILED, Run.State.CANCELLED])
def test_only_a_live_run_can_be_cancelled(db, end):
    segment = add_photo(photo())
    Run.objects.update(state=end)
    with pytest.raises(AlreadyEnded):
        services.cancel(Run.objects.get())
    assert Run.objects.get().state == end
    assert list(Segment.objects.all()) == [segment]
