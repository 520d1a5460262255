"""How a request to the API shows who asks."""

from __future__ import annotations

from drf_spectacular.authentication import BasicScheme
from rest_framework import authentication
from rest_framework.request import Request


class BasicAuthentication(authentication.BasicAuthentication):
    """Name and password, for programs.

    A browser's own request gets no challenge that it would answer with its sign-in window:
    what is typed there it sends along ever after, from other sites' forms too.
    """

    def authenticate_header(self, request: Request) -> str | None:
        if "Sec-Fetch-Mode" in request.headers:
            return 'Session realm="api"'
        return super().authenticate_header(request)


class BasicAuthenticationScheme(BasicScheme):  # type: ignore[no-untyped-call]
    """Tells drf-spectacular, which finds it by its being there, how to describe the above."""

    target_class = "accounts.authentication.BasicAuthentication"
