"""Lists in the order that is asked for."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.filters import OrderingFilter
from rest_framework.request import Request


class Ordering(OrderingFilter):
    """Rows that are alike in what was asked for come by their key: each is on one page.

    Their key runs as the last of the fields does, so that an index on that serves both.
    """

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: Any) -> Any:
        ordering = super().get_ordering(request, queryset, view)
        if not ordering:
            return ordering
        return [*ordering, "-pk" if ordering[-1].startswith("-") else "pk"]
