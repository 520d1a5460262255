"""How a request to the API shows who asks. Each brings its own proof; the server remembers none."""

from __future__ import annotations

from typing import Any

from drf_spectacular.authentication import BasicScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication
from rest_framework.request import Request

from accounts import keys
from accounts.errors import InvalidToken
from accounts.models import ApiKey, User
from accounts.providers import provider


class BasicAuthentication(authentication.BasicAuthentication):
    """Name and password, for programs.

    A browser's own request gets no challenge that it would answer with its sign-in window:
    what is typed there it sends along ever after, from other sites' forms too.
    """

    def authenticate_credentials(
        self, userid: str, password: str, request: Any = None
    ) -> tuple[Any, None]:
        # Django's own request: on it, failed attempts are noted for the middleware to see.
        return super().authenticate_credentials(userid, password, request._request)

    def authenticate_header(self, request: Request) -> str | None:
        if "Sec-Fetch-Mode" in request.headers:
            return 'Session realm="api"'
        return super().authenticate_header(request)


class BearerAuthentication(authentication.BaseAuthentication):
    """An access token, which the provider of sign-ins has given out."""

    keyword = "Bearer"

    def authenticate(self, request: Request) -> tuple[User, str] | None:
        token = credentials_of(request, self.keyword)
        return None if token is None else (provider().user_of(token), token)


class KeyAuthentication(authentication.BaseAuthentication):
    """A shop's API key. `request.auth` is the key, `request.user` the account it acts as."""

    keyword = "Api-Key"

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        text = credentials_of(request, self.keyword)
        if text is None:
            return None
        key = keys.recognised(text)
        return key.account, key


def credentials_of(request: Request, keyword: str) -> str | None:
    """What follows that keyword in the Authorization header; None if another one stands there."""
    kind, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != keyword.lower():
        return None
    if not credentials.isascii() or not credentials.strip():
        raise InvalidToken
    return credentials.strip()


# --- For the API's description: drf-spectacular finds these by their being there -------------


class BasicAuthenticationScheme(BasicScheme):  # type: ignore[no-untyped-call]
    target_class = "accounts.authentication.BasicAuthentication"


class BearerAuthenticationScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "accounts.authentication.BearerAuthentication"
    name = "bearerAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class KeyAuthenticationScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "accounts.authentication.KeyAuthentication"
    name = "apiKeyAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Api-Key` and a blank before the key.",
        }
