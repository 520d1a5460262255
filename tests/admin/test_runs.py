"""Runs in the admin."""

import datetime as dt
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.models import OriginalImage
from similarity import services
from similarity.models import Run
from tests.admin import act, told
from tests.pictures import photo

LIST = "/admin/similarity/run/"


def page_of(run):
    return f"{LIST}{run.pk}/change/"


def a_run(state="pending", **details):
    return Run.objects.create(kind=Run.Kind.REBUILD, state=state, **details)


def test_the_list_asks_no_query_per_run(staff):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert staff.get(LIST).status_code == 200
        return len(captured)

    def remembered():
        queries()  # the pace of the queue is remembered for seconds
        return queries()

    for number in range(12):
        services.start_upload(services.take_in(photo(seed=number)), owner=staff.user)
        if number == 1:
            few = remembered()
    assert remembered() == few


def test_the_list_tells_how_far_a_run_is_and_what_went_wrong(staff):
    start = timezone.now()
    a_run("running", step="building", progress=0.4)
    end = start + dt.timedelta(seconds=90)
    a_run("failed", error_message="The disk is full.", started_at=start, finished_at=end)
    page = staff.get(LIST).content.decode()
    assert '<progress value="0.4">40%</progress>' in page
    assert '<span class="badge badge-failed">Failed</span>' in page
    assert "The disk is full." in page
    assert "90.0 s" in page


def test_a_run_is_found_by_its_id_and_by_its_image(staff):
    upload = services.start_upload(services.take_in(photo()))
    other = a_run()
    for word in (str(upload.run.pk), str(upload.run.pk)[:8], upload.image.identifier):
        page = staff.get(LIST, {"q": word}).content.decode()
        assert page_of(upload.run) in page
        assert page_of(other) not in page


def test_waiting_and_running_runs_are_cancelled(staff):
    waiting, running = a_run("pending"), a_run("running")
    outcomes = told(act(staff, LIST, "cancel", waiting, running))
    assert f"{waiting}: Cancelled." in outcomes
    assert f"{running}: It will stop at its next checkpoint." in outcomes
    waiting.refresh_from_db()
    running.refresh_from_db()
    assert waiting.state == Run.State.CANCELLED
    assert running.cancel_requested


def test_a_cancelled_upload_leaves_no_image(staff):
    upload = services.start_upload(services.take_in(photo()))
    act(staff, LIST, "cancel", upload.run)
    assert not OriginalImage.objects.exists()


def test_a_run_that_failed_is_run_again(staff, django_capture_on_commit_callbacks):
    run = a_run("failed", error_message="The disk is full.")
    with django_capture_on_commit_callbacks() as callbacks:
        act(staff, LIST, "run_again", run)
    run.refresh_from_db()
    assert (run.state, run.error_message) == (Run.State.PENDING, "")
    assert len(callbacks) == 1


def test_each_refusal_says_why_and_keeps_no_other_from_its_turn(staff):
    done, failed = a_run("done"), a_run("failed")
    outcomes = told(act(staff, LIST, "run_again", done, failed))
    assert f"{failed}: It waits for a worker." in outcomes
    assert f"{done}: Only a run that has failed or was cancelled can be run again." in outcomes
    [refusal] = told(act(staff, LIST, "cancel", done))
    assert refusal == f"{done}: It has ended already."


@pytest.mark.parametrize(
    ("state", "buttons"),
    [
        ("pending", {"cancel"}),
        ("running", {"cancel"}),
        ("failed", {"run_again"}),
        ("cancelled", {"run_again"}),
        ("done", set()),
    ],
)
def test_a_runs_page_offers_what_can_be_done(staff, state, buttons):
    page = staff.get(page_of(a_run(state))).content.decode()
    assert {name for name in ("cancel", "run_again") if f'value="{name}"' in page} == buttons


@pytest.mark.parametrize("action", ["cancel", "run_again"])
def test_a_merchandiser_is_refused(merchandiser, action):
    run = a_run("pending" if action == "cancel" else "failed")
    assert act(merchandiser, LIST, action, run).status_code == 403
    before = run.state
    run.refresh_from_db()
    assert run.state == before


def test_who_may_only_look_is_offered_nothing(staff):
    group = staff.user.groups.get()
    group.permissions.remove(group.permissions.get(codename="change_run"))
    run = a_run("pending")
    assert 'value="cancel"' not in staff.get(page_of(run)).content.decode()
    act(staff, LIST, "cancel", run)
    run.refresh_from_db()
    assert run.state == Run.State.PENDING


# --- The queue ----------------------------------------------------------------------------------


def press(client, name):
    return client.post(f"{LIST}{name}/")


def test_the_queue_is_paused_and_resumed(staff):
    assert "Pause the queue" in staff.get(LIST).content.decode()
    assert told(press(staff, "pause")) == [
        "The queue is paused. What runs comes to its end; searches go on."
    ]
    page = staff.get(LIST).content.decode()
    assert "Resume the queue" in page
    assert "by stefan" in page
    assert told(press(staff, "resume")) == ["Workers go on."]
    assert services.paused() is None


def test_all_failed_runs_are_run_again_but_no_searches(staff):
    failed, search = a_run("failed"), Run.objects.create(kind="search", state="failed")
    assert told(press(staff, "failed-again")) == ["1 failed runs wait for a worker again."]
    failed.refresh_from_db()
    search.refresh_from_db()
    assert (failed.state, search.state) == (Run.State.PENDING, Run.State.FAILED)


@pytest.mark.parametrize("name", ["pause", "resume", "failed-again"])
def test_who_may_only_look_cannot_press_the_buttons(staff, merchandiser, shopper, stranger, name):
    group = staff.user.groups.get()
    group.permissions.remove(group.permissions.get(codename="change_run"))
    assert press(staff, name).status_code == 403
    assert press(merchandiser, name).status_code == 403
    for client in (shopper, stranger):
        assert press(client, name).status_code == 302
    assert staff.get(f"{LIST}{name}/").status_code in {403, 405}
    assert "Pause the queue" not in staff.get(LIST).content.decode()
    assert services.paused() is None


def test_the_list_shows_the_picture_of_a_failure_and_how_long_a_run_takes_still(staff):
    upload = services.start_upload(services.take_in(photo()))
    Run.objects.filter(pk=upload.run.pk).update(state="failed", error_message="Too odd.")
    start = timezone.now() - dt.timedelta(hours=1)
    a_run("running", step="building", progress=0.25, started_at=start)
    page = staff.get(LIST).content.decode()
    assert f"/api/v1/images/{upload.image.identifier}/file/?width=160" in page
    assert re.search(r"<p>3 h( \d+ s)? left</p>", page)
