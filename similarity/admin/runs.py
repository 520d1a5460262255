"""The job centre: runs, and the queue's pause."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from catalog.admin import LookOnly, badge, link_to, thumbnail, when, with_reason
from similarity import figures, services
from similarity.admin.operated import Operated
from similarity.models import Run


def duration(run: Run) -> str | None:
    """How long a run has worked, if it has ended."""
    if run.started_at is None or run.finished_at is None:
        return None
    return f"{(run.finished_at - run.started_at).total_seconds():.1f} s"


@admin.register(Run)
class RunAdmin(Operated, LookOnly):
    list_display = (
        "name",
        "preview",
        "kind",
        "state_and_error",
        "bar",
        "took",
        "requested_by",
        "image_link",
        "created",
    )
    list_filter = ("state", "kind", "created_at")
    list_select_related = ("image", "requested_by")
    list_per_page = 50
    search_fields = ("id", "image__identifier")
    search_help_text = "Id, or an image's identifier"
    actions = ("cancel", "run_again")
    fieldsets = (
        (
            None,
            {"fields": ("id", "kind", "requested_by", "image", "segment", "embedder", "options")},
        ),
        ("State", {"fields": ("state_badge", "bar", "error_message", "error_code")}),
        ("Worker", {"fields": ("attempts", "worker", "heartbeat", "cancel_requested")}),
        ("When", {"fields": ("created_at", "queued_at", "started_at", "finished_at", "took")}),
    )

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("similarity.change_run")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """By permission: a person's runs are deleted together with the person."""
        return request.user.has_perm("similarity.delete_run")

    def get_urls(self) -> list[URLPattern]:
        buttons = {
            "pause": self.pause,
            "resume": self.resume,
            "failed-again": self.run_failed_again,
        }
        own = [
            path(
                f"{name}/",
                self.admin_site.admin_view(require_POST(self._button(act))),
                name=f"similarity_run_{name.replace('-', '_')}",
            )
            for name, act in buttons.items()
        ]
        return [*own, *super().get_urls()]

    def _button(self, act: Callable[[Any], str]) -> Callable[[HttpRequest], HttpResponse]:
        """What a button above the list calls; it tells what came of it, and shows the list."""

        def press(request: HttpRequest) -> HttpResponse:
            if not self.has_operate_permission(request):
                raise PermissionDenied
            self.message_user(request, act(request.user))
            return HttpResponseRedirect(reverse("admin:similarity_run_changelist"))

        return press

    def pause(self, by: Any) -> str:
        if not services.pause_queue(by):
            return "The queue is paused already."
        return "The queue is paused. What runs comes to its end; searches go on."

    def resume(self, by: Any) -> str:
        return "Workers go on." if services.resume_queue(by) else "The queue is not paused."

    def run_failed_again(self, by: Any) -> str:
        count = services.run_failed_again()
        return f"{count} failed runs wait for a worker again."

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        own = {"queue": figures.queue(), "may_operate": self.has_operate_permission(request)}
        return super().changelist_view(request, {**own, **(extra_context or {})})

    def fitting(self, row: Run) -> Collection[str]:
        if not row.has_ended:
            return {"cancel"}
        return set() if row.state == Run.State.DONE else {"run_again"}

    @admin.action(permissions=["operate"])
    def cancel(self, request: HttpRequest, runs: QuerySet[Run]) -> None:
        def act(run: Run) -> str:
            services.cancel(run)
            return "Cancelled." if run.has_ended else "It will stop at its next checkpoint."

        self.operate(request, runs, act)

    @admin.action(permissions=["operate"])
    def run_again(self, request: HttpRequest, runs: QuerySet[Run]) -> None:
        def act(run: Run) -> str:
            services.run_again(run)
            return "It waits for a worker."

        self.operate(request, runs, act)

    @admin.display(description="run")
    def name(self, run: Run) -> str:
        return str(run.pk)[:8]

    @admin.display(description="picture")
    def preview(self, run: Run) -> SafeString | None:
        return thumbnail("image-file", run.image.identifier if run.image else None)

    @admin.display(description="state")
    def state_badge(self, run: Run) -> SafeString:
        return badge(run.state, run.get_state_display())

    @admin.display(description="state", ordering="state")
    def state_and_error(self, run: Run) -> SafeString:
        return with_reason(self.state_badge(run), run.error_message)

    @admin.display(description="progress")
    def bar(self, run: Run) -> SafeString:
        done = f"{run.progress:.0%}"
        bar = format_html('<progress value="{}">{}</progress> {}', run.progress, done, run.step)
        if (left := figures.time_left(run)) is None:
            return bar
        return format_html("{}<p>{} left</p>", bar, told(left))

    @admin.display(ordering="created_at")
    def created(self, run: Run) -> str:
        return when(run.created_at)

    @admin.display(description="image")
    def image_link(self, run: Run) -> SafeString | None:
        return link_to(run.image)

    @admin.display
    def took(self, run: Run) -> str | None:
        return duration(run)


def told(span: dt.timedelta) -> str:
    """A span of time in its two largest parts: "2 h 5 min"."""
    seconds = round(span.total_seconds())
    sizes = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    parts: list[str] = []
    for unit, size in sizes:
        if (number := seconds // size) or (unit == "s" and not parts):
            parts.append(f"{number} {unit}")
        seconds %= size
    return " ".join(parts[:2])
