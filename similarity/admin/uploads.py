"""Products and images: pictures go into the catalogue by their forms."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from catalog.admin import ImageAdmin as CatalogImageAdmin
from catalog.admin import ProductAdmin as CatalogProductAdmin
from catalog.admin import TabularInline, badge
from catalog.models import OriginalImage, Product
from catalog.services import Picture
from similarity import services, suggestions
from similarity.admin.operated import Operated
from similarity.admin.runs import duration
from similarity.engine.errors import BadImage
from similarity.errors import NotDescribed
from similarity.models import Run

NamedPicture = tuple[str, Picture]


class PictureField(forms.FileField):
    """A picture's file, as a NamedPicture; what the intake has against it is the field's error."""

    widget = forms.FileInput(attrs={"accept": "image/*"})

    def clean(self, data: Any, initial: Any = None) -> Any:
        if not (file := super().clean(data, initial)):
            return None
        try:
            return file.name, services.take_in(file.read())
        except BadImage as error:
            raise ValidationError(f"{file.name}: {error}", code=error.code) from error


class ManyFiles(forms.FileInput):
    allow_multiple_selected = True


class PicturesField(PictureField):
    """Any number of pictures' files, as a list of NamedPicture."""

    widget = ManyFiles(attrs={"accept": "image/*"})

    def clean(self, data: Any, initial: Any = None) -> Any:
        pictures, errors = [], []
        for file in data or ():
            try:
                pictures.append(super().clean(file, initial))
            except ValidationError as error:
                errors.append(error)
        if errors:
            raise ValidationError(errors)
        return pictures

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(data)


def add_picture(request: HttpRequest, named: NamedPicture, product: Product | None) -> int:
    """Start the upload of a picture, and tell what becomes of it; the image's key."""
    name, picture = named
    upload = services.start_upload(
        picture,
        source_name=name,
        owner=request.user,  # type: ignore[arg-type]  # nobody else gets into the admin
        product=product,
    )
    if product is not None and upload.image.product != product:
        messages.warning(request, f"{name} is a picture of {upload.image.product}, and stays it.")
    elif not upload.is_new:
        messages.info(request, f"{name} was in the catalogue already.")
    else:
        messages.info(request, f"{name} is in. Its garments are being looked for.")
    return upload.image.pk


class ProductForm(forms.ModelForm):  # type: ignore[type-arg]
    pictures = PicturesField(
        label="Add pictures", required=False, help_text="Their garments are found by themselves."
    )


@admin.register(Product)
class ProductAdmin(CatalogProductAdmin):
    form = ProductForm

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if not self._may_upload(request):
            return fieldsets
        return [*fieldsets, ("Pictures", {"fields": ("pictures",)})]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if (product := kwargs.get("obj")) and self.has_change_permission(request, product):
            context["suggested"] = suggestions.of(product)
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        accept = self.admin_site.admin_view(require_POST(self.accept))
        name = "catalog_product_accept"
        return [path("<int:pk>/accept/", accept, name=name), *super().get_urls()]

    def accept(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Take over a suggestion, named as "category:12" or "tag:navy"."""
        product = get_object_or_404(Product, pk=pk)
        if not self.has_change_permission(request, product):
            raise PermissionDenied
        taken = suggestions.accept(product, request.POST.get("suggestion", ""))
        level = messages.SUCCESS if taken else messages.WARNING
        self.message_user(
            request, f"{taken} is taken over." if taken else "It is no longer suggested.", level
        )
        return HttpResponseRedirect(reverse("admin:catalog_product_change", args=[pk]))

    def _may_upload(self, request: HttpRequest) -> bool:
        return request.user.has_perms(["catalog.change_product", "catalog.add_originalimage"])

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if self._may_upload(request):
            for named in form.cleaned_data["pictures"]:
                add_picture(request, named, form.instance)

    def view_on_site(self, product: Product) -> str | None:
        try:
            return reverse("garment", args=[services.main_segment(product).identifier])
        except NotDescribed:
            return None


class UploadForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new image: the file says all that is to be known of it but its product."""

    picture = PictureField()

    class Meta:
        model = OriginalImage
        fields = ("product",)


class RunInline(TabularInline):
    """How an image was looked at, the latest time first."""

    model = Run
    fields = readonly_fields = (
        "kind",
        "state_badge",
        "error_message",
        "requested_by",
        "created_at",
        "took",
    )
    extra = 0
    can_delete = False
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("requested_by")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="state")
    def state_badge(self, run: Run) -> SafeString:
        return badge(run.state, run.get_state_display())

    @admin.display
    def took(self, run: Run) -> str | None:
        return duration(run)


@admin.register(OriginalImage)
class ImageAdmin(Operated, CatalogImageAdmin):
    actions = ("describe_again",)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is None:
            kwargs["form"] = UploadForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return [(None, {"fields": ("picture", "product")})]
        return super().get_fieldsets(request, obj)

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return () if obj is None else (*super().get_inlines(request, obj), RunInline)

    def save_model(self, request: HttpRequest, obj: OriginalImage, form: Any, change: bool) -> None:
        if change:
            # What the form has not changed stays as it is, which a worker may be changing.
            get_object_or_404(OriginalImage.objects.select_for_update(), pk=obj.pk)
            obj.save(update_fields=form.changed_data)
        else:
            obj.pk = add_picture(request, form.cleaned_data["picture"], obj.product)
            obj.refresh_from_db()

    def fitting(self, row: OriginalImage) -> Collection[str]:
        return {"describe_again"}

    @admin.action(description="Find garments again", permissions=["change"])
    def describe_again(self, request: HttpRequest, images: QuerySet[OriginalImage]) -> None:
        def act(image: OriginalImage) -> str:
            services.describe_again(image, request.user)  # type: ignore[arg-type]
            return "Its garments are being looked for again."

        self.operate(request, images, act)
