"""An upload from its bytes to its garments' vectors."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings as configured
from django.db import connection, transaction

from catalog.models import OriginalImage, Segment
from similarity import backends, pipeline, services, serving
from similarity.engine import Box
from similarity.engine.images import crop
from similarity.models import Embedding, Run
from tests.api import stored_files
from tests.pictures import encoded, photo, picture
from tests.pipeline.backends import HERE
from tests.shop import add_photo, add_product

HALVES = f"{HERE}:HalvesDetector"


def uploads_of(*colours: str) -> list[services.Upload]:
    return [services.start_upload(services.take_in(photo(c)), queued=False) for c in colours]


def described(uploads: list[services.Upload]) -> list[tuple[str, str]]:
    """The states and error codes of uploads that were described as one batch."""
    pipeline.describe_all(pipeline.claim([upload.run.pk for upload in uploads]))
    runs = [Run.objects.get(pk=upload.run.pk) for upload in uploads]
    return [(run.state, run.error_code) for run in runs]


def file_of(image: OriginalImage) -> Path:
    return Path(image.file.path)


# --- What an upload becomes ------------------------------------------------------------------


def test_an_upload_becomes_garments_with_vectors(db, settings):
    settings.DETECTOR = HALVES
    upload = services.start_upload(services.take_in(photo("red", size=(200, 100))), queued=False)
    pipeline.execute(upload.run.pk)
    upload.image.refresh_from_db()
    assert upload.image.status == OriginalImage.Status.READY
    left, right = upload.image.segments.all()
    assert left.identifier == f"{upload.image.identifier}_segment_0"
    assert right.identifier == f"{upload.image.identifier}_segment_1"
    assert (left.box, right.box) == ((0, 0, 100, 100), (100, 0, 200, 100))
    assert (left.label, left.score, left.detector) == ("top", 0.9, HALVES)
    assert Embedding.objects.count() == 2


def test_a_run_that_is_done_says_so(db):
    [upload] = uploads_of("red")
    pipeline.execute(upload.run.pk)
    upload.run.refresh_from_db()
    assert (upload.run.state, upload.run.step, upload.run.progress) == (Run.State.DONE, "", 1.0)
    assert upload.run.started_at <= upload.run.finished_at


def test_a_vector_is_kept_as_four_bytes_a_number(db):
    add_photo(photo())
    [embedding] = Embedding.objects.select_related("embedder")
    assert embedding.vector.shape == (embedding.embedder.dim,)
    assert embedding.vector.dtype == np.float32
    assert np.linalg.norm(embedding.vector) == pytest.approx(1, abs=1e-5)
    with connection.cursor() as cursor:
        cursor.execute("SELECT vector FROM similarity_embedding")
        [stored] = cursor.fetchone()
    assert bytes(stored) == embedding.vector.astype("<f4").tobytes()
    assert len(stored) == 4 * embedding.embedder.dim


def test_each_garment_is_described_by_its_own_part_of_the_picture(db, settings):
    settings.DETECTOR = HALVES
    image = picture("red", (200, 100))
    image.paste(picture("blue", (100, 100)), (100, 0))
    add_photo(encoded(image))
    for segment, colour in zip(Segment.objects.all(), ("red", "blue"), strict=True):
        alone = backends.embedder().embed([picture(colour, (100, 100))])[0]
        assert float(segment.embeddings.get().vector @ alone) > 0.98


def test_a_picture_without_a_garment_is_found_by_its_whole_look(db, settings):
    add_photo(photo("green"))
    settings.DETECTOR = f"{HERE}:NothingDetector"
    backends.forget()
    [upload] = uploads_of("red")
    assert described([upload]) == [("done", "")]
    upload.image.refresh_from_db()
    assert upload.image.status == OriginalImage.Status.READY
    [segment] = upload.image.segments.all()
    assert segment.box == (0, 0, 120, 160)
    assert (segment.label, segment.score, segment.detector) == ("", 0, Segment.NOTHING_FOUND)
    assert [colour.colour for colour in segment.colours.all()] == ["red"]
    [best, _] = services.find_similar(photo("red"), limit=5)
    assert best.segment_id == segment.pk


def test_a_garment_found_later_takes_the_place_of_the_whole_picture(db, settings):
    settings.DETECTOR = f"{HERE}:NothingDetector"
    segment = add_photo(photo())
    assert not segment.is_a_garment
    settings.DETECTOR = HALVES
    backends.forget()
    pipeline.execute(services.describe_again(segment.image).pk)
    segment.refresh_from_db()
    assert (segment.label, segment.is_a_garment) == ("top", True)
    assert segment.box == (0, 0, 60, 160)


def test_a_product_is_stood_for_by_a_garment_rather_than_by_an_earlier_whole_picture(db, settings):
    settings.DETECTOR = f"{HERE}:NothingDetector"
    whole = add_product("D-1", "red")
    product = whole.image.product
    assert services.main_segment(product) == whole
    settings.DETECTOR = HALVES
    backends.forget()
    garment = add_photo(photo("blue"), product)
    assert services.main_segment(product) == garment


def test_in_a_batch_each_vector_stays_with_its_own_picture(db, settings):
    settings.DETECTOR = HALVES
    uploads = uploads_of("red", "green", "blue")
    assert described(uploads) == [("done", "")] * 3
    for upload in uploads:
        [best, _] = upload.image.segments.all()
        crops = [crop(picture_of(upload.image), Box(*best.box))]
        again = backends.embedder().embed(crops)[0]
        assert float(best.embeddings.get().vector @ again) >= 0.9999


def picture_of(image: OriginalImage):
    return pipeline.stored(OriginalImage.objects.get(pk=image.pk).file)


# --- One bad picture spoils no batch ---------------------------------------------------------


def test_a_picture_whose_file_is_gone_fails_alone(db):
    uploads = uploads_of("red", "green", "blue")
    file_of(uploads[1].image).unlink()
    assert described(uploads) == [("done", ""), ("failed", "internal_error"), ("done", "")]
    statuses = [OriginalImage.objects.get(pk=u.image.pk).status for u in uploads]
    assert statuses == ["ready", "failed", "ready"]
    assert Embedding.objects.count() == 2


def test_a_picture_whose_file_is_damaged_fails_alone_and_says_why(db):
    uploads = uploads_of("red", "green", "blue")
    path = file_of(uploads[0].image)
    path.write_bytes(path.read_bytes()[:200])
    assert described(uploads) == [("failed", "damaged_image"), ("done", ""), ("done", "")]


def test_a_picture_that_cannot_be_embedded_fails_alone(db, settings):
    settings.EMBEDDER = f"{HERE}:PickyEmbedder"
    uploads = uploads_of("red", "black", "blue")
    assert described(uploads) == [("done", ""), ("failed", "internal_error"), ("done", "")]
    assert Embedding.objects.count() == Segment.objects.count() == 2


def test_a_picture_that_is_deleted_meanwhile_fails_alone(beside, gate):
    uploads = uploads_of("red", "green", "blue")
    work = beside(described, uploads)
    assert gate.has_begun.wait(120)
    OriginalImage.objects.get(pk=uploads[1].image.pk).delete()
    gate.may_go_on.set()
    assert [state for state, _ in work.result(120)] == ["done", "failed", "done"]
    assert Segment.objects.count() == Embedding.objects.count() == 2


def test_a_picture_that_is_deleted_before_it_is_read_fails_with_the_reason(transactional_db):
    [upload] = uploads_of("red")
    OriginalImage.objects.get(pk=upload.image.pk).delete()
    assert described([upload]) == [("failed", "refused")]
    assert "deleted" in Run.objects.get().error_message


# --- The same bytes --------------------------------------------------------------------------


def test_bytes_that_are_known_give_the_image_and_run_that_they_have(db):
    first = uploads_of("red")[0]
    second = uploads_of("red")[0]
    assert (first.is_new, second.is_new) == (True, False)
    assert (first.image, first.run) == (second.image, second.run)


def test_the_same_photo_twice_at_once_is_one_image(beside):
    start = threading.Barrier(6)

    def upload():
        taken = services.take_in(photo())
        start.wait(120)
        return services.start_upload(taken)

    uploads = [answer.result(120) for answer in [beside(upload) for _ in range(6)]]
    assert OriginalImage.objects.count() == Run.objects.count() == 1
    assert sorted(upload.is_new for upload in uploads) == [False] * 5 + [True]
    assert {upload.run.pk for upload in uploads} == {Run.objects.get().pk}
    [file] = [path for path in Path(configured.MEDIA_ROOT).rglob("*") if path.is_file()]
    assert file == file_of(OriginalImage.objects.get())
    assert file.read_bytes() == services.take_in(photo()).jpeg


def test_bytes_that_come_in_again_before_their_old_file_goes_keep_a_file(transactional_db):
    [before] = uploads_of("red")
    with transaction.atomic():
        transaction.on_commit(
            lambda: uploads_of("red")
        )  # before the file of the old row is deleted
        OriginalImage.objects.get(pk=before.image.pk).delete()
    assert stored_files() == [OriginalImage.objects.get().file.name]


def test_bytes_that_are_deleted_while_they_come_in_again_keep_a_file(transactional_db, monkeypatch):
    uploads_of("red")
    add = services.uploads.add_uploads

    def add_what_is_gone(*args, **how):
        OriginalImage.objects.get().delete()
        return add(*args, **how)

    monkeypatch.setattr(services.uploads, "add_uploads", add_what_is_gone)
    [again] = uploads_of("red")
    assert stored_files() == [again.image.file.name]


def test_pictures_that_were_stored_by_their_bytes_alone_go_with_their_files(transactional_db):
    [upload] = uploads_of("red")
    image = upload.image
    name = f"originals/{image.sha256[:2]}/{image.identifier}.jpg"
    file_of(image).rename(file_of(image).with_name(f"{image.identifier}.jpg"))
    OriginalImage.objects.update(file=name)
    pipeline.execute(upload.run.pk)
    assert Run.objects.get().state == Run.State.DONE
    assert uploads_of("red")[0].image == image
    OriginalImage.objects.get().delete()
    assert stored_files() == []


def test_a_known_picture_joins_the_product_it_is_uploaded_for(db):
    plain = add_photo(photo())
    product = add_product("GREEN", "green").image.product
    add_photo(photo(), product)
    plain.image.refresh_from_db()
    assert plain.image.product == product


def test_a_picture_of_one_product_is_not_taken_away_by_another(db):
    segment = add_product("RED", "red")
    other = add_product("GREEN", "green").image.product
    add_photo(photo("red"), other)
    segment.image.refresh_from_db()
    assert segment.image.product.reference == "RED"


# --- Again -----------------------------------------------------------------------------------


def test_a_rerun_replaces_garments_and_vectors(db, settings):
    segment = add_photo(photo())
    [before] = Embedding.objects.values_list("pk", flat=True)
    settings.DETECTOR = HALVES
    backends.forget()
    pipeline.execute(services.describe_again(segment.image).pk)
    assert Segment.objects.filter(pk=segment.pk).exists()  # searches that found it still show it
    assert [s.label for s in segment.image.segments.all()] == ["top", "bag"]
    assert min(Embedding.objects.values_list("pk", flat=True)) > before


def test_a_rerun_that_fails_keeps_what_was_found_before(db, settings):
    segment = add_photo(photo())
    settings.DETECTOR = f"{HERE}:FailingDetector"
    backends.forget()
    run = services.describe_again(segment.image)
    pipeline.execute(run.pk)
    run.refresh_from_db()
    assert run.state == Run.State.FAILED
    segment.image.refresh_from_db()
    assert segment.image.status == OriginalImage.Status.READY
    assert list(segment.image.segments.all()) == [segment]
    assert Embedding.objects.count() == 1


# --- Ids grow in the order of commits --------------------------------------------------------


def test_ids_of_vectors_grow_in_the_order_of_commits(beside):
    """Who has read up to an id has missed nothing below it: indexing's tail rests on that."""
    embedder = serving.serving_embedder()
    first, second = (add_photo(photo(colour)) for colour in ("red", "green"))
    Embedding.objects.all().delete()
    has_written, may_commit = threading.Event(), threading.Event()
    vector = np.full((1, embedder.dim), embedder.dim**-0.5, np.float32)

    def write_and_wait():
        with transaction.atomic():
            pipeline.add_embeddings(embedder, [first], vector)
            has_written.set()
            assert may_commit.wait(180)

    def write():
        with transaction.atomic():
            pipeline.add_embeddings(embedder, [second], vector)

    slow = beside(write_and_wait)
    assert has_written.wait(120)
    fast = beside(write)
    time.sleep(1)
    assert not fast.done(), "the second waits for the first"
    may_commit.set()
    for writer in (slow, fast):
        writer.result(120)
    assert first.embeddings.get().pk < second.embeddings.get().pk


def test_a_reader_beside_many_writers_misses_no_vector(beside):
    uploads = uploads_of(*("red", "green", "blue", "yellow", "white", "pink", "brown", "black"))
    writers = [beside(pipeline.execute, upload.run.pk) for upload in uploads]
    seen: list[int] = []
    is_over = False
    while not is_over:
        is_over = all(writer.done() for writer in writers)
        last = max(seen, default=0)
        seen += Embedding.objects.filter(pk__gt=last).values_list("pk", flat=True)
    assert all(writer.exception() is None for writer in writers)
    assert sorted(seen) == sorted(Embedding.objects.values_list("pk", flat=True))
    assert len(seen) == len(uploads)
