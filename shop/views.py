"""Products with their pictures over REST, as a shop's server puts them."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import TooManyFilesSent
from django.core.exceptions import ValidationError as ModelValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.idempotency import PARAMETER, Idempotent
from accounts.models import ApiKey, User
from accounts.permissions import MaySearch, needs
from accounts.throttles import EventThrottle, RequestThrottle, SearchThrottle
from catalog.models import Product
from catalog.views import ProductViewSet as CatalogProductViewSet
from shop import events, services
from shop.models import Import
from shop.serializers import (
    BatchOutcomeSerializer,
    BatchRequestSerializer,
    BatchSerializer,
    EventSerializer,
    EventsRequestSerializer,
    EventsSerializer,
    FewEventsRequestSerializer,
    ImportSerializer,
    NotedSerializer,
    ProductItemSerializer,
    ProductOutcomeSerializer,
    ProductPutFormSerializer,
    ProductPutSerializer,
    SimilarProductsSerializer,
    field_errors,
    is_file,
    taken_in,
)
from shop.services import Put
from similarity import intake, results
from similarity import services as similarity
from similarity.engine.errors import EngineError
from similarity.errors import Refused
from similarity.serializers import SimilarRequestSerializer

logger = logging.getLogger("shop.views")

PARAMETERS = SimilarRequestSerializer()

PICTURE_PERMISSIONS = ("catalog.add_originalimage", "catalog.delete_originalimage")
"""Of whoever lists a product's pictures: new ones come, others go."""


def refuse_unless(request: Request, *permissions: str) -> None:
    """Raises PermissionDenied for whoever lacks one of the permissions."""
    if not request.user.has_perms(permissions):
        raise PermissionDenied


class ProductViewSet(Idempotent, CatalogProductViewSet):
    """Product details. Deleting one deletes its pictures, which leave all results at once."""

    def get_queryset(self) -> QuerySet[Product]:
        return Product.objects.all() if self.action == "similar" else super().get_queryset()

    @extend_schema(parameters=[PARAMETER])
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Add a product."""
        return super().create(request, *args, **kwargs)

    @extend_schema(
        parameters=[PARAMETER],
        request={
            "application/json": ProductPutSerializer,
            "multipart/form-data": ProductPutFormSerializer,
        },
        responses={200: ProductOutcomeSerializer, 201: ProductOutcomeSerializer},
    )
    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Add the product, or replace it as a whole.

        With `images`, those are its pictures from now on: addresses are fetched and new pictures
        described in the background; those that it has stay as they are; others go.
        """
        if kwargs.pop("partial", False):
            return super().update(request, *args, partial=True, **kwargs)
        reference = str(kwargs["reference"])
        if not Product.objects.filter(reference=reference).exists():
            refuse_unless(request, "catalog.add_product")
        put = put_product(request, reference, ProductPutSerializer(data=request.data))
        followed = None
        if put.runs:
            followed = services.start_import(Import.Kind.PRODUCT, [put], asker(request))
        product: Any = super().get_queryset().get(pk=put.product.pk)
        product.runs_under_way, product.import_id = put.runs, followed and followed.pk
        answer = ProductOutcomeSerializer(product, context=self.get_serializer_context())
        return Response(answer.data, status=201 if put.is_new else 200)

    def perform_destroy(self, instance: Product) -> None:
        services.delete_product(instance)

    @extend_schema(
        parameters=[PARAMETER],
        request=BatchSerializer,
        responses=BatchOutcomeSerializer,
        filters=False,
    )
    @action(detail=False, methods=["post"], pagination_class=None, filter_backends=[])
    def batch(self, request: Request) -> Response:
        """Put up to 1,000 products, each as by itself. One that is refused stops no other."""
        refuse_unless(request, "catalog.change_product", *PICTURE_PERMISSIONS)
        asked = BatchRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        batch = Batch(request)
        outcomes = [
            batch.put(index, item) for index, item in enumerate(asked.validated_data["products"])
        ]
        rejected = len(outcomes) - len(batch.done)
        followed = services.start_import(Import.Kind.BATCH, batch.done, asker(request), rejected)
        answer = BatchOutcomeSerializer({"import_id": followed.pk, "products": outcomes})
        return Response(answer.data)

    @extend_schema(exclude=True)
    @batch.mapping.get
    @batch.mapping.put
    @batch.mapping.patch
    @batch.mapping.delete
    def named_batch(self, request: Request) -> Response:
        """The product whose reference is "batch": its address is the one that batches go to."""
        self.action = self.OF_ONE[str(request.method)]
        return getattr(self, self.action)(request, reference="batch")  # type: ignore[no-any-return]

    def get_object(self) -> Product:
        self.kwargs.setdefault("reference", "batch")  # the one address that has none in it
        return super().get_object()

    OF_ONE: ClassVar[Mapping[str, str]] = {
        "GET": "retrieve",
        "HEAD": "retrieve",
        "PUT": "update",
        "PATCH": "partial_update",
        "DELETE": "destroy",
    }

    @extend_schema(
        parameters=[SimilarRequestSerializer],
        responses=SimilarProductsSerializer,
        filters=False,
    )
    @action(
        detail=True,
        permission_classes=[MaySearch],
        throttle_classes=[RequestThrottle, SearchThrottle],
        pagination_class=None,
        filter_backends=[],
    )
    def similar(self, request: Request, **_: Any) -> Response:
        """The products most like this one, by the best of its pictures; itself left out."""
        filters = PARAMETERS.run_validation(request.query_params)
        limit = filters.pop("limit")
        found = similarity.similar_products(self.get_object(), limit=limit, filters=filters)
        answer = SimilarProductsSerializer(
            {"id": uuid.uuid4(), "results": results.read(found), "events": settings.EVENTS},
            context=self.get_serializer_context(),
        )
        return Response(answer.data)


def asker(request: Request) -> User:
    assert isinstance(request.user, User)  # whoever may write has shown who they are
    return request.user


def put_product(request: Request, reference: str, asked: ProductPutSerializer) -> Put:
    """Put a product as it is asked for; raises what keeps it from being put."""
    asked.is_valid(raise_exception=True)
    if asked.validated_data.get("reference", reference) != reference:
        raise serializers.ValidationError({"reference": [_("A reference cannot be changed.")]})
    pictures = asked.validated_data.get("images")
    if pictures is not None:
        refuse_unless(request, *PICTURE_PERMISSIONS)
    listed = None if pictures is None else taken_in(pictures)
    try:
        return services.put_product(reference, asked.details, listed, asker(request))
    except ModelValidationError as error:
        raise field_errors(error) from error


class Batch:
    """The items of a batch, put one after the other."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.done: list[Put] = []
        self._files = 0

    def put(self, index: int, item: Any) -> dict[str, Any]:
        """What has become of an item."""
        reference = item.get("reference") if isinstance(item, Mapping) else None
        reference = reference if isinstance(reference, str) else None
        outcome: dict[str, Any] = {
            "index": index,
            "reference": reference,
            "runs": [],
            "error": None,
        }
        try:
            put = self._put(item)
        except Exception as error:  # noqa: BLE001  (whatever it is, it is this item's alone)
            return outcome | {"outcome": "rejected", "error": told(error)}
        self.done.append(put)
        outcome["runs"] = [run.pk for run in put.runs]
        return outcome | {"outcome": "created" if put.is_new else "updated"}

    def _put(self, item: Any) -> Put:
        asked = ProductItemSerializer(data=item)
        asked.is_valid(raise_exception=True)
        self._count(asked.validated_data.get("images") or ())
        return put_product(self.request, asked.validated_data["reference"], asked)

    def _count(self, images: Sequence[Any]) -> None:
        """Pictures that come along are taken in while the sender waits: as few as elsewhere."""
        files = sum(map(is_file, images))
        if files and self._files + files > settings.MAX_UPLOAD_FILES:
            raise TooManyFilesSent
        self._files += files


def told(error: Exception) -> dict[str, Any]:
    """Why an item was refused, as a problem detail has it."""
    if isinstance(error, serializers.ValidationError):
        detail = gettext("Some fields are missing or do not fit.")
        return {"code": "invalid", "detail": detail, "errors": error.detail}
    if isinstance(error, Refused):
        return {"code": error.code, "detail": str(error)}
    if isinstance(error, EngineError):
        return {"code": error.code, "detail": intake.told(error)}
    if isinstance(error, TooManyFilesSent):
        return {"code": "too_many_files", "detail": intake.too_many_files()}
    logger.error("An item of a batch failed", exc_info=error)
    detail = gettext("Something went wrong here. It has been logged.")
    return {"code": "internal_error", "detail": detail}


class ImportViewSet(viewsets.GenericViewSet[Import]):
    """Products that came in together, and how far their pictures are."""

    queryset = Import.objects.all()
    serializer_class = ImportSerializer
    permission_classes = [needs("catalog.add_originalimage")]

    @extend_schema(responses=ImportSerializer)
    def retrieve(self, request: Request, **_: Any) -> Response:
        """How far it is: the same that webhooks are told when it is finished."""
        return Response(services.summary(self.get_object()))


class EventViewSet(viewsets.ViewSet):
    """What shoppers do: shown, clicked, looked at, put into a cart, bought."""

    permission_classes = [MaySearch]
    throttle_classes = [RequestThrottle, EventThrottle]

    @extend_schema(request=EventsSerializer, responses={200: NotedSerializer})
    def create(self, request: Request) -> Response:
        """Note up to 1,000 events, 100 without an API key.

        One that is refused keeps no other from being noted.
        """
        events.refuse_if_off()
        is_program = isinstance(request.auth, ApiKey)
        form = EventsRequestSerializer if is_program else FewEventsRequestSerializer
        asked = form(data=request.data)
        asked.is_valid(raise_exception=True)
        sent, refused = {}, {}
        for index, item in enumerate(asked.validated_data["events"]):
            event = EventSerializer(data=item)
            try:
                event.is_valid(raise_exception=True)
            except serializers.ValidationError as error:
                refused[index] = told(error)
            else:
                sent[index] = event.validated_data
        noted = events.record(sent, person_of(request))
        refused |= {index: told(error) for index, error in noted.refused.items()}
        rows = [{"index": index, **refused[index]} for index in sorted(refused)]
        answer = {"recorded": noted.recorded, "known": noted.known, "refused": rows}
        return Response(NotedSerializer(answer).data)


def person_of(request: Request) -> User | None:
    """The person that asks; none for a stranger, or a shop's program."""
    if request.user.is_anonymous or isinstance(request.auth, ApiKey):
        return None
    return asker(request)
