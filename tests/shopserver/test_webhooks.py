"""Webhooks: whoever wants to know is told, by a message that they can check."""

import datetime as dt
import json
from importlib import import_module

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.brokers import get_broker
from standardwebhooks.webhooks import Webhook as Checker
from standardwebhooks.webhooks import WebhookVerificationError

from shop import services, tasks, webhooks
from shop.models import Delivery, Event, Import, Webhook
from similarity import services as similarity
from similarity.engine.errors import FetchRefused
from similarity.models import Run
from similarity.tasks import execute_run
from tests.api.test_put_products import BLUE, GREEN, RED, work
from tests.pictures import as_base64

pytestmark = pytest.mark.django_db

PRODUCT = "/api/v1/products/D-1/"


@pytest.fixture
def hook(open_web):
    return Webhook.objects.create(name="Web shop", url=f"{open_web.url}/events")


@pytest.fixture(autouse=True)
def commits(django_capture_on_commit_callbacks, monkeypatch):
    """What waits for a commit is called when a test says that there is one."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


def send_all():
    """What a worker does about deliveries that are due."""
    for pk in Delivery.objects.due().values_list("pk", flat=True):
        tasks.deliver(pk)


def messages(web) -> list:
    return [seen for seen in web.seen if seen.method == "POST"]


def pass_time(**much):
    Delivery.objects.update(due_at=timezone.now() - dt.timedelta(**much))


# --- What is told ---------------------------------------------------------------------------


def test_the_end_of_an_import_is_told_once_and_signed(merchandiser, hook, open_web, commits):
    with commits():
        urls = [open_web.show("/a.png", RED), open_web.show("/b.png", GREEN)]
        response = merchandiser.put(PRODUCT, {"name": "Dress", "images": urls})
    first, second = Run.objects.order_by("created_at")
    execute_run(str(first.pk))
    assert not Delivery.objects.exists(), "one picture is still under way"
    execute_run(str(second.pk))
    services.finish_imports()
    send_all()
    [message] = messages(open_web)
    told = Checker(hook.secret).verify(message.body, message.headers)
    assert told == json.loads(message.body)
    assert (told["type"], told["data"]["pictures"]["done"]) == ("import.finished", 2)
    assert told["data"]["import_id"] == response.json()["import_id"]
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.status, delivery.attempts) == ("delivered", 200, 1)
    assert message.headers["webhook-id"] == delivery.message
    send_all()
    assert len(messages(open_web)) == 1


def test_a_forged_or_changed_message_is_found_out(hook, open_web):
    webhooks.send_test(hook)
    send_all()
    [message] = messages(open_web)
    with pytest.raises(WebhookVerificationError):
        Checker(hook.secret).verify(message.body + b" ", message.headers)
    other = Webhook.objects.create(name="Other", url=hook.url)
    assert other.secret != hook.secret
    with pytest.raises(WebhookVerificationError):
        Checker(other.secret).verify(message.body, message.headers)


def test_a_batch_is_one_event_that_tells_what_failed(merchandiser, hook, open_web):
    items = [
        {"reference": "D-1", "name": "x", "images": [f"{open_web.url}/none"]},
        {"reference": "D-2", "name": "x", "images": [as_base64(RED)]},
        {"reference": "D 3", "name": "x"},
    ]
    merchandiser.post("/api/v1/products/batch/", {"products": items})
    work()
    send_all()
    [message] = messages(open_web)
    told = json.loads(message.body)
    assert told["type"] == "import.failed"
    data = told["data"]
    assert data["products"] == {"created": 2, "updated": 0, "rejected": 1}
    assert (data["pictures"]["done"], data["pictures"]["failed"]) == (1, 1)
    [failure] = data["failures"]
    assert (failure["product"], failure["code"]) == ("D-1", "fetch_failed")


def test_a_batch_without_pictures_has_finished_when_it_is_committed(
    merchandiser, hook, open_web, commits
):
    with commits():
        body = {"products": [{"reference": "D-1", "name": "x"}]}
        merchandiser.post("/api/v1/products/batch/", body)
    assert Delivery.objects.get().event == Event.IMPORT_FINISHED


def test_a_run_that_is_cancelled_or_lost_ends_its_import_too(merchandiser, hook, settings):
    merchandiser.put(PRODUCT, {"name": "x", "images": [as_base64(RED), as_base64(GREEN)]})
    first, second = Run.objects.all()
    similarity.cancel(first)
    past = timezone.now() - dt.timedelta(days=1)
    Run.objects.filter(pk=second.pk).update(
        state=Run.State.RUNNING, worker="gone", heartbeat=past, attempts=settings.RUN_MAX_ATTEMPTS
    )
    similarity.sweep()
    item = Import.objects.get()
    assert item.finished_at is not None
    assert (
        services.summary(item)["pictures"]
        == {
            "total": 1,
            "done": 0,
            "failed": 1,
            "cancelled": 0,
        }
        or services.summary(item)["pictures"]["cancelled"] == 1
    )
    assert Delivery.objects.get().event == Event.IMPORT_FAILED


def test_nothing_is_told_of_what_is_rolled_back(merchandiser, hook, open_web, commits):
    broker = get_broker()
    broker.purge_queue()
    with commits(), transaction.atomic():
        webhooks.announce(Event.IMPORT_FINISHED, {"import_id": "1"})
        assert Delivery.objects.exists()
        transaction.set_rollback(True)
    assert not Delivery.objects.exists()
    assert broker.queue_size() == 0
    with commits():
        webhooks.announce(Event.IMPORT_FINISHED, {"import_id": "1"})
    assert broker.queue_size() == 1, "what is committed is in the queue"
    broker.purge_queue()


def test_the_end_of_a_folder_s_import_is_told(hook, open_web, tmp_path):
    (tmp_path / "a.png").write_bytes(RED)
    (tmp_path / "b.png").write_bytes(b"no picture")
    call_command("ingest_folder", str(tmp_path))
    send_all()
    [message] = messages(open_web)
    told = json.loads(message.body)
    assert told["type"] == "import.failed"
    assert told["data"]["kind"] == "folder"
    assert told["data"]["pictures"] == {"total": 2, "done": 1, "failed": 1, "cancelled": 0}


def test_only_those_are_told_who_want_to_know(hook, open_web):
    Webhook.objects.create(name="Off", url=hook.url, is_active=False)
    Webhook.objects.create(name="Failures", url=hook.url, events=[Event.IMPORT_FAILED])
    webhooks.announce(Event.IMPORT_FINISHED, {})
    assert [delivery.webhook for delivery in Delivery.objects.all()] == [hook]
    webhooks.announce(Event.IMPORT_FAILED, {})
    ids = Delivery.objects.filter(event=Event.IMPORT_FAILED).values_list("message", flat=True)
    assert (len(ids), len(set(ids))) == (2, 1), "one message, to two"


# --- How it is sent -------------------------------------------------------------------------


def test_after_an_error_it_is_tried_again_with_the_same_id(hook, open_web):
    open_web.statuses = [500, 302]
    webhooks.send_test(hook)
    send_all()
    send_all()
    assert len(messages(open_web)) == 1, "not before its time"
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.status) == ("pending", 500)
    assert 0 < (delivery.due_at - timezone.now()).total_seconds() <= 5
    pass_time(seconds=1)
    send_all()
    assert Delivery.objects.get().status == 302, "a redirect is not followed"
    pass_time(seconds=1)
    send_all()
    assert Delivery.objects.get().state == "delivered"
    assert len({message.headers["webhook-id"] for message in messages(open_web)}) == 1
    assert len({message.body for message in messages(open_web)}) == 1
    for message in messages(open_web):
        Checker(hook.secret).verify(message.body, message.headers)


def test_it_is_given_up_after_so_many_attempts_and_can_be_sent_again(hook, open_web):
    open_web.statuses = [500] * webhooks.MOST_ATTEMPTS
    webhooks.send_test(hook)
    for _ in range(webhooks.MOST_ATTEMPTS + 2):
        pass_time(seconds=1)
        send_all()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == ("failed", webhooks.MOST_ATTEMPTS)
    assert len(messages(open_web)) == webhooks.MOST_ATTEMPTS
    webhooks.send_again(delivery)
    send_all()
    assert Delivery.objects.get().state == "delivered"


def test_a_server_that_is_not_there_is_tried_again(hook):
    Webhook.objects.update(url="http://127.0.0.1:1/events")
    webhooks.send_test(hook)
    send_all()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.status) == ("pending", None)
    assert "could not be reached" in delivery.problem


def test_our_own_network_is_told_nothing(hook, open_web, settings):
    settings.ALLOW_LOCAL_ADDRESSES = False
    webhooks.send_test(hook)
    send_all()
    Webhook.objects.update(url="http://127.0.0.1/events")
    pass_time(seconds=1)
    send_all()
    assert "not a public address" in Delivery.objects.get().problem
    assert messages(open_web) == []


def test_a_webhook_that_was_switched_off_meanwhile_is_told_nothing(hook, open_web):
    webhooks.send_test(hook)
    Webhook.objects.update(is_active=False)
    send_all()
    assert (Delivery.objects.get().state, messages(open_web)) == ("failed", [])


def test_an_attempt_whose_worker_has_died_is_made_by_another(hook, open_web, commits):
    webhooks.send_test(hook)
    delivery = Delivery.objects.get()
    assert Delivery.objects.claim(delivery.pk, webhooks.LEASE) is not None
    assert Delivery.objects.claim(delivery.pk, webhooks.LEASE) is None, "it has been taken"
    pass_time(seconds=1)
    broker = get_broker()
    broker.purge_queue()
    with commits():
        webhooks.sweep()
    assert broker.queue_size() == 1
    broker.purge_queue()
    send_all()
    assert (Delivery.objects.get().state, Delivery.objects.get().attempts) == ("delivered", 2)


def put_into_queue(commits) -> int:
    """How many messages a sweep puts there."""
    before = get_broker().queue_size()
    with commits():
        webhooks.sweep()
    return get_broker().queue_size() - before


@pytest.fixture
def empty_queue():
    get_broker().purge_queue()
    yield
    get_broker().purge_queue()


def test_what_waits_in_the_queue_is_not_put_there_again(hook, commits, empty_queue):
    with commits():
        webhooks.send_test(hook)
    assert get_broker().queue_size() == 1
    long_ago = timezone.now() - 2 * webhooks.UNCLAIMED
    Delivery.objects.update(due_at=long_ago, queued_at=long_ago)
    assert put_into_queue(commits) == 0
    get_broker().purge_queue()
    assert put_into_queue(commits) == 1, "its message was lost"
    get_broker().purge_queue()
    assert put_into_queue(commits) == 0, "it has only just been put there"


def test_what_is_to_be_sent_again_is_put_into_the_queue_once(hook, open_web, commits, empty_queue):
    open_web.statuses = [500]
    webhooks.send_test(hook)
    send_all()
    assert put_into_queue(commits) == 0, "not before its time"
    pass_time(seconds=1)
    assert [put_into_queue(commits), put_into_queue(commits)] == [1, 0]


@pytest.fixture
def dead(hook, monkeypatch):
    """An endpoint that swallows what it is sent; gives the addresses of all attempts."""
    attempts = []

    def swallows(url, *_, **__):
        attempts.append(url)
        raise FetchRefused("fetch_timed_out", "It did not answer.")

    monkeypatch.setattr(webhooks, "post", swallows)
    return attempts


def test_an_endpoint_that_swallows_messages_costs_one_attempt_for_all(hook, dead):
    other = Webhook.objects.create(name="Other", url="https://other.example")
    for _ in range(3):
        webhooks.send_test(hook)
    send_all()
    assert dead == [hook.url]
    first, *rest = hook.deliveries.order_by("due_at")
    assert {delivery.attempts for delivery in (first, *rest)} == {1}
    assert {delivery.problem for delivery in (first, *rest)} == {"It did not answer."}
    ahead = rest[0].due_at - first.due_at
    assert dt.timedelta(0) <= ahead - webhooks.LEASE < dt.timedelta(seconds=5)
    webhooks.send_test(other)
    send_all()
    assert dead == [hook.url, other.url], "others are sent to as ever"


def test_all_are_given_up_after_as_many_attempts_as_one(hook, dead):
    for _ in range(3):
        webhooks.send_test(hook)
    for _ in range(webhooks.MOST_ATTEMPTS + 2):
        Delivery.objects.update(due_at=timezone.now())
        send_all()
    assert set(Delivery.objects.values_list("state", "attempts")) == {
        ("failed", webhooks.MOST_ATTEMPTS)
    }
    assert len(dead) == webhooks.MOST_ATTEMPTS


def test_a_dead_endpoint_holds_one_worker_at_a_time(hook, dead, commits, empty_queue):
    webhooks.send_test(hook)
    send_all()
    webhooks.send_test(hook)
    new = Delivery.objects.get(attempts=0)
    pass_time(seconds=1)
    assert Delivery.objects.claim(Delivery.objects.get(attempts=1).pk, webhooks.LEASE)
    webhooks.deliver(new.pk)
    new.refresh_from_db()
    assert (new.attempts, len(dead)) == (0, 1)
    assert put_into_queue(commits) == 1, "its turn comes"
    Delivery.objects.exclude(pk=new.pk).update(taken_at=None)
    webhooks.deliver(new.pk)
    assert len(dead) == 2


def test_an_endpoint_that_is_there_again_is_sent_to_by_all_workers(hook, open_web):
    Webhook.objects.update(unreachable_since=timezone.now())
    webhooks.send_test(hook)
    send_all()
    hook.refresh_from_db()
    assert (hook.unreachable_since, len(messages(open_web))) == (None, 1)
    for _ in range(2):
        webhooks.send_test(hook)
    one, other = Delivery.objects.filter(attempts=0)
    assert Delivery.objects.claim(one.pk, webhooks.LEASE)
    webhooks.deliver(other.pk)
    assert len(messages(open_web)) == 2


def test_a_worker_at_a_delivery_is_not_taken_for_one_that_hangs(hook, monkeypatch):
    similarity.start_upload(similarity.take_in(RED))
    webhooks.send_test(hook)
    assert similarity.is_stalled(), "nobody is at anything"
    seen = []

    def answers_late(*_, **__) -> int:
        seen.append(similarity.is_stalled())
        pass_time(seconds=1)
        Delivery.objects.update(taken_at=timezone.now() - webhooks.LEASE)
        seen.append(similarity.is_stalled())
        return 500

    monkeypatch.setattr(webhooks, "post", answers_late)
    send_all()
    assert seen == [False, True]
    assert similarity.is_stalled(), "it only waits to be sent again"


def test_the_log_forgets_after_a_month(hook):
    webhooks.send_test(hook)
    Delivery.objects.update(created_at=timezone.now() - dt.timedelta(days=31))
    webhooks.sweep()
    assert Delivery.objects.exists(), "it has not been delivered"
    Delivery.objects.update(state=Delivery.State.FAILED)
    webhooks.sweep()
    assert not Delivery.objects.exists()


# --- In the admin ---------------------------------------------------------------------------


def test_the_secret_is_shown_once(administrator, db):
    form = {
        "name": "Web shop",
        "url": "https://shop.example/events",
        "events": ["import.finished"],
        "is_active": "on",
    }
    response = administrator.post("/admin/shop/webhook/add/", form, format="multipart")
    hook = Webhook.objects.get()
    assert hook.secret.startswith("whsec_")
    assert hook.secret in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    for page in ("", f"{hook.pk}/change/", f"{hook.pk}/history/"):
        shown = administrator.get(f"/admin/shop/webhook/{page}")
        assert shown.status_code == 200
        assert hook.secret not in shown.content.decode()
    administrator.post(
        f"/admin/shop/webhook/{hook.pk}/change/", {**form, "name": "New"}, format="multipart"
    )
    assert Webhook.objects.get().secret == hook.secret


def test_an_address_of_another_kind_is_refused(administrator, db):
    form = {"name": "x", "url": "ftp://shop.example", "events": ["import.finished"]}
    administrator.post("/admin/shop/webhook/add/", form, format="multipart")
    assert not Webhook.objects.exists()


def test_deliveries_are_shown_and_sent_again(staff, hook, open_web):
    open_web.statuses = [503]
    webhooks.send_test(hook)
    send_all()
    page = staff.get("/admin/shop/delivery/").content.decode()
    assert "503" in page
    pk = Delivery.objects.get().pk
    assert "It works." in staff.get(f"/admin/shop/delivery/{pk}/change/").content.decode()
    action = {"action": "send_again", "_selected_action": pk}
    staff.post("/admin/shop/delivery/", action, format="multipart")
    send_all()
    assert Delivery.objects.get().state == "delivered"
    action = {"action": "send_test", "_selected_action": hook.pk}
    staff.post("/admin/shop/webhook/", action, format="multipart")
    assert Delivery.objects.count() == 1, "webhooks are the administrators'"


def test_an_administrator_sends_a_test(administrator, hook, open_web):
    action = {"action": "send_test", "_selected_action": hook.pk}
    administrator.post("/admin/shop/webhook/", action, format="multipart")
    send_all()
    assert json.loads(messages(open_web)[0].body)["type"] == "webhook.test"


def test_imports_are_shown(staff, merchandiser):
    merchandiser.put(PRODUCT, {"name": "x", "images": [as_base64(RED)]})
    work()
    pk = Import.objects.get().pk
    assert "1 of 1 done" in staff.get("/admin/shop/import/").content.decode()
    assert "D-1" in staff.get(f"/admin/shop/import/{pk}/change/").content.decode()
    assert merchandiser.get("/admin/shop/import/").status_code == 403


def test_a_list_of_imports_takes_as_many_queries_as_one(staff, merchandiser):
    def shown() -> str:
        return staff.get("/admin/shop/import/").content.decode()

    services.note_import(done=2, failed=1)
    shown()
    with CaptureQueriesContext(connection) as one:
        assert "2 of 3 done, 1 failed" in shown()
    merchandiser.put(PRODUCT, {"name": "x", "images": [as_base64(RED), as_base64(BLUE)]})
    with CaptureQueriesContext(connection) as two:
        page = shown()
    assert "2 of 3 done, 1 failed" in page
    assert "0 of 2 done, 0 failed" in page
    assert len(two) == len(one)


# --- Their secrets in the database ----------------------------------------------------------


def stored_secret() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM shop_webhook")
        return cursor.fetchone()[0]


def test_a_secret_is_not_in_clear_in_the_database(hook):
    assert hook.secret.startswith("whsec_")
    assert hook.secret not in stored_secret()
    assert Webhook.objects.get().secret == hook.secret


def test_secrets_outlive_a_new_secret_key(hook, settings):
    before, settings.SECRET_KEY = settings.SECRET_KEY, "another" * 10
    settings.SECRET_KEY_FALLBACKS = [before]
    assert Webhook.objects.get().secret == hook.secret
    call_command("rotate_secrets")
    settings.SECRET_KEY_FALLBACKS = []
    assert Webhook.objects.get().secret == hook.secret


def test_a_secret_that_no_key_reads_is_told_and_nothing_is_sent(hook, settings, open_web):
    settings.SECRET_KEY = "another" * 10
    with pytest.raises(CommandError, match="1 webhooks cannot be read"):
        call_command("rotate_secrets")
    webhooks.send_test(Webhook.objects.get())
    send_all()
    assert messages(open_web) == []
    assert "SECRET_KEY" in Delivery.objects.get().problem


def test_secrets_that_were_in_clear_are_encrypted_by_the_migration(hook):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE shop_webhook SET secret = %s", [hook.secret])
    import_module("shop.migrations.0005_encrypted_secrets").encrypt(apps, None)
    assert hook.secret not in stored_secret()
    assert Webhook.objects.get().secret == hook.secret
