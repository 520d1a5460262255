"""The arrows between a run's states: who may take each, and that one alone gets it."""

from __future__ import annotations

import datetime as dt
import threading
import uuid

import pytest
from django.utils import timezone
from django_q.brokers import get_broker

from catalog.models import OriginalImage
from similarity import backends, pipeline, services
from similarity.errors import AlreadyEnded, LostRun, NotRepeatable
from similarity.models import Run
from tests.pictures import photo

ENDED = [Run.State.DONE, Run.State.FAILED, Run.State.CANCELLED]


def new_run(**values) -> Run:
    return Run.objects.create(kind=Run.Kind.REBUILD, **values)


def claimed_run(**values) -> Run:
    [run] = pipeline.claim([new_run(**values).pk])
    return run


def state(run: Run) -> str:
    return Run.objects.get(pk=run.pk).state


# --- Claiming --------------------------------------------------------------------------------


def test_a_run_that_many_claim_at_once_is_one_claimant_s(beside):
    runs = [new_run() for _ in range(5)]
    start = threading.Barrier(8)

    def claim_all():
        start.wait(120)
        return [run.pk for run in runs for run in pipeline.claim([run.pk])]

    claims = [beside(claim_all) for _ in range(8)]
    won = [pk for claim in claims for pk in claim.result(120)]
    assert sorted(won) == sorted(run.pk for run in runs)
    assert set(Run.objects.values_list("attempts", flat=True)) == {1}


def test_batches_that_overlap_share_no_run(beside):
    runs = [new_run().pk for _ in range(20)]
    start = threading.Barrier(4)

    def claim_batch(first):
        start.wait(120)
        return [run.pk for run in pipeline.claim(runs[first : first + 14])]

    claims = [beside(claim_batch, first) for first in (0, 2, 4, 6)]
    won = [pk for claim in claims for pk in claim.result(120)]
    assert len(won) == len(set(won)) == 20


def test_a_claim_says_who_works_on_it_and_since_when(db):
    run = claimed_run()
    host, pid, token = run.worker.rsplit(":", 2)
    assert host
    assert int(pid)
    assert len(token) == 8
    assert timezone.now() - run.heartbeat < dt.timedelta(seconds=10)
    assert run.started_at == run.heartbeat


def test_two_claims_of_one_process_differ(db):
    assert claimed_run().worker != claimed_run().worker


@pytest.mark.parametrize("state", [Run.State.RUNNING, *ENDED])
def test_only_a_waiting_run_can_be_claimed(db, state):
    assert pipeline.claim([new_run(state=state).pk]) == []


def test_a_run_that_is_not_there_cannot_be_claimed(db):
    assert pipeline.claim([uuid.uuid4()]) == []


def test_a_message_that_comes_twice_does_the_work_once(db):
    run = new_run()
    pipeline.execute(run.pk)
    finished = Run.objects.get(pk=run.pk).finished_at
    pipeline.execute(run.pk)
    run.refresh_from_db()
    assert (run.state, run.attempts, run.finished_at) == (Run.State.DONE, 1, finished)


# --- Who has lost a run can do nothing to it -------------------------------------------------


@pytest.fixture
def lost(db):
    """A run as its first worker knows it, while a second one is at it."""
    run = claimed_run()
    Run.objects.filter(pk=run.pk).update(state=Run.State.PENDING, **Run.FRESH)
    pipeline.claim([run.pk])
    return run


def test_who_has_lost_a_run_cannot_report(lost):
    assert Run.objects.report([lost], "detecting", 0.5) == []
    assert Run.objects.get(pk=lost.pk).step == ""
    with pytest.raises(LostRun):
        pipeline.checkpoint(lost, "detecting", 0.5)


def test_who_has_lost_a_run_cannot_finish_it(lost):
    assert Run.objects.finish([lost]) == []
    with pytest.raises(LostRun):
        pipeline.finish(lost)
    assert state(lost) == Run.State.RUNNING


@pytest.mark.parametrize("arrow", ["stop", "give_back"])
def test_who_has_lost_a_run_cannot_stop_it_or_give_it_back(lost, arrow):
    Run.objects.filter(pk=lost.pk).update(cancel_requested=arrow == "stop")
    assert not getattr(Run.objects, arrow)(lost)
    assert state(lost) == Run.State.RUNNING


def test_who_has_lost_a_run_cannot_fail_it(lost):
    assert not Run.objects.fail(lost, "some_code", "Some reason.")
    assert Run.objects.get(pk=lost.pk).error_code == ""


# --- Reporting and ending --------------------------------------------------------------------


def test_a_report_gives_those_that_may_go_on(db):
    runs = pipeline.claim([new_run().pk for _ in range(4)])
    Run.objects.cancel(runs[1].pk)
    Run.objects.filter(pk=runs[2].pk).delete()
    assert Run.objects.report(runs, "reading", 0.1) == [runs[0], runs[3]]
    assert Run.objects.finish(runs) == [runs[0], runs[3]]


def test_a_report_renews_the_heartbeat(db):
    run = claimed_run()
    Run.objects.filter(pk=run.pk).update(heartbeat=timezone.now() - dt.timedelta(hours=1))
    pipeline.checkpoint(run, "reading", 0.25)
    again = Run.objects.get(pk=run.pk)
    assert timezone.now() - again.heartbeat < dt.timedelta(seconds=10)
    assert (again.step, again.progress) == ("reading", 0.25)


def test_a_cancelled_run_cannot_finish(db):
    run = claimed_run()
    assert Run.objects.cancel(run.pk)
    assert Run.objects.finish([run]) == []
    assert state(run) == Run.State.RUNNING


def test_a_run_that_nobody_cancelled_cannot_be_stopped(db):
    run = claimed_run()
    assert not Run.objects.stop(run)
    assert state(run) == Run.State.RUNNING


def test_a_run_that_reported_since_is_not_given_back(db):
    run = claimed_run()
    pipeline.checkpoint(run, "reading", 0.1)
    assert not Run.objects.give_back(run)


def test_a_run_that_was_cancelled_since_is_not_given_back(db):
    run = claimed_run()
    Run.objects.cancel(run.pk)
    assert not Run.objects.give_back(run)
    assert Run.objects.get(pk=run.pk).cancel_requested


def test_a_run_given_back_waits_as_if_it_were_new(db):
    run = claimed_run()
    assert Run.objects.give_back(run)
    assert not Run.objects.fail(run, "some_code", "Some reason.")
    again = Run.objects.get(pk=run.pk)
    assert again.state == Run.State.PENDING
    assert {name: getattr(again, name) for name in Run.FRESH} == Run.FRESH
    assert again.attempts == 1


@pytest.mark.parametrize("end", ENDED)
def test_a_run_that_has_ended_moves_no_more(db, end):
    run = claimed_run()
    Run.objects.filter(pk=run.pk).update(state=end)
    assert Run.objects.report([run], "reading", 0.1) == []
    assert Run.objects.finish([run]) == []
    assert not Run.objects.fail(run, "some_code", "Some reason.")
    assert not Run.objects.stop(run)
    assert not Run.objects.give_back(run)
    assert not Run.objects.cancel(run.pk)
    assert state(run) == end
    with pytest.raises(AlreadyEnded):
        services.cancel(run)


@pytest.mark.parametrize("first", ["finish", "cancel"])
def test_of_finishing_and_cancelling_at_once_one_wins(beside, first):
    """Whichever row count says 1, the end is its, and never both."""
    run = claimed_run()
    start = threading.Barrier(2)

    def finish():
        start.wait(120)
        return bool(Run.objects.finish([run]))

    def cancel():
        start.wait(120)
        return Run.objects.cancel(run.pk)

    order = [finish, cancel] if first == "finish" else [cancel, finish]
    answers = {action.__name__: beside(action) for action in order}
    has_finished, has_cancelled = (answers[name].result(120) for name in ("finish", "cancel"))
    assert has_finished != has_cancelled
    assert state(run) == (Run.State.DONE if has_finished else Run.State.RUNNING)


def test_what_goes_wrong_unforeseen_is_logged_and_told_without_details(db, settings, caplog):
    settings.DETECTOR = "tests.pipeline.backends:FailingDetector"
    upload = services.start_upload(services.take_in(photo()), queued=False)
    pipeline.execute(upload.run.pk)
    upload.run.refresh_from_db()
    upload.image.refresh_from_db()
    assert (upload.run.state, upload.run.error_code) == (Run.State.FAILED, "internal_error")
    assert "A bug in a backend" not in upload.run.error_message
    assert "A bug in a backend" in caplog.text
    assert upload.image.status == OriginalImage.Status.FAILED
    assert upload.image.problem == upload.run.error_message


def test_a_run_that_takes_too_long_fails_and_its_worker_learns_of_it(db):
    """The queue's time limit raises SystemExit in the middle of whatever runs."""
    run = claimed_run()
    with pytest.raises(SystemExit), pipeline.guarded(run):
        raise SystemExit
    run.refresh_from_db()
    assert (run.state, run.error_code) == (Run.State.FAILED, "interrupted")


# --- Again -----------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [Run.State.FAILED, Run.State.CANCELLED])
def test_a_run_that_failed_or_was_cancelled_can_be_run_again(db, end):
    run = claimed_run()
    Run.objects.filter(pk=run.pk).update(
        state=end, error_code="some_code", error_message="Some reason.", attempts=3
    )
    services.run_again(run)
    assert (run.state, run.attempts, run.error_code) == (Run.State.PENDING, 0, "")
    pipeline.execute(run.pk)
    run.refresh_from_db()
    assert (run.state, run.attempts) == (Run.State.DONE, 1)


def test_bytes_of_a_failed_picture_are_wanted_again_though_their_run_was_cancelled(db, settings):
    settings.DETECTOR = "tests.pipeline.backends:FailingDetector"
    run = services.start_upload(services.take_in(photo()), queued=False).run
    pipeline.execute(run.pk)
    settings.DETECTOR = "whole_image"
    backends.forget()
    run.refresh_from_db()
    services.run_again(run)
    services.cancel(run)
    again = services.start_upload(services.take_in(photo()), queued=False)
    assert (again.run, again.is_new) == (run, False)
    pipeline.execute(again.run.pk)
    assert OriginalImage.objects.get().status == OriginalImage.Status.READY


@pytest.mark.parametrize("live", [Run.State.PENDING, Run.State.RUNNING, Run.State.DONE])
def test_no_other_run_can_be_run_again(db, live):
    run = new_run(state=live)
    with pytest.raises(NotRepeatable):
        services.run_again(run)
    assert state(run) == live


def test_of_two_who_run_it_again_at_once_one_does(beside):
    run = new_run(state=Run.State.FAILED)
    start = threading.Barrier(2)

    def again():
        start.wait(120)
        try:
            services.run_again(Run.objects.get(pk=run.pk))
        except NotRepeatable:
            return False
        return True

    tries = [beside(again) for _ in range(2)]
    assert sorted(attempt.result(120) for attempt in tries) == [False, True]


def test_bytes_that_are_sent_again_give_a_failed_run_another_chance(db, settings):
    settings.DETECTOR = "tests.pipeline.backends:FailingDetector"
    upload = services.start_upload(services.take_in(photo()), queued=False)
    pipeline.execute(upload.run.pk)
    again = services.start_upload(services.take_in(photo()), queued=False)
    assert (again.run.pk, again.is_new) == (upload.run.pk, False)
    assert Run.objects.get(pk=upload.run.pk).state == Run.State.PENDING


def test_bytes_that_are_sent_again_while_their_run_is_stopped_get_a_run_of_their_own(db):
    upload = services.start_upload(services.take_in(photo()), queued=False)
    [stopping] = pipeline.claim([upload.run.pk])
    services.cancel(Run.objects.get(pk=stopping.pk))
    again = services.start_upload(services.take_in(photo()), queued=False)
    assert (again.image, again.is_new) == (upload.image, False)
    assert again.run.pk != stopping.pk
    pipeline.carry_out(stopping)
    pipeline.execute(again.run.pk)
    states = dict(Run.objects.values_list("pk", "state"))
    assert states == {stopping.pk: Run.State.CANCELLED, again.run.pk: Run.State.DONE}
    upload.image.refresh_from_db()
    assert upload.image.status == OriginalImage.Status.READY


def test_a_picture_goes_once_nobody_wants_it_any_more(db):
    upload = services.start_upload(services.take_in(photo()), queued=False)
    [stopping] = pipeline.claim([upload.run.pk])
    services.cancel(Run.objects.get(pk=stopping.pk))
    again = services.start_upload(services.take_in(photo()), queued=False)
    services.cancel(again.run)
    pipeline.carry_out(stopping)
    assert not OriginalImage.objects.exists()


def test_an_upload_whose_image_is_gone_cannot_be_run_again(transactional_db):
    upload = services.start_upload(services.take_in(photo()), queued=False)
    services.cancel(upload.run)
    with pytest.raises(NotRepeatable, match="Upload it again"):
        services.run_again(Run.objects.get(pk=upload.run.pk))


def test_a_run_is_queued_when_it_is_there_for_all_to_see(transactional_db, empty_queue):
    upload = services.start_upload(services.take_in(photo()))
    assert get_broker().queue_size() == 1
    services.start_upload(services.take_in(photo()))
    assert get_broker().queue_size() == 1, "known bytes ask for no second run"
    assert upload.run.attempts == 0
