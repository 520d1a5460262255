"""What shoppers do with what they are shown: noted, told of a person to that person, and forgotten.

Events come from our own pages and from a shop's. Who they are of is noted for people who have
signed in and keep their history, and for nobody else; no address, and no browser.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.services import preferences_of
from catalog.services import products_called
from shop.models import ShopperEvent
from similarity.errors import Refused
from similarity.models import Run

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise as StrOrPromise

AHEAD = dt.timedelta(minutes=5)
"""A sender's clock may be so much before ours."""

AT_A_TIME = 5000
"""Rows deleted by one sweep: the next comes in a moment."""


class EventsOff(Refused):
    """The shop notes no events."""

    status = 403
    code = "events_off"


class BadEvent(Refused):
    """An event that is not noted, for a reason that its sender can act on."""

    status = 400

    def __init__(self, code: str, detail: StrOrPromise) -> None:
        super().__init__(detail)
        self.code = code  # type: ignore[misc]  # each reason has its own


@dataclass(slots=True)
class Noted:
    """What has become of events that were sent."""

    recorded: int = 0
    known: int = 0
    """Sent before, by their ids."""
    refused: dict[int, BadEvent] = field(default_factory=dict)
    """By their place in what was sent."""


def refuse_if_off() -> None:
    """Raises EventsOff unless the shop notes events."""
    if not settings.EVENTS:
        raise EventsOff(_("This shop does not note what shoppers do."))


def record(sent: Mapping[int, Mapping[str, Any]], person: User | None) -> Noted:
    """Note events, by their places in what was sent: kind and product, and perhaps id, position,
    time, and search, or answer and the product beside which it stood. Those that cannot be noted
    keep no others from it. Raises EventsOff.
    """
    refuse_if_off()
    noted = Noted()
    if person is not None and not preferences_of(person).keeps_history:
        person, searches = None, {}
    else:
        searches = _searches(sent.values(), person)
    named = (item.get(name) for item in sent.values() for name in ("product", "beside"))
    products = products_called(name for name in named if name)
    rows: dict[uuid.UUID, ShopperEvent] = {}
    for place, item in sent.items():
        try:
            row = _row(item, products, searches, person)
        except BadEvent as error:
            noted.refused[place] = error
            continue
        if row.pk in rows:
            noted.known += 1
        rows.setdefault(row.pk, row)
    known = set(ShopperEvent.objects.filter(pk__in=list(rows)).values_list("pk", flat=True))
    # Whoever sends the same at the same moment is no trouble: one of each id is kept.
    ShopperEvent.objects.bulk_create(
        [row for pk, row in rows.items() if pk not in known], ignore_conflicts=True
    )
    noted.known += len(known)
    noted.recorded = len(rows) - len(known)
    return noted


def _row(
    item: Mapping[str, Any],
    products: Mapping[str, int],
    searches: Mapping[uuid.UUID, Run],
    person: User | None,
) -> ShopperEvent:
    reference, now = item["product"], timezone.now()
    if reference not in products:
        sentence = _("There is no product %(reference)s.") % {"reference": reference}
        raise BadEvent("unknown_product", sentence)
    at = item.get("at") or now
    if at > now + AHEAD:
        raise BadEvent("in_the_future", _("It has not happened yet."))
    if at < now - dt.timedelta(days=settings.EVENTS_DAYS):
        sentence = _("Events are kept for %(days)s days.") % {"days": settings.EVENTS_DAYS}
        raise BadEvent("too_old", sentence)
    return ShopperEvent(
        id=item.get("id") or uuid.uuid4(),
        kind=item["kind"],
        product_id=products[reference],
        search=searches.get(item["search"]) if item.get("search") else None,
        beside_id=products.get(item.get("beside") or ""),
        answer=item.get("answer"),
        position=item.get("position"),
        person=person,
        at=min(at, now),
    )


def _searches(items: Any, person: User | None) -> dict[uuid.UUID, Run]:
    """The searches that events name, of those that whoever sends them may know of."""
    named = {item["search"] for item in items if item.get("search")}
    if not named:
        return {}
    visible = Run.objects.visible_to(person or AnonymousUser())
    return visible.filter(kind=Run.Kind.SEARCH).only("pk").in_bulk(named)


def of_person(person: User) -> tuple[str, list[dict[str, Any]]]:
    """All events of a person, for them to take away: the name of a file, and its rows."""
    names = ("id", "kind", "product", "search", "beside", "answer", "position", "at")
    columns = [f"{name}__reference" if name in {"product", "beside"} else name for name in names]
    rows = person.events.order_by("at", "pk").values_list(*columns)
    return "events.json", [dict(zip(names, row, strict=True)) for row in rows]


def sweep() -> int:
    """Forget events that are older than the shop keeps them; how many they were."""
    until = timezone.now() - dt.timedelta(days=settings.EVENTS_DAYS)
    old = ShopperEvent.objects.filter(at__lt=until).order_by("at")
    keys: Sequence[uuid.UUID] = list(old.values_list("pk", flat=True)[:AT_A_TIME])
    return ShopperEvent.objects.filter(pk__in=keys).delete()[0] if keys else 0
