"""Uploads, searches and index builds as the API takes and shows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import TooManyFilesSent
from django.core.files.uploadedfile import UploadedFile
from django.shortcuts import get_object_or_404
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from accounts.models import MAX_RESULTS
from accounts.services import preferences_of
from catalog import words
from catalog.facets import Facets
from catalog.filters import UNKNOWN_COLOUR
from catalog.models import Category, Segment, SegmentColour
from catalog.serializers import ColourSerializer, LinkField, ProductField, ProductSerializer
from similarity import backends, indexing, results, services
from similarity.combined import Wish
from similarity.engine.images import check_bytes, decode_base64
from similarity.models import IndexBuild, Query, Run
from similarity.results import Result

USUAL_RESULTS = 20
"""So many results are given to who neither asks for another number nor has chosen one."""


def limit_field(**options: Any) -> serializers.IntegerField:
    """How many results are asked for."""
    return serializers.IntegerField(min_value=1, max_value=MAX_RESULTS, **options)


def id_field() -> serializers.UUIDField:
    """The id that a client gives to what it starts."""
    return serializers.UUIDField(
        required=False,
        help_text="To cancel it by, before the answer is there. The same again gives the same.",
    )


def model_field() -> serializers.CharField:
    """Which embedder is to compare."""
    return serializers.CharField(
        max_length=100,
        required=False,
        help_text="Another embedder than the serving one, if it has described the whole catalogue.",
    )


MOST_CATEGORIES = 10
"""That a search may be narrowed to."""

USUAL_CATEGORIES = 3

MOST_SORTED = 100
"""Categories that are given at once."""

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
        raise serializers.ValidationError(_("Send a file, or its bytes as base64."))


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
    product = serializers.CharField(
        source="image.product.reference",
        default=None,
        allow_null=True,
        help_text="What the image is a picture of.",
    )
    possible_duplicate_of = serializers.CharField(
        source="image.possible_duplicate_of.identifier",
        default=None,
        allow_null=True,
        help_text="The earlier image that may show the same; known once the upload is done.",
    )
    link = LinkField("upload-detail", "pk")

    class Meta(RunSerializer.Meta):
        fields = (
            *RunSerializer.Meta.fields,
            "image",
            "product",
            "possible_duplicate_of",
            "link",
        )
        read_only_fields = fields


class UploadRequestSerializer(serializers.Serializer[Any]):
    images = serializers.ListField(child=Base64Field(), min_length=1, help_text="One or many.")
    product = ProductField(
        required=False,
        allow_null=True,
        help_text="Reference of the product that the pictures show.",
    )
    id = id_field()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "id" in attrs and len(attrs["images"]) != 1:
            raise serializers.ValidationError({"id": [_("An id is for one picture.")]})
        return attrs

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
    colour = ShortListField(
        child=serializers.ChoiceField(
            choices=SegmentColour.Name.choices, error_messages={"invalid_choice": UNKNOWN_COLOUR}
        ),
        max_length=50,
        required=False,
        help_text="Of the garment itself.",
    )
    in_stock = serializers.BooleanField(
        default=None,  # a form that does not name it does not say no
        allow_null=True,
        help_text="True: nothing that is sold out.",
    )
    price_min = serializers.FloatField(required=False, min_value=0, max_value=MAX_PRICE)
    price_max = serializers.FloatField(required=False, min_value=0, max_value=MAX_PRICE)
    rating_min = serializers.FloatField(required=False, min_value=0, max_value=5)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError(
                {name: [_("There is no such filter.")] for name in unknown}
            )
        chosen: dict[str, Any] = super().to_internal_value(data)
        if not chosen["in_stock"]:
            del chosen["in_stock"]
        return {name: value for name, value in chosen.items() if value != []}

    def to_representation(self, instance: dict[str, Any]) -> dict[str, Any]:
        return instance  # kept as they were validated


def facets_field() -> serializers.BooleanField:
    """Whether counts are asked for."""
    return serializers.BooleanField(
        default=False,
        help_text=(
            "Count the products that each further choice of category, brand, season, price, "
            "colour, tag, size or sale status would leave: those that pass all filters but the "
            "facet's own."
        ),
    )


SOURCES = ("image", "image_url", "query", "segment", "product")

PHOTOS = ("image", "image_url", "query")

WISHES = ("text", "like")
"""What a search can do with alone; what is to be left out is not."""

LONGEST_TEXT = 200

MOST_EXAMPLES = 20


def has_words(text: str) -> None:
    """Raises ValidationError for a text that holds nothing but signs."""
    if text and not words.asked(text):
        raise serializers.ValidationError(_("There is no word in it."), code="no_words")


def text_field(help_text: str) -> serializers.CharField:
    """Words to search by."""
    return serializers.CharField(
        max_length=LONGEST_TEXT,
        allow_blank=True,
        default="",
        validators=[has_words],
        help_text=help_text,
    )


def examples_field(help_text: str) -> ShortListField:
    """Ids of garments."""
    child = serializers.CharField(max_length=100)
    return ShortListField(
        child=child, max_length=MOST_EXAMPLES, required=False, help_text=help_text
    )


def known_garments(ids: Sequence[str]) -> list[Segment]:
    """The garments of those ids, each once; raises ValidationError, which names the unknown."""
    known = {row.identifier: row for row in services.KNOWN.filter(identifier__in=ids)}
    if unknown := [name for name in ids if name not in known]:
        sentence = _("There is no garment %(garments)s.") % {"garments": ", ".join(unknown)}
        raise serializers.ValidationError(sentence)
    return list({name: known[name] for name in ids}.values())


class QuestionSerializer(serializers.Serializer[Any]):
    """What can be asked about: one of image, image_url, query, segment and product."""

    image = Base64Field(required=False)
    image_url = serializers.URLField(required=False, help_text="If the shop allows it.")
    query = serializers.UUIDField(
        required=False, help_text="Id of a photo searched with before: it need not be sent again."
    )
    segment = serializers.SlugRelatedField(
        slug_field="identifier",
        queryset=services.KNOWN,
        required=False,
        help_text="Id of a garment of the catalogue.",
    )
    product = ProductField(
        required=False,
        help_text="Reference of a product.",
    )
    model = model_field()
    id = id_field()
    box = ShortListField(
        child=serializers.FloatField(),
        min_length=4,
        max_length=4,
        required=False,
        allow_null=True,
        help_text="The part of the photo to search with: left, top, right, bottom in pixels.",
    )
    wait = serializers.FloatField(
        min_value=0, max_value=30, default=10, help_text="Seconds to wait for the results."
    )

    others: tuple[str, ...] = ()
    """What can be asked with instead."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = [name for name in SOURCES if attrs.get(name) is not None]
        if len(given) > 1:
            sentence = _("Give one of %(fields)s, not several.") % {"fields": ", ".join(SOURCES)}
            raise serializers.ValidationError(sentence)
        if not given and not any(attrs.get(name) for name in self.others):
            fields = ", ".join((*SOURCES, *self.others))
            raise serializers.ValidationError(_("Give one of %(fields)s.") % {"fields": fields})
        if attrs.get("box") is not None and not set(given) & set(PHOTOS):
            raise serializers.ValidationError({"box": [_("A box is for a photo.")]})
        return attrs

    def start(self, by_photo: Callable[..., Run], by_row: Callable[..., Run], **how: Any) -> Run:
        """Start what is asked: with the bytes of a new photo, or with what is known."""
        asked = self.validated_data
        how |= {name: asked.get(name) for name in ("box", "model")} | {"pk": asked.get("id")}
        if "segment" in asked:
            return by_row(segment=asked["segment"], **how)
        if "product" in asked:
            return by_row(segment=services.main_segment(asked["product"]), **how)
        if "query" in asked:
            visible = Query.objects.visible_to(how["asked_by"] or AnonymousUser())
            return by_row(query=get_object_or_404(visible, pk=asked["query"]), **how)
        if "image" in asked:
            return by_photo(photo_bytes(asked["image"]), **how)
        if "image_url" in asked:
            return by_photo(services.fetch_image(asked["image_url"]), **how)
        return by_row(**how)


class SearchRequestSerializer(QuestionSerializer):
    """A search by one of image, image_url, query, segment and product; by text; by examples that
    the results are to be like; or by several of these together."""

    text = text_field("What to look for, in words.")
    without = text_field("Words for what is to be left out.")
    like = examples_field("Ids of garments that the results are to be like.")
    unlike = examples_field("Ids of garments that they are not to be like.")
    limit = limit_field(
        required=False,
        help_text=f"Otherwise as many as a person has chosen, or {USUAL_RESULTS}.",
    )
    detect = serializers.BooleanField(
        default=None,  # a form that does not name it does not say no
        allow_null=True,
        help_text="Look for the garments of a new photo: else as a person has chosen, or true.",
    )
    filters = FiltersSerializer(required=False)
    facets = facets_field()
    use_prototypes = serializers.BooleanField(
        default=False,
        help_text="Look in the nearest categories first; further afield only for what is lacking.",
    )
    top_categories = serializers.IntegerField(
        min_value=1,
        max_value=MOST_CATEGORIES,
        default=USUAL_CATEGORIES,
        help_text="How many categories that are, with use_prototypes.",
    )

    others = WISHES

    def validate_like(self, ids: list[str]) -> list[Segment]:
        return known_garments(ids)

    def validate_unlike(self, ids: list[str]) -> list[Segment]:
        return known_garments(ids)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        if both := {*attrs.get("like", ())} & {*attrs.get("unlike", ())}:
            names = ", ".join(sorted(map(str, both)))
            sentence = _("In both lists: %(garments)s.") % {"garments": names}
            raise serializers.ValidationError({"unlike": [sentence]})
        return attrs

    def create(self, validated_data: dict[str, Any]) -> Run:
        """Search, for the person of `save(asked_by=...)`; raises what `services.search` does."""
        asked = validated_data
        person = asked["asked_by"]
        return self.start(
            services.search_photo,
            services.search,
            limit=asked.get("limit") or preferences_of(person).results or USUAL_RESULTS,
            filters=asked.get("filters"),
            asked_by=person,
            detect=asked.get("detect"),
            wish=Wish(
                text=asked["text"],
                without=asked["without"],
                like=asked.get("like", ()),
                unlike=asked.get("unlike", ()),
            ),
            facets=asked["facets"],
            top_categories=asked["top_categories"] if asked["use_prototypes"] else None,
        )


class SearchFormSerializer(SearchRequestSerializer):
    """The same as a form, the image being a file."""

    image = FileField(required=False)


class SortRequestSerializer(QuestionSerializer):
    """What is to be compared with the categories: one of image, image_url, query, segment and
    product."""

    limit = serializers.IntegerField(
        min_value=1, max_value=MOST_SORTED, default=USUAL_RESULTS, help_text="Categories wanted."
    )

    def create(self, validated_data: dict[str, Any]) -> Run:
        """Compare, for the person of `save(asked_by=...)`; raises what `services.sort` does."""
        asked = validated_data
        how = {"limit": asked["limit"], "asked_by": asked["asked_by"]}
        return self.start(services.sort_photo, services.sort, **how)


class SortFormSerializer(SortRequestSerializer):
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

    rank = serializers.IntegerField(help_text="0 is the best.")
    similarity = serializers.FloatField(
        allow_null=True, help_text="Cosine, -1 to 1; null for what words alone have found."
    )
    matched = serializers.ListField(
        child=serializers.CharField(), help_text="Words asked for that the product's fields have."
    )
    pinned = serializers.BooleanField(help_text="Whether the shop has put it first.")
    segment = serializers.CharField(help_text="The garment's id.")
    label = serializers.CharField()  # type: ignore[assignment]
    colours = ColourSerializer(many=True, help_text="Of the garment, most first.")
    crop = serializers.URLField()
    image = serializers.CharField(help_text="The image's id.")
    box = serializers.ListField(child=serializers.FloatField(), min_length=4, max_length=4)
    product = ProductSerializer(allow_null=True)

    def to_representation(self, instance: Result) -> dict[str, Any]:
        return {
            "rank": instance.rank,
            "similarity": instance.similarity,
            "matched": list(instance.matched),
            "pinned": instance.pinned,
            "segment": instance.segment,
            "label": instance.label,
            "colours": instance.colours,
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


class FacetValueSerializer(serializers.Serializer[Any]):
    value = serializers.CharField(help_text="For the facet's filter.")
    name = serializers.CharField()
    count = serializers.IntegerField(help_text="Products.")


class PriceBandSerializer(serializers.Serializer[Any]):
    price_min = serializers.DecimalField(max_digits=10, decimal_places=2)
    price_max = serializers.DecimalField(max_digits=10, decimal_places=2, allow_null=True)
    count = serializers.IntegerField(help_text="Products.")


class FacetsSerializer(serializers.Serializer[Facets]):
    """Of each facet the values that products have, the most frequent first, 100 at most."""

    category = FacetValueSerializer(many=True)
    brand = FacetValueSerializer(many=True)
    season = FacetValueSerializer(many=True)
    colour = FacetValueSerializer(many=True)
    tag = FacetValueSerializer(many=True)
    size = FacetValueSerializer(many=True)
    sale_status = FacetValueSerializer(many=True)
    in_stock = FacetValueSerializer(many=True, help_text='The one value "true", or none.')
    price = PriceBandSerializer(many=True)


class SearchSummarySerializer(RunSerializer):
    """A search as the history lists it."""

    query = QuerySerializer(allow_null=True)
    segment = serializers.CharField(source="segment.identifier", default=None, allow_null=True)
    text = serializers.CharField(source="options.text", default="")
    without = serializers.CharField(source="options.without", default="")
    like = serializers.ListField(child=serializers.CharField(), source="options.like", default=list)
    unlike = serializers.ListField(
        child=serializers.CharField(), source="options.unlike", default=list
    )
    limit = serializers.IntegerField(source="options.limit")
    box = serializers.ListField(
        child=serializers.FloatField(), source="options.box", allow_null=True
    )
    filters = FiltersSerializer(source="options.filters")
    model = serializers.CharField(
        source="embedder.name",
        default=None,
        allow_null=True,
        help_text="The embedder that has answered; null before.",
    )
    link = LinkField("search-detail", "pk")

    class Meta(RunSerializer.Meta):
        fields = (
            *RunSerializer.Meta.fields,
            "query",
            "segment",
            "text",
            "without",
            "like",
            "unlike",
            "limit",
            "box",
            "filters",
            "model",
            "link",
        )
        read_only_fields = fields


class SearchListSerializer(SearchSummarySerializer):
    found = serializers.IntegerField(help_text="Number of results.")
    best = serializers.FloatField(allow_null=True, help_text="Highest similarity of a result.")

    class Meta(SearchSummarySerializer.Meta):
        fields = (*SearchSummarySerializer.Meta.fields, "found", "best")
        read_only_fields = fields


class SearchSerializer(SearchSummarySerializer):
    """A search with its results, best first."""

    results = serializers.SerializerMethodField()
    facets = serializers.SerializerMethodField(help_text="Null unless they were asked for.")

    class Meta(SearchSummarySerializer.Meta):
        fields = (*SearchSummarySerializer.Meta.fields, "results", "facets")
        read_only_fields = fields

    @extend_schema_field(ResultSerializer(many=True))
    def get_results(self, run: Run) -> Any:
        found: Any = results.read(results.of_run(run))
        return ResultSerializer(found, many=True, context=self.context).data

    @extend_schema_field(FacetsSerializer(allow_null=True))
    def get_facets(self, run: Run) -> Any:
        found = services.facets_of(run)
        return None if found is None else FacetsSerializer(found).data


class NearestCategorySerializer(serializers.Serializer[Any]):
    slug = serializers.CharField(help_text="For the filter.")
    name = serializers.CharField()
    similarity = serializers.FloatField(help_text="Cosine with its garments' mean, -1 to 1.")


class SortSerializer(RunSerializer):
    """A comparison with the categories, the nearest first."""

    categories = serializers.SerializerMethodField(help_text="Null before it is done.")
    model = serializers.CharField(source="embedder.name", default=None, allow_null=True)
    link = LinkField("prototype-search-detail", "pk")

    class Meta(RunSerializer.Meta):
        fields = (*RunSerializer.Meta.fields, "categories", "model", "link")
        read_only_fields = fields

    @extend_schema_field(NearestCategorySerializer(many=True, allow_null=True))
    def get_categories(self, run: Run) -> Any:
        if run.categories is None:
            return None
        found = [slug for slug, _ in run.categories]
        names = dict(Category.objects.filter(slug__in=found).values_list("slug", "name"))
        return [
            {"slug": slug, "name": names[slug], "similarity": similarity}
            for slug, similarity in run.categories
            if slug in names
        ]


class SimilarRequestSerializer(FiltersSerializer):
    """Parameters of a look for similar garments: how many, and the product filters."""

    limit = limit_field(default=USUAL_RESULTS)
    model = model_field()
    facets = facets_field()


class SimilarSerializer(serializers.Serializer[Any]):
    results = ResultSerializer(many=True)
    facets = FacetsSerializer(allow_null=True, help_text="Null unless they were asked for.")


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


class EmbedderIndexSerializer(serializers.Serializer[indexing.IndexStatus]):
    """How fresh an embedder's index is."""

    serving = serializers.CharField(allow_null=True, help_text="Name of the build in use.")
    indexed = serializers.IntegerField(help_text="Vectors in that build.")
    newer = serializers.IntegerField(help_text="Vectors since then, searched exactly.")
    problem = serializers.CharField(allow_null=True)


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
            "recall",
            "search_ms",
            "problem",
            "is_serving",
            "created_at",
        )
        read_only_fields = fields

    def get_is_serving(self, build: IndexBuild) -> bool:
        return services.is_serving(build)


# --- Models ---------------------------------------------------------------------------------


class DetectorSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    fingerprint = serializers.CharField(
        allow_null=True, help_text="Hash of its weights; null if they are not there."
    )
    is_active = serializers.BooleanField()


class FillingSerializer(RunSerializer):
    """How far an embedder's description of the whole catalogue is."""


class EmbedderSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="What `model` of a search takes.")
    fingerprint = serializers.CharField(
        allow_null=True, help_text="Hash of its weights; null if they are not there."
    )
    dim = serializers.IntegerField(allow_null=True, help_text="Length of its vectors.")
    is_active = serializers.BooleanField(help_text="Answers searches that ask for no other.")
    is_installed = serializers.BooleanField(help_text="It can describe pictures here.")
    is_kept = serializers.BooleanField(help_text="New garments are described by it.")
    is_filled = serializers.BooleanField(help_text="A search may ask for it.")
    takes_text = serializers.BooleanField(help_text="It describes words as well.")
    described = serializers.IntegerField(help_text="Garments that it has described.")
    total = serializers.IntegerField(help_text="Garments of the catalogue.")
    index = EmbedderIndexSerializer(allow_null=True, help_text="Null if nothing is described.")
    filling = FillingSerializer(allow_null=True, help_text="The latest that was asked for.")


class ModelsSerializer(serializers.Serializer[Any]):
    detectors = DetectorSerializer(many=True)
    embedders = EmbedderSerializer(many=True)


# --- Health ---------------------------------------------------------------------------------


class HealthSerializer(serializers.Serializer[Any]):
    status = serializers.CharField()


class ReadinessSerializer(HealthSerializer):
    warm = serializers.BooleanField(
        help_text="Whether the answering process has loaded its models ahead of the first search."
    )
