"""Webhooks, the log of their deliveries, and imports in the admin."""

from __future__ import annotations

import csv
import json
import tempfile
import uuid
from collections.abc import Collection
from typing import IO, Any, cast

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Case, Count, OuterRef, QuerySet, Subquery, When
from django.db.models.functions import Coalesce
from django.forms.models import BaseInlineFormSet
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST, require_safe

from catalog.admin import LookOnly, ModelAdmin, TabularInline, badge, when, with_reason
from shop import exchange, reports, sheets, webhooks
from shop.models import (
    Delivery,
    Event,
    Import,
    ImportedPicture,
    ImportJob,
    ShopperEvent,
    Webhook,
)
from similarity.admin import Operated
from similarity.errors import Refused
from similarity.models import Run


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


SHOWN_PICTURES = 200
"""Of an import: a batch may have 20,000, and a page of all of them takes minutes."""


class FirstPictures(BaseInlineFormSet):  # type: ignore[type-arg]  # generic in the stubs only
    """As many of an import's pictures as are shown: first those that failed."""

    def get_queryset(self) -> QuerySet[Any]:
        if not hasattr(self, "_first"):
            failed_first = Case(When(run__state=Run.State.FAILED, then=0), default=1)
            pictures: QuerySet[Any] = super().get_queryset()
            self._first = pictures.order_by(failed_first, "pk")[:SHOWN_PICTURES]
        return self._first


class PictureInline(TabularInline):
    """The pictures of an import, and how each run stands."""

    model = ImportedPicture
    formset = FirstPictures
    fields = readonly_fields = ("reference", "run", "outcome")
    extra = 0
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("run")

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        """Django makes an inline for each request: its heading may be of this import alone."""
        if obj is not None and (count := obj.pictures.count()) > SHOWN_PICTURES:
            shown = f"the first {SHOWN_PICTURES} of {count:,}, failed ones before others"
            self.verbose_name_plural = f"imported pictures: {shown}"
        return super().get_formset(request, obj, **kwargs)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display
    def outcome(self, picture: ImportedPicture) -> SafeString:
        run = picture.run
        return with_reason(badge(run.state, run.get_state_display()), run.error_message)


def _runs_of(**which: Any) -> Coalesce:
    """How many runs an import has: counted for each row that is shown, and for no other."""
    pictures = ImportedPicture.objects.filter(of=OuterRef("pk"), **which).order_by()
    counted = pictures.values("of").annotate(count=Count("pk")).values("count")
    return Coalesce(Subquery(counted), 0)


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
    fields = (
        "id",
        "kind",
        "requested_by",
        ("created", "updated", "rejected"),
        "pictures",
        ("created_at", "finished_at"),
    )
    inlines = (PictureInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        imports: QuerySet[Any] = super().get_queryset(request)
        counted: QuerySet[Any] = imports.annotate(
            runs=_runs_of(),
            runs_done=_runs_of(run__state=Run.State.DONE),
            runs_failed=_runs_of(run__state=Run.State.FAILED),
        )
        return counted

    @admin.display
    def pictures(self, item: Import) -> str:
        counted: Any = item  # by `get_queryset`
        done, failed = item.done + counted.runs_done, item.failed + counted.runs_failed
        return f"{done} of {item.done + item.failed + counted.runs} done, {failed} failed"

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
            "beside": reports.beside_products(period),
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


# --- Products and photos from files ----------------------------------------------------------

TAKES_PRODUCTS = ("catalog.add_product", "catalog.change_product")
TAKES_PICTURES = ("catalog.add_originalimage", "catalog.delete_originalimage")


class FileForm(forms.Form):
    """A sheet of products, with a ZIP of their pictures if they have any; or a ZIP of photos."""

    file = forms.FileField(
        label="File",
        help_text="Products as CSV (UTF-8) or XLSX, the first row naming the columns; or a ZIP of "
        "photos, each with its product's reference as its name, or its folder's.",
        widget=forms.FileInput(attrs={"accept": ".csv,.xlsx,.zip"}),
    )
    archive = forms.FileField(
        label="Pictures of the products",
        required=False,
        help_text="A ZIP with the files that the sheet names. Addresses need none.",
        widget=forms.FileInput(attrs={"accept": ".zip"}),
    )


@admin.register(ImportJob)
class ImportJobAdmin(LookOnly):
    """Files on their way in: sent, looked through, taken in. And the catalogue as a file."""

    list_display = ("name", "kind", "state_badge", "outcome", "requested_by", "began")
    list_filter = ("kind", "state", "created_at")
    list_select_related = ("requested_by",)
    list_per_page = 50
    search_fields = ("name",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        may = (*TAKES_PRODUCTS, *TAKES_PICTURES, "shop.add_importjob")
        return request.user.has_perms(may)

    def has_export_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("catalog.view_product")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("export.<slug:kind>", view(require_safe(self.export)), name="shop_export"),
            path("<uuid:pk>/problems.csv", view(require_safe(self.problems)), name="shop_problems"),
            path("<uuid:pk>/do/", view(require_POST(self.do)), name="shop_importjob_do"),
            *super().get_urls(),
        ]

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The form that takes a file."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = FileForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            file = form.cleaned_data["file"]
            try:
                job = exchange.start(
                    file,
                    photos=file.name.lower().endswith(".zip"),
                    archive=form.cleaned_data["archive"],
                    asked_by=request.user,  # type: ignore[arg-type]
                )
            except Refused as error:
                form.add_error(None, str(error))
            else:
                return redirect(self._page(job))
        context = self._context(request, "Bring in a file") | {"form": form}
        return render(request, "admin/shop/importjob/add.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """One file: how far it is, what it would change, and what can be done next."""
        job: Any = self.get_object(request, object_id)
        if job is None or not self.has_view_permission(request, job):
            raise Http404
        problems = job.problems.all()
        context = self._context(request, job.name) | {
            "job": job,
            "state": self.state_badge(job),
            "may": self.has_add_permission(request),
            "columns": self._columns(job),
            "problems": problems[:SHOWN_PROBLEMS],
            "counts": [(name, getattr(job, name)) for name in job.COUNTS],
        }
        return render(request, "admin/shop/importjob/job.html", context)

    def _columns(self, job: ImportJob) -> list[tuple[str, str, list[str]]]:
        """Our columns, which of the sheet's each is, and those that it may be."""
        if job.kind != job.Kind.PRODUCTS or job.state not in {job.State.NEW, job.State.CHECKED}:
            return []
        try:
            there = exchange.columns_of(job)
        except Refused:
            return []
        return [(ours, job.columns.get(ours, ""), there) for ours in sheets.COLUMNS]

    def do(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """What the buttons of a file's page ask for."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        job = get_object_or_404(ImportJob, pk=pk)
        columns = {name: request.POST.get(f"column-{name}", "") for name in sheets.COLUMNS}
        actions = {
            "check": lambda: exchange.check(job, columns),
            "take_in": lambda: exchange.take_in(job),
            "cancel": lambda: exchange.cancel(job),
        }
        try:
            actions.get(request.POST.get("do", ""), _nothing)()
        except Refused as error:
            self.message_user(request, str(error), messages.WARNING)
        return redirect(self._page(job))

    def problems(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """The rows that were not taken, and why, as CSV."""
        job = get_object_or_404(ImportJob, pk=pk)
        if not self.has_view_permission(request, job):
            raise PermissionDenied
        response = HttpResponse(content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = 'attachment; filename="problems.csv"'
        writer = csv.writer(response)
        writer.writerow(("number", "name", "problem"))
        for problem in job.problems.iterator():
            told = (sheets.guarded(problem.name), sheets.guarded(problem.detail))
            writer.writerow((problem.number, *told))
        return response

    def export(self, request: HttpRequest, kind: str) -> HttpResponseBase:
        """All products, as a file that can be brought in again."""
        if not self.has_export_permission(request):
            raise PermissionDenied
        name = f"products-{timezone.now():%Y-%m-%d}.{kind}"
        if kind == "csv":
            response = StreamingHttpResponse(
                sheets.csv_lines(), content_type="text/csv; charset=utf-8"
            )
            response["Content-Disposition"] = f'attachment; filename="{name}"'
            return response
        if kind != "xlsx":
            raise Http404
        file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  (the response closes it)
        sheets.write_xlsx(cast(IO[bytes], file))
        file.seek(0)
        return FileResponse(file, as_attachment=True, filename=name)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        may = {"has_export_permission": self.has_export_permission(request)}
        return super().changelist_view(request, {**may, **(extra_context or {})})

    def _context(self, request: HttpRequest, title: str) -> dict[str, Any]:
        return self.admin_site.each_context(request) | {"title": title, "opts": self.model._meta}

    def _page(self, job: ImportJob) -> str:
        return reverse("admin:shop_importjob_change", args=[job.pk])

    @admin.display(description="state", ordering="state")
    def state_badge(self, job: ImportJob) -> SafeString:
        return with_reason(badge(job.state, job.get_state_display()), job.problem)

    @admin.display
    def outcome(self, job: ImportJob) -> str:
        told = [f"{count} {name}" for name in job.COUNTS if (count := getattr(job, name))]
        return f"{job.position} of {job.total}: {', '.join(told) or 'nothing yet'}"

    @admin.display(description="sent", ordering="created_at")
    def began(self, job: ImportJob) -> str:
        return when(job.created_at)


SHOWN_PROBLEMS = 100
"""On a file's page; all of them are in its CSV."""

IN_MEMORY = 2**20
"""Bytes of a file that are held in memory; a larger one is written to the disk meanwhile."""


def _nothing() -> None:
    raise exchange.CannotDo("There is no such thing to do.")
