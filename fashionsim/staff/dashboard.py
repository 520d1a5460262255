"""What the admin opens with: the shop in figures, and what waits for somebody to look at it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from catalog.models import Lookalike
from fashionsim.staff.plots import bar_plot
from similarity import figures


def context(request: HttpRequest) -> dict[str, Any]:
    """The figures that whoever asks may see: each by the permission to look at what it is of."""
    may = request.user.has_perm
    shown: dict[str, Any] = {}
    if may("catalog.view_product"):
        shown["size"] = figures.catalogue_size()
        shown["searches"] = bar_plot(figures.searches_by_day())
        shown["looked_up"] = figures.most_looked_up()
    if may("catalog.view_originalimage"):
        shown["pictures"] = figures.undescribed()
    if may("catalog.view_lookalike"):
        shown["undecided"] = Lookalike.objects.filter(decision=Lookalike.Decision.OPEN).count()
    if may("similarity.view_indexbuild"):
        shown["index"] = figures.freshness()
    if may("similarity.view_run"):
        shown["queue"] = figures.queue()
    return shown
