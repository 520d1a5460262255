"""The admin's site: its index, and pages that belong to no single table."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path

FIRST = ("catalog", "similarity", "shop", "accounts")
"""The product's own parts, by how often they are opened; those of libraries come behind."""


class StaffSite(AdminSite):
    site_title = site_header = "FashionSim"
    index_title = "Overview"
    index_template = "admin/staff/dashboard.html"

    def index(self, request: HttpRequest, extra_context: Any = None) -> TemplateResponse:
        from fashionsim.staff import dashboard  # noqa: PLC0415

        return super().index(request, {**dashboard.context(request), **(extra_context or {})})

    def get_app_list(
        self, request: HttpRequest, app_label: str | None = None
    ) -> list[dict[str, Any]]:
        """What the side bar and the index list: what people work in all day stands first."""
        apps = super().get_app_list(request, app_label)
        ranks = {label: rank for rank, label in enumerate(FIRST)}
        return sorted(apps, key=lambda app: ranks.get(app["app_label"], len(FIRST)))

    def get_urls(self) -> list[URLPattern | URLResolver]:
        # Views need the models, and this module is read before they are.
        from fashionsim.staff import garments, merging  # noqa: PLC0415

        return [
            path(
                "catalog/originalimage/<int:pk>/garments/",
                self.admin_view(garments.edit),
                name="garments",
            ),
            path(
                "catalog/lookalike/<int:pk>/products/",
                self.admin_view(merging.merge),
                name="merge_products",
            ),
            *super().get_urls(),
        ]
