"""What the queue calls in a worker process."""

from __future__ import annotations

import uuid

import pytest
from django_q.signals import post_spawn

from similarity import services, tasks
from similarity.models import Run
from tests.pictures import photo
from tests.pipeline.backends import HERE, GatedDetector


def test_a_message_carries_out_its_run(db):
    upload = services.start_upload(services.take_in(photo()), queued=False)
    tasks.execute_run(str(upload.run.pk))
    assert Run.objects.get().state == Run.State.DONE


def test_a_message_of_a_run_that_is_gone_does_nothing(db):
    tasks.execute_run(str(uuid.uuid4()))


def test_a_worker_that_starts_uses_its_models_once(db, settings):
    settings.DETECTOR = f"{HERE}:GatedDetector"
    GatedDetector.has_begun.clear()
    GatedDetector.may_go_on.set()
    post_spawn.send(sender="django_q", proc_name="tests")
    assert GatedDetector.has_begun.is_set()


def test_a_web_process_leaves_to_workers_what_is_not_light(db, settings):
    settings.DETECTOR = f"{HERE}:GatedDetector"
    GatedDetector.has_begun.clear()
    services.warm_up(light_only=True)
    assert not GatedDetector.has_begun.is_set()


@pytest.mark.parametrize(
    ("detector", "said"),
    [("groundingdino", "missing"), (f"{HERE}:FailingDetector", "A bug in a backend")],
)
def test_a_worker_starts_though_its_models_do_not(settings, tmp_path, caplog, detector, said):
    settings.DETECTOR = detector
    settings.BACKEND_OPTIONS = {"groundingdino": {"models_dir": tmp_path, "prompt": ["top"]}}
    tasks.warm_up(sender="django_q")
    assert "Models are not ready" in caplog.text
    assert said in caplog.text
