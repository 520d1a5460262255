"""Products with their pictures, as a shop's server sends them, and imports as it sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.exceptions import TooManyFilesSent
from django.core.exceptions import ValidationError as ModelValidationError
from django.core.files.uploadedfile import UploadedFile
from django.core.validators import URLValidator
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from catalog.models import OriginalImage, Product, valid_identifier
from catalog.serializers import ProductDetailSerializer, ProductSerializer
from shop.models import Import, ShopperEvent
from shop.services import SHOWN_FAILURES, Listed
from similarity.engine.errors import BadImage
from similarity.intake import take_in, told
from similarity.serializers import (
    Photo,
    PhotoField,
    ShortListField,
    SimilarSerializer,
    UploadSerializer,
    photo_bytes,
)

MOST_PRODUCTS = 1000
"""In one batch."""

ADDRESSES = ("http://", "https://")

LONGEST_ADDRESS = OriginalImage._meta.get_field("source_url").max_length

is_address = URLValidator(
    schemes=["http", "https"], message=_("This is no address of a picture that could be fetched.")
)


class PictureField(PhotoField):
    """A product's picture: its address, or its bytes as a file or as base64."""

    def to_internal_value(self, data: Any) -> Photo:
        photo = super().to_internal_value(data)
        if isinstance(photo, str) and photo.startswith(ADDRESSES):
            is_address(photo)
            if len(photo) > (LONGEST_ADDRESS or 0):
                sentence = _("An address may have %(most)s characters.")
                raise serializers.ValidationError(sentence % {"most": LONGEST_ADDRESS})
        return photo


AddressOrBase64Field = extend_schema_field(
    {"type": "string", "description": "An address (http, https), or the bytes as base64."}
)(type("AddressOrBase64Field", (PictureField,), {"__doc__": PictureField.__doc__}))

FileOrAddressField = extend_schema_field({"type": "string", "format": "binary"})(
    type("FileOrAddressField", (PictureField,), {"__doc__": PictureField.__doc__})
)


class ProductPutSerializer(ProductSerializer):
    """A product as a whole: what is not named goes back to its default, but for the pictures."""

    reference = serializers.CharField(
        required=False, max_length=100, validators=[valid_identifier], help_text="The address's."
    )
    images = serializers.ListField(
        child=AddressOrBase64Field(),
        required=False,
        help_text="All its pictures, in their order. Without, it keeps those that it has.",
    )

    class Meta(ProductSerializer.Meta):
        fields = (*ProductSerializer.Meta.fields, "images")

    def validate_images(self, images: list[Photo]) -> list[Photo]:
        if len(images) > settings.MAX_UPLOAD_FILES:
            raise TooManyFilesSent
        return images

    @property
    def details(self) -> dict[str, Any]:
        """What `put_product` takes as details: all that there are."""
        given = dict(self.validated_data)
        for name in ("reference", "images"):
            given.pop(name, None)
        if "category" in given:
            given["category"] = given["category"] or ""
        return defaults() | given


class ProductPutFormSerializer(ProductPutSerializer):
    """The same as a form, pictures being files."""

    images = serializers.ListField(child=FileOrAddressField(), required=False)


class ProductItemSerializer(ProductPutSerializer):
    """A product of a batch."""

    reference = serializers.CharField(max_length=100, validators=[valid_identifier])


def defaults() -> dict[str, Any]:
    """The details of a product of which nothing is said."""
    details: dict[str, Any] = {"category": "", "tags": [], "sizes": []}
    for field in Product._meta.concrete_fields:
        if field.editable and not field.primary_key and field.name in ProductSerializer.Meta.fields:
            details.setdefault(field.name, field.get_default())
    for name in ("reference", "name", *ProductSerializer.Meta.read_only_fields):
        del details[name]
    return details


def taken_in(images: Sequence[Photo]) -> list[Listed]:
    """The pictures of a request, those that come as bytes having passed the intake.

    Raises ValidationError that tells of each that has not.
    """
    listed: list[Listed] = []
    errors: list[Any] = []
    for index, photo in enumerate(images):
        if is_url(photo):
            listed.append(Listed(url=str(photo)))
            continue
        try:
            picture = take_in(photo_bytes(photo))
        except BadImage as error:
            errors.append({"index": index, "code": error.code, "detail": told(error)})
        else:
            listed.append(Listed(picture=picture, name=getattr(photo, "name", None) or ""))
    if errors:
        raise serializers.ValidationError({"images": errors})
    return listed


def is_url(photo: Photo) -> bool:
    return isinstance(photo, str) and photo.startswith(ADDRESSES)


def is_file(photo: Any) -> bool:
    return isinstance(photo, UploadedFile) or (isinstance(photo, str) and not is_url(photo))


def field_errors(error: ModelValidationError) -> serializers.ValidationError:
    """What the model has against a value, as the API tells it."""
    return serializers.ValidationError(serializers.as_serializer_error(error))


class ProductOutcomeSerializer(ProductDetailSerializer):
    """A product that was put, and what is being done about its pictures."""

    runs = UploadSerializer(
        source="runs_under_way", many=True, read_only=True, help_text="What is under way for them."
    )
    import_id = serializers.UUIDField(
        read_only=True, allow_null=True, help_text="Null: nothing is to be done."
    )

    class Meta(ProductDetailSerializer.Meta):
        fields = (*ProductDetailSerializer.Meta.fields, "runs", "import_id")


class BatchSerializer(serializers.Serializer[Any]):
    """Products, each as it would be put by itself."""

    products = serializers.ListField(
        child=ProductItemSerializer(), min_length=1, max_length=MOST_PRODUCTS
    )


class BatchRequestSerializer(serializers.Serializer[Any]):
    """The same, its items not looked at yet: each is refused, or not, by itself."""

    products = ShortListField(
        child=serializers.JSONField(allow_null=True), min_length=1, max_length=MOST_PRODUCTS
    )


class ItemErrorSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    detail = serializers.CharField()
    errors = serializers.JSONField(required=False, help_text="By field, what does not fit.")  # type: ignore[assignment]


class ItemOutcomeSerializer(serializers.Serializer[Any]):
    index = serializers.IntegerField(help_text="Place in the request, from 0.")
    reference = serializers.CharField(allow_null=True)
    outcome = serializers.ChoiceField(choices=["created", "updated", "rejected"])
    runs = serializers.ListField(
        child=serializers.UUIDField(), help_text="Uploads that are under way for it."
    )
    error = ItemErrorSerializer(allow_null=True)


class BatchOutcomeSerializer(serializers.Serializer[Any]):
    import_id = serializers.UUIDField(help_text="To follow the pictures by.")
    products = ItemOutcomeSerializer(many=True)


class ProductCountsSerializer(serializers.Serializer[Any]):
    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    rejected = serializers.IntegerField()


class PictureCountsSerializer(serializers.Serializer[Any]):
    total = serializers.IntegerField()
    done = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()


class FailureSerializer(serializers.Serializer[Any]):
    product = serializers.CharField(help_text="A reference.")
    run = serializers.UUIDField()
    url = serializers.CharField(allow_null=True)
    code = serializers.CharField()
    detail = serializers.CharField()


class ImportSerializer(serializers.Serializer[Any]):
    """How far an import is; the same is told to webhooks when it is finished."""

    import_id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=Import.Kind.choices)
    products = ProductCountsSerializer()
    pictures = PictureCountsSerializer()
    failures = FailureSerializer(many=True, help_text=f"The first {SHOWN_FAILURES}.")
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


# --- What shoppers do -----------------------------------------------------------------------

MOST_EVENTS = 1000
"""At a time, of a shop's program."""

FEW_EVENTS = 100
"""At a time, of anybody else: no page of a browser sends more."""


class EventSerializer(serializers.Serializer[Any]):
    """Something that a shopper has done with a product, or been shown of it."""

    id = serializers.UUIDField(
        required=False, help_text="The sender's own: sent again, it is noted once."
    )
    kind = serializers.ChoiceField(choices=ShopperEvent.Kind.choices)
    product = serializers.CharField(max_length=100, help_text="A reference.")
    search = serializers.UUIDField(
        required=False,
        allow_null=True,
        help_text="Id of the search among whose results it stood; one that is unknown is left out.",
    )
    answer = serializers.UUIDField(
        required=False, allow_null=True, help_text="Id of the answer of similar/ that had it."
    )
    beside = serializers.CharField(
        max_length=100,
        required=False,
        allow_null=True,
        help_text="Reference of the product that similar/ was asked for; as for searches.",
    )
    position = serializers.IntegerField(
        min_value=0, max_value=10_000, required=False, allow_null=True, help_text="0 is the first."
    )
    at = serializers.DateTimeField(
        required=False, help_text="If it was not just now; as long ago as the shop keeps events."
    )


class SimilarProductsSerializer(SimilarSerializer):
    id = serializers.UUIDField(
        help_text="Of this answer, for events of what is done with it; nothing else is kept of it."
    )
    events = serializers.BooleanField(
        help_text="Whether this shop notes what is done with these: events may be sent."
    )


class EventsSerializer(serializers.Serializer[Any]):
    """Events, each as it would be sent by itself."""

    events = serializers.ListField(
        child=EventSerializer(),
        min_length=1,
        max_length=MOST_EVENTS,
        help_text=f"Without an API key, {FEW_EVENTS} at most.",
    )


class EventsRequestSerializer(serializers.Serializer[Any]):
    """The same, its items not looked at yet: each is refused, or not, by itself."""

    events = ShortListField(
        child=serializers.JSONField(allow_null=True), min_length=1, max_length=MOST_EVENTS
    )


class FewEventsRequestSerializer(EventsRequestSerializer):
    """The same of a browser, whose batches are counted whatever is in them."""

    events = ShortListField(
        child=serializers.JSONField(allow_null=True), min_length=1, max_length=FEW_EVENTS
    )


class RefusedEventSerializer(ItemErrorSerializer):
    index = serializers.IntegerField(help_text="Place in the request, from 0.")


class NotedSerializer(serializers.Serializer[Any]):
    recorded = serializers.IntegerField()
    known = serializers.IntegerField(help_text="Sent before.")
    refused = RefusedEventSerializer(many=True)
