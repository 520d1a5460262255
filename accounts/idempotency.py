"""Requests that may be sent again: the header `Idempotency-Key`, as the IETF's draft has it.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/

Whoever sends a request a second time with the same key, because the first answer was lost, gets
that answer; nothing is done twice. A row is claimed by inserting it, and a unique constraint lets
one of many do so, in whatever process.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import APIException
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.status import is_success

from accounts.models import IdempotencyKey, User

HEADER = "Idempotency-Key"

LONGEST = 255

LIFETIME = dt.timedelta(days=1)
"""For so long an answer is kept."""

LEASE = dt.timedelta(minutes=10)
"""A request that has not been answered for so long has died with its process."""

PARAMETER = OpenApiParameter(
    HEADER,
    {"type": "string", "minLength": 1, "maxLength": LONGEST},
    OpenApiParameter.HEADER,
    description="The same key and request again get the first answer; kept for a day.",
)


class BadKey(APIException):
    status_code = 400
    default_code = "bad_idempotency_key"
    default_detail = f"{HEADER} must be 1 to {LONGEST} visible ASCII characters."


class KeyUnderWay(APIException):
    status_code = 409
    default_code = "idempotency_key_in_use"
    default_detail = "The first request with this key is still being worked on."


class KeyReused(APIException):
    status_code = 422
    default_code = "idempotency_key_reused"
    default_detail = "This key has been sent with another request."


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to answer the request of a key, or the answer that there is."""

    row: IdempotencyKey

    @property
    def answer(self) -> Response | None:
        """What was answered before; None for whoever is to do what is asked."""
        if self.row.status is None:
            return None
        return Response(
            json.loads(self.row.body),
            status=self.row.status,
            headers={"Idempotency-Replayed": "true"},
        )

    def keep(self, response: Response) -> None:
        """Keep the answer. One that refuses is not kept: nothing was done, and it may change."""
        rows = IdempotencyKey.objects.filter(pk=self.row.pk)
        if is_success(response.status_code):
            body = JSONRenderer().render(response.data).decode() or "null"
            rows.update(status=response.status_code, body=body)
        else:
            rows.delete()

    def release(self) -> None:
        """Let whoever sends the request again try anew."""
        IdempotencyKey.objects.filter(pk=self.row.pk).delete()


def claim(user: User, key: str, fingerprint: str) -> Claim:
    """Claim a key for a request; raises KeyUnderWay, KeyReused."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    rows = IdempotencyKey.objects.filter(user=user, digest=digest)
    _over(rows).delete()
    try:
        with transaction.atomic():
            return Claim(rows.create(user=user, digest=digest, fingerprint=fingerprint))
    except IntegrityError:
        known = rows.first()
    if known is not None and known.fingerprint != fingerprint:
        raise KeyReused
    if known is None or known.status is None:
        raise KeyUnderWay
    return Claim(known)


def sweep() -> int:
    """Delete the keys whose time is over; how many there were."""
    deleted, _ = _over(IdempotencyKey.objects.all()).delete()
    return deleted


def _over(rows: QuerySet[IdempotencyKey]) -> QuerySet[IdempotencyKey]:
    now = timezone.now()
    died = Q(status=None, created_at__lt=now - LEASE)
    return rows.filter(Q(created_at__lt=now - LIFETIME) | died)


def key_of(request: Request) -> str | None:
    """The key that a request brings, with or without a structured field's quotes (RFC 9651)."""
    text = request.headers.get(HEADER)
    if text is None:
        return None
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    if not 0 < len(text) <= LONGEST or not (text.isascii() and text.isprintable()):
        raise BadKey
    return text


def fingerprint_of(request: Request) -> str:
    """A hash of what is asked, the same whatever boundary a form's parts were divided by."""
    data = request.data
    if isinstance(data, QueryDict):
        data = [[name, [_value(v) for v in values]] for name, values in sorted(data.lists())]
    whole = json.dumps([request.method, request.get_full_path(), data], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()


def _value(value: Any) -> Any:
    if not isinstance(value, UploadedFile):
        return value
    digest = hashlib.sha256()
    for chunk in value.chunks():
        digest.update(chunk)
    value.seek(0)
    return {"name": value.name, "sha256": digest.hexdigest()}


class Answered(Exception):
    """Raised instead of doing again what has been done."""

    def __init__(self, response: Response) -> None:
        self.response = response


class Idempotent:
    """For views whose POST and PUT may be sent again with the same key. Stands before APIView."""

    _claim: Claim | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        key = key_of(request) if request.method in {"POST", "PUT"} else None
        if key is None or not isinstance(request.user, User):
            return
        claimed = claim(request.user, key, fingerprint_of(request))
        if (answer := claimed.answer) is not None:
            raise Answered(answer)
        self._claim = claimed

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, Answered):
            return exc.response
        try:
            response: Response = super().handle_exception(exc)  # type: ignore[misc]
        except BaseException:
            if self._claim is not None:
                self._claim.release()
            raise
        return response

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        if self._claim is not None:
            self._claim.keep(response)
        return super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]
