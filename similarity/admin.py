"""Uploads, runs and index builds in the admin. What is done here is done by `services`.

Queries are not here: a shopper's photo is nobody else's to look at.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, DateTimeField, OuterRef, Q, QuerySet, Subquery
from django.forms import SplitDateTimeField
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from catalog import quality
from catalog.admin import (
    BoundedPaginator,
    DateAndTime,
    LookOnly,
    ModelAdmin,
    TabularInline,
    badge,
    link_to,
    thumbnail,
    when,
    with_reason,
)
from catalog.admin import ImageAdmin as CatalogImageAdmin
from catalog.admin import ProductAdmin as CatalogProductAdmin
from catalog.lookalikes import CannotDecide, keep_both, merge
from catalog.models import Lookalike, OriginalImage, PictureQuality, Product, Segment
from catalog.services import Picture
from similarity import figures, golden, indexing, services, serving, suggestions
from similarity.engine.errors import BadImage, EngineError
from similarity.errors import NotDescribed, Refused
from similarity.models import Embedder, GoldenSet, IndexBuild, Rule, Run, Verdict


class Operated(ModelAdmin):
    """Rows that something can be done to: by an action on the list, by a button on their page."""

    def fitting(self, row: Any) -> Collection[str]:
        """Names of the actions that make sense for a row as it stands."""
        raise NotImplementedError

    def operate(self, request: HttpRequest, rows: Iterable[Any], act: Callable[[Any], str]) -> None:
        """Do it to each row, and tell of each what came of it, or why nothing did."""
        for row in rows:
            name, level = str(row), messages.SUCCESS
            try:
                outcome = act(row)
            except (Refused, EngineError, CannotDecide) as error:
                outcome, level = str(error), messages.WARNING
            self.message_user(request, f"{name}: {outcome}", level)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if row := kwargs.get("obj"):
            fitting = self.fitting(row)
            context["operations"] = [
                (name, description)
                for name, description in self.get_action_choices(request, [])
                if name in fitting
            ]
        return super().render_change_form(request, context, *args, **kwargs)


# --- Uploads --------------------------------------------------------------------------------

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
            super().save_model(request, obj, form, change)
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


# --- Quality of pictures ---------------------------------------------------------------------


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
    paginator = BoundedPaginator
    show_full_result_count = False
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


# --- Pictures that look alike ---------------------------------------------------------------


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
    show_full_result_count = False
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
            kept = merge(pair, chosen(pair), request.user)  # type: ignore[arg-type]
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


# --- Runs -----------------------------------------------------------------------------------


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
    paginator = BoundedPaginator
    show_full_result_count = False
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
        own = {
            "queue": figures.queue(),
            "may_operate": self.has_operate_permission(request),
        }
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


# --- Index ----------------------------------------------------------------------------------


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
    show_full_result_count = False
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
    fields = (
        "name",
        "state",
        "described",
        "index",
        "filling",
        "dim",
        "fingerprint",
        "created_at",
    )

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


# --- Rules ----------------------------------------------------------------------------------


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
class RuleAdmin(ModelAdmin):
    """What comes first, sooner, later or never among results, for what, and when."""

    list_display = ("preview", "what", "product", "holds_for", "state", "note", "position")
    list_display_links = ("what",)
    list_filter = (ActiveFilter, "action", ("category", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("product", "category", "query_product")
    list_per_page = 50
    show_full_result_count = False
    search_fields = (
        "product__reference",
        "product__name",
        "query_product__reference",
        "category__name",
        "note",
    )
    search_help_text = "Product, category or note"
    autocomplete_fields = ("product", "category", "query_product")
    formfield_overrides = {DateTimeField: {"form_class": SplitDateTimeField, "widget": DateAndTime}}
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


# --- Golden sets ----------------------------------------------------------------------------


@admin.register(GoldenSet)
class GoldenSetAdmin(ModelAdmin):
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
        name = f'attachment; filename="{golden_set.name}.jsonl"'
        return StreamingHttpResponse(
            golden.export(golden_set),
            content_type="application/jsonl",
            headers={"Content-Disposition": name},
        )


@admin.register(Verdict)
class VerdictAdmin(ModelAdmin):
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
