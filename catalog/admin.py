"""The catalogue in the admin. Products and images are registered by `similarity`, which adds
uploads to them: a picture comes in by its intake alone."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.db.models import Count, Model, OuterRef, Q, QuerySet, Subquery, URLField
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from catalog.models import Category, OriginalImage, Product, Segment, SegmentColour, Size, Tag

# The stubs' classes are generic, Django's own are not.
if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
    Deleted = tuple[list[Any], dict[str, int], set[str], list[str]]
else:
    ModelAdmin = admin.ModelAdmin
    TabularInline = admin.TabularInline

# --- Parts of pages -------------------------------------------------------------------------


def thumbnail(view: str, identifier: str | None) -> SafeString | None:
    """A small picture, loaded when it comes into sight: "image-file" or "segment-crop"."""
    if identifier is None:
        return None
    url = reverse(view, args=[identifier])
    return format_html('<img class="thumbnail" src="{}?width=160" alt="" loading="lazy">', url)


def badge(value: str, label: str) -> SafeString:
    """A label whose colour says what kind of value it is."""
    return format_html('<span class="badge badge-{}">{}</span>', value, label)


def with_reason(state: SafeString, reason: str) -> SafeString:
    """A badge, and below it why."""
    return format_html("{}<p>{}</p>", state, reason) if reason else state


def when(moment: dt.datetime) -> str:
    """A moment as a list shows it."""
    return date_format(timezone.localtime(moment), "j M Y, H:i")


def bounds(segment: Segment) -> str:
    """A garment's place in its image, in whole pixels."""
    left, top, right, bottom = segment.pixels
    return f"from {left}, {top} to {right}, {bottom}"


def what(segment: Segment) -> str:
    """What was found, in a word; or that nothing was."""
    return segment.label if segment.is_a_garment else "No garment found: whole picture"


def swatches(segment: Segment) -> SafeString:
    """A garment's dominant colours, most first."""
    return format_html_join(
        "",
        '<span class="swatch swatch-{0}"></span> {0} <small>{1}</small><br>',
        ((item.colour, f"{item.share:.0%}") for item in segment.colours.all()),
    )


def link_to(row: Model | None) -> SafeString | None:
    """A row's name, as a link to its page in the admin."""
    if row is None:
        return None
    view = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    return format_html('<a href="{}">{}</a>', reverse(view, args=[row.pk]), row)


class LookOnly(ModelAdmin):
    """Rows that the work itself writes, and people only look at."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class Pictured(ModelAdmin):
    """Rows whose form has their pictures beside it, with the garments found in them."""

    picture_lookup: ClassVar[str]
    """What of an image is the row's key."""

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if row := kwargs.get("obj"):
            images = OriginalImage.objects.filter(**{self.picture_lookup: row.pk})
            context["pictures"] = images.order_by("position", "pk").prefetch_related("segments")
        return super().render_change_form(request, context, *args, **kwargs)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Deleted:
        """Whoever may delete a picture may delete the garments found in it.

        They are counted, not listed: a product may have been the result of many searches.
        """
        _, counts, lacking, protected = super().get_deleted_objects(objs, request)
        lacking.discard(str(Segment._meta.verbose_name))
        return [str(row) for row in objs], counts, lacking, protected


class CommonestFilter(admin.SimpleListFilter):
    """The commonest values of a product's field; the search finds the others."""

    MOST = 25
    parameter_name: str

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        field = self.parameter_name
        counted = (
            Product.objects.exclude(**{field: ""})
            .values_list(field)
            .annotate(count=Count("pk"))
            .order_by("-count", field)
        )
        return sorted((value, f"{value} ({count})") for value, count in counted[: self.MOST])

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.parameter_name: self.value()}) if self.value() else queryset


class BrandFilter(CommonestFilter):
    title = parameter_name = "brand"


class StoreFilter(CommonestFilter):
    title = parameter_name = "store"


class FoundFilter(admin.SimpleListFilter):
    """Garments, or whole pictures in which none was found."""

    title = "what was found"
    parameter_name = "found"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("garment", "A garment"), ("nothing", "Nothing: whole picture")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        nothing = Q(detector=Segment.NOTHING_FOUND)
        chosen = {"garment": ~nothing, "nothing": nothing}.get(self.value() or "", Q())
        return queryset.filter(chosen)


class ColourFilter(admin.SimpleListFilter):
    """Garments that are prominently of a colour."""

    title = parameter_name = "colour"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return SegmentColour.Name.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not (name := self.value()):
            return queryset
        return queryset.filter(pk__in=SegmentColour.objects.prominent([name]).values("segment"))


# --- Products -------------------------------------------------------------------------------


class ImageInline(TabularInline):
    """The order of a product's pictures; new ones are uploaded, not typed in."""

    model = OriginalImage
    fields = ("preview", "state", "problem", "position")
    readonly_fields = ("preview", "state", "problem")
    ordering = ("position", "pk")
    extra = 0
    show_change_link = True
    verbose_name_plural = "Order of the pictures"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="picture")
    def preview(self, image: OriginalImage) -> SafeString | None:
        return thumbnail("image-file", image.identifier)

    @admin.display(description="status")
    def state(self, image: OriginalImage) -> SafeString:
        return badge(image.status, image.get_status_display())


class ProductAdmin(Pictured):
    picture_lookup = "product"
    list_display = (
        "preview",
        "reference",
        "name",
        "brand",
        "sorted_as",
        "cost",
        "sale",
        "season",
    )
    list_display_links = ("preview", "reference")
    list_filter = (
        "category",
        "category_predicted",
        BrandFilter,
        "sale_status",
        "season",
        StoreFilter,
    )
    list_select_related = ("category",)
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("reference", "name", "brand", "tags__name")
    search_help_text = "Reference, name, brand or tag"
    autocomplete_fields = ("category", "tags", "sizes")
    formfield_overrides = {URLField: {"assume_scheme": "https"}}
    inlines = (ImageInline,)
    fieldsets = (
        (
            "What it is",
            {
                "fields": (
                    "name",
                    "reference",
                    "description",
                    "category",
                    "category_predicted",
                    "brand",
                    "tags",
                )
            },
        ),
        ("Price and sale", {"fields": (("price", "currency"), "sale_status", "rating")}),
        ("Sizes and fit", {"fields": ("sizes", "waist_type")}),
        ("Season", {"fields": (("season", "listing_season"),)}),
        ("Where", {"fields": ("store", "url")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        images = OriginalImage.objects.filter(product=OuterRef("pk")).order_by("position", "pk")
        first = Subquery(images.values("identifier")[:1])
        products: QuerySet[Any] = super().get_queryset(request).annotate(first_image=first)
        return products

    @admin.display(description="picture")
    def preview(self, product: Any) -> SafeString | None:
        return thumbnail("image-file", product.first_image)

    def save_model(self, request: HttpRequest, obj: Product, form: Any, change: bool) -> None:
        if "category" in form.changed_data:
            obj.category_predicted = False
        super().save_model(request, obj, form, change)

    @admin.display(description="category", ordering="category")
    def sorted_as(self, product: Product) -> SafeString | str | None:
        """The category, and whether it was told by the look of a picture."""
        if product.category is None:
            return None
        if not product.category_predicted:
            return product.category.name
        return format_html("{} {}", product.category, badge("predicted", "predicted"))

    @admin.display(description="price", ordering="price")
    def cost(self, product: Product) -> str | None:
        return None if product.price is None else f"{product.price} {product.currency}"

    @admin.display(description="sale status", ordering="sale_status")
    def sale(self, product: Product) -> SafeString:
        return badge(product.sale_status, product.get_sale_status_display())


class CountedAdmin(ModelAdmin):
    """What products are sorted by, with the number of products in each."""

    list_display: Any = ("name", "used_by")
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = (
            super().get_queryset(request).annotate(product_count=Count("products"))
        )
        return rows

    @admin.display(description="products", ordering="product_count")
    def used_by(self, row: Any) -> SafeString:
        url = reverse("admin:catalog_product_changelist")
        lookup = f"{self.model.products.field.name}__id__exact"
        return format_html('<a href="{}?{}={}">{}</a>', url, lookup, row.pk, row.product_count)


@admin.register(Category)
class CategoryAdmin(CountedAdmin):
    list_display = ("name", "slug", "used_by")
    prepopulated_fields = {"slug": ("name",)}


admin.site.register([Tag, Size], CountedAdmin)

# --- Images and the garments in them ---------------------------------------------------------


class SegmentInline(TabularInline):
    """The garments found in an image, best first."""

    model = Segment
    fields = readonly_fields = ("preview", "what", "colours", "confidence", "bounds")
    ordering = ("number",)
    extra = 0
    show_change_link = True
    verbose_name_plural = "Garments found"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("colours")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="garment")
    def preview(self, segment: Segment) -> SafeString | None:
        return thumbnail("segment-crop", segment.identifier)

    @admin.display(description="label")
    def what(self, segment: Segment) -> str:
        return what(segment)

    @admin.display
    def colours(self, segment: Segment) -> SafeString:
        return swatches(segment)

    @admin.display(description="score")
    def confidence(self, segment: Segment) -> str:
        return f"{segment.score:.2f}"

    @admin.display(description="bounding box")
    def bounds(self, segment: Segment) -> str:
        return bounds(segment)


class ImageAdmin(Pictured):
    picture_lookup = "pk"
    list_display = (
        "preview",
        "identifier",
        "product_link",
        "state_and_problem",
        "source",
        "owner",
        "created",
    )
    list_display_links = ("preview", "identifier")
    list_filter = ("status", "source", ("product", admin.EmptyFieldListFilter), "created_at")
    list_select_related = ("product", "owner")
    list_per_page = 50
    show_full_result_count = False
    search_fields = (
        "identifier",
        "source_name",
        "product__reference",
        "product__name",
        "owner__username",
    )
    search_help_text = "Identifier, file name, product or owner"
    autocomplete_fields = ("product",)
    inlines = (SegmentInline,)
    fieldsets = (
        (None, {"fields": ("product", "position")}),
        ("Description", {"fields": ("state", "problem")}),
        (
            "File",
            {
                "fields": (
                    "identifier",
                    "dimensions",
                    "bytes",
                    "sha256",
                    "source",
                    "source_name",
                    "source_url",
                )
            },
        ),
        ("Origin", {"fields": ("owner", "created_at")}),
    )
    readonly_fields = (
        "state",
        "problem",
        "identifier",
        "dimensions",
        "bytes",
        "sha256",
        "source",
        "source_name",
        "source_url",
        "owner",
        "created_at",
    )

    def view_on_site(self, image: OriginalImage) -> str | None:
        best = image.segments.order_by("number").first()
        return None if best is None else reverse("garment", args=[best.identifier])

    @admin.display(description="picture")
    def preview(self, image: OriginalImage) -> SafeString | None:
        return thumbnail("image-file", image.identifier)

    @admin.display(description="product", ordering="product__name")
    def product_link(self, image: OriginalImage) -> SafeString | None:
        return link_to(image.product)

    @admin.display(description="status")
    def state(self, image: OriginalImage) -> SafeString:
        return badge(image.status, image.get_status_display())

    @admin.display(description="status", ordering="status")
    def state_and_problem(self, image: OriginalImage) -> SafeString:
        return with_reason(self.state(image), image.problem)

    @admin.display(ordering="created_at")
    def created(self, image: OriginalImage) -> str:
        return when(image.created_at)

    @admin.display(description="size in pixels")
    def dimensions(self, image: OriginalImage) -> str:
        return f"{image.width} × {image.height}"  # noqa: RUF001  (it is a multiplication sign)

    @admin.display(description="size of the file")
    def bytes(self, image: OriginalImage) -> str:
        return filesizeformat(image.size)


@admin.register(Segment)
class SegmentAdmin(LookOnly):
    list_display = (
        "preview",
        "identifier",
        "what",
        "colours",
        "confidence",
        "image_link",
        "product",
    )
    list_display_links = ("preview", "identifier")
    list_filter = (
        FoundFilter,
        ("label", admin.AllValuesFieldListFilter),
        ColourFilter,
        "created_at",
    )
    list_select_related = ("image__product",)
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("identifier", "label", "image__product__reference", "image__product__name")
    search_help_text = "Identifier, label or product"
    fields = (
        "preview",
        "what",
        "colours",
        "confidence",
        "detector",
        "image",
        "product",
        "bounds",
        "created_at",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("colours")

    def view_on_site(self, segment: Segment) -> str:
        return reverse("garment", args=[segment.identifier])

    @admin.display(description="garment")
    def preview(self, segment: Segment) -> SafeString | None:
        return thumbnail("segment-crop", segment.identifier)

    @admin.display(description="label", ordering="label")
    def what(self, segment: Segment) -> str:
        return what(segment)

    @admin.display
    def colours(self, segment: Segment) -> SafeString:
        return swatches(segment)

    @admin.display(description="score", ordering="score")
    def confidence(self, segment: Segment) -> str:
        return f"{segment.score:.2f}"

    @admin.display(description="bounding box")
    def bounds(self, segment: Segment) -> str:
        return bounds(segment)

    @admin.display(description="image", ordering="image")
    def image_link(self, segment: Segment) -> SafeString | None:
        return link_to(segment.image)

    @admin.display(ordering="image__product__name")
    def product(self, segment: Segment) -> SafeString | None:
        return link_to(segment.image.product)
