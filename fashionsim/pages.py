"""The pages that shoppers see. They call the same services as the API.

Everything works without JavaScript: forms post to `home`, which redirects to the search that it
has started. With it, the scripts ask the API instead and put `fragment` into the page.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required, permission_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest
from django.core.exceptions import ValidationError as DjangoValidationError
from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe
from rest_framework.exceptions import ValidationError

from accounts.permissions import may_search
from accounts.throttles import RequestThrottle, SearchThrottle
from catalog.models import OriginalImage, Product, Segment
from fashionsim import errors, looks
from fashionsim.preferences import preferences_for
from similarity import golden, services, serving
from similarity.engine.errors import EngineError
from similarity.errors import AlreadyEnded, Refused
from similarity.filters import SearchFilter
from similarity.models import Run
from similarity.serializers import LONGEST_TEXT, SearchRequestSerializer
from similarity.views import asker, export_response

Page = Callable[..., HttpResponseBase]

COUNT = re.compile(r"[1-9]\d{0,3}")

LINK = re.compile(r"https?://\S+", re.IGNORECASE)
"""What is typed in the place for words and is none: the address of a picture."""

NEWEST = 6
EXAMPLES = 4
PAST = 24
MORE = 12
ROW = 4

TOGETHER, KINDS = 4, 3
"""Products for each garment that is worn with one, and how many such garments."""

MARKS = {"right": True, "wrong": False, "clear": None}
"""What a button says of a result, for a golden set."""


def for_searchers(page: Page) -> Page:
    """Send a stranger to sign in, where the shop lets nobody else search."""

    @wraps(page)
    def guarded(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
        if may_search(request.user):
            return page(request, **arguments)
        return redirect_to_login(request.get_full_path())

    return guarded


def limited(throttle: type[RequestThrottle], *methods: str) -> Callable[[Page], Page]:
    """Refuse what a page is asked for too often: by these methods, or by any."""

    def limit(page: Page) -> Page:
        @wraps(page)
        def guarded(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
            counter = throttle()
            counts = not methods or request.method in methods
            if counts and not counter.allow_request(request, page):
                return errors.too_many(request, counter.wait() or 1)
            return page(request, **arguments)

        return guarded

    return limit


def without_nulls(page: Page) -> Page:
    """Refuse forms with a null character: no text of ours has one, and PostgreSQL takes none."""

    @wraps(page)
    def guarded(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
        if any("\0" in value for _, values in request.POST.lists() for value in values):
            raise BadRequest("A form holds a null character.")
        return page(request, **arguments)

    return guarded


# --- Searching ------------------------------------------------------------------------------


@for_searchers
@limited(SearchThrottle, "POST")
@without_nulls
def home(request: HttpRequest) -> HttpResponse:
    """The search page: a photo goes in, and the search that the address names is shown."""
    if request.method == "POST":
        return _start(request)
    if asked := request.GET.get("search"):
        run = _visible_run(request, asked)
        return render(request, "home.html", _page(request) | _look(request, run))
    return render(request, "home.html", _page(request) | _shelves())


def _shelves() -> dict[str, Any]:
    """What there is to start from without a photo of one's own."""
    return {"newest": looks.newest(NEWEST), "examples": looks.examples(EXAMPLES)}


def _start(request: HttpRequest) -> HttpResponse:
    """Start the search that a form asks for, or say on the same page why not."""
    try:
        if example := request.POST.get("example"):
            run = _search_with_example(example, asker(request))
        else:
            asked = SearchRequestSerializer(data=_filled_in(request))
            asked.is_valid(raise_exception=True)
            run = asked.save(asked_by=asker(request))
    except ValidationError as error:
        problem = errors.problem(400, "invalid", _sentence(error))
    except (EngineError, Refused) as error:
        problem = errors.describe(error) or {}
    else:
        return redirect(looks.View(sort=_view(request).sort).address(run))
    page = _page(request) | {"problem": problem, "typed": request.POST.get("text", "")}
    return render(request, "home.html", page, status=problem["status"])


def _filled_in(request: HttpRequest) -> MultiValueDict[str, Any]:
    """A form's fields and files, without those that were left empty."""
    filled_in: MultiValueDict[str, Any] = MultiValueDict()
    for fields in (request.POST, request.FILES):
        for name, values in fields.lists():
            if kept := [value for value in values if value != ""]:
                filled_in.setlist(name, kept)
    if LINK.fullmatch(str(filled_in.get("text", "")).strip()):
        filled_in["image_url"] = filled_in.pop("text")[0].strip()
    return filled_in


def _search_with_example(identifier: str, asked_by: Any) -> Run:
    """Search with a picture of the shop's own, as if it had been sent."""
    ready = OriginalImage.objects.filter(status=OriginalImage.Status.READY)
    image = get_object_or_404(ready, identifier=identifier)
    with image.file.open("rb") as file:
        return services.search_photo(file.read(), limit=looks.MOST, asked_by=asked_by)


def _sentence(error: ValidationError) -> str:
    if "non_field_errors" in error.detail:
        return gettext("Choose a photo first, or say in words what you look for.")
    if "image_url" in error.detail:
        return gettext("This is no link to a picture on the web.")
    if {"text", "without"} & set(error.detail):
        return gettext("Words need letters or digits, and %(most)s characters are the most.") % {
            "most": LONGEST_TEXT
        }
    return gettext("Some of what was filled in does not fit.")


def _page(request: HttpRequest) -> dict[str, Any]:
    """What the search page needs in every state."""
    return {
        "limit": looks.MOST,
        "max_bytes": settings.MAX_UPLOAD_BYTES,
        "takes_links": settings.ALLOW_IMAGE_URLS,
        "longest_text": LONGEST_TEXT,
        "lifetime": settings.QUERY_LIFETIME_DAYS,
        "keeps_history": preferences_for(request).keeps_history,
    }


def _view(request: HttpRequest) -> looks.View:
    """How an address, or a form, wants results to be looked at; nonsense is passed over."""
    usual = preferences_for(request).results or looks.USUAL
    sort = request.POST.get("sort") or request.GET.get("sort", "")
    shown = request.GET.get("show", "")
    return looks.View(
        shown=min(int(shown), looks.MOST) if COUNT.fullmatch(shown) else usual,
        sort=sort if sort in looks.SORTS else "",
        usual=usual,
    )


def _address(run: Run) -> str:
    return looks.View().address(run)


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
    return render(request, "search/search.html", _look(request, _visible_run(request, pk)))


def _look(request: HttpRequest, run: Run) -> dict[str, Any]:
    """What is shown of a search; to those who may mark its results, with how they are marked."""
    shown = looks.look(run, _view(request))
    if not golden.is_markable(run, request.user):
        return shown
    return shown | looks.marking(run, shown["cards"], request.session.get("golden", golden.USUAL))


@require_POST
@permission_required("similarity.add_verdict", raise_exception=True)
@without_nulls
def mark(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Call a result of one's search right or wrong, for a golden set, or take it back.

    Without a result it is only said which set is meant.
    """
    run = _visible_run(request, pk)
    name = request.POST.get("set") or golden.USUAL
    told = next(((said, request.POST[said]) for said in MARKS if said in request.POST), None)
    try:
        golden.named(name)
        if told is not None:
            segments = Segment.objects.filter(image__product__isnull=False)
            segment = get_object_or_404(segments, identifier=told[1])
            golden.mark(run, segment.image.product, MARKS[told[0]], name=name, by=request.user)  # type: ignore[arg-type]
    except (Refused, DjangoValidationError) as error:
        sentence = " ".join(getattr(error, "messages", [str(error)]))
        return errors.page(request, getattr(error, "status", 400), sentence)
    request.session["golden"] = name
    return redirect(_address(run) + (f"#result-{told[1]}" if told else "#found-title"))


@require_safe
@for_searchers
@limited(SearchThrottle)
def outfit(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """All garments of a search's photo at once, each with what the shop has like it."""
    run = _visible_run(request, pk)
    if run.query is None or not run.query.detections or not serving.is_light():
        return redirect(_address(run))
    found = services.outfit(run.query, limit=ROW)
    return render(
        request,
        "outfit.html",
        {
            "run": run,
            "query": run.query,
            "limit": looks.MOST,
            "pieces": looks.outfit(run.query, found),
        },
    )


@require_POST
@for_searchers
def cancel(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Stop a search that is under way."""
    run = _visible_run(request, pk)
    with suppress(AlreadyEnded):  # it was faster: its results are there
        services.cancel(run)
    return redirect(_address(run))


@require_POST
@for_searchers
@limited(SearchThrottle)
def detect(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Have the garments of a search's photo looked for."""
    run = _visible_run(request, pk)
    if run.query is not None:
        services.look_for_garments(run.query, asker(request))
    return redirect(_address(run))


# --- History --------------------------------------------------------------------------------


@require_safe
@login_required
def history(request: HttpRequest) -> HttpResponse:
    """What somebody has searched for, newest first: all, or what was found to be much alike."""
    runs = Run.objects.history(request.user).select_related("query", "segment")
    high = "high" in request.GET
    if high:
        runs = SearchFilter({"best_min": looks.CLOSE}, runs).qs
    page = Paginator(runs, PAST).get_page(request.GET.get("page"))
    past = [looks.Past(run) for run in page]
    return render(request, "history.html", {"page": page, "past": past, "high": high})


@require_POST
@login_required
def forget(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Delete one of one's own searches."""
    services.forget_search(get_object_or_404(Run.objects.history(request.user), pk=pk))
    return redirect("history")


@require_POST
@login_required
def forget_all(request: HttpRequest) -> HttpResponse:
    """Delete all of one's own searches."""
    services.forget_searches(request.user)  # type: ignore[arg-type]  # who has signed in
    return redirect("history")


@require_safe
@login_required
def take_away(request: HttpRequest) -> HttpResponseBase:
    """All that is kept about whoever asks, as a ZIP file."""
    return export_response(request.user)  # type: ignore[arg-type]  # who has signed in


# --- Garments -------------------------------------------------------------------------------


@require_safe
@limited(SearchThrottle)
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
    portrait = _portrait(segment)
    context = portrait | _more_like(segment, portrait["others"], request)
    return render(request, "garment.html", context | {"limit": looks.MOST})


def _portrait(segment: Segment) -> dict[str, Any]:
    image, product = segment.image, segment.image.product
    pictures = [image] if product is None else product.pictures  # type: ignore[attr-defined]
    others = [found for picture in pictures for found in picture.segments.all()]
    return {
        "card": looks.Card(segment),
        "is_one_of_many": len(image.segments.all()) > 1,
        "others": [looks.Card(found) for found in others if found.pk != segment.pk],
        "details": [] if product is None else list(looks.details(product)),
        "shop_address": looks.shop_address(product),
    }


def _more_like(
    segment: Segment, others: Sequence[looks.Card], request: HttpRequest
) -> dict[str, Any]:
    """The garments most like this one and what goes with it, or why there are none to show.

    Of a product that is sold out, those that can be had.
    """
    if not may_search(request.user):
        return {"needs_sign_in": True}
    product = segment.image.product
    sold_out = product is not None and product.sale_status == Product.SaleStatus.SOLD_OUT
    try:
        neighbours = services.similar(
            segment, limit=MORE, filters={"in_stock": True} if sold_out else None
        )
        worn = services.goes_with(
            segment, [card.segment for card in others], limit=TOGETHER, kinds=KINDS
        )
    except (EngineError, Refused) as error:
        return {"problem": errors.describe(error)}
    return {
        "sold_out": sold_out,
        "cards": looks.cards(neighbours),
        # What has no label is a whole picture, in which nothing was found: nobody wears that.
        "worn": [(looks.Card(other), looks.cards(found)) for other, found in worn if other.label],
    }
