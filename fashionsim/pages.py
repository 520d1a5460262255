"""The pages that shoppers see. They call the same services as the API.

Everything works without JavaScript: forms post to `home`, which redirects to the search that it
has started. With it, the scripts ask the API instead and put `fragment` into the page.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.datastructures import MultiValueDict
from django.views.decorators.http import require_POST, require_safe
from rest_framework.exceptions import ValidationError

from accounts.permissions import may_search
from catalog.models import OriginalImage, Segment
from fashionsim import errors, looks
from similarity import services
from similarity.engine.errors import EngineError
from similarity.errors import AlreadyEnded, Refused
from similarity.models import Run
from similarity.serializers import SearchRequestSerializer
from similarity.views import asker

Page = Callable[..., HttpResponseBase]

NEWEST = 6
MORE = 12


def for_searchers(page: Page) -> Page:
    """Send a stranger to sign in, where the shop lets nobody else search."""

    @wraps(page)
    def guarded(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
        if may_search(request.user):
            return page(request, **arguments)
        return redirect_to_login(request.get_full_path())

    return guarded


# --- Searching ------------------------------------------------------------------------------


@for_searchers
def home(request: HttpRequest) -> HttpResponse:
    """The search page: a photo goes in, and the search that the address names is shown."""
    if request.method == "POST":
        return _start(request)
    if asked := request.GET.get("search"):
        return render(request, "home.html", _page() | looks.look(_visible_run(request, asked)))
    return render(request, "home.html", _page() | {"newest": looks.newest(NEWEST)})


def _start(request: HttpRequest) -> HttpResponse:
    """Start the search that a form asks for, or say on the same page why not."""
    try:
        asked = SearchRequestSerializer(data=_filled_in(request))
        asked.is_valid(raise_exception=True)
        run = asked.save(asked_by=asker(request))
    except ValidationError as error:
        problem = errors.problem(400, "invalid", _sentence(error))
    except (EngineError, Refused) as error:
        problem = errors.describe(error) or {}
    else:
        return redirect(_address(run))
    return render(request, "home.html", _page() | {"problem": problem}, status=problem["status"])


def _filled_in(request: HttpRequest) -> MultiValueDict[str, Any]:
    """A form's fields and files, without those that were left empty."""
    filled_in: MultiValueDict[str, Any] = MultiValueDict()
    for fields in (request.POST, request.FILES):
        for name, values in fields.lists():
            if kept := [value for value in values if value != ""]:
                filled_in.setlist(name, kept)
    return filled_in


def _sentence(error: ValidationError) -> str:
    if "non_field_errors" in error.detail:
        return "Choose a photo first."
    return "Some of what was filled in does not fit."


def _page() -> dict[str, Any]:
    """What the search page needs in every state."""
    return {
        "limit": looks.LIMITS[1],
        "max_bytes": settings.MAX_UPLOAD_BYTES,
        "lifetime": settings.QUERY_LIFETIME_DAYS,
    }


def _address(run: Run) -> str:
    return f"{reverse('home')}?search={run.pk}"


def _visible_run(request: HttpRequest, pk: str | uuid.UUID) -> Run:
    """A search with its results, if whoever asks may see it; 404 otherwise."""
    try:
        key = uuid.UUID(str(pk))
    except ValueError as error:
        raise Http404 from error
    runs = Run.objects.filter(kind=Run.Kind.SEARCH).visible_to(request.user)
    return get_object_or_404(runs.select_related("query", "segment__image"), pk=key)


@require_safe
@for_searchers
def fragment(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The part of the search page that shows one search, for the scripts to put in."""
    return render(request, "search/search.html", looks.look(_visible_run(request, pk)))


@require_POST
@for_searchers
def cancel(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Stop a search that is under way."""
    run = _visible_run(request, pk)
    with suppress(AlreadyEnded):  # it was faster: its results are there
        services.cancel(run)
    return redirect(_address(run))


# --- Garments -------------------------------------------------------------------------------


@require_safe
def garment(request: HttpRequest, identifier: str) -> HttpResponse:
    """One garment with its product's details, and more like it."""
    ready = OriginalImage.objects.filter(status=OriginalImage.Status.READY)
    segments = Segment.objects.select_related("image__product__category").prefetch_related(
        "image__segments",
        "image__product__tags",
        "image__product__sizes",
        Prefetch(
            "image__product__images",
            ready.order_by("position", "pk").prefetch_related("segments"),
            to_attr="pictures",
        ),
    )
    segment = get_object_or_404(segments, identifier=identifier)
    context = _portrait(segment) | _more_like(segment, request)
    return render(request, "garment.html", context)


def _portrait(segment: Segment) -> dict[str, Any]:
    image, product = segment.image, segment.image.product
    pictures = [image] if product is None else product.pictures  # type: ignore[attr-defined]
    others = [found for picture in pictures for found in picture.segments.all()]
    return {
        "card": looks.Card(segment),
        "whole": looks.covers(segment.box, image.width, image.height),
        "others": [looks.Card(found) for found in others if found.pk != segment.pk],
        "details": [] if product is None else list(looks.details(product)),
        "shop_address": looks.shop_address(product),
    }


def _more_like(segment: Segment, request: HttpRequest) -> dict[str, Any]:
    """The garments most like this one, or why there are none to show."""
    if not may_search(request.user):
        return {"needs_sign_in": True}
    try:
        neighbours = services.similar(segment, limit=MORE)
    except (EngineError, Refused) as error:
        return {"problem": errors.describe(error)}
    return {"cards": looks.cards(neighbours)}
