"""The pages that shoppers see. They call the same services as the API."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from catalog.models import Segment


def home(request: HttpRequest) -> HttpResponse:
    """The search page."""
    return render(request, "home.html")


def garment(request: HttpRequest, identifier: str) -> HttpResponse:
    """One garment with its product's details, and more like it."""
    segments = Segment.objects.select_related("image__product__category")
    segment = get_object_or_404(segments, identifier=identifier)
    return render(request, "garment.html", {"segment": segment})
