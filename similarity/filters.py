"""Which of one's searches: for the list and the page alike."""

from __future__ import annotations

import django_filters as filters
from django.db.models import Exists, OuterRef, QuerySet

from similarity.models import Hit, Run


class SearchFilter(filters.FilterSet):
    best_min = filters.NumberFilter(
        method="with_best",
        min_value=-1,
        max_value=1,
        label="Highest similarity of a result, at least.",
    )

    class Meta:
        model = Run
        fields = ("state",)

    def with_best(self, runs: QuerySet[Run], name: str, value: float) -> QuerySet[Run]:
        best = Hit.objects.filter(run=OuterRef("pk"), similarity__gte=float(value))
        return runs.filter(Exists(best))
