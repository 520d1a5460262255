"""Webhooks, the log of their deliveries, and imports in the admin."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils.cache import add_never_cache_headers
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from catalog.admin import LookOnly, ModelAdmin, TabularInline, badge, when, with_reason
from shop import reports, services, webhooks
from shop.models import Delivery, Event, Import, ImportedPicture, ShopperEvent, Webhook
from similarity.admin import Operated


class WebhookForm(forms.ModelForm):  # type: ignore[type-arg]
    events = forms.MultipleChoiceField(
        choices=[choice for choice in Event.choices if choice[0] != Event.TEST],
        widget=forms.CheckboxSelectMultiple,
        initial=[Event.IMPORT_FINISHED.value, Event.IMPORT_FAILED.value],
    )

    class Meta:
        model = Webhook
        fields = ("name", "url", "events", "is_active")
        widgets = {"url": forms.URLInput(attrs={"size": 80})}


@admin.register(Webhook)
class WebhookAdmin(Operated, ModelAdmin):
    """Its secret is shown once, when it is made."""

    form = WebhookForm
    list_display = ("name", "url", "is_active", "told_of", "created_at")
    list_filter = ("is_active",)
    search_fields = ("name", "url")
    actions = ("send_test",)

    def fitting(self, row: Webhook) -> Collection[str]:
        return {"send_test"} if row.is_active else set()

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        """The secret, this once: neither a message nor a redirect carries it any further."""
        context = self.admin_site.each_context(request) | {"title": obj.name, "text": obj.secret}
        response = render(request, "admin/shop/webhook/made.html", context)
        add_never_cache_headers(response)
        return response

    @admin.action(description="Send a test message", permissions=["change"])
    def send_test(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        def act(webhook: Webhook) -> str:
            webhooks.send_test(webhook)
            return "A test message is on its way. The deliveries tell of it."

        self.operate(request, queryset, act)

    @admin.display(description="events")
    def told_of(self, webhook: Webhook) -> str:
        return ", ".join(webhook.events)


@admin.register(Delivery)
class DeliveryAdmin(Operated, LookOnly):
    list_display = (
        "message",
        "webhook",
        "event",
        "state_and_problem",
        "status",
        "tries",
        "created",
    )
    list_filter = ("state", "event", "webhook", "created_at")
    list_select_related = ("webhook",)
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("message", "body")
    search_help_text = "Message, or words of its body"
    actions = ("send_again",)
    fieldsets = (
        (None, {"fields": ("message", "webhook", "event", "text")}),
        ("State", {"fields": ("state_badge", "status", "problem", "attempts")}),
        ("When", {"fields": ("created_at", "due_at", "finished_at")}),
    )

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("shop.change_delivery")

    def fitting(self, row: Delivery) -> Collection[str]:
        return {"send_again"}

    @admin.action(description="Send again", permissions=["operate"])
    def send_again(self, request: HttpRequest, deliveries: QuerySet[Delivery]) -> None:
        def act(delivery: Delivery) -> str:
            webhooks.send_again(delivery)
            return "It is on its way again."

        self.operate(request, deliveries, act)

    @admin.display(description="state")
    def state_badge(self, delivery: Delivery) -> SafeString:
        return badge(delivery.state, delivery.get_state_display())

    @admin.display(description="state", ordering="state")
    def state_and_problem(self, delivery: Delivery) -> SafeString:
        return with_reason(self.state_badge(delivery), delivery.problem)

    @admin.display(description="attempts", ordering="attempts")
    def tries(self, delivery: Delivery) -> str:
        return f"{delivery.attempts} of {webhooks.MOST_ATTEMPTS}"

    @admin.display(ordering="created_at")
    def created(self, delivery: Delivery) -> str:
        return when(delivery.created_at)

    @admin.display(description="body")
    def text(self, delivery: Delivery) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(json.loads(delivery.body), indent=2))


class PictureInline(TabularInline):
    """The pictures of an import, and how each run stands."""

    model = ImportedPicture
    fields = readonly_fields = ("reference", "run", "outcome")
    extra = 0
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("run")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display
    def outcome(self, picture: ImportedPicture) -> SafeString:
        run = picture.run
        return with_reason(badge(run.state, run.get_state_display()), run.error_message)


@admin.register(Import)
class ImportAdmin(LookOnly):
    list_display = (
        "__str__",
        "requested_by",
        "created",
        "updated",
        "rejected",
        "pictures",
        "began",
    )
    list_filter = ("kind", "created_at")
    list_select_related = ("requested_by",)
    list_per_page = 50
    show_full_result_count = False
    fields = (
        "id",
        "kind",
        "requested_by",
        ("created", "updated", "rejected"),
        "pictures",
        ("created_at", "finished_at"),
    )
    inlines = (PictureInline,)

    @admin.display
    def pictures(self, item: Import) -> str:
        counts = services.summary(item)["pictures"]
        return f"{counts['done']} of {counts['total']} done, {counts['failed']} failed"

    @admin.display(description="created at", ordering="created_at")
    def began(self, item: Import) -> str:
        return when(item.created_at)


# --- What shoppers do -----------------------------------------------------------------------

PERIODS = (7, 30, 90)
"""Days that the report offers to show."""


@admin.register(ShopperEvent)
class ShopperEventAdmin(LookOnly):
    """What shoppers do, as it comes, and the report of it. Who it was is nobody else's business."""

    list_display = ("at", "what", "product", "place")
    list_filter = ("kind", "at")
    list_select_related = ("product",)
    list_per_page = 100
    show_full_result_count = False
    search_fields = ("product__reference", "product__name")
    search_help_text = "Product"
    fields = ("at", "kind", "product", "place")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("report/", view(require_safe(self.report)), name="shop_shopperevent_report"),
            path("report/<slug:table>.csv", view(require_safe(self.table)), name="shop_table"),
            *super().get_urls(),
        ]

    def report(self, request: HttpRequest) -> HttpResponse:
        """Day by day, product by product, and what nobody clicked on."""
        period = self._period(request)
        days = reports.by_day(period)
        context = self.admin_site.each_context(request) | {
            "title": "What shoppers do",
            "opts": self.model._meta,
            "period": period,
            "periods": PERIODS,
            "days": dict(reversed(days.items())),
            "whole": reports.total(days),
            "plots": reports.plots(days),
            "products": reports.by_product(period),
            "unclicked": reports.without_clicks(period),
            "is_on": settings.EVENTS,
            "kept_days": settings.EVENTS_DAYS,
        }
        return render(request, "admin/shop/shopperevent/report.html", context)

    def table(self, request: HttpRequest, table: str) -> HttpResponse:
        """One of the report's tables, as CSV."""
        if table not in reports.TABLES:
            raise Http404
        period = self._period(request)
        name = f"{table}-{period.first:%Y-%m-%d}-{period.days}-days.csv"
        response = HttpResponse(content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        csv.writer(response).writerows(reports.TABLES[table](period))
        return response

    def _period(self, request: HttpRequest) -> reports.Period:
        if not self.has_view_permission(request):
            raise PermissionDenied
        asked = request.GET.get("days", "")
        return reports.Period(int(asked) if asked in map(str, PERIODS) else PERIODS[1])

    @admin.display(description="what", ordering="kind")
    def what(self, event: ShopperEvent) -> SafeString:
        return badge(event.kind, event.get_kind_display())

    @admin.display(description="position", ordering="position")
    def place(self, event: ShopperEvent) -> int | None:
        return None if event.position is None else event.position + 1
