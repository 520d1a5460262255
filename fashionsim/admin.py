"""The audit log in the admin: to be read, and by nobody changed."""

from __future__ import annotations

from typing import Any

from auditlog.admin import LogEntryAdmin
from auditlog.filters import ResourceTypeFilter
from auditlog.models import LogEntry
from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from catalog.admin import Bounded

admin.site.unregister(LogEntry)


@admin.register(LogEntry)
class AuditAdmin(Bounded, LogEntryAdmin):  # type: ignore[misc]  # the library has no types
    """Its own form of the library's: what was it, what is it, and by what road it came."""

    list_display = ("created", "user_url", "action", "resource_url", "told", "road")
    list_filter = ("action", ResourceTypeFilter, "timestamp")
    list_per_page = 50
    search_fields = ("object_repr", "actor__username")
    search_help_text = "What was changed, or who changed it"
    readonly_fields = ("created", "user_url", "road", "resource_url", "action", "msg")
    fieldsets = (
        (None, {"fields": ("created", "user_url", "road", "resource_url", "action")}),
        ("Changes", {"fields": ("msg",)}),
    )

    @admin.display(description="Changes")
    def told(self, entry: Any) -> SafeString:
        return format_html_join(", ", "{}", ((name,) for name in entry.changes_dict))

    @admin.display(description="By way of")
    def road(self, entry: Any) -> str:
        return str((entry.additional_data or {}).get("by", ""))
