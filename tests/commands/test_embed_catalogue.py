"""`manage.py embed_catalogue`."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from django.core.management import CommandError, call_command

from similarity import backends, services, serving, switching
from similarity.models import Embedder, Run
from tests.pictures import COLOURS, photo
from tests.pipeline.backends import HERE
from tests.scratch import eventually
from tests.shop import add_photo, add_product

OTHER = f"{HERE}:ThumbnailEmbedder"


@pytest.fixture
def shop(db):
    for colour in ("red", "green"):
        add_product(colour.upper(), colour)


def filled(capsys, name: str = OTHER) -> str:
    call_command("embed_catalogue", embedder=name)
    return capsys.readouterr().out


def test_all_garments_are_described_by_the_other_as_well(shop, capsys):
    assert filled(capsys).endswith("has described 2 garments.\n")
    other = Embedder.objects.get(name=OTHER)
    assert (other.is_kept, other.is_filled, other.builds.get().count) == (True, True, 2)
    assert serving.serving_embedder().name == "colour"
    assert not serving.lacking(serving.serving_embedder()).exists()


def test_once_more_does_nothing_more(shop, capsys):
    filled(capsys)
    other = Embedder.objects.get(name=OTHER)
    before = set(other.embeddings.values_list("pk", flat=True))
    filled(capsys)
    assert set(other.embeddings.values_list("pk", flat=True)) == before
    assert other.builds.count() == 1


def test_it_fills_what_the_serving_one_lacks(shop, capsys):
    serving.serving_embedder().embeddings.first().delete()
    filled(capsys, "colour")
    assert not serving.lacking(serving.serving_embedder()).exists()


def test_lost_pictures_are_counted(shop, capsys):
    lost = add_photo(photo("pink")).image
    lost.file.storage.delete(lost.file.name)
    with pytest.raises(CommandError, match="1 garments could not be described"):
        filled(capsys)
    assert serving.described(Embedder.objects.get(name=OTHER)) == 2


@pytest.mark.parametrize(("name", "reason"), [("nothing", "Known:"), ("resnet50", "resnet50")])
def test_one_that_is_not_installed_is_an_error(shop, settings, tmp_path, name, reason):
    settings.BACKEND_OPTIONS = {"resnet50": {"models_dir": tmp_path}}
    backends.forget()
    with pytest.raises(CommandError, match=reason):
        call_command("embed_catalogue", embedder=name)
    assert not Run.objects.filter(kind=Run.Kind.FILL).exists()


def test_in_the_background_it_is_left_to_a_worker(shop, capsys):
    call_command("embed_catalogue", embedder=OTHER, background=True)
    run = Run.objects.get(kind=Run.Kind.FILL)
    assert str(run.pk) in capsys.readouterr().out
    assert run.state == Run.State.PENDING
    assert filled(capsys).endswith("has described 2 garments.\n"), "and can be taken over"
    run.refresh_from_db()
    assert run.state == Run.State.DONE


def test_it_is_cancelled_by_name(shop, capsys):
    call_command("embed_catalogue", embedder=OTHER, background=True)
    call_command("embed_catalogue", cancel=OTHER)
    assert Run.objects.get(kind=Run.Kind.FILL).state == Run.State.CANCELLED
    with pytest.raises(CommandError, match="Nothing is being described"):
        call_command("embed_catalogue", cancel=OTHER)


def test_what_is_being_filled_is_not_dropped(shop):
    switching.start_filling(OTHER, queued=False)
    with pytest.raises(CommandError, match="Cancel that first"):
        call_command("embed_catalogue", drop=OTHER)


def test_what_nobody_knows_is_not_dropped(shop):
    with pytest.raises(CommandError, match="Nothing has been described"):
        call_command("embed_catalogue", drop="nothing")


def test_a_failed_filling_is_started_anew(shop, capsys):
    run = switching.start_filling(OTHER, queued=False)
    Run.objects.filter(pk=run.pk).update(state=Run.State.FAILED)
    assert switching.start_filling(OTHER, queued=False) != run
    assert filled(capsys).endswith("has described 2 garments.\n")


# --- Killed in the middle --------------------------------------------------------------------

HELD = f"{HERE}:HeldEmbedder"


@pytest.mark.slow
def test_a_filling_that_is_killed_goes_on_where_it_was(open_shop, tmp_path):
    shop = open_shop()
    (folder := tmp_path / "pictures").mkdir()
    for colour in COLOURS:
        for seed in range(5):
            (folder / f"{colour}{seed}.png").write_bytes(photo(colour, seed=seed))
    assert shop.manage("ingest_folder", folder).returncode == 0
    total = shop.count("catalog_segment")
    hold = shop.folder / "hold"
    hold.touch()
    filling = shop.start("embed_catalogue", "--embedder", HELD)

    def described() -> set[int]:
        return {
            row[0]
            for row in shop.query(
                "SELECT v.id FROM similarity_embedding v JOIN similarity_embedder e "
                "ON v.embedder_id = e.id WHERE e.name LIKE '%HeldEmbedder'"
            )
        }

    eventually(described)
    os.kill(filling.pid, signal.SIGKILL)
    assert filling.wait(180) == -signal.SIGKILL
    hold.unlink()
    before = described()
    assert 0 < len(before) < total
    assert "running" in {run["state"] for run in shop.runs() if run["kind"] == "fill"}
    done: subprocess.CompletedProcess[str] = shop.manage("embed_catalogue", "--embedder", HELD)
    assert done.returncode == 0, done.stderr
    assert before < described(), "nothing was done twice"
    assert len(described()) == total
    assert [run["state"] for run in shop.runs() if run["kind"] == "fill"] == ["done"]


@pytest.mark.django_db
def test_a_run_of_a_living_process_or_another_machine_is_not_taken_over(shop):
    run = switching.start_filling(OTHER, queued=False)
    for worker in (f"{services.__name__}:1:abcd", _worker(os.getpid()), "odd", ""):
        Run.objects.filter(pk=run.pk).update(state=Run.State.RUNNING, worker=worker)
        again = switching.start_filling(OTHER, queued=False)
        assert (again, again.state) == (run, Run.State.RUNNING)
    gone = subprocess.Popen(["true"])
    gone.wait()
    Run.objects.filter(pk=run.pk).update(worker=_worker(gone.pid))
    switching.start_filling(OTHER, queued=False)
    run.refresh_from_db()
    assert run.state == Run.State.PENDING


def _worker(pid: int) -> str:
    import socket

    return f"{socket.gethostname()[:60]}:{pid}:abcd"
