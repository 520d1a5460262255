"""The quality desk: pictures that are blurry, tiny or show no garment, and doubtful categories."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from catalog import quality
from catalog.admin import LookOnly, link_to, when
from catalog.models import PictureQuality
from similarity import services
from similarity.admin.operated import Operated


class ProblemFilter(admin.SimpleListFilter):
    """What is wrong with a picture; without a choice, anything."""

    title = parameter_name = "problem"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*quality.PROBLEMS.items(), ("accepted", "Said to be fine")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "accepted":
            return queryset.filter(accepted_at__isnull=False)
        chosen = self.value() or ""
        return quality.with_problem(chosen if chosen in quality.PROBLEMS else "", queryset)


@admin.register(PictureQuality)
class QualityAdmin(Operated, LookOnly):
    """Pictures that somebody should look at. What was said to be fine is not shown again."""

    list_display = ("preview", "problems", "product", "edit", "accepted")
    list_display_links = None
    list_filter = (ProblemFilter, "image__product__category")
    list_select_related = ("image__product__category", "accepted_by")
    list_per_page = 25
    ordering = ("sharpness", "pk")
    search_fields = ("image__identifier", "image__product__reference", "image__product__name")
    search_help_text = "An image's identifier, or a product's reference or name"
    actions = ("fine", "describe_again")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("catalog.change_originalimage")

    def fitting(self, row: PictureQuality) -> Collection[str]:
        return set(self.actions) if row.accepted_at is None else {"describe_again"}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("image__segments")

    @admin.action(description="Fine as it is", permissions=["decide"])
    def fine(self, request: HttpRequest, rows: QuerySet[PictureQuality]) -> None:
        count = sum(quality.accept(row, request.user) for row in rows)  # type: ignore[arg-type]
        self.message_user(request, f"{count} pictures are fine, and will not be shown again.")

    @admin.action(description="Find garments again", permissions=["decide"])
    def describe_again(self, request: HttpRequest, rows: QuerySet[PictureQuality]) -> None:
        def act(row: PictureQuality) -> str:
            services.describe_again(row.image, request.user)  # type: ignore[arg-type]
            return "Its garments are being looked for again."

        self.operate(request, rows, act)

    @admin.display(description="picture")
    def preview(self, row: PictureQuality) -> SafeString:
        return format_html(
            '<a href="{}"><img class="look" src="{}?width=320" alt="{}" loading="lazy"></a>',
            reverse("admin:catalog_originalimage_change", args=[row.pk]),
            reverse("image-file", args=[row.image.identifier]),
            row.image,
        )

    @admin.display(description="what is wrong")
    def problems(self, row: PictureQuality) -> SafeString:
        return format_html_join("", "<p>{}</p>", ((one,) for one in quality.problems_of(row)))

    @admin.display(ordering="image__product__name")
    def product(self, row: PictureQuality) -> SafeString | None:
        return link_to(row.image.product)

    @admin.display(description="garments")
    def edit(self, row: PictureQuality) -> SafeString:
        url = reverse("admin:garments", args=[row.pk])
        return format_html('<a href="{}">Edit garments</a>', url)

    @admin.display(description="said to be fine")
    def accepted(self, row: PictureQuality) -> str | None:
        if row.accepted_at is None:
            return None
        return f"{row.accepted_by or 'somebody'}, {when(row.accepted_at)}"
