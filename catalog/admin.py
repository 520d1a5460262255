"""The catalogue in the admin. Products and images are registered by `similarity`, which adds
uploads to them: a picture comes in by its intake alone."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, ClassVar

from auditlog.models import LogEntry
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.cache import cache
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Count, Model, OuterRef, Q, QuerySet, Subquery, URLField
from django.db.models.functions import Coalesce
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from catalog.bulk import MOST as MOST_EDITED
from catalog.bulk import Change, edit
from catalog.models import (
    Category,
    FormerReference,
    Lookalike,
    OriginalImage,
    PictureQuality,
    Product,
    SavedView,
    Segment,
    SegmentColour,
    Size,
    Tag,
)
from catalog.services import named

# The stubs' classes are generic, Django's own are not.
if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
    InlineFormSet = BaseInlineFormSet[Any, Any, Any]
    Deleted = tuple[list[Any], dict[str, int], set[str], list[str]]
else:
    InlineFormSet = BaseInlineFormSet
    ModelAdmin = admin.ModelAdmin
    TabularInline = admin.TabularInline

# --- Parts of pages -------------------------------------------------------------------------


def thumbnail(view: str, identifier: str | None, alt: str = "") -> SafeString | None:
    """A small picture, loaded when it comes into sight: "image-file" or "segment-crop".

    In a list it is a link, which goes by `alt`, or by the picture's identifier.
    """
    if identifier is None:
        return None
    url = reverse(view, args=[identifier])
    return format_html(
        '<img class="thumbnail" src="{}?width=160" alt="{}" loading="lazy">', url, alt or identifier
    )


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
        """Whoever may delete a picture may delete what is known of it.

        They are counted, not listed: a product may have been the result of many searches.
        """
        _, counts, lacking, protected = super().get_deleted_objects(objs, request)
        known = (Segment, PictureQuality, Lookalike, FormerReference)
        lacking -= {str(model._meta.verbose_name) for model in known}
        return [str(row) for row in objs], counts, lacking, protected


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than anybody turns pages: counting all rows takes longer than showing some.

    Whoever has more before them filters.
    """

    MOST = 10_000

    @cached_property
    def count(self) -> int:
        # As plain keys: what is annotated would be worked out for each row that is counted.
        rows: QuerySet[Any, Any] = self.object_list.order_by().values("pk")  # type: ignore[attr-defined]
        return rows[: self.MOST + 1].count()


class Bounded(ModelAdmin):
    """A list of what there may be any number of.

    No more rows are counted than a page tells, and those beside filters not at all; no more are
    worked on at once than are done while somebody waits.
    """

    paginator: ClassVar[Any] = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    most_at_once = 500
    """Rows that may be chosen by choosing all."""

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any
    ) -> HttpResponse | None:
        rows = queryset.order_by().values_list("pk")
        is_all = request.POST.get("select_across") == "1"
        if is_all and len(rows[: self.most_at_once + 1]) > self.most_at_once:
            sentence = f"At most {self.most_at_once} are worked on at once. Filter the list first."
            self.message_user(request, sentence, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
        return super().response_action(request, queryset, *args, **kwargs)


class LookOnly(Bounded):
    """Rows that the work itself writes, and people only look at: in time, many."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class CommonestFilter(admin.SimpleListFilter):
    """The commonest values of a product's field; the search finds the others.

    They are remembered for a minute: they take a look at all products.
    """

    KEPT = 60

    MOST = 25
    parameter_name: str

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        name = f"admin-commonest-{self.parameter_name}"
        counted = cache.get_or_set(name, self._counted, self.KEPT) or []
        return sorted((value, f"{value} ({count})") for value, count in counted)

    def _counted(self) -> list[tuple[str, int]]:
        field = self.parameter_name
        counted = Product.objects.exclude(**{field: ""}).values_list(field)
        return list(counted.annotate(count=Count("pk")).order_by("-count", field)[: self.MOST])

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


class NamedFields(InlineFormSet):
    """Forms in a table, whose fields have names for those who do not see its columns."""

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        for name, field in form.fields.items():
            if not field.widget.is_hidden:
                field.widget.attrs.setdefault("aria-label", str(field.label or name))


class ImageInline(TabularInline):
    """The order of a product's pictures; new ones are uploaded, not typed in."""

    formset = NamedFields
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


class FormerReferenceInline(TabularInline):
    """References of products that were merged into this one; deleting one sets it free."""

    formset = NamedFields
    model = FormerReference
    fields = readonly_fields = ("reference",)
    extra = 0
    verbose_name_plural = "Also known as"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ChangeForm(forms.Form):
    """What is to be changed of many products; what is left empty stays as it is."""

    category = forms.ModelChoiceField(Category.objects.all(), required=False)
    brand = forms.CharField(max_length=100, required=False)
    season = forms.ChoiceField(choices=[("", "---------"), *Product.Season.choices], required=False)
    sale_status = forms.ChoiceField(
        choices=[("", "---------"), *Product.SaleStatus.choices], required=False
    )
    add_tags = forms.CharField(
        required=False, help_text="Names, with commas between them. New ones are made."
    )
    remove_tags = forms.CharField(required=False, help_text="Names, with commas between them.")
    percent = forms.DecimalField(
        label="Prices, by per cent",
        required=False,
        min_value=-100,
        max_value=1000,
        decimal_places=2,
        help_text="20 makes 50.00 to 60.00; -20 makes it 40.00.",
    )

    def clean_add_tags(self) -> str:
        """The names as they were written; what cannot be a tag's is told beside the field."""
        names: str = self.cleaned_data["add_tags"]
        for name in names.split(","):
            Tag._meta.get_field("name").run_validators(name.strip())
        return names

    def change(self) -> Change:
        """What was asked for, new tags made; raises ValidationError if that is nothing."""
        said = self.cleaned_data
        change = Change(
            category=said["category"],
            brand=said["brand"].strip(),
            season=said["season"],
            sale_status=said["sale_status"],
            add_tags=named(Tag, said["add_tags"].split(",")),
            remove_tags=list(
                Tag.objects.filter(name__in=[n.strip() for n in said["remove_tags"].split(",")])
            ),
            percent=said["percent"],
        )
        if change.is_none:
            raise ValidationError("Say what is to be changed.")
        return change


class ProductAdmin(Bounded, Pictured):
    picture_lookup = "product"
    actions = ("edit_together",)
    most_at_once = MOST_EDITED
    object_history_template = "admin/staff/history.html"
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

    @admin.action(description="Edit the chosen together", permissions=["change"])
    def edit_together(
        self, request: HttpRequest, products: QuerySet[Product]
    ) -> HttpResponse | None:
        keys = list(products.order_by().values_list("pk", flat=True)[: MOST_EDITED + 1])
        if len(keys) > MOST_EDITED:
            sentence = f"At most {MOST_EDITED} products are edited together. Filter the list first."
            self.message_user(request, sentence, messages.ERROR)
            return None
        form = ChangeForm(request.POST if "apply" in request.POST else None)
        if form.is_valid() and self._edited(request, keys, form):
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": f"Edit {len(keys)} product{'' if len(keys) == 1 else 's'} together",
            "opts": self.opts,
            "form": form,
            "keys": keys,
        }
        return TemplateResponse(request, "admin/staff/edit_together.html", context)

    def _edited(self, request: HttpRequest, keys: list[int], form: ChangeForm) -> bool:
        """Change the products, and say so; False if that could not be done, with the reason."""
        try:
            with transaction.atomic():  # tags that were made for it go again if it fails
                count = edit(keys, form.change())
        except ValidationError as error:
            form.add_error(None, error)
            return False
        self.message_user(request, f"{count} products were changed.", messages.SUCCESS)
        return True

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """What the audit log has of a product, for whoever may see the product."""
        product = self.get_object(request, unquote(object_id))
        entries = LogEntry.objects.get_for_object(product) if product else ()
        own = {"entries": entries[: self.MOST_ENTRIES]}
        return super().history_view(request, object_id, {**own, **(extra_context or {})})

    def get_inlines(self, request: HttpRequest, obj: Product | None = None) -> Any:
        merged = obj is not None and obj.former_references.exists()
        return (*self.inlines, FormerReferenceInline) if merged else self.inlines

    MOST_ENTRIES = 100

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        views = SavedView.objects.filter(owner=request.user.pk, page="catalog_product")
        own = {"saved_views": views, "shown": request.GET.urlencode()}
        return super().changelist_view(request, {**own, **(extra_context or {})})

    def get_urls(self) -> list[URLPattern]:
        keep = self.admin_site.admin_view(require_POST(self.keep_view))
        return [
            path("views/", keep, name="catalog_product_keep_view"),
            *super().get_urls(),
        ]

    def keep_view(self, request: HttpRequest) -> HttpResponse:
        """Keep how the list is filtered under a name of one's own, or forget one that was kept."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        mine = SavedView.objects.filter(owner=request.user.pk, page="catalog_product")
        url = reverse("admin:catalog_product_changelist")
        if forget := request.POST.get("forget", ""):
            mine.filter(name=forget).delete()
            return HttpResponseRedirect(url)
        name = request.POST.get("name", "").strip()[:60]
        query = QueryDict(request.POST.get("query", "")[:1000]).urlencode()
        if name:
            SavedView.objects.update_or_create(
                owner_id=request.user.pk,
                page="catalog_product",
                name=name,
                defaults={"query": query},
            )
        return HttpResponseRedirect(f"{url}?{query}")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        images = OriginalImage.objects.filter(product=OuterRef("pk")).order_by("position", "pk")
        first = Subquery(images.values("identifier")[:1])
        products: QuerySet[Any] = super().get_queryset(request).annotate(first_image=first)
        return products

    @admin.display(description="picture")
    def preview(self, product: Any) -> SafeString | None:
        return thumbnail("image-file", product.first_image, alt=product.name)

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


class CountedAdmin(Bounded):
    """What products are sorted by, with the number of products in each."""

    list_display: Any = ("name", "used_by")
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Each row counts its own products, so only those that are shown are counted."""
        name = self.model.products.field.name
        own = Product.objects.filter(**{name: OuterRef("pk")}).order_by().values(name)
        count = Subquery(own.annotate(count=Count("pk")).values("count"))
        rows: QuerySet[Any] = (
            super().get_queryset(request).annotate(product_count=Coalesce(count, 0))
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


class ImageAdmin(Bounded, Pictured):
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
