"""Rules: what is pinned, boosted, buried or blocked."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts.admin import WITH_NAMES
from catalog.admin import Bounded, badge, thumbnail, when, with_reason
from catalog.models import OriginalImage
from similarity.models import Rule


class ActiveFilter(admin.SimpleListFilter):
    """Rules in force now, those to come, and those that are over."""

    title = "when"
    parameter_name = "active"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("now", "Active now"), ("later", "To come"), ("over", "Over")]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Any]:
        now = timezone.now()
        rules: dict[str | None, QuerySet[Any]] = {
            "now": queryset.active(),
            "later": queryset.filter(starts_at__gt=now),
            "over": queryset.filter(ends_at__lte=now),
        }
        chosen: QuerySet[Any] = rules.get(self.value(), queryset)
        return chosen


@admin.register(Rule)
class RuleAdmin(Bounded):
    """What comes first, sooner, later or never among results, for what, and when."""

    list_display = ("preview", "what", "product", "holds_for", "state", "note", "position")
    list_display_links = ("what",)
    list_filter = (ActiveFilter, "action", ("category", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("product", "category", "query_product")
    list_per_page = 50
    search_fields = (
        "product__reference",
        "product__name",
        "query_product__reference",
        "category__name",
        "note",
    )
    search_help_text = "Product, category or note"
    autocomplete_fields = ("product", "category", "query_product")
    formfield_overrides = WITH_NAMES
    fieldsets = (
        ("What", {"fields": ("action", "product", "position", "note")}),
        (
            "In which searches",
            {
                "fields": ("category", "query_product"),
                "description": "With neither of them, in all.",
            },
        ),
        (
            "When",
            {
                "fields": ("starts_at", "ends_at"),
                "description": "With neither of them, from now on, until it is deleted.",
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        images = OriginalImage.objects.filter(product=OuterRef("product"))
        first = Subquery(images.order_by("position", "pk").values("identifier")[:1])
        rules: QuerySet[Any] = super().get_queryset(request).annotate(first_image=first)
        return rules

    @admin.display(description="picture")
    def preview(self, rule: Any) -> SafeString | None:
        return thumbnail("image-file", rule.first_image)

    @admin.display(description="rule", ordering="action")
    def what(self, rule: Rule) -> SafeString:
        return badge(rule.action, rule.get_action_display().partition(":")[0])

    @admin.display(description="in searches")
    def holds_for(self, rule: Rule) -> str:
        if rule.category is not None:
            return f"in {rule.category}"
        return "all" if rule.query_product is None else f"by {rule.query_product}"

    @admin.display(description="when", ordering="ends_at")
    def state(self, rule: Rule) -> SafeString:
        known = {"done": "Active now", "pending": "To come", "over": "Over"}
        state = "over" if rule.is_over else "done" if rule.is_active else "pending"
        since = "" if rule.starts_at is None else f"from {when(rule.starts_at)} "
        until = "" if rule.ends_at is None else f"until {when(rule.ends_at)}"
        return with_reason(badge(state, known[state]), (since + until).strip())
