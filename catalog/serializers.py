"""The catalogue as the API shows it. Pictures are links, never bytes in JSON."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError as ModelValidationError
from django.db import IntegrityError, models, transaction
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.reverse import reverse

from catalog.models import Category, OriginalImage, Product, Segment, SegmentColour
from catalog.services import products_called, save_product

BOX = {
    "type": "array",
    "items": {"type": "number"},
    "minItems": 4,
    "maxItems": 4,
    "description": "Left, top, right, bottom, in pixels of the image.",
}


class LinkField(serializers.Field[Any, Any, Any, Any]):
    """An absolute link to a view of the object."""

    def __init__(self, view: str, lookup: str, **kwargs: Any) -> None:
        super().__init__(source="*", read_only=True, **kwargs)
        self.view = view
        self.lookup = lookup

    def to_representation(self, value: Any) -> str:
        argument = getattr(value, self.lookup)
        return reverse(self.view, args=[argument], request=self.context.get("request"))


LinkField = extend_schema_field({"type": "string", "format": "uri"})(LinkField)  # type: ignore[misc]


class CategorySerializer(serializers.ModelSerializer[Category]):
    products = serializers.IntegerField(
        source="product_count", read_only=True, help_text="How many it holds."
    )

    class Meta:
        model = Category
        fields = ("slug", "name", "products")


class CategoryField(serializers.CharField):
    """A category by its name."""

    def to_representation(self, value: Any) -> str:
        return str(value.name)


class NamesField(serializers.ListField):
    """Names of related rows, as plain words."""

    child = serializers.CharField(max_length=100)

    def get_attribute(self, instance: Any) -> list[str]:
        related: Any = super().get_attribute(instance)
        return sorted(item.name for item in related.all())

    def to_representation(self, data: list[str]) -> list[str]:
        return data


class ImageLinkSerializer(serializers.ModelSerializer[OriginalImage]):
    """An image in short, inside of a product."""

    id = serializers.CharField(source="identifier", read_only=True)
    file = LinkField("image-file", "identifier")

    class Meta:
        model = OriginalImage
        fields = ("id", "file", "width", "height", "status")


class ProductSerializer(serializers.ModelSerializer[Product]):
    category = CategoryField(
        required=False,
        allow_null=True,
        allow_blank=True,
        max_length=100,
        help_text="Its name; a new one is made.",
    )
    tags = NamesField(required=False)
    sizes = NamesField(required=False, child=serializers.CharField(max_length=30))
    link = LinkField("product-detail", "reference")

    class Meta:
        model = Product
        fields: tuple[str, ...] = (
            "reference",
            "name",
            "description",
            "url",
            "store",
            "brand",
            "category",
            "category_predicted",
            "price",
            "currency",
            "rating",
            "sale_status",
            "waist_type",
            "listing_season",
            "season",
            "tags",
            "sizes",
            "link",
            "created_at",
            "updated_at",
        )
        read_only_fields = ("category_predicted",)

    def create(self, validated_data: dict[str, Any]) -> Product:
        reference = validated_data.pop("reference")
        try:
            return self._save(reference, {**validated_data, "adding": True})
        except IntegrityError:
            self._refuse_taken(reference)  # somebody was faster
            raise

    def _refuse_taken(self, reference: str) -> None:
        """Raises the usual ValidationError for a reference that a product has by now."""
        try:
            self.fields["reference"].run_validation(reference)
        except serializers.ValidationError as error:
            raise serializers.ValidationError({"reference": error.detail}) from error

    def update(self, instance: Product, validated_data: dict[str, Any]) -> Product:
        if validated_data.pop("reference", instance.reference) != instance.reference:
            raise serializers.ValidationError({"reference": [_("A reference cannot be changed.")]})
        return self._save(instance.reference, validated_data)

    def _save(self, reference: str, details: dict[str, Any]) -> Product:
        if "category" in details:
            details["category"] = details["category"] or ""
        try:
            return save_product(reference, **details)
        except ModelValidationError as error:
            raise serializers.ValidationError(serializers.as_serializer_error(error)) from error


class ProductDetailSerializer(ProductSerializer):
    """A product with its pictures."""

    images = ImageLinkSerializer(many=True, read_only=True)

    class Meta(ProductSerializer.Meta):
        fields = (*ProductSerializer.Meta.fields, "images")


class ColourSerializer(serializers.ModelSerializer[SegmentColour]):
    """One of a garment's dominant colours."""

    name = serializers.ChoiceField(
        source="colour", choices=SegmentColour.Name.choices, read_only=True
    )

    class Meta:
        model = SegmentColour
        fields = ("name", "share")


class SegmentSerializer(serializers.ModelSerializer[Segment]):
    id = serializers.CharField(source="identifier", read_only=True)
    image = serializers.CharField(source="image.identifier", read_only=True)
    product = serializers.SerializerMethodField()
    box = serializers.SerializerMethodField()
    colours = ColourSerializer(many=True, read_only=True, help_text="Most first.")
    crop = LinkField("segment-crop", "identifier")
    link = LinkField("segment-detail", "identifier")

    class Meta:
        model = Segment
        fields = (
            "id",
            "image",
            "product",
            "number",
            "box",
            "label",
            "colours",
            "score",
            "detector",
            "crop",
            "link",
        )

    @extend_schema_field({"type": ["string", "null"], "description": "A product's reference."})
    def get_product(self, segment: Segment) -> str | None:
        product = segment.image.product
        return None if product is None else product.reference

    @extend_schema_field(BOX)
    def get_box(self, segment: Segment) -> list[float]:
        return list(segment.box)


class ProductField(serializers.SlugRelatedField[Product]):
    """A product by its reference, or by one that it got when another was merged into it."""

    def __init__(self, **kwargs: Any) -> None:
        if not kwargs.get("read_only"):
            kwargs.setdefault("queryset", Product.objects.all())
        super().__init__(slug_field="reference", **kwargs)

    def to_internal_value(self, data: Any) -> Product:
        try:
            return super().to_internal_value(data)
        except serializers.ValidationError:
            if not isinstance(data, str) or not (found := products_called([data])):
                raise
            return Product.objects.get(pk=found[data])


def _held(row: OriginalImage | Product) -> bool:
    """Lock a row until the transaction ends; whether it is still there."""
    return type(row).objects.select_for_update().filter(pk=row.pk).exists()


class ImageSerializer(serializers.ModelSerializer[OriginalImage]):
    id = serializers.CharField(source="identifier", read_only=True)
    product = ProductField(allow_null=True, required=False)
    file = LinkField("image-file", "identifier")
    link = LinkField("image-detail", "identifier")
    possible_duplicate_of = serializers.SerializerMethodField()
    segments = SegmentSerializer(many=True, read_only=True)

    class Meta:
        model = OriginalImage
        fields = (
            "id",
            "file",
            "link",
            "sha256",
            "width",
            "height",
            "size",
            "status",
            "problem",
            "source",
            "source_name",
            "product",
            "position",
            "possible_duplicate_of",
            "segments",
            "created_at",
        )
        read_only_fields = (
            "sha256",
            "width",
            "height",
            "size",
            "status",
            "problem",
            "source",
            "source_name",
        )

    def update(self, instance: OriginalImage, validated_data: dict[str, Any]) -> OriginalImage:
        """What is not named stays as it is, which a worker may be changing."""
        for name, value in validated_data.items():
            setattr(instance, name, value)
        with transaction.atomic():
            self._hold(instance)
            instance.save(update_fields=list(validated_data))
        return instance

    def _hold(self, image: OriginalImage) -> None:
        """Have nobody delete the image, or its product, before it is saved."""
        if image.product is not None and not _held(image.product):
            told = ProductField.default_error_messages["does_not_exist"]
            said = told.format(slug_name="reference", value=image.product.reference)
            raise serializers.ValidationError({"product": [said]})
        if not _held(image):
            raise NotFound

    @extend_schema_field(
        {
            "type": ["string", "null"],
            "description": "The earlier image that may show the same, until somebody has decided.",
        }
    )
    def get_possible_duplicate_of(self, image: OriginalImage) -> str | None:
        earlier = image.possible_duplicate_of
        return None if earlier is None else earlier.identifier


def product_queryset() -> models.QuerySet[Product]:
    """Products with all that a serializer of theirs reads: no query per row."""
    return Product.objects.select_related("category").prefetch_related("tags", "sizes")


def segment_queryset() -> models.QuerySet[Segment]:
    """Segments with all that their serializer reads."""
    return Segment.objects.select_related("image__product").prefetch_related("colours")


def image_queryset() -> models.QuerySet[OriginalImage]:
    """Images with all that their serializer reads."""
    return OriginalImage.objects.select_related("product").prefetch_related(
        models.Prefetch("segments", segment_queryset()), "earlier_lookalikes__earlier"
    )
