"""Two embedders side by side: what describes new garments, and what a search is answered by."""

from __future__ import annotations

import pytest
from django_q.brokers import get_broker

from catalog.models import Segment
from similarity import backends, indexing, ingestion, pipeline, services, serving, switching, tasks
from similarity.errors import ModelNotReady
from similarity.models import Embedder, Embedding, Run
from tests.pictures import photo
from tests.pipeline.backends import HERE
from tests.shop import add_photo, add_product

pytestmark = pytest.mark.django_db

OTHER = f"{HERE}:ThumbnailEmbedder"
PICKY = f"{HERE}:PickyEmbedder"


def fill(name: str = OTHER) -> Run:
    """All that there is, described by another embedder."""
    run = switching.start_filling(name, queued=False)
    while not run.has_ended:
        pipeline.execute(run.pk)
        run.refresh_from_db()
    return run


def describers(segment: Segment) -> set[str]:
    return set(segment.embeddings.values_list("embedder__name", flat=True))


def test_a_filling_describes_all_as_an_upload_does_and_builds_the_index_beside(settings):
    settings.DETECTOR = f"{HERE}:HalvesDetector"
    garments = [add_product(colour.upper(), colour) for colour in ("red", "green")]
    run = fill()
    other = run.embedder
    assert (run.state, run.progress) == (Run.State.DONE, 1.0)
    assert Embedding.objects.filter(embedder=other).count() == Segment.objects.count() == 4
    assert indexing.status(other).indexed == 4
    assert indexing.status(serving.serving_embedder()).serving is None, "left alone"
    before = pipeline.segment_vector(garments[0].pk, other)
    pipeline.execute(services.describe_again(garments[0].image).pk)
    after = pipeline.segment_vector(garments[0].pk, other)
    assert before @ after == pytest.approx(1, abs=1e-6)


def test_from_then_on_new_garments_are_described_by_both():
    add_product("RED", "red")
    fill()
    assert describers(add_photo(photo("green"))) == {"colour", OTHER}


def test_an_upload_that_is_on_its_way_when_a_filling_begins_is_described_by_both(monkeypatch):
    add_product("RED", "red")
    write = pipeline.uploads._write

    def fill_first(uploads):
        monkeypatch.undo()
        assert fill().state == Run.State.DONE
        return write(uploads)

    monkeypatch.setattr(pipeline.uploads, "_write", fill_first)
    segment = add_photo(photo("green"))
    assert describers(segment) == {"colour", OTHER}
    assert segment.image.status == "ready"


def test_one_that_cannot_describe_a_garment_keeps_no_upload_and_lacks_it():
    add_product("RED", "red")
    fill(PICKY)
    assert Embedder.objects.get(name=PICKY).is_filled
    uploads = [
        services.start_upload(services.take_in(photo(colour)), queued=False)
        for colour in ("black", "green")
    ]
    pipeline.describe_all(pipeline.claim([upload.run.pk for upload in uploads]))
    found = [upload.image.segments.get() for upload in uploads]
    assert [describers(segment) for segment in found] == [{"colour"}, {"colour", PICKY}]
    assert not Embedder.objects.get(name=PICKY).is_filled
    with pytest.raises(ModelNotReady):
        services.similar(found[0], limit=1, model=PICKY)


def test_a_kept_embedder_that_is_no_longer_installed_keeps_no_upload():
    Embedder.objects.create(name="tests:Gone", fingerprint="0" * 64, dim=3, is_kept=True)
    assert describers(add_photo(photo())) == {"colour"}
    item = ingestion.Item("green", lambda: photo("green"))
    assert [found.status for found in ingestion.take_in([item], source="upload")] == ["added"]


def test_a_filling_goes_on_where_it_was(monkeypatch):
    monkeypatch.setattr(pipeline.filling, "FILLED_TOGETHER", 2)
    monkeypatch.setattr(pipeline.filling, "SLICE_SECONDS", 0)
    for colour in ("red", "green", "blue"):
        add_product(colour.upper(), colour)
    run = switching.start_filling(OTHER, queued=False)
    pipeline.execute(run.pk)
    run.refresh_from_db()
    assert (run.state, run.attempts) == (Run.State.PENDING, 0)
    first = set(Embedding.objects.filter(embedder=run.embedder).values_list("pk", flat=True))
    assert len(first) == 2
    assert switching.start_filling(OTHER, queued=False) == run
    assert fill() == run
    assert first < set(Embedding.objects.filter(embedder=run.embedder).values_list("pk", flat=True))


def test_a_filling_lets_others_go_first(empty_queue, monkeypatch):
    monkeypatch.setattr(pipeline.filling, "FILLED_TOGETHER", 1)
    for colour in ("red", "green"):
        add_product(colour.upper(), colour)
    filling = switching.start_filling(OTHER, queued=False)
    upload = services.start_upload(services.take_in(photo("blue")), queued=False).run
    tasks.execute_run(str(filling.pk))
    assert serving.described(filling.embedder) == 1
    assert get_broker().queue_size() == 0, "on_commit: nothing is enqueued inside a transaction"
    pipeline.execute(upload.pk)
    pipeline.execute(filling.pk)
    filling.refresh_from_db()
    assert filling.state == Run.State.DONE
    assert serving.described(filling.embedder) == 3


def test_a_filling_that_gave_way_is_put_into_the_queue_again(
    empty_queue, monkeypatch, django_capture_on_commit_callbacks
):
    monkeypatch.setattr(pipeline.filling, "SLICE_SECONDS", 0)
    add_product("RED", "red")
    run = switching.start_filling(OTHER, queued=False)
    with django_capture_on_commit_callbacks(execute=True):
        tasks.execute_run(str(run.pk))
    assert get_broker().queue_size() == 1
    with django_capture_on_commit_callbacks(execute=True):
        tasks.execute_run(str(run.pk))
    run.refresh_from_db()
    assert run.state == Run.State.DONE
    assert get_broker().queue_size() == 1, "done: nothing more to do"


def test_a_cancelled_filling_stops_keeps_what_it_has_and_keeps_up_no_longer(monkeypatch):
    monkeypatch.setattr(pipeline.filling, "FILLED_TOGETHER", 1)
    for colour in ("red", "green", "blue"):
        add_product(colour.upper(), colour)
    run = switching.start_filling(OTHER, queued=False)
    describe_by = pipeline.filling._describe_by

    def cancelled_meanwhile(*arguments):
        describe_by(*arguments)
        switching.stop_filling(OTHER)

    monkeypatch.setattr(pipeline.filling, "_describe_by", cancelled_meanwhile)
    pipeline.execute(run.pk)
    run.refresh_from_db()
    assert run.state == Run.State.CANCELLED
    assert serving.described(run.embedder) == 1
    assert describers(add_photo(photo("pink"))) == {"colour"}
    monkeypatch.undo()
    assert fill().state == Run.State.DONE
    assert not serving.lacking(run.embedder).exists()


def test_a_lost_picture_keeps_no_filling_from_its_end():
    gone = add_product("RED", "red")
    add_product("GREEN", "green")
    gone.image.file.storage.delete(gone.image.file.name)
    run = fill()
    assert run.state == Run.State.DONE
    assert serving.described(run.embedder) == 1
    assert not Embedder.objects.get(pk=run.embedder_id).is_filled


# --- Searches --------------------------------------------------------------------------------


@pytest.fixture
def garments() -> list[Segment]:
    """Described by both."""
    garments = [add_product(colour.upper(), colour) for colour in ("red", "green", "pink")]
    fill()
    return garments


def test_a_search_may_ask_for_another_embedder_and_says_which_has_answered(garments):
    runs = {
        model: services.search_photo(photo("red", seed=9), limit=3, model=model)
        for model in (None, "colour", OTHER)
    }
    assert [run.embedder.name for run in runs.values()] == ["colour", "colour", OTHER]
    vectors = {name: backends.embedder(name).embed([]) for name in ("colour", OTHER)}
    assert {rows.shape[1] for rows in vectors.values()} == {128, 48}
    own, other = runs["colour"].ranking, runs[OTHER].ranking
    assert own == runs[None].ranking
    assert [pair[0] for pair in own][:1] == [pair[0] for pair in other][:1] == [garments[0].pk]
    assert {round(pair[1], 5) for pair in own}.isdisjoint(round(pair[1], 5) for pair in other)


def test_the_answer_by_another_is_a_scan_of_its_vectors_alone(garments):
    other = Embedder.objects.get(name=OTHER)
    query = pipeline.segment_vector(garments[0].pk, other)
    expected = sorted(
        ((float(row.vector @ query), row.segment_id) for row in other.embeddings.all()),
        reverse=True,
    )
    found = services.similar(garments[0], limit=5, model=OTHER)
    assert [item.segment_id for item in found] == [pk for _, pk in expected[1:]]
    assert [item.similarity for item in found] == pytest.approx([s for s, _ in expected[1:]])


@pytest.mark.parametrize("model", ["resnet50", "nothing", "os:system", "", "x" * 100])
def test_a_search_by_one_that_is_not_there_or_not_filled_is_refused(garments, model):
    with pytest.raises(ModelNotReady):
        services.similar(garments[0], limit=5, model=model)


def test_a_queued_search_is_answered_by_what_serves_when_it_is_carried_out(garments):
    query = services.keep_query(services.take_in(photo("red", seed=9)), None)
    options = {"limit": 3, "box": None, "filters": {}}
    plain = Run.objects.create(kind=Run.Kind.SEARCH, query=query, options=options)
    asking = Run.objects.create(
        kind=Run.Kind.SEARCH, query=query, options=options | {"model": "colour"}
    )
    switching.switch(Embedder.objects.get(name=OTHER))
    for run in (plain, asking):
        pipeline.execute(run.pk)
        run.refresh_from_db()
    assert [run.embedder.name for run in (plain, asking)] == [OTHER, "colour"]
    assert plain.ranking != asking.ranking


def test_kept_results_stay_what_they_were_after_a_switch(garments):
    run = services.search_photo(photo("red", seed=9), limit=3)
    before = run.ranking
    switching.switch(Embedder.objects.get(name=OTHER))
    kept = Run.objects.get(pk=run.pk)
    assert kept.embedder.name == "colour"
    assert kept.ranking == before
    again = services.search(query=kept.query, limit=3)
    assert again.embedder.name == OTHER


def test_the_worker_rebuilds_the_index_of_what_is_kept_filled_too(garments, settings):
    settings.INDEX_TAIL_LIMIT = 1
    indexing.rebuild(serving.serving_embedder())
    assert services.rebuild_if_needed() is None
    for colour in ("brown", "white"):
        add_photo(photo(colour))
    runs = []
    while run := services.rebuild_if_needed():
        runs.append(run)
        pipeline.execute(run.pk)
    assert [run.embedder.name for run in runs] == ["colour", OTHER]
    assert all(indexing.status(run.embedder).is_complete for run in runs)
