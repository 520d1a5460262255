"""`manage.py rebuild_index`."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from similarity import backends, indexing, serving
from similarity.models import IndexBuild
from tests.shop import add_product

pytestmark = pytest.mark.django_db


def rebuilt(capsys, **options) -> str:
    call_command("rebuild_index", **options)
    return capsys.readouterr().out


def test_all_described_garments_are_indexed(capsys):
    for colour in ("red", "green"):
        add_product(colour.upper(), colour)
    printed = rebuilt(capsys)
    build = IndexBuild.objects.get()
    assert (build.state, build.count) == (IndexBuild.State.READY, 2)
    assert indexing.is_serving(build)
    assert printed.startswith("2 garments indexed in ")
    assert build.name in printed


def test_what_the_build_finds_is_measured_and_said(capsys):
    for colour in ("red", "green"):
        add_product(colour.upper(), colour)
    printed = rebuilt(capsys)
    build = IndexBuild.objects.get()
    manifest = indexing.build_store(build.embedder).verify(build.name)
    assert (build.recall, build.search_ms) == (1.0, manifest.measured["p50_ms"])
    assert manifest.measured["recall"] == 1.0
    assert f"recall@10 1.000 in {build.search_ms:.2f} ms" in printed


def test_an_empty_catalogue_is_no_reason_to_fail(capsys):
    assert rebuilt(capsys).startswith("0 garments indexed")


def test_if_needed_builds_what_the_index_lacks_and_then_nothing(capsys):
    add_product("RED", "red")
    assert rebuilt(capsys, if_needed=True).startswith("1 garments indexed")
    assert rebuilt(capsys, if_needed=True) == "Nothing to do: 1 garments are indexed.\n"
    assert IndexBuild.objects.count() == 1
    add_product("GREEN", "green")
    assert rebuilt(capsys, if_needed=True).startswith("2 garments indexed")


def test_if_needed_mends_a_broken_index(capsys):
    add_product("RED", "red")
    rebuilt(capsys)
    build = IndexBuild.objects.get()
    (indexing.build_store(build.embedder).root / build.name / "keys.npy").unlink()
    indexing.forget()
    assert rebuilt(capsys, if_needed=True).startswith("1 garments indexed")
    assert indexing.status(build.embedder).problem is None


def test_without_if_needed_it_builds_anew(capsys):
    rebuilt(capsys)
    rebuilt(capsys)
    assert IndexBuild.objects.filter(state=IndexBuild.State.READY).count() == 2


def test_missing_weights_are_an_error(settings, tmp_path):
    settings.EMBEDDER = "resnet50"
    settings.BACKEND_OPTIONS = {"resnet50": {"models_dir": tmp_path}}
    backends.forget()
    with pytest.raises(CommandError, match=r"weights|resnet50|installed"):
        call_command("rebuild_index")
    assert not IndexBuild.objects.exists()


def test_a_build_under_way_is_an_error():
    with (
        indexing.build_store(serving.serving_embedder()).lock(),
        pytest.raises(CommandError, match="another build is running"),
    ):
        call_command("rebuild_index")
    assert not IndexBuild.objects.exists()
