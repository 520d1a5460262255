"""A paused queue: what can wait is not begun, whatever process asks; what people wait for is."""

import datetime as dt

import pytest
from django.utils import timezone
from django_q.brokers import get_broker

from similarity import pipeline, services, tasks
from similarity.models import Pause, Run
from tests.pictures import photo

pytestmark = pytest.mark.usefixtures("empty_queue")


def upload():
    return services.start_upload(services.take_in(photo("green"))).run


def carried_out(run):
    tasks.execute_run(str(run.pk))
    run.refresh_from_db()
    return run.state


def test_workers_leave_waiting_what_can_wait(db):
    run = upload()
    assert services.pause_queue()
    assert carried_out(run) == Run.State.PENDING
    assert run.attempts == 0


def test_a_search_that_somebody_waits_for_goes_on(db):
    services.pause_queue()
    query = services.keep_query(services.take_in(photo("red")), None)
    run = Run.objects.create(kind=Run.Kind.DETECT, query=query)
    assert carried_out(run) == Run.State.DONE


def test_what_runs_comes_to_its_end(db):
    [run] = pipeline.claim([upload().pk])
    services.pause_queue()
    pipeline.carry_out(run)
    run.refresh_from_db()
    assert run.state == Run.State.DONE


def test_a_command_that_does_its_own_work_is_not_held_up(db):
    run = upload()
    services.pause_queue()
    pipeline.execute(run.pk)
    run.refresh_from_db()
    assert run.state == Run.State.DONE


def test_when_the_pause_ends_what_waits_comes_into_the_queue(
    db, django_capture_on_commit_callbacks
):
    services.pause_queue()
    run = upload()
    carried_out(run)
    with django_capture_on_commit_callbacks(execute=True):
        assert services.resume_queue()
    assert get_broker().queue_size() == 1
    assert carried_out(run) == Run.State.DONE


def test_a_pause_has_one_beginning_and_one_end(db, staff):
    assert services.pause_queue(staff.user)
    assert not services.pause_queue()
    assert services.resume_queue(staff.user)
    assert not services.resume_queue()
    pause = Pause.objects.get()
    assert (pause.started_by, pause.ended_by) == (staff.user, staff.user)


def test_meanwhile_nothing_looks_stalled_and_the_sweeper_lets_it_be(db):
    run = upload()
    Run.objects.update(queued_at=timezone.now() - dt.timedelta(hours=1))
    assert services.is_stalled()
    services.pause_queue()
    assert not services.is_stalled()
    assert services.sweep().queued_again == 0
    run.refresh_from_db()
    assert run.state == Run.State.PENDING
