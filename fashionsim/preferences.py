"""How a page is to look, and in which language: a person's settings, or a stranger's cookies."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.translation.trans_real import parse_accept_lang_header
from django.views.decorators.http import require_POST
from django.views.i18n import set_language

from accounts.models import Preferences, languages
from accounts.services import choose, preferences_of

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

API, STAFF = "/api/", "/admin/"
"""Where programs ask, each in its language, and where the shop's people work, in English."""


class PreferencesMiddleware:
    """Reads who asks for a page once, and answers in their language.

    The API goes by Accept-Language alone: programs cost no query more.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(API):
            request.preferences = preferences_for(request)  # type: ignore[attr-defined]
        with translation.override(_language(request)):
            response = self.get_response(request)
        if not response.get("Content-Type", "").startswith("image/"):
            patch_vary_headers(response, ["Accept-Language"])
        return response


def _language(request: HttpRequest) -> str:
    """The language to answer a request in."""
    if request.path.startswith(API):
        return accepted_language(request)
    if request.path.startswith(STAFF):
        return str(settings.LANGUAGE_CODE)
    chosen: Preferences = request.preferences  # type: ignore[attr-defined]
    return chosen.language or translation.get_language_from_request(request)


def accepted_language(request: HttpRequest) -> str:
    """The best language of those that a request's header accepts; the shop's if we have none."""
    for code, _ in parse_accept_lang_header(request.headers.get("Accept-Language", "").lower()):
        with suppress(LookupError):
            return translation.get_supported_language_variant(code)
    return str(settings.LANGUAGE_CODE)


@require_POST
def choose_language(request: HttpRequest) -> HttpResponseBase:
    """Have the pages speak a language from now on: a person's setting, a stranger's cookie."""
    code = request.POST.get("language")
    if request.user.is_authenticated and code in KNOWN["language"]:
        choose(request.user, language=code)
    return set_language(request)


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
            max_age=settings.LANGUAGE_COOKIE_AGE,
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
        "languages": languages(),
    }


def noting(request: HttpRequest) -> dict[str, Any]:
    """Whether pages tell us what is done with their results (a context processor)."""
    return {"notes_events": settings.EVENTS}
