"""Uploads, searches and the index over REST."""

from __future__ import annotations

import time
from typing import Any

from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest, HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, NotAuthenticated
from rest_framework.generics import get_object_or_404
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import MaySearch, needs
from catalog.models import Product
from catalog.views import PICTURE, AnyAccept, picture_response
from catalog.views import SegmentViewSet as CatalogSegmentViewSet
from similarity import indexing, results, services
from similarity.engine.errors import BadImage
from similarity.models import IndexBuild, Query, Run
from similarity.serializers import (
    HealthSerializer,
    IndexBuildSerializer,
    IndexStatusSerializer,
    Photo,
    QuerySerializer,
    RunSerializer,
    SearchFormSerializer,
    SearchListSerializer,
    SearchRequestSerializer,
    SearchSerializer,
    SimilarRequestSerializer,
    SimilarSerializer,
    UploadFormSerializer,
    UploadOutcomeSerializer,
    UploadRequestSerializer,
    UploadSerializer,
    photo_bytes,
)

POLL_SECONDS = 0.05
"""How often a waiting request looks whether its run has ended."""


def asker(request: HttpRequest | Request) -> Any:
    """Who asks, for the rows; None for a stranger."""
    return request.user if request.user.is_authenticated else None


class RunActions(viewsets.GenericViewSet[Run]):
    """What can be done with any run."""

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, **_: Any) -> Response:
        """Stop it: at once while it waits, at its next step while it runs."""
        run = self.get_object()
        services.cancel(run)
        return Response(self.get_serializer(run).data)


# --- Uploads --------------------------------------------------------------------------------


class UploadViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, RunActions):
    """Pictures on their way into the catalogue. The list holds one's own; staff see all."""

    queryset = Run.objects.filter(kind=Run.Kind.UPLOAD)
    serializer_class = UploadSerializer
    filterset_fields = ("state",)
    ordering_fields = ("created_at", "finished_at")
    permission_classes = [needs("catalog.add_originalimage")]

    def get_queryset(self) -> QuerySet[Run]:
        uploads = super().get_queryset().select_related("image")
        # Bytes that are known lead to the run of whoever sent them first.
        if self.action != "list" or self.request.user.has_perm("similarity.view_run"):
            return uploads
        return uploads.filter(requested_by=self.request.user.pk)

    @extend_schema(
        request={
            "application/json": UploadRequestSerializer,
            "multipart/form-data": UploadFormSerializer,
        },
        responses={202: UploadOutcomeSerializer},
    )
    def create(self, request: Request) -> Response:
        """Add one picture or many. Their garments are found in the background."""
        asked = UploadRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        photos, product = asked.validated_data["images"], asked.validated_data.get("product")
        uploads: list[Run] = []
        rejected: list[Any] = []
        for index, photo in enumerate(photos):
            try:
                uploads.append(start_upload(photo, product, request))
            except BadImage as error:
                if len(photos) == 1:
                    raise
                rejected.append({"index": index, "code": error.code, "detail": str(error)})
        if not uploads:
            raise serializers.ValidationError({"images": rejected})
        outcome = UploadOutcomeSerializer(
            {"uploads": uploads, "rejected": rejected}, context=self.get_serializer_context()
        )
        return Response(outcome.data, status=202)

    @extend_schema(request=None, responses={202: UploadSerializer})
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, **_: Any) -> Response:
        """Run it again, after it has failed."""
        run = self.get_object()
        services.run_again(run)
        return Response(self.get_serializer(run).data, status=202)


def start_upload(photo: Photo, product: Product | None, request: Request) -> Run:
    """Add one picture as it was sent, and say with its run whether it is new; raises BadImage."""
    upload = services.start_upload(
        services.take_in(photo_bytes(photo)),
        source_name=getattr(photo, "name", None) or "",
        owner=asker(request),
        product=product,
    )
    upload.run.is_new = upload.is_new  # type: ignore[attr-defined]
    return upload.run


# --- Searches -------------------------------------------------------------------------------


class SearchViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.DestroyModelMixin, RunActions
):
    """Searches: by a photo, a part of it, or a garment of the catalogue.

    The list is the history of whoever asks. A stranger's search is known by its id alone.
    """

    queryset = Run.objects.filter(kind=Run.Kind.SEARCH)
    serializer_class = SearchSerializer
    filterset_fields = ("state",)
    ordering_fields = ("created_at",)
    permission_classes = [MaySearch]

    def get_queryset(self) -> QuerySet[Run]:
        runs = Run.objects.filter(kind=Run.Kind.SEARCH).visible_to(self.request.user)
        runs = runs.select_related("query", "segment")
        if self.action != "list":
            return runs
        if self.request.user.is_anonymous:
            raise NotAuthenticated
        runs = runs.filter(requested_by=self.request.user.pk)
        runs = runs.annotate(found=Count("hits"), best=Max("hits__similarity"))
        return runs.order_by("-created_at", "-pk")  # Django drops Meta.ordering when it groups

    def get_serializer_class(self) -> Any:
        return SearchListSerializer if self.action == "list" else SearchSerializer

    @extend_schema(
        request={
            "application/json": SearchRequestSerializer,
            "multipart/form-data": SearchFormSerializer,
        },
        responses={201: SearchSerializer, 202: SearchSerializer},
    )
    def create(self, request: Request) -> Response:
        """Search. 201 with the results, or 202 with a link to ask for them a little later."""
        asked = SearchRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        run = asked.save(asked_by=asker(request))
        self._await(run, asked.validated_data["wait"])
        return Response(self.get_serializer(run).data, status=201 if run.has_ended else 202)

    def _await(self, run: Run, seconds: float) -> None:
        """Return when the run has ended, or the time is up."""
        deadline = time.monotonic() + seconds
        while not run.has_ended and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            run.refresh_from_db()

    def perform_destroy(self, instance: Run) -> None:
        services.forget_search(instance)


class QueryViewSet(mixins.RetrieveModelMixin, viewsets.GenericViewSet[Query]):
    """Photos that were searched with, and the garments found in them."""

    queryset = Query.objects.all()
    serializer_class = QuerySerializer
    permission_classes = [MaySearch]

    def get_object(self) -> Query:
        return get_object_or_404(Query.objects.visible_to(self.request.user), pk=self.kwargs["pk"])

    @PICTURE
    @action(detail=True, content_negotiation_class=AnyAccept)
    def file(self, request: Request, **_: Any) -> HttpResponseBase:
        """The photo itself."""
        query = self.get_object()
        return picture_response(request, str(query.file.name), query.sha256[:16], public=False)


class SegmentViewSet(CatalogSegmentViewSet):
    """Garments found in the pictures, and what looks like them."""

    @extend_schema(
        parameters=[SimilarRequestSerializer],
        responses=SimilarSerializer,
        filters=False,
    )
    @action(detail=True, permission_classes=[MaySearch], pagination_class=None, filter_backends=[])
    def similar(self, request: Request, **_: Any) -> Response:
        """The products most like this garment, best first, its own left out."""
        options = SimilarRequestSerializer(data=request.query_params)
        options.is_valid(raise_exception=True)
        filters = dict(options.validated_data)
        limit = filters.pop("limit")
        neighbours = services.similar(self.get_object(), limit=limit, filters=filters)
        answer = SimilarSerializer(
            {"results": results.read(neighbours)}, context=self.get_serializer_context()
        )
        return Response(answer.data)


# --- Index ----------------------------------------------------------------------------------


class IndexView(APIView):
    """How the index stands."""

    permission_classes = [AllowAny]

    @extend_schema(responses=IndexStatusSerializer)
    def get(self, request: Request) -> Response:
        status = IndexStatusSerializer(indexing.status(indexing.serving_embedder())).data
        latest = Run.objects.filter(kind=Run.Kind.REBUILD).first()
        return Response({**status, "rebuild": latest and RunSerializer(latest).data})


class RebuildView(APIView):
    permission_classes = [needs("similarity.rebuild_index")]

    @extend_schema(request=None, responses={202: RunSerializer})
    def post(self, request: Request) -> Response:
        """Have a worker build the index anew; searches go on meanwhile."""
        return Response(RunSerializer(services.start_rebuild(asker(request))).data, status=202)


class IndexBuildViewSet(viewsets.ReadOnlyModelViewSet[IndexBuild]):
    """Builds of the index, the last good ones being kept to go back to."""

    queryset = IndexBuild.objects.select_related("embedder")
    serializer_class = IndexBuildSerializer
    permission_classes = [needs("similarity.rebuild_index")]
    filterset_fields = ("state",)
    ordering_fields = ("created_at", "seconds")

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def activate(self, request: Request, **_: Any) -> Response:
        """Let this build serve: the way back after a bad one."""
        build = self.get_object()
        services.roll_back(build)
        return Response(self.get_serializer(build).data)


# --- Health ---------------------------------------------------------------------------------


class NotReady(APIException):
    status_code = 503
    default_code = "not_ready"


class LiveView(APIView):
    permission_classes = [AllowAny]
    authentication_classes: list[Any] = []

    @extend_schema(responses=HealthSerializer)
    def get(self, request: Request) -> Response:
        """Whether this process answers at all."""
        return Response({"status": "ok"})


class ReadyView(APIView):
    permission_classes = [AllowAny]
    authentication_classes: list[Any] = []

    @extend_schema(responses=HealthSerializer)
    def get(self, request: Request) -> Response:
        """Whether a search would be answered: database, models and index. Otherwise 503."""
        if reasons := services.readiness():
            raise NotReady(" ".join(f"{part}: {reason}" for part, reason in reasons.items()))
        return Response({"status": "ok"})
