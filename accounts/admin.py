"""Users and API keys in the admin, and the admin's own name."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import flatten
from django.contrib.admin.widgets import AdminSplitDateTime
from django.contrib.auth import admin as auth_admin
from django.db.models import DateTimeField, Field, QuerySet
from django.forms import SplitDateTimeField
from django.http import HttpRequest
from django.shortcuts import render
from django.template.defaultfilters import truncatechars
from django.utils import timezone
from django.utils.cache import add_never_cache_headers

from accounts import keys
from accounts.forms import AdminSignInForm
from accounts.models import ApiKey, Enquiry, User

admin.site.site_header = admin.site.site_title = "FashionSim"
admin.site.login_form = AdminSignInForm


class DateAndTime(AdminSplitDateTime):
    """The admin's two fields for a moment, each with a name of its own."""

    def __init__(self, attrs: Any = None) -> None:
        super().__init__(attrs)
        for widget, name in zip(self.widgets, ("Date", "Time"), strict=True):
            widget.attrs["aria-label"] = name


WITH_NAMES: dict[type[Field[Any, Any]], dict[str, Any]] = {
    DateTimeField: {"form_class": SplitDateTimeField, "widget": DateAndTime}
}
"""What a form with moments takes as its overrides."""


@admin.register(User)
class UserAdmin(auth_admin.UserAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    list_display = ("username", "email", "roles", "is_staff", "is_active", "last_login")
    list_filter = ("groups", "is_superuser", "is_active")
    readonly_fields = ("last_login", "date_joined")
    filter_horizontal = ()  # two lists and their arrows, which a screen reader cannot make out

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # The accounts of API keys are nobody's to edit: see the keys.
        people = super().get_queryset(request).filter(api_key=None)
        return people.prefetch_related("groups")

    @admin.display
    def roles(self, user: User) -> str:
        names = [group.name for group in user.groups.all()]
        return ", ".join(["Administrator"] * user.is_superuser + names) or "Shopper"


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """A key is made once, shown once and never changed; it can be revoked."""

    list_display = ("name", "beginning", "may_search", "may_edit", "state", "last_used_at")
    list_filter = ("may_search", "may_edit", "revoked_at")
    formfield_overrides = WITH_NAMES
    search_fields = ("name", "beginning")
    fields = (
        "name",
        "beginning",
        ("may_search", "may_edit"),
        "expires_at",
        "state",
        ("created_at", "made_by"),
        "last_used_at",
    )
    add_fields = ("name", ("may_search", "may_edit"), "expires_at")
    actions = ("revoke",)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        return self.add_fields if obj is None else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        return () if obj is None else flatten(self.fields)

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False  # what it did is found under its account

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return obj is None and super().has_change_permission(request)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        made, obj.text = keys.make(
            obj.name,
            may_search=obj.may_search,
            may_edit=obj.may_edit,
            expires_at=obj.expires_at,
            made_by=request.user,  # type: ignore[arg-type]  # whoever may add a key has signed in
        )
        obj.pk, obj.beginning = made.pk, made.beginning

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        """The key itself, this once: neither a message nor a redirect carries it any further."""
        context = self.admin_site.each_context(request) | {"title": obj.name, "text": obj.text}
        response = render(request, "admin/accounts/apikey/made.html", context)
        add_never_cache_headers(response)
        return response

    @admin.action(description="Revoke", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: Any) -> None:
        count = keys.revoke(queryset)
        self.message_user(request, f"{count} revoked. What they open is shut from now on.")

    @admin.display
    def state(self, key: ApiKey) -> str:
        if key.revoked_at is not None:
            return "Revoked"
        is_over = key.expires_at is not None and key.expires_at <= timezone.now()
        return "Expired" if is_over else "Good"


@admin.register(Enquiry)
class EnquiryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """What people have asked: to be read and answered by e-mail, and taken off the list."""

    list_display = ("email", "beginning", "created_at", "answered_at")
    list_filter = (("answered_at", admin.EmptyFieldListFilter),)
    search_fields = ("email", "text")
    date_hierarchy = "created_at"
    fields = ("email", "person", "text", "created_at", "answered_at")
    readonly_fields = fields
    actions = ("mark_answered",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # the support page is where they come from

    @admin.action(description="Mark as answered", permissions=["change"])
    def mark_answered(self, request: HttpRequest, queryset: Any) -> None:
        self.message_user(request, f"{queryset.mark_answered()} marked as answered.")

    @admin.display(description="question")
    def beginning(self, enquiry: Enquiry) -> str:
        return truncatechars(enquiry.text, 80)
