"""How a page is to look, and in which language: a person's settings, or a stranger's cookies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import translation
from django.utils.cache import patch_vary_headers

from accounts.models import Preferences, languages
from accounts.services import preferences_of

COOKIES = {
    "theme": "theme",
    "contrast": "contrast",
    "language": settings.LANGUAGE_COOKIE_NAME,
}
"""What a stranger may choose, and the cookie that remembers it."""

KNOWN = {
    "theme": Preferences.Theme.values,
    "contrast": Preferences.Contrast.values,
    "language": [code for code, _ in languages()],
}

A_YEAR = 365 * 24 * 3600


class PreferencesMiddleware:
    """Reads who asks for a page once, and answers in their language.

    Programs that use the API get one language, and no query more.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path.startswith("/api/"):
            return self.get_response(request)
        chosen = preferences_for(request)
        request.preferences = chosen  # type: ignore[attr-defined]
        with translation.override(chosen.language or _usual_language(request)):
            response = self.get_response(request)
        patch_vary_headers(response, ["Accept-Language"])
        return response


def _usual_language(request: HttpRequest) -> str:
    """Where none was chosen: a stranger's browser's, if the pages can be read in it; the shop's."""
    if request.user.is_authenticated:
        return str(settings.LANGUAGE_CODE)
    return translation.get_language_from_request(request)


def preferences_for(request: HttpRequest) -> Preferences:
    """What whoever asks has chosen."""
    if request.user.is_authenticated:
        return preferences_of(request.user)
    chosen = Preferences()
    for name, cookie in COOKIES.items():
        if (value := request.COOKIES.get(cookie)) in KNOWN[name]:
            setattr(chosen, name, value)
    return chosen


def remember(response: HttpResponse, chosen: dict[str, str]) -> None:
    """Let a stranger's browser keep what they have chosen."""
    for name, cookie in COOKIES.items():
        response.set_cookie(
            cookie,
            chosen[name],
            max_age=A_YEAR,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )


def appearance(request: HttpRequest) -> dict[str, Any]:
    """For every template (a context processor). Asks nothing of the database: a page that tells of
    its being away is a page as well.
    """
    chosen = getattr(request, "preferences", None) or Preferences()
    schemes = {"light": "light", "dark": "dark"}
    return {
        "theme": chosen.theme,
        "contrast": chosen.contrast,
        "color_scheme": schemes.get(chosen.theme, "light dark"),
        "language": translation.get_language(),
    }


def noting(request: HttpRequest) -> dict[str, Any]:
    """Whether pages tell us what is done with their results (a context processor)."""
    return {"notes_events": settings.EVENTS}
