"""Rows that something can be done to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse

from catalog.admin import ModelAdmin
from catalog.lookalikes import CannotDecide
from similarity.engine.errors import EngineError
from similarity.errors import Refused


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
