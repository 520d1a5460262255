"""The box editor: the garments of one picture, drawn, moved, named and deleted by a person.

It is a form of numbers, which `boxes.js` lets one fill by drawing on the picture.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.cache import cache
from django.core.exceptions import PermissionDenied, ValidationError
from django.forms.formsets import BaseFormSet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse

from catalog import boxes
from catalog.boxes import Drawn, Outdated
from catalog.models import OriginalImage, Segment
from similarity.boxes import save

EDGES = ("x0", "y0", "x1", "y1")

LABELS_KEPT = 300
"""Seconds for which the labels on offer are remembered: reading them takes a look at all rows."""

MOST_LABELS = 50


FARTHEST = 2**31 - 1
"""Pixels: no picture's size is kept beyond that. What lies outside of a picture is cut off."""


class GarmentForm(forms.Form):
    """One garment; a new one has no key."""

    segment = forms.IntegerField(required=False, widget=forms.HiddenInput)
    label = forms.CharField(max_length=100, label="What it is")
    x0 = forms.IntegerField(label="Left", min_value=0, max_value=FARTHEST)
    y0 = forms.IntegerField(label="Top", min_value=0, max_value=FARTHEST)
    x1 = forms.IntegerField(label="Right", min_value=1, max_value=FARTHEST)
    y1 = forms.IntegerField(label="Bottom", min_value=1, max_value=FARTHEST)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["label"].widget.attrs["list"] = "labels"


Garments = forms.formset_factory(
    GarmentForm, extra=2, can_delete=True, max_num=boxes.MOST, validate_max=True
)


def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a picture's garments, or keep what was made of them."""
    if not request.user.has_perm("catalog.change_originalimage"):
        raise PermissionDenied
    image = get_object_or_404(OriginalImage.objects.select_related("product"), pk=pk)
    if request.method != "POST":
        return _page(request, image, _formset_of(image), main=image.main_segment_id)
    formset = Garments(request.POST)
    if formset.is_valid():
        try:
            return _kept(request, image, formset)
        except ValidationError as error:
            for sentence in error.messages:
                messages.error(request, sentence)
        except Outdated:
            messages.error(
                request,
                "The garments of this picture were changed meanwhile, by somebody else or by a "
                "worker. This is how they are now; nothing of yours was kept.",
            )
            return HttpResponseRedirect(request.path)
    return _page(request, image, formset, main=None, status=422)


def _formset_of(image: OriginalImage) -> BaseFormSet[GarmentForm]:
    return Garments(
        initial=[
            {"segment": row.pk, "label": row.label, **dict(zip(EDGES, row.pixels, strict=True))}
            for row in boxes.garments(image)
        ]
    )


def _kept(
    request: HttpRequest, image: OriginalImage, formset: BaseFormSet[GarmentForm]
) -> HttpResponse:
    """Keep what was drawn, and say what becomes of it."""
    main = request.POST.get("main", "")
    drawn = [
        _drawn(form, is_main=main == form.prefix)
        for form in formset.forms
        if form.cleaned_data.get("label") and not form.cleaned_data.get("DELETE")
    ]
    run = save(
        image,
        drawn,
        seen=request.POST.get("seen", ""),
        asked_by=request.user,  # type: ignore[arg-type]  # nobody else gets into the admin
    )
    if run is None:
        messages.success(request, "Saved.")
    else:
        count = len(run.options["segments"])
        what = "One garment is" if count == 1 else f"{count} garments are"
        messages.success(request, f"Saved. {what} being described; the others stay as they are.")
    return HttpResponseRedirect(request.path)


def _drawn(form: GarmentForm, *, is_main: bool) -> Drawn:
    said = form.cleaned_data
    x0, y0, x1, y1 = (float(said[edge]) for edge in EDGES)
    return Drawn((x0, y0, x1, y1), said["label"].strip(), said["segment"], is_main=is_main)


def _page(
    request: HttpRequest,
    image: OriginalImage,
    formset: BaseFormSet[GarmentForm],
    *,
    main: int | None,
    status: int = 200,
) -> HttpResponse:
    rows = boxes.garments(image)
    chosen = request.POST.get("main", "")
    for form in formset.forms:
        is_it = form.prefix == chosen if formset.is_bound else form.initial.get("segment") == main
        form.is_main = bool(is_it and (formset.is_bound or main))  # type: ignore[attr-defined]
    context = {
        **admin.site.each_context(request),
        "title": "Garments",
        "opts": OriginalImage._meta,
        "image": image,
        "formset": formset,
        "has_main": any(form.is_main for form in formset.forms),  # type: ignore[attr-defined]
        "seen": request.POST.get("seen") or boxes.state_of(image, rows),
        "labels": labels(),
        "smallest": boxes.SMALLEST,
        "undescribed": Segment.objects.filter(image=image, embeddings=None).count(),
        "neighbours": _neighbours(image),
    }
    return TemplateResponse(request, "admin/staff/garments.html", context, status=status)


def _neighbours(image: OriginalImage) -> list[tuple[str, str]]:
    """Other pictures of the same product: address of the editor, and of the picture."""
    if image.product_id is None:
        return []
    others = OriginalImage.objects.filter(product=image.product_id).order_by("position", "pk")
    return [
        (reverse("admin:garments", args=[pk]), reverse("image-file", args=[identifier]))
        for pk, identifier in others.values_list("pk", "identifier")[:20]
        if pk != image.pk
    ]


def labels() -> list[str]:
    """The names that garments of the catalogue go by, to choose from."""
    found: list[str] | None = cache.get("staff-labels")
    if found is None:
        named = Segment.objects.exclude(label="").order_by("label")
        found = list(named.values_list("label", flat=True).distinct()[:MOST_LABELS])
        cache.set("staff-labels", found, LABELS_KEPT)
    return found
