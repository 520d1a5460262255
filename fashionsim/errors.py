"""Errors as people and programs get them: RFC 9457 problem details in the API, pages elsewhere."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation, TooManyFilesSent
from django.db import DataError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext, ngettext, override
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import APIException
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import exception_handler

from accounts.backends import seconds_locked
from fashionsim.preferences import accepted_language
from similarity import intake
from similarity.engine.errors import (
    BadImage,
    EngineError,
    FetchRefused,
    IndexUnavailable,
    MissingWeights,
)
from similarity.errors import Refused

logger = logging.getLogger("fashionsim.errors")

MEDIA_TYPE = "application/problem+json"

MINUTE = 60

IMAGE_STATUS = {
    "file_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "unsupported_format": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "not_an_image": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
}
"""Statuses of bad images by code; the others' is 422."""


PHRASES = {
    400: _("Bad Request"),
    403: _("Forbidden"),
    404: _("Not Found"),
    409: _("Conflict"),
    413: _("Request Entity Too Large"),
    429: _("Too Many Requests"),
    500: _("Internal Server Error"),
}
"""What the pages call the statuses that they are shown with."""


def problem(status: int, code: str, detail: str, **more: Any) -> dict[str, Any]:
    """A problem detail: `code` is stable and for programs, `detail` a sentence for a person."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "code": code,
        "detail": detail,
        **more,
    }


def problem_details(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler; None leaves an unforeseen error to Django, which logs it."""
    # In JSON, even where the view shows a page or YAML.
    request = context["request"]
    request.accepted_renderer, request.accepted_media_type = JSONRenderer(), JSONRenderer.media_type
    body = describe(error)
    if body is not None:
        return Response(body, status=body["status"], content_type=MEDIA_TYPE)
    response = exception_handler(error, context)
    if response is None:
        return None
    # DRF turns Django's Http404 and PermissionDenied into its own exceptions by itself.
    response.data = _of_api_exception(response, error)
    response.content_type = MEDIA_TYPE
    return response


def describe(error: Exception) -> dict[str, Any] | None:
    """The problem detail of an error of our own, or of a request that is too large."""
    if isinstance(error, Refused):
        return problem(error.status, error.code, str(error))
    if isinstance(error, EngineError):
        return problem(_engine_status(error), error.code, intake.told(error))
    if isinstance(error, TooManyFilesSent):
        return problem(413, "too_many_files", intake.too_many_files())
    if isinstance(error, RequestDataTooBig):
        return too_large()
    if isinstance(error, SuspiciousOperation | DataError):
        # The latter: what the database cannot take, as PostgreSQL no text with a NUL in it.
        logger.warning("A malformed request: %s", error)
        return problem(400, "bad_request", gettext("The request is malformed."))
    return None


def too_large() -> dict[str, Any]:
    megabytes = settings.MAX_REQUEST_BYTES / 2**20
    detail = gettext("Send at most %(megabytes)s MB at a time.") % {"megabytes": f"{megabytes:g}"}
    return problem(413, "request_too_large", detail)


def _engine_status(error: EngineError) -> int:
    if isinstance(error, BadImage):
        return IMAGE_STATUS.get(error.code, HTTPStatus.UNPROCESSABLE_ENTITY)
    if isinstance(error, FetchRefused):
        return HTTPStatus.UNPROCESSABLE_ENTITY
    if isinstance(error, MissingWeights | IndexUnavailable):
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.CONFLICT


def _of_api_exception(response: Response, error: Exception) -> dict[str, Any]:
    status = response.status_code
    if status == HTTPStatus.BAD_REQUEST and not _is_detail(response.data):
        return problem(
            400, "invalid", gettext("Some fields are missing or do not fit."), errors=response.data
        )
    code = getattr(error, "default_code", None) or HTTPStatus(status).name.lower()
    if isinstance(error, APIException) and isinstance(codes := error.get_codes(), str):
        code = codes
    return problem(status, code, str(response.data.get("detail", "")))


def _is_detail(data: Any) -> bool:
    return isinstance(data, dict) and set(data) == {"detail"} and isinstance(data["detail"], str)


class RequestSizeMiddleware:
    """Refuses a request that says it is too large before a byte of its body is read."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if length.isdecimal() and int(length) <= settings.MAX_REQUEST_BYTES:
            return self.get_response(request)
        with override(accepted_language(request)):  # nobody has asked who it is yet
            return JsonResponse(too_large(), status=413, content_type=MEDIA_TYPE)


def locked_out(
    request: HttpRequest, response: HttpResponse, credentials: dict[str, Any] | None
) -> HttpResponse:
    """For whoever has tried too many passwords (AXES_LOCKOUT_CALLABLE)."""
    return too_many(request, seconds_locked(request, credentials))


def too_many(request: HttpRequest, seconds: float) -> HttpResponse:
    """For whoever has asked too often, and is to wait for so long."""
    wait = math.ceil(seconds)
    minutes = math.ceil(wait / MINUTE)
    detail = ngettext(
        "That was too often. Try again in a minute.",
        "That was too often. Try again in %(minutes)s minutes.",
        minutes,
    )
    answer = _answer(request, 429, "throttled", detail % {"minutes": minutes})
    answer["Retry-After"] = str(wait)
    return answer


def _answer(request: HttpRequest, status: int, code: str, detail: str) -> HttpResponse:
    """A problem detail to a client of the API, a page to a person."""
    if request.path.startswith("/api/"):
        return JsonResponse(problem(status, code, detail), status=status, content_type=MEDIA_TYPE)
    title = PHRASES.get(status, HTTPStatus(status).phrase)
    context = {"status": status, "title": title, "detail": detail}
    return render(request, "error.html", context, status=status)


def page(request: HttpRequest, status: int, detail: str) -> HttpResponse:
    """For a person who has asked for what cannot be done."""
    return _answer(request, status, "refused", detail)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 400, "bad_request", gettext("The request is malformed."))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 403, "permission_denied", gettext("You may not do this."))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 404, "not_found", gettext("There is nothing here."))


def server_error(request: HttpRequest) -> HttpResponse:
    detail = gettext("Something went wrong here. It has been logged.")
    return _answer(request, 500, "internal_error", detail)
