"""The catalogue over REST: all may read, merchandisers write."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from django.db.models import Count, Prefetch, QuerySet
from django.http import FileResponse, Http404, HttpResponseBase
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.http import quote_etag
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.fields import BooleanField
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.serializers import BaseSerializer

from catalog.filters import ImageFilter, ProductListFilter, SegmentFilter
from catalog.models import Category, FormerReference, OriginalImage, Product, Segment
from catalog.pictures import WIDTHS, Pixels, framed, open_picture
from catalog.serializers import (
    CategorySerializer,
    ImageSerializer,
    ProductDetailSerializer,
    ProductSerializer,
    SegmentSerializer,
    image_queryset,
    product_queryset,
    segment_queryset,
)

PICTURE = extend_schema(
    parameters=[
        OpenApiParameter(
            "width", int, enum=WIDTHS, description="In pixels at most; without it, full size."
        )
    ],
    responses={(200, "image/jpeg"): OpenApiTypes.BINARY},
)

FRAMED = OpenApiParameter(
    "framed",
    bool,
    description="With some of the picture around it, 3 wide by 4 high where the picture has that.",
)


class AnyAccept(DefaultContentNegotiation):
    """For pictures: one is a JPEG whatever was asked for, and what goes wrong is told in JSON."""

    def select_renderer(
        self, request: Request, renderers: Iterable[Any], format_suffix: str | None = None
    ) -> tuple[Any, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type


class PreconditionFailed(APIException):
    status_code = 412
    default_code = "precondition_failed"
    default_detail = "The picture is not in that version."


def picture_response(
    request: Request,
    name: str,
    version: str,
    *,
    crop: Pixels | None = None,
    public: bool = True,
) -> HttpResponseBase:
    """A stored picture as a JPEG file that caches may keep and check again by its ETag.

    `version` changes when the picture behind the address does. The parameter `width` chooses
    one of WIDTHS.
    """
    width = _asked_width(request)
    etag = quote_etag("-".join(map(str, [version, *(crop or ()), width or "full"])))
    response: HttpResponseBase | None = get_conditional_response(request._request, etag=etag)
    if response is None:
        try:
            file = open_picture(name, crop=crop, width=width)
        except FileNotFoundError as error:
            raise NotFound("The picture's file is missing.") from error
        response = FileResponse(file, content_type="image/jpeg")
    elif response.status_code == HTTPStatus.PRECONDITION_FAILED:
        raise PreconditionFailed
    response["ETag"] = etag
    patch_cache_control(response, max_age=3600, **{"public" if public else "private": True})
    return response


def _asked_width(request: Request) -> int | None:
    if not (asked := request.query_params.get("width")):
        return None
    if asked not in map(str, WIDTHS):
        raise ValidationError({"width": [f"Choose one of {', '.join(map(str, WIDTHS))}."]})
    return int(asked)


def _asked_frame(request: Request) -> bool:
    try:
        return bool(BooleanField().to_internal_value(request.query_params.get("framed", False)))
    except ValidationError as error:
        raise ValidationError({"framed": error.detail}) from error


class CategoryViewSet(viewsets.ReadOnlyModelViewSet[Category]):
    """The shop's categories, with the number of products in each."""

    queryset = Category.objects.annotate(product_count=Count("products")).order_by("name")
    serializer_class = CategorySerializer
    lookup_field = "slug"
    search_fields = ("name",)
    ordering_fields = ("name", "product_count")


class ProductViewSet(viewsets.ModelViewSet[Product]):
    """Product details. Deleting one deletes its pictures, which leave all results at once."""

    queryset = Product.objects.all()
    serializer_class = ProductSerializer
    lookup_field = "reference"
    lookup_value_regex = "[A-Za-z0-9][A-Za-z0-9_-]*"
    filterset_class = ProductListFilter
    search_fields = ("reference", "name", "brand", "description", "tags__name")
    ordering_fields = ("created_at", "updated_at", "price", "rating", "name", "brand")

    def get_queryset(self) -> QuerySet[Product]:
        products = product_queryset()
        if self.action == "list":
            return products
        images = OriginalImage.objects.order_by("position", "pk")
        return products.prefetch_related(Prefetch("images", images))

    def get_object(self) -> Product:
        """By a former reference, too, for whoever only looks: changes go by its own."""
        try:
            return super().get_object()
        except Http404:
            former = FormerReference.objects.filter(reference=self.kwargs["reference"])
            found = former.values_list("product__reference", flat=True).first()
            if found is None or self.request.method not in SAFE_METHODS:
                raise
        self.kwargs["reference"] = found
        return super().get_object()

    def get_serializer_class(self) -> type[BaseSerializer[Product]]:
        return ProductSerializer if self.action == "list" else ProductDetailSerializer


class ImageViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    viewsets.GenericViewSet[OriginalImage],
):
    """Pictures of the catalogue. New ones come by way of uploads.

    Shoppers see those that are ready; merchandisers also those that wait or have failed.
    """

    queryset = OriginalImage.objects.all()
    serializer_class = ImageSerializer
    lookup_field = "identifier"
    lookup_value_regex = "[A-Za-z0-9][A-Za-z0-9_-]*"
    filterset_class = ImageFilter
    search_fields = ("identifier", "source_name", "product__name")
    ordering_fields = ("created_at", "position", "size")

    def get_queryset(self) -> QuerySet[OriginalImage]:
        images = image_queryset()
        if self.request.user.has_perm("catalog.view_originalimage"):
            return images
        return images.filter(status=OriginalImage.Status.READY)

    @PICTURE
    @action(detail=True, content_negotiation_class=AnyAccept)
    def file(self, request: Request, **_: Any) -> HttpResponseBase:
        """The picture itself."""
        image = self.get_object()
        is_public = image.status == OriginalImage.Status.READY
        return picture_response(request, str(image.file.name), image.sha256[:16], public=is_public)


class SegmentViewSet(viewsets.ReadOnlyModelViewSet[Segment]):
    """Garments found in the pictures."""

    queryset = Segment.objects.all()
    serializer_class = SegmentSerializer
    lookup_field = "identifier"
    lookup_value_regex = "[A-Za-z0-9][A-Za-z0-9_-]*"
    filterset_class = SegmentFilter
    search_fields = ("identifier", "label", "image__product__name")
    ordering_fields = ("created_at", "score")

    def get_queryset(self) -> QuerySet[Segment]:
        segments = segment_queryset()
        # Its picture, and what looks like it, do not ask for its colours.
        is_shown = self.action in {"list", "retrieve"}
        return segments if is_shown else segments.prefetch_related(None)

    @PICTURE
    @extend_schema(parameters=[FRAMED])
    @action(detail=True, content_negotiation_class=AnyAccept)
    def crop(self, request: Request, **_: Any) -> HttpResponseBase:
        """The garment's own picture, cut along its box or framed for a card."""
        segment = self.get_object()
        image = segment.image
        part = segment.pixels
        if _asked_frame(request):
            part = framed(part, (image.width, image.height))
        return picture_response(request, str(image.file.name), image.sha256[:16], crop=part)
