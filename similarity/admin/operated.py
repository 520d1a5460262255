"""Rows that something can be done to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ObjectDoesNotExist
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

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
            except ObjectDoesNotExist:
                outcome, level = "It is there no more.", messages.WARNING
            self.message_user(request, f"{name}: {outcome}", level)

    def operations(self, request: HttpRequest) -> Callable[[Any], list[tuple[str, str]]]:
        """Of a row: names and descriptions of what this person can do to it as it stands."""
        choices = self.get_action_choices(request, [])

        def operations(row: Any) -> list[tuple[str, str]]:
            fitting = self.fitting(row)
            return [(name, description) for name, description in choices if name in fitting]

        return operations

    def buttons(self, request: HttpRequest) -> Callable[[Any], SafeString]:
        """A column of the list: a button for each operation, of the form that stands beside it."""
        operations = self.operations(request)

        @admin.display(description="Do")
        def buttons(row: Any) -> SafeString:
            return format_html(
                '<div class="row-buttons">{}</div>',
                format_html_join(
                    "",
                    '<button class="button" form="operate-{}" name="action" value="{}">{}</button>',
                    ((row.pk, *operation) for operation in operations(row)),
                ),
            )

        return buttons

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if row := kwargs.get("obj"):
            context["operations"] = self.operations(request)(row)
        return super().render_change_form(request, context, *args, **kwargs)
