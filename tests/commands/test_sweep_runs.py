"""`manage.py sweep_runs`."""

from __future__ import annotations

import datetime as dt

from django.core.management import call_command
from django.utils import timezone

from similarity import pipeline, services
from similarity.models import Query, Run
from tests.pictures import photo


def swept(capsys) -> str:
    call_command("sweep_runs")
    return capsys.readouterr().out


def test_it_says_that_there_was_nothing_to_do(transactional_db, capsys):
    assert swept(capsys) == (
        "0 given back, 0 failed as orphaned, 0 queued again, 0 expired queries deleted.\n"
    )


def test_it_gives_back_fails_and_deletes(transactional_db, capsys, settings):
    long_ago = timezone.now() - dt.timedelta(days=2)
    lost, orphan = (
        services.start_upload(services.take_in(photo(colour)), queued=False).run
        for colour in ("red", "green")
    )
    pipeline.claim([lost.pk, orphan.pk])
    Run.objects.update(heartbeat=long_ago)
    Run.objects.filter(pk=orphan.pk).update(attempts=settings.RUN_MAX_ATTEMPTS)
    services.keep_query(services.take_in(photo("blue")), None)
    Query.objects.update(expires_at=long_ago)
    assert swept(capsys) == (
        "1 given back, 1 failed as orphaned, 0 queued again, 1 expired queries deleted.\n"
    )
    assert {run.pk: run.state for run in Run.objects.all()} == {
        lost.pk: Run.State.PENDING,
        orphan.pk: Run.State.FAILED,
    }
