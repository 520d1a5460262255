"""Uploads, searches and the index over REST."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponseBase
from django.utils.cache import add_never_cache_headers
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, NotAuthenticated
from rest_framework.generics import get_object_or_404
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from accounts.idempotency import PARAMETER, Idempotent
from accounts.models import User
from accounts.permissions import HasHistory, IsPerson, MaySearch, needs
from accounts.throttles import RequestThrottle, SearchThrottle
from catalog import facets
from catalog.models import Product, Segment
from catalog.views import PICTURE, AnyAccept, picture_response
from catalog.views import SegmentViewSet as CatalogSegmentViewSet
from similarity import indexing, results, rules, services, serving, switching
from similarity.engine.errors import BadImage
from similarity.errors import IdTaken
from similarity.export import export
from similarity.filters import SearchFilter
from similarity.intake import told
from similarity.models import IndexBuild, Query, Run
from similarity.serializers import (
    HealthSerializer,
    IndexBuildSerializer,
    IndexStatusSerializer,
    ModelsSerializer,
    Photo,
    QuerySerializer,
    ReadinessSerializer,
    RunSerializer,
    SearchFormSerializer,
    SearchListSerializer,
    SearchRequestSerializer,
    SearchSerializer,
    SearchSummarySerializer,
    SimilarRequestSerializer,
    SimilarSerializer,
    SortFormSerializer,
    SortRequestSerializer,
    SortSerializer,
    UploadFormSerializer,
    UploadOutcomeSerializer,
    UploadRequestSerializer,
    UploadSerializer,
    photo_bytes,
)


def asker(request: HttpRequest | Request) -> Any:
    """Who asks, for the rows; None for a stranger."""
    return request.user if request.user.is_authenticated else None


class RunActions(viewsets.GenericViewSet[Run]):
    """What can be done with any run."""

    kind: ClassVar[Run.Kind]

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, **_: Any) -> Response:
        """Stop it: at once while it waits, at its next step while it runs.

        One that has not come yet, under the id that its client gives it, will not be done.
        """
        try:
            run = self.get_object()
        except Http404:
            run = self._cancelled_ahead()
        else:
            services.cancel(run)
        return Response(self.get_serializer(run).data)

    def _cancelled_ahead(self) -> Run:
        """Raises Http404 for an id that cannot be one, or that is another's."""
        try:
            pk = uuid.UUID(str(self.kwargs["pk"]))
            return services.cancel_ahead(pk, self.kind, asker(self.request))
        except (ValueError, IdTaken) as error:
            raise Http404 from error


# --- Uploads --------------------------------------------------------------------------------


class UploadViewSet(Idempotent, mixins.ListModelMixin, mixins.RetrieveModelMixin, RunActions):
    """Pictures on their way into the catalogue. The list holds one's own; staff see all."""

    kind = Run.Kind.UPLOAD
    queryset = Run.objects.filter(kind=Run.Kind.UPLOAD)
    serializer_class = UploadSerializer
    filterset_fields = ("state",)
    ordering_fields = ("created_at", "finished_at")
    permission_classes = [needs("catalog.add_originalimage")]

    def get_queryset(self) -> QuerySet[Run]:
        uploads = super().get_queryset().select_related("image__product")
        uploads = uploads.prefetch_related("image__earlier_lookalikes__earlier")
        if self.action == "cancel" and not self.request.user.has_perm("similarity.change_run"):
            return uploads.filter(requested_by=self.request.user.pk)
        # Bytes that are known lead to the run of whoever sent them first.
        if self.action != "list" or self.request.user.has_perm("similarity.view_run"):
            return uploads
        return uploads.filter(requested_by=self.request.user.pk)

    @extend_schema(
        parameters=[PARAMETER],
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
        pk = asked.validated_data.get("id")
        uploads: list[Run] = []
        rejected: list[Any] = []
        for index, photo in enumerate(photos):
            try:
                uploads.append(start_upload(photo, product, request, pk))
            except BadImage as error:
                if len(photos) == 1:
                    raise
                rejected.append({"index": index, "code": error.code, "detail": told(error)})
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


def start_upload(
    photo: Photo, product: Product | None, request: Request, pk: uuid.UUID | None = None
) -> Run:
    """Add one picture as it was sent, and say with its run whether it is new.

    Raises BadImage; IdTaken for a `pk` that is another's.
    """
    if pk is not None and (known := services.known_run(pk, Run.Kind.UPLOAD, asker(request))):
        known.is_new = False  # type: ignore[attr-defined]
        return known
    upload = services.start_upload(
        services.take_in(photo_bytes(photo)),
        source_name=getattr(photo, "name", None) or "",
        owner=asker(request),
        product=product,
        pk=pk,
    )
    upload.run.is_new = upload.is_new  # type: ignore[attr-defined]
    return upload.run


# --- Searches -------------------------------------------------------------------------------


class SearchViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.DestroyModelMixin, RunActions
):
    """Searches: by a photo, a part of it, or a garment of the catalogue.

    The list is the history of whoever asks. A stranger's search is known by its id alone, and so is
    one by a key that may do no more than search.
    """

    kind = Run.Kind.SEARCH
    queryset = Run.objects.filter(kind=Run.Kind.SEARCH)
    serializer_class = SearchSerializer
    filterset_class = SearchFilter
    ordering_fields = ("created_at",)
    permission_classes = [MaySearch]

    def get_queryset(self) -> QuerySet[Run]:
        runs = Run.objects.filter(kind=Run.Kind.SEARCH).visible_to(self.request.user)
        runs = runs.select_related("query", "segment", "embedder")
        if self.action != "list":
            return runs
        if self.request.user.is_anonymous:
            raise NotAuthenticated
        return runs.history(self.request.user)

    def get_permissions(self) -> list[Any]:
        of_all = [HasHistory()] if self.action in {"list", "clear"} else []
        return [*super().get_permissions(), *of_all]

    def get_throttles(self) -> list[BaseThrottle]:
        starts = [SearchThrottle()] if self.action == "create" else []
        return [*super().get_throttles(), *starts]

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
        """Search. 201 with the results, or 202 with a link to ask for them a little later.

        `Prefer: return=minimal` leaves out results and facets, for who shows them otherwise.
        """
        asked = SearchRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        run = asked.save(asked_by=asker(request))
        services.wait_for(run, asked.validated_data["wait"])
        status = 201 if run.has_ended else 202
        if request.headers.get("Prefer") != "return=minimal":
            return Response(self.get_serializer(run).data, status=status)
        brief = SearchSummarySerializer(run, context=self.get_serializer_context())
        return Response(brief.data, status=status, headers={"Preference-Applied": "return=minimal"})

    def perform_destroy(self, instance: Run) -> None:
        services.forget_search(instance)

    @extend_schema(request=None, responses={204: None}, filters=False)
    @action(detail=False, methods=["post"], pagination_class=None, filter_backends=[])
    def clear(self, request: Request) -> Response:
        """Delete all of one's own searches, and the photos with them."""
        if (person := asker(request)) is None:
            raise NotAuthenticated
        services.forget_searches(person)
        return Response(status=204)


class SortViewSet(mixins.RetrieveModelMixin, RunActions):
    """Comparisons with the categories' prototypes: what kind of garment is that?

    Kept for an hour, and known to whoever has the id.
    """

    kind = Run.Kind.SORT
    queryset = Run.objects.filter(kind=Run.Kind.SORT)
    serializer_class = SortSerializer
    permission_classes = [MaySearch]

    def get_queryset(self) -> QuerySet[Run]:
        runs = Run.objects.filter(kind=Run.Kind.SORT).visible_to(self.request.user)
        return runs.select_related("embedder")

    def get_throttles(self) -> list[BaseThrottle]:
        starts = [SearchThrottle()] if self.action == "create" else []
        return [*super().get_throttles(), *starts]

    @extend_schema(
        request={
            "application/json": SortRequestSerializer,
            "multipart/form-data": SortFormSerializer,
        },
        responses={201: SortSerializer, 202: SortSerializer},
    )
    def create(self, request: Request) -> Response:
        """Compare. 201 with the categories, or 202 with a link to ask for them a little later."""
        asked = SortRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        run = asked.save(asked_by=asker(request))
        services.wait_for(run, asked.validated_data["wait"])
        return Response(self.get_serializer(run).data, status=201 if run.has_ended else 202)


class ExportView(APIView):
    permission_classes = [IsPerson]
    content_negotiation_class = AnyAccept

    @extend_schema(responses={(200, "application/zip"): OpenApiTypes.BINARY})
    def get(self, request: Request) -> HttpResponseBase:
        """All that is kept about whoever asks: account, searches, photos, uploads (ZIP)."""
        return export_response(asker(request))


def export_response(person: User) -> HttpResponseBase:
    response = FileResponse(export(person), as_attachment=True, filename="fashionsim.zip")
    add_never_cache_headers(response)
    return response


class QueryViewSet(mixins.RetrieveModelMixin, viewsets.GenericViewSet[Query]):
    """Photos that were searched with, and the garments found in them."""

    queryset = Query.objects.all()
    serializer_class = QuerySerializer
    permission_classes = [MaySearch]

    def get_object(self) -> Query:
        return get_object_or_404(Query.objects.visible_to(self.request.user), pk=self.kwargs["pk"])

    def get_throttles(self) -> list[BaseThrottle]:
        starts = [SearchThrottle()] if self.action == "detect" else []
        return [*super().get_throttles(), *starts]

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def detect(self, request: Request, **_: Any) -> Response:
        """Have its garments looked for, unless they were; they are there now or a little later."""
        query = self.get_object()
        services.look_for_garments(query, asker(request))
        return Response(self.get_serializer(query).data)

    @PICTURE
    @action(detail=True, content_negotiation_class=AnyAccept)
    def file(self, request: Request, **_: Any) -> HttpResponseBase:
        """The photo itself."""
        query = self.get_object()
        return picture_response(request, str(query.file.name), query.sha256[:16], public=False)


PARAMETERS = SimilarRequestSerializer()


class SegmentViewSet(CatalogSegmentViewSet):
    """Garments found in the pictures, and what looks like them."""

    def get_queryset(self) -> QuerySet[Segment]:
        return services.KNOWN.all() if self.action == "similar" else super().get_queryset()

    @extend_schema(
        parameters=[SimilarRequestSerializer],
        responses=SimilarSerializer,
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
        """The products most like this garment, best first, its own left out."""
        filters = PARAMETERS.run_validation(request.query_params)
        how = {"limit": filters.pop("limit"), "model": filters.pop("model", None)}
        with_facets = filters.pop("facets")
        garment = self.get_object()
        neighbours = services.similar(garment, filters=filters, **how)
        counts = facets.count(filters, rules.scope(filters, garment)) if with_facets else None
        answer = SimilarSerializer(
            {"results": results.read(neighbours), "facets": counts},
            context=self.get_serializer_context(),
        )
        return Response(answer.data)


# --- Index ----------------------------------------------------------------------------------


class IndexView(APIView):
    """How the index stands."""

    permission_classes = [AllowAny]

    @extend_schema(responses=IndexStatusSerializer)
    def get(self, request: Request) -> Response:
        status = IndexStatusSerializer(indexing.status(serving.serving_embedder())).data
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


# --- Models ---------------------------------------------------------------------------------


class ModelsView(APIView):
    permission_classes = [AllowAny]

    @extend_schema(responses=ModelsSerializer)
    def get(self, request: Request) -> Response:
        """The detectors and embedders that there are, and how much each has described.

        Garments are counted once a minute, the index is looked at four times.
        """
        found = {"detectors": switching.detectors(), "embedders": switching.embedders()}
        return Response(ModelsSerializer(found).data)


# --- Health ---------------------------------------------------------------------------------


class NotReady(APIException):
    status_code = 503
    default_code = "not_ready"


class LiveView(APIView):
    permission_classes = [AllowAny]
    authentication_classes: list[Any] = []
    throttle_classes: list[Any] = []

    @extend_schema(responses=HealthSerializer)
    def get(self, request: Request) -> Response:
        """Whether this process answers at all."""
        return Response({"status": "ok"})


class ReadyView(APIView):
    permission_classes = [AllowAny]
    authentication_classes: list[Any] = []
    throttle_classes: list[Any] = []

    @extend_schema(responses=ReadinessSerializer)
    def get(self, request: Request) -> Response:
        """Whether a search would be answered: database, models and index. Otherwise 503."""
        if reasons := services.readiness():
            raise NotReady(" ".join(f"{part}: {reason}" for part, reason in reasons.items()))
        return Response({"status": "ok", "warm": services.is_warm()})
