"""The duplicates desk: pairs of pictures that look alike."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from catalog.admin import LookOnly, badge, link_to, when
from catalog.lookalikes import keep_both
from catalog.models import Lookalike, OriginalImage
from similarity.admin.operated import Operated
from similarity.merging import merge_pictures


def shown(image: OriginalImage) -> SafeString:
    """A picture with what tells it from another."""
    return format_html(
        '<figure class="lookalike"><img src="{}?width=320" alt="" loading="lazy">'
        "<figcaption>{}<br>{}<br>{} by {} pixels</figcaption></figure>",
        reverse("image-file", args=[image.identifier]),
        link_to(image),
        link_to(image.product) or "No product",
        image.width,
        image.height,
    )


@admin.register(Lookalike)
class LookalikeAdmin(Operated, LookOnly):
    """Pairs for a merchandiser to decide, side by side. What was decided is not asked again."""

    list_display = (
        "state",
        "one",
        "other",
        "products",
        "cosine",
        "distance",
        "decided",
        "created",
    )
    list_filter = ("decision", "created_at")
    list_select_related = ("earlier__product", "later__product", "decided_by")
    list_per_page = 25
    search_fields = (
        "earlier__identifier",
        "later__identifier",
        "earlier__product__reference",
        "later__product__reference",
    )
    search_help_text = "An image's identifier, or a product's reference"
    actions = ("different", "same", "keep_earlier", "keep_later")
    fieldsets = (
        (None, {"fields": (("one", "other"), "products", "state", "decided")}),
        ("Why they are here", {"fields": ("cosine", "distance", "created")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("one", "other", "products", "state", "decided", "cosine", "distance", "created")

    def get_list_display(self, request: HttpRequest) -> tuple[Any, ...]:
        return (self.list_display[0], self.buttons(request), *self.list_display[1:])

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("catalog.change_lookalike")

    def has_merge_permission(self, request: HttpRequest) -> bool:
        return self.has_decide_permission(request) and request.user.has_perm(
            "catalog.delete_originalimage"
        )

    def fitting(self, row: Lookalike) -> Collection[str]:
        return set(self.actions) if row.is_open else set()

    @admin.action(description="Different pictures", permissions=["decide"])
    def different(self, request: HttpRequest, pairs: QuerySet[Lookalike]) -> None:
        self._keep_both(request, pairs, Lookalike.Decision.DIFFERENT)

    @admin.action(description="The same, keep both", permissions=["decide"])
    def same(self, request: HttpRequest, pairs: QuerySet[Lookalike]) -> None:
        self._keep_both(request, pairs, Lookalike.Decision.SAME)

    @admin.action(description="Merge, keep the earlier one", permissions=["merge"])
    def keep_earlier(self, request: HttpRequest, pairs: QuerySet[Lookalike]) -> None:
        self._merge(request, pairs, lambda pair: pair.earlier)

    @admin.action(description="Merge, keep the later one", permissions=["merge"])
    def keep_later(self, request: HttpRequest, pairs: QuerySet[Lookalike]) -> None:
        self._merge(request, pairs, lambda pair: pair.later)

    def _keep_both(
        self, request: HttpRequest, pairs: QuerySet[Lookalike], decision: Lookalike.Decision
    ) -> None:
        def act(pair: Lookalike) -> str:
            keep_both(pair, decision, request.user)  # type: ignore[arg-type]
            return f"{decision.label}. It will not be asked again."

        self.operate(request, pairs, act)

    def _merge(
        self,
        request: HttpRequest,
        pairs: QuerySet[Lookalike],
        chosen: Callable[[Lookalike], OriginalImage],
    ) -> None:
        def act(pair: Lookalike) -> str:
            kept = merge_pictures(pair, chosen(pair), request.user)  # type: ignore[arg-type]
            return f"{kept} stands for both now."

        self.operate(request, pairs, act)

    @admin.display(description="decision", ordering="decision")
    def state(self, pair: Lookalike) -> SafeString:
        return badge(pair.decision, pair.get_decision_display())

    @admin.display(description="products")
    def products(self, pair: Lookalike) -> SafeString | None:
        """The way to make one of them, if the pictures show two."""
        found = {pair.earlier.product_id, pair.later.product_id}
        if None in found or len(found) == 1:
            return None
        url = reverse("admin:merge_products", args=[pair.pk])
        return format_html('Two: <a href="{}">merge them</a>', url)

    @admin.display(description="earlier picture")
    def one(self, pair: Lookalike) -> SafeString:
        return shown(pair.earlier)

    @admin.display(description="later picture")
    def other(self, pair: Lookalike) -> SafeString:
        return shown(pair.later)

    @admin.display(description="similarity", ordering="similarity")
    def cosine(self, pair: Lookalike) -> str:
        return f"{pair.similarity:.3f}"

    @admin.display(description="decided by")
    def decided(self, pair: Lookalike) -> str | None:
        if pair.decided_at is None:
            return None
        return f"{pair.decided_by or 'somebody'}, {when(pair.decided_at)}"

    @admin.display(description="found", ordering="created_at")
    def created(self, pair: Lookalike) -> str:
        return when(pair.created_at)
