"""Webhooks: who is told of what, and how a message is sent.

Messages are signed by the Standard Webhooks scheme (https://www.standardwebhooks.com): HMAC-SHA256
over the message's id, the time of the attempt, and the body.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.tasks import async_task
from standardwebhooks.webhooks import Webhook as Signer

from shop.models import Delivery, Event, Webhook
from similarity.engine.errors import FetchRefused
from similarity.engine.fetch import post
from similarity.intake import reachable

logger = logging.getLogger("shop.webhooks")

SECONDS = 15.0
"""That an endpoint has to answer."""

LEASE = dt.timedelta(seconds=60)
"""An attempt that has told nothing for so long has died with its worker."""

UNCLAIMED = dt.timedelta(seconds=30)
"""One that is in the queue for so long may have lost its message."""

UNREACHABLE = {"fetch_failed", "fetch_timed_out"}
"""What comes of an endpoint that is not there, or swallows what it is sent."""

PAUSES = tuple(
    dt.timedelta(seconds=seconds)
    for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""Between attempts: 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 h, as Standard Webhooks advises."""

MOST_ATTEMPTS = len(PAUSES) + 1

KEPT = dt.timedelta(days=30)
"""For so long the log tells of a delivery."""


def announce(event: Event, data: Mapping[str, Any]) -> None:
    """Tell the webhooks that want to know, once the caller's transaction has been committed."""
    webhooks = [hook for hook in Webhook.objects.filter(is_active=True) if event in hook.events]
    _send(webhooks, event, data)


def send_test(webhook: Webhook) -> None:
    """Send a webhook a message that says nothing."""
    _send([webhook], Event.TEST, {"message": "It works."})


def _send(webhooks: list[Webhook], event: Event, data: Mapping[str, Any]) -> None:
    message = f"msg_{secrets.token_hex(12)}"
    told = {"type": event.value, "timestamp": timezone.now().isoformat(), "data": data}
    body = json.dumps(told, separators=(",", ":"))
    for webhook in webhooks:
        delivery = Delivery.objects.create(
            webhook=webhook, message=message, event=event, body=body, queued_at=timezone.now()
        )
        enqueue(delivery.pk)


def enqueue(pk: int) -> None:
    """Let a worker know of a delivery. A message that is lost is found again by its row."""
    transaction.on_commit(lambda: async_task("shop.tasks.deliver", pk), robust=True)


def is_sending() -> bool:
    """Whether a worker is at an attempt."""
    return Delivery.objects.under_way(LEASE).exists()


def deliver(pk: int) -> None:
    """Attempt a delivery that is due; nothing happens if it is not."""
    if _must_wait(pk):
        Delivery.objects.due().filter(pk=pk).update(queued_at=None)  # the sweep comes back to it
        return
    delivery = Delivery.objects.claim(pk, LEASE)
    if delivery is None:
        return
    if not delivery.webhook.is_active:
        _note(delivery, state=Delivery.State.FAILED, problem="The webhook is switched off.")
        return
    if not delivery.webhook.secret:
        _failed(delivery, None, "Its secret cannot be read: SECRET_KEY is another one now.")
        return
    try:
        status = _post(delivery)
    except FetchRefused as error:
        _failed(delivery, None, str(error))
        if error.code in UNREACHABLE:
            _met_nobody(delivery, str(error))
        return
    _met_somebody(delivery.webhook)
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        _note(delivery, state=Delivery.State.DELIVERED, status=status, problem="")
    else:
        _failed(delivery, status, f"The endpoint answered with status {status}.")


def _post(delivery: Delivery) -> int:
    now = dt.datetime.now(dt.UTC)
    signature = Signer(delivery.webhook.secret).sign(delivery.message, now, delivery.body)
    headers = {
        "Content-Type": "application/json",
        "webhook-id": delivery.message,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    body = delivery.body.encode()
    return post(delivery.webhook.url, body, headers, seconds=SECONDS, **reachable())


def _failed(delivery: Delivery, status: int | None, problem: str) -> None:
    logger.warning("%s, attempt %d: %s", delivery, delivery.attempts, problem)
    told: dict[str, Any] = {"status": status, "problem": problem[:300]}
    if delivery.attempts >= MOST_ATTEMPTS:
        _note(delivery, state=Delivery.State.FAILED, **told)
    else:
        pause = PAUSES[delivery.attempts - 1]
        Delivery.objects.attempted(delivery).update(
            due_at=timezone.now() + pause, taken_at=None, **told
        )


def _must_wait(pk: int) -> bool:
    """Whether nobody is there to send it to, as far as is known, and a worker is finding out.

    A dead endpoint would hold all workers otherwise, each until it gives up.
    """
    dead = Webhook.objects.filter(deliveries=pk, unreachable_since__isnull=False).first()
    return dead is not None and dead.deliveries.under_way(LEASE).exists()


def _met_somebody(webhook: Webhook) -> None:
    Webhook.objects.filter(pk=webhook.pk, unreachable_since__isnull=False).update(
        unreachable_since=None
    )


def _met_nobody(delivery: Delivery, problem: str) -> None:
    """Count an attempt for all that were about to be sent to the same endpoint, too.

    They come due a little later: one goes ahead, and finds out whether anybody is there again.
    """
    now, webhook = timezone.now(), delivery.webhook
    Webhook.objects.filter(pk=webhook.pk, unreachable_since=None).update(unreachable_since=now)
    others = webhook.deliveries.filter(
        state=Delivery.State.PENDING, taken_at=None, due_at__lt=now + 2 * LEASE
    ).exclude(pk=delivery.pk)
    told: dict[str, Any] = {"status": None, "problem": problem[:300], "queued_at": None}
    last = others.filter(attempts__gte=MOST_ATTEMPTS - 1)
    last.update(state=Delivery.State.FAILED, attempts=MOST_ATTEMPTS, finished_at=now, **told)
    for before in reversed(range(len(PAUSES))):  # so that none is counted twice
        due_at = now + PAUSES[before] + LEASE
        others.filter(attempts=before).update(attempts=before + 1, due_at=due_at, **told)


def _note(delivery: Delivery, **outcome: Any) -> None:
    Delivery.objects.attempted(delivery).update(
        finished_at=timezone.now(), taken_at=None, **outcome
    )


def send_again(delivery: Delivery) -> None:
    """Have a message sent once more, with its attempts counted from the start."""
    Delivery.objects.filter(pk=delivery.pk).update(
        state=Delivery.State.PENDING,
        attempts=0,
        due_at=timezone.now(),
        queued_at=timezone.now(),
        taken_at=None,
        finished_at=None,
    )
    enqueue(delivery.pk)


def encrypt_anew() -> int:
    """Encrypt all secrets by the SECRET_KEY of now; gives how many could not be read."""
    unreadable = 0
    for webhook in Webhook.objects.all():
        if webhook.secret:
            webhook.save(update_fields=["secret"])
        else:
            unreadable += 1
    return unreadable


def sweep() -> None:
    """Put deliveries that are due into the queue, and delete those of long ago."""
    now = timezone.now()
    without_message = Q(queued_at=None)
    if not get_broker().queue_size():  # else it may only wait behind others
        without_message |= Q(queued_at__lt=now - UNCLAIMED)
    missing = Delivery.objects.due().filter(without_message)
    for pk in missing.order_by("due_at").values_list("pk", flat=True)[:100]:
        if missing.filter(pk=pk).update(queued_at=now):
            enqueue(pk)
    ended = Delivery.objects.exclude(state=Delivery.State.PENDING)
    ended.filter(created_at__lt=timezone.now() - KEPT).delete()
