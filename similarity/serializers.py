"""Uploads, searches and index builds as the API takes and shows them."""

from __future__ import annotations

from typing import Any, TypeAlias

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import TooManyFilesSent
from django.core.files.uploadedfile import UploadedFile
from django.shortcuts import get_object_or_404
from django.utils.functional import cached_property
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from catalog.models import Product, Segment
from catalog.serializers import LinkField, ProductSerializer
from similarity import backends, indexing, results, services
from similarity.engine.images import check_bytes, decode_base64
from similarity.models import IndexBuild, Query, Run
from similarity.results import Result


def limit_field() -> serializers.IntegerField:
    """How many results are asked for."""
    return serializers.IntegerField(min_value=1, max_value=100, default=20)


Photo: TypeAlias = "UploadedFile[Any] | str"
"""A photo as it is sent: a file, or base64."""


class ShortListField(serializers.ListField):
    """A list whose length is checked before its items are: those of a million take seconds."""

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, list | tuple) and len(data) > (self.max_length or 0):
            message = self.error_messages["max_length"].format(max_length=self.max_length)
            raise serializers.ValidationError(message, code="max_length")
        return super().to_internal_value(data)


def names_field(help_text: str | None = None) -> ShortListField:
    """Some values of a filter."""
    child = serializers.CharField(max_length=100)
    return ShortListField(child=child, max_length=50, required=False, help_text=help_text)


class PhotoField(serializers.Field[Photo, Any, Any, Any]):
    """A photo, sent as a file or as base64 (with or without a data: prefix)."""

    def to_internal_value(self, data: Any) -> Photo:
        if isinstance(data, UploadedFile | str):
            return data
        raise serializers.ValidationError("Send a file, or its bytes as base64.")


def photo_bytes(photo: Photo) -> bytes:
    """The bytes of what a PhotoField takes; raises BadImage."""
    limits = backends.limits()
    if isinstance(photo, str):
        return decode_base64(photo, limits)
    check_bytes(photo.size or 0, limits)
    return bytes(photo.read())


Base64Field = extend_schema_field({"type": "string", "contentEncoding": "base64"})(
    type("Base64Field", (PhotoField,), {"__doc__": PhotoField.__doc__})
)
FileField = extend_schema_field({"type": "string", "format": "binary"})(
    type("FileField", (PhotoField,), {"__doc__": PhotoField.__doc__})
)


# --- Runs -----------------------------------------------------------------------------------


class RunErrorSerializer(serializers.Serializer[Run]):
    code = serializers.CharField(source="error_code")
    detail = serializers.CharField(source="error_message")


class RunSerializer(serializers.ModelSerializer[Run]):
    """How far a piece of work is."""

    error = serializers.SerializerMethodField()

    class Meta:
        model = Run
        fields: tuple[str, ...] = (
            "id",
            "state",
            "step",
            "progress",
            "error",
            "created_at",
            "finished_at",
        )
        read_only_fields = fields

    @extend_schema_field(RunErrorSerializer(allow_null=True))
    def get_error(self, run: Run) -> Any:
        return RunErrorSerializer(run).data if run.error_code else None


class UploadSerializer(RunSerializer):
    """An upload: the run that finds and describes the garments of an image."""

    image = serializers.CharField(source="image.identifier", default=None, allow_null=True)
    link = LinkField("upload-detail", "pk")

    class Meta(RunSerializer.Meta):
        fields = (*RunSerializer.Meta.fields, "image", "link")
        read_only_fields = fields


class UploadRequestSerializer(serializers.Serializer[Any]):
    images = serializers.ListField(child=Base64Field(), min_length=1, help_text="One or many.")
    product = serializers.SlugRelatedField(
        slug_field="reference",
        queryset=Product.objects.all(),
        required=False,
        allow_null=True,
        help_text="Reference of the product that the pictures show.",
    )

    def validate_images(self, images: list[Any]) -> list[Any]:
        if len(images) > settings.MAX_UPLOAD_FILES:  # as base64: Django counts files itself
            raise TooManyFilesSent
        return images


class UploadFormSerializer(UploadRequestSerializer):
    images = serializers.ListField(child=FileField(), min_length=1)


class AcceptedSerializer(UploadSerializer):
    is_new = serializers.BooleanField(help_text="False for bytes that were known.")

    class Meta(UploadSerializer.Meta):
        fields = (*UploadSerializer.Meta.fields, "is_new")
        read_only_fields = fields


class RejectedSerializer(serializers.Serializer[Any]):
    index = serializers.IntegerField(help_text="Place in the request, from 0.")
    code = serializers.CharField()
    detail = serializers.CharField()


class UploadOutcomeSerializer(serializers.Serializer[Any]):
    uploads = AcceptedSerializer(many=True)
    rejected = RejectedSerializer(many=True)


# --- Searches -------------------------------------------------------------------------------


MAX_PRICE = 1e8
"""More than any product can cost."""


class FiltersSerializer(serializers.Serializer[Any]):
    """Several values of one filter widen it; several filters narrow the result."""

    category = names_field("Slugs.")
    brand = names_field()
    store = names_field()
    tag = names_field()
    size = names_field()
    season = names_field()
    listing_season = names_field()
    sale_status = names_field()
    waist_type = names_field()
    price_min = serializers.FloatField(required=False, min_value=0, max_value=MAX_PRICE)
    price_max = serializers.FloatField(required=False, min_value=0, max_value=MAX_PRICE)
    rating_min = serializers.FloatField(required=False, min_value=0, max_value=5)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError(
                {name: ["There is no such filter."] for name in unknown}
            )
        chosen: dict[str, Any] = super().to_internal_value(data)
        return {name: value for name, value in chosen.items() if value != []}


SOURCES = ("image", "image_url", "query", "segment", "product")


class SearchRequestSerializer(serializers.Serializer[Any]):
    """A search by exactly one of: image, image_url, query, segment, product."""

    image = Base64Field(required=False)
    image_url = serializers.URLField(required=False, help_text="If the shop allows it.")
    query = serializers.UUIDField(
        required=False, help_text="Id of a photo searched with before: it need not be sent again."
    )
    segment = serializers.SlugRelatedField(
        slug_field="identifier",
        queryset=Segment.objects.select_related("image__product"),
        required=False,
        help_text="Id of a garment of the catalogue.",
    )
    product = serializers.SlugRelatedField(
        slug_field="reference",
        queryset=Product.objects.all(),
        required=False,
        help_text="Reference of a product.",
    )
    limit = limit_field()
    box = ShortListField(
        child=serializers.FloatField(),
        min_length=4,
        max_length=4,
        required=False,
        allow_null=True,
        help_text="The part of the photo to search with: left, top, right, bottom in pixels.",
    )
    filters = FiltersSerializer(required=False)
    wait = serializers.FloatField(
        min_value=0, max_value=30, default=10, help_text="Seconds to wait for the results."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = [name for name in SOURCES if attrs.get(name) is not None]
        if len(given) != 1:
            raise serializers.ValidationError(f"Give exactly one of {', '.join(SOURCES)}.")
        if attrs.get("box") is not None and given[0] in {"segment", "product"}:
            raise serializers.ValidationError({"box": ["A box is for a photo."]})
        return attrs

    def create(self, validated_data: dict[str, Any]) -> Run:
        """Search, for the person of `save(asked_by=...)`; raises what `services.search` does."""
        asked = validated_data
        how = {
            "limit": asked["limit"],
            "box": asked.get("box"),
            "filters": asked.get("filters"),
            "asked_by": asked["asked_by"],
        }
        if "segment" in asked:
            return services.search(segment=asked["segment"], **how)
        if "product" in asked:
            return services.search(segment=services.main_segment(asked["product"]), **how)
        if "query" in asked:
            visible = Query.objects.visible_to(asked["asked_by"] or AnonymousUser())
            return services.search(query=get_object_or_404(visible, pk=asked["query"]), **how)
        if "image" in asked:
            return services.search_photo(photo_bytes(asked["image"]), **how)
        return services.search_photo(services.fetch_image(asked["image_url"]), **how)


class SearchFormSerializer(SearchRequestSerializer):
    """The same as a form, the image being a file."""

    image = FileField(required=False)


class DetectionSerializer(serializers.Serializer[Any]):
    box = serializers.ListField(child=serializers.FloatField(), min_length=4, max_length=4)
    label = serializers.CharField()  # type: ignore[assignment]
    score = serializers.FloatField()


class QuerySerializer(serializers.ModelSerializer[Query]):
    """The photo that was searched with; `detections` is null until it was looked at."""

    file = LinkField("query-file", "pk")
    detections = DetectionSerializer(many=True, allow_null=True)

    class Meta:
        model = Query
        fields = ("id", "file", "width", "height", "detections", "expires_at")
        read_only_fields = fields


class ResultSerializer(serializers.Serializer[Result]):
    """One result: the best garment of a product."""

    rank = serializers.IntegerField(help_text="0 is the most similar.")
    similarity = serializers.FloatField(help_text="Cosine, -1 to 1.")
    segment = serializers.CharField(help_text="The garment's id.")
    label = serializers.CharField()  # type: ignore[assignment]
    crop = serializers.URLField()
    image = serializers.CharField(help_text="The image's id.")
    box = serializers.ListField(child=serializers.FloatField(), min_length=4, max_length=4)
    product = ProductSerializer(allow_null=True)

    def to_representation(self, instance: Result) -> dict[str, Any]:
        return {
            "rank": instance.rank,
            "similarity": instance.similarity,
            "segment": instance.segment,
            "label": instance.label,
            "crop": self._crop_links.format(instance.segment),
            "image": instance.image,
            "box": instance.box,
            "product": None if instance.product is None else self._product(instance.product),
        }

    def _product(self, details: dict[str, Any]) -> dict[str, Any]:
        amounts = {
            name: None if details[name] is None else str(details[name])
            for name in ("price", "rating")
        }
        return details | amounts | {"link": self._product_links.format(details["reference"])}

    @cached_property
    def _product_links(self) -> str:
        return self._links("product-detail")

    @cached_property
    def _crop_links(self) -> str:
        return self._links("segment-crop")

    def _links(self, view: str) -> str:
        """The link to a view, with {} for the id: made once, not once a result."""
        link = reverse(view, args=["ID"], request=self.context.get("request"))
        before, _, after = link.rpartition("/ID/")
        return f"{before}/{{}}/{after}"


class SearchSummarySerializer(RunSerializer):
    """A search as the history lists it."""

    query = QuerySerializer(allow_null=True)
    segment = serializers.CharField(source="segment.identifier", default=None, allow_null=True)
    limit = serializers.IntegerField(source="options.limit")
    box = serializers.ListField(
        child=serializers.FloatField(), source="options.box", allow_null=True
    )
    filters = FiltersSerializer(source="options.filters")
    link = LinkField("search-detail", "pk")

    class Meta(RunSerializer.Meta):
        fields = (
            *RunSerializer.Meta.fields,
            "query",
            "segment",
            "limit",
            "box",
            "filters",
            "link",
        )
        read_only_fields = fields


class SearchListSerializer(SearchSummarySerializer):
    found = serializers.IntegerField(help_text="Number of results.")
    best = serializers.FloatField(allow_null=True, help_text="Similarity of the best result.")

    class Meta(SearchSummarySerializer.Meta):
        fields = (*SearchSummarySerializer.Meta.fields, "found", "best")
        read_only_fields = fields


class SearchSerializer(SearchSummarySerializer):
    """A search with its results, best first."""

    results = serializers.SerializerMethodField()

    class Meta(SearchSummarySerializer.Meta):
        fields = (*SearchSummarySerializer.Meta.fields, "results")
        read_only_fields = fields

    @extend_schema_field(ResultSerializer(many=True))
    def get_results(self, run: Run) -> Any:
        found: Any = results.read(results.of_run(run))
        return ResultSerializer(found, many=True, context=self.context).data


class SimilarRequestSerializer(FiltersSerializer):
    """Parameters of a look for similar garments: how many, and the product filters."""

    limit = limit_field()


class SimilarSerializer(serializers.Serializer[Any]):
    results = ResultSerializer(many=True)


# --- Index ----------------------------------------------------------------------------------


class IndexStatusSerializer(serializers.Serializer[indexing.IndexStatus]):
    embedder = serializers.CharField(help_text="Name and weights of what describes garments.")
    serving = serializers.CharField(allow_null=True, help_text="Name of the serving build.")
    indexed = serializers.IntegerField(help_text="Vectors in that build.")
    newer = serializers.IntegerField(help_text="Vectors since then, searched exactly.")
    problem = serializers.CharField(allow_null=True)
    rebuild = RunSerializer(
        read_only=True, allow_null=True, help_text="The latest rebuild that was asked for."
    )


class IndexBuildSerializer(serializers.ModelSerializer[IndexBuild]):
    embedder = serializers.CharField(source="embedder.key")
    is_serving = serializers.SerializerMethodField()

    class Meta:
        model = IndexBuild
        fields = (
            "id",
            "name",
            "embedder",
            "state",
            "engine",
            "parameters",
            "count",
            "size",
            "seconds",
            "problem",
            "is_serving",
            "created_at",
        )
        read_only_fields = fields

    def get_is_serving(self, build: IndexBuild) -> bool:
        return services.is_serving(build)


# --- Health ---------------------------------------------------------------------------------


class HealthSerializer(serializers.Serializer[Any]):
    status = serializers.CharField()
