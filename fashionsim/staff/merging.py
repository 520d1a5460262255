"""Two products of a pair of pictures, side by side, for a merchandiser to make one of them."""

from __future__ import annotations

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse

from catalog.lookalikes import CannotDecide
from catalog.models import Lookalike, OriginalImage, Product
from similarity.merging import differences, merge_products

PERMISSIONS = ("catalog.change_lookalike", "catalog.change_product", "catalog.delete_product")

PAIRS = Lookalike.objects.select_related("earlier__product", "later__product")


def merge(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the products of a pair, or merge them into the one that is to be kept."""
    if not request.user.has_perms(PERMISSIONS):
        raise PermissionDenied
    pair = get_object_or_404(PAIRS, pk=pk)
    products = _products(pair)
    if request.method != "POST":
        return _page(request, pair, products)
    kept = next((one for one in products if str(one.pk) == request.POST.get("keep")), None)
    if kept is None:
        messages.error(request, "Say which of the two is to be kept.")
        return _page(request, pair, products, status=422)
    [other] = [one for one in products if one != kept]
    name = str(other)  # it has none once it is gone
    try:
        merge_products(kept, other)
    except CannotDecide as error:
        messages.error(request, str(error))
        return _page(request, pair, products, status=409)
    messages.success(
        request, f"{name} is {kept} now. What becomes of the two pictures is still to be decided."
    )
    return HttpResponseRedirect(reverse("admin:catalog_lookalike_change", args=[pair.pk]))


def _products(pair: Lookalike) -> list[Product]:
    """The two products, the earlier picture's first; raises Http404 if they are not two."""
    found = [pair.earlier.product, pair.later.product]
    products = [product for product in found if product is not None]
    if len({product.pk for product in products}) != len(found):
        raise Http404("These two pictures do not show two products.")
    return products


def _page(
    request: HttpRequest, pair: Lookalike, products: list[Product], status: int = 200
) -> HttpResponse:
    pictures = OriginalImage.objects.order_by("position", "pk")
    context = {
        **admin.site.each_context(request),
        "title": "Merge two products",
        "opts": Lookalike._meta,
        "pair": pair,
        "products": [(one, list(pictures.filter(product=one)[:MOST_PICTURES])) for one in products],
        "differences": list(differences(*products)),
    }
    return TemplateResponse(request, "admin/staff/merge_products.html", context, status=status)


MOST_PICTURES = 12
"""Of each product."""
