"""Golden sets, and what people have marked."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.utils.safestring import SafeString

from catalog.admin import Bounded, badge, link_to, thumbnail
from similarity import golden
from similarity.models import GoldenSet, Verdict


@admin.register(GoldenSet)
class GoldenSetAdmin(Bounded):
    """Marks are given on the search page; here sets are named, taken away and written as files."""

    list_display = ("name", "asked", "right", "wrong", "created_at")
    search_fields = ("name",)
    fields = ("name",)
    actions = ("export",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        told = Count("queries__verdicts", filter=Q(queries__verdicts__is_right=True))
        not_told = Count("queries__verdicts", filter=Q(queries__verdicts__is_right=False))
        asked = Count("queries", distinct=True)
        sets: QuerySet[Any] = (
            super().get_queryset(request).annotate(asked=asked, right=told, wrong=not_told)
        )
        return sets

    @admin.display(description="queries", ordering="asked")
    def asked(self, golden_set: Any) -> int:
        return int(golden_set.asked)

    @admin.display(description="marked right", ordering="right")
    def right(self, golden_set: Any) -> int:
        return int(golden_set.right)

    @admin.display(description="marked wrong", ordering="wrong")
    def wrong(self, golden_set: Any) -> int:
        return int(golden_set.wrong)

    @admin.action(description="Download as a file", permissions=["view"])
    def export(
        self, request: HttpRequest, queryset: QuerySet[GoldenSet]
    ) -> StreamingHttpResponse | None:
        if len(queryset) != 1:
            self.message_user(request, "Choose exactly one set to download.", messages.ERROR)
            return None
        [golden_set] = queryset
        name = f"{golden_set.name}.jsonl"
        return StreamingHttpResponse(
            golden.export(golden_set),
            content_type="application/jsonl",
            headers={"Content-Disposition": content_disposition_header(True, name)},
        )


@admin.register(Verdict)
class VerdictAdmin(Bounded):
    """What was said of results, to look through and to take back."""

    list_display = ("query_picture", "product", "said", "golden_set", "given_by", "given_at")
    list_filter = ("query__golden_set", "is_right")
    list_select_related = ("query__golden_set", "query__segment", "product", "given_by")
    search_fields = ("product__reference", "product__name")
    ordering = ("-given_at", "-pk")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="searched with")
    def query_picture(self, verdict: Verdict) -> SafeString | str | None:
        segment = verdict.query.segment
        return (
            str(verdict.query)
            if segment is None
            else thumbnail("segment-crop", str(segment.identifier))
        )

    @admin.display(description="result", ordering="is_right")
    def said(self, verdict: Verdict) -> SafeString:
        return badge("ready", "Right") if verdict.is_right else badge("failed", "Wrong")

    @admin.display(ordering="query__golden_set")
    def golden_set(self, verdict: Verdict) -> SafeString | None:
        return link_to(verdict.query.golden_set)
