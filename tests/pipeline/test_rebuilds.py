"""Rebuilding the index: asked for, unasked, stopped, and gone back from."""

import datetime as dt

import pytest
from django.utils import timezone

from similarity import indexing, pipeline, services, serving
from similarity.errors import OtherEmbedder
from similarity.models import Embedder, IndexBuild, Run
from tests.engine.live import live_options
from tests.shop import add_product


@pytest.fixture
def stale(db, settings):
    """A shop whose index lacks more than may be scanned."""
    settings.INDEX_TAIL_LIMIT = 1
    for seed in range(3):
        add_product(f"P-{seed}", seed=seed)


def rebuilt() -> IndexBuild:
    run = services.start_rebuild()
    pipeline.execute(run.pk)
    return IndexBuild.objects.get(run=run)


def test_it_is_rebuilt_unasked_once_too_much_is_new(stale):
    run = services.rebuild_if_needed()
    assert (run.kind, run.state) == (Run.Kind.REBUILD, Run.State.PENDING)
    assert services.rebuild_if_needed() == run


def test_after_a_rebuild_that_failed_it_rests(stale):
    run = services.rebuild_if_needed()
    Run.objects.filter(pk=run.pk).update(state="failed", finished_at=timezone.now())
    assert services.rebuild_if_needed() is None
    long_ago = timezone.now() - services.REST - dt.timedelta(seconds=1)
    Run.objects.filter(pk=run.pk).update(finished_at=long_ago)
    assert services.rebuild_if_needed() is not None


def test_a_roll_back_is_not_undone_by_itself(stale):
    first = rebuilt()
    for seed in range(3, 6):
        add_product(f"P-{seed}", seed=seed)
    rebuilt()
    Run.objects.update(finished_at=timezone.now() - 2 * services.REST)
    services.roll_back(first)
    assert indexing.status(serving.serving_embedder()).is_rolled_back
    assert services.rebuild_if_needed() is None


def rebuilds_unasked_with_more_photos() -> bool:
    for seed in range(3, 6):
        add_product(f"P-{seed}", seed=seed)
    Run.objects.update(finished_at=timezone.now() - 2 * services.REST)
    return services.rebuild_if_needed() is not None


def test_who_goes_back_from_a_service_to_files_has_them_rebuilt(stale, settings):
    options, files = live_options("qdrant"), settings.INDEX
    rebuilt()
    settings.INDEX, settings.BACKEND_OPTIONS = "qdrant", {"qdrant": options}
    indexing.forget()
    rebuilt()
    settings.INDEX = files
    indexing.forget()
    assert rebuilds_unasked_with_more_photos()


def test_a_build_that_serves_though_its_process_was_killed_is_rebuilt(stale, monkeypatch):
    def die(*_):
        raise SystemExit

    rebuilt()
    monkeypatch.setattr(indexing, "_record", die)
    with pytest.raises(SystemExit):
        indexing.rebuild(serving.serving_embedder())
    assert rebuilds_unasked_with_more_photos()


def test_a_rebuild_that_is_stopped_at_the_last_moment_leaves_nothing(stale):
    embedder = serving.serving_embedder()

    def stop(done: float) -> None:
        if done == 1.0 and IndexBuild.objects.get().state == "building":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        indexing.rebuild(embedder, on_progress=stop)
    assert IndexBuild.objects.get().state == IndexBuild.State.FAILED
    store = indexing.build_store(embedder)
    assert (store.current(), store.builds()) == (None, [])


def test_a_build_of_another_embedder_cannot_serve(stale):
    build = rebuilt()
    build.embedder = Embedder.objects.create(name="other", fingerprint="0" * 64, dim=8)
    build.save()
    assert not services.is_serving(build)
    with pytest.raises(OtherEmbedder):
        services.roll_back(build)


def test_a_catalogue_that_nobody_has_described_is_not_ready(stale, settings):
    assert services.readiness() == {}
    indexing.forget()
    Embedder.objects.all().delete()
    assert "No garment of the catalogue has been described" in services.readiness()["index"]
