"""Embedders in the admin: which one serves, and how far others are."""

from similarity import pipeline, switching
from similarity.models import Embedder
from tests.pipeline.backends import HERE
from tests.shop import add_product

LIST = "/admin/similarity/embedder/"
OTHER = f"{HERE}:ThumbnailEmbedder"


def page(client) -> str:
    return client.get(LIST).content.decode()


def test_the_list_says_which_serves_and_how_far_another_is(staff, monkeypatch):
    for colour in ("red", "green"):
        add_product(colour.upper(), colour)
    monkeypatch.setattr(pipeline.filling, "FILLED_TOGETHER", 1)
    monkeypatch.setattr(pipeline.filling, "SLICE_SECONDS", 0)
    run = switching.start_filling(OTHER, queued=False)
    pipeline.execute(run.pk)
    shown = page(staff)
    assert shown.count('<span class="badge badge-serving">Serving</span>') == 1
    assert shown.count('<span class="badge badge-pending">Being filled</span>') == 1
    assert "1 of 2" in shown
    assert f"/admin/similarity/run/{run.pk}/change/" in shown
    pipeline.execute(run.pk)
    pipeline.execute(run.pk)
    shown = page(staff)
    assert shown.count('<span class="badge badge-ready">Filled</span>') == 1
    assert "2 indexed, 0 newer" in shown


def test_after_a_switch_the_other_one_is_marked(staff):
    add_product("RED", "red")
    pipeline.execute(switching.start_filling(OTHER, queued=False).pk)
    other = Embedder.objects.get(name=OTHER)
    switching.switch(other)
    response = staff.get(f"{LIST}{other.pk}/change/")
    assert response.status_code == 200
    assert '<span class="badge badge-serving">Serving</span>' in response.content.decode()


def test_one_whose_weights_have_gone_is_listed_all_the_same(staff, db):
    Embedder.objects.create(name="tests:Gone", fingerprint="0" * 64, dim=3, is_kept=True)
    assert "tests:Gone" in page(staff)
