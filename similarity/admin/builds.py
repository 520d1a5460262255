"""Builds of the index, and the embedders that they are of."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from catalog.admin import LookOnly, badge, link_to, when, with_reason
from catalog.models import Segment
from similarity import indexing, services, serving
from similarity.admin.operated import Operated
from similarity.models import Embedder, IndexBuild, Run


def _measured(value: float | None, form: str) -> str:
    """What a build has measured, or a dash."""
    return "-" if value is None else form.format(value)


@admin.register(IndexBuild)
class IndexBuildAdmin(Operated, LookOnly):
    list_display = (
        "title",
        "state_and_problem",
        "embedder",
        "made_by",
        "count",
        "files",
        "took",
        "found",
        "created",
    )
    list_select_related = ("embedder",)
    list_per_page = 50
    actions = ("serve", "compare")
    fieldsets = (
        (None, {"fields": ("title", "embedder", "made_by", "run", "created_at")}),
        ("Outcome", {"fields": ("state_badge", "problem", "count", "files", "took", "found")}),
        ("Last check (manage.py index_check)", {"fields": ("checked_at", "finding")}),
    )

    def has_rebuild_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("similarity.rebuild_index")

    def fitting(self, row: IndexBuild) -> Collection[str]:
        ready = row.state == IndexBuild.State.READY
        return {"serve"} if ready and not services.is_serving(row) else set()

    @admin.action(description="Serve this build (roll back)", permissions=["rebuild"])
    def serve(self, request: HttpRequest, builds: QuerySet[IndexBuild]) -> None:
        def act(build: IndexBuild) -> str:
            services.roll_back(build)
            return "It serves now."

        if len(builds) == 1:
            self.operate(request, builds, act)
        else:
            self.message_user(request, "Choose exactly one build to serve.", messages.ERROR)

    @admin.action(description="Compare")
    def compare(
        self, request: HttpRequest, builds: QuerySet[IndexBuild]
    ) -> TemplateResponse | None:
        chosen = list(builds.order_by("pk")[: self.MOST_COMPARED])
        if len(chosen) < 2:  # noqa: PLR2004  (it takes two)
            self.message_user(request, "Choose two builds or more to compare.", messages.ERROR)
            return None
        say: dict[str, Callable[[IndexBuild], Any]] = {
            "Engine": self.made_by,
            "Garments": lambda build: build.count,
            "Size": self.files,
            "Took": self.took,
            "Recall at 10": lambda build: _measured(build.recall, "{:.3f}"),
            "Search time": lambda build: _measured(build.search_ms, "{:.2f} ms"),
            "Built": lambda build: when(build.created_at),
        }
        rows = [(name, [of(build) for build in chosen]) for name, of in say.items()]
        context = {
            **self.admin_site.each_context(request),
            "title": "Builds compared",
            "opts": self.opts,
            "builds": [(build, self.state_badge(build)) for build in chosen],
            "rows": rows,
        }
        return TemplateResponse(request, "admin/similarity/indexbuild/compare.html", context)

    MOST_COMPARED = 6

    def get_urls(self) -> list[URLPattern]:
        rebuild = self.admin_site.admin_view(require_POST(self.rebuild))
        return [
            path("rebuild/", rebuild, name="similarity_indexbuild_rebuild"),
            *super().get_urls(),
        ]

    def rebuild(self, request: HttpRequest) -> HttpResponse:
        """The button above the list: have the index built anew."""
        if not self.has_rebuild_permission(request):
            raise PermissionDenied
        run = services.start_rebuild(request.user)  # type: ignore[arg-type]
        self.message_user(request, format_html("The index is being built anew: {}.", link_to(run)))
        return HttpResponseRedirect(reverse("admin:similarity_indexbuild_changelist"))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        own = {
            "has_rebuild_permission": self.has_rebuild_permission(request),
            "rebuilds": Run.objects.under_way(Run.Kind.REBUILD).order_by("created_at"),
        }
        return super().changelist_view(request, {**own, **(extra_context or {})})

    @admin.display(description="build", ordering="name")
    def title(self, build: IndexBuild) -> str:
        return str(build)

    @admin.display(description="state")
    def state_badge(self, build: IndexBuild) -> SafeString:
        if services.is_serving(build):
            return badge("serving", "Serving")
        return badge(build.state, build.get_state_display())

    @admin.display(description="state", ordering="state")
    def state_and_problem(self, build: IndexBuild) -> SafeString:
        return with_reason(self.state_badge(build), build.problem)

    @admin.display(description="size", ordering="size")
    def files(self, build: IndexBuild) -> str:
        return filesizeformat(build.size)

    @admin.display(description="took", ordering="seconds")
    def took(self, build: IndexBuild) -> str:
        return f"{build.seconds:.1f} s"

    @admin.display(description="recall@10", ordering="recall")
    def found(self, build: IndexBuild) -> str:
        if build.recall is None or build.search_ms is None:
            return "-"
        return f"{build.recall:.3f} in {build.search_ms:.2f} ms"

    @admin.display(description="engine")
    def made_by(self, build: IndexBuild) -> str:
        parameters = ", ".join(f"{name} {value}" for name, value in build.parameters.items())
        return f"{build.engine} ({parameters})" if parameters else build.engine

    @admin.display(ordering="created_at")
    def created(self, build: IndexBuild) -> str:
        return when(build.created_at)


@admin.register(Embedder)
class EmbedderAdmin(LookOnly):
    list_display = ("name", "state", "described", "index", "filling", "dim", "created_at")
    fields = ("name", "state", "described", "index", "filling", "dim", "fingerprint", "created_at")

    @admin.display
    def state(self, embedder: Embedder) -> SafeString | str:
        if services.is_active(embedder):
            return badge("serving", "Serving")
        if embedder.is_filled:
            return badge("ready", "Filled")
        return badge("pending", "Being filled") if embedder.is_kept else "-"

    @admin.display(description="garments described")
    def described(self, embedder: Embedder) -> SafeString:
        count, total = serving.described(embedder), Segment.objects.count()
        return format_html(
            '<progress value="{}" max="{}"></progress> {} of {}', count, max(1, total), count, total
        )

    @admin.display
    def index(self, embedder: Embedder) -> str:
        status = indexing.status(embedder)
        return status.problem or f"{status.indexed} indexed, {status.newer} newer"

    @admin.display(description="last filling")
    def filling(self, embedder: Embedder) -> SafeString | None:
        return link_to(embedder.runs.filter(kind=Run.Kind.FILL).first())
