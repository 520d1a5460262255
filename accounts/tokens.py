"""Supabase's access tokens, checked without asking Supabase.

A token says by its `alg` how it is signed; which ways are accepted, and with which keys, is for us
to say: HS256 with the project's secrets, ES256 and RS256 with the public keys that the project
shows. No key serves two ways. What a token says of roles is not looked at.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jwt
from django.conf import settings
from jwt.exceptions import PyJWKClientConnectionError, PyJWTError

from accounts.errors import ExpiredToken, InvalidToken, ProviderDown

AUDIENCE = "authenticated"
"""Of the tokens of people; those of Supabase's own keys have another or none."""

LEEWAY = 10
"""Seconds by which two machines' clocks may differ."""

KEYS_LIFESPAN = 600
"""Seconds until the public keys are asked for again. An unknown one is asked for at once."""

RETRY_SECONDS = 5
"""For so long after a failure the public keys are not asked for: all requests would wait."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What we take from a token: who it is, by Supabase's id, and their address."""

    id: uuid.UUID
    email: str


class PublicKeys(jwt.PyJWKClient):
    """The project's public keys, remembered; a failure is remembered as well, for a little while.

    The library asks for an unknown key once in 30 s at most, so tokens with invented key ids
    cause no flood.
    """

    retry_at = float("-inf")
    failure: PyJWTError = PyJWKClientConnectionError()

    def fetch_data(self) -> Any:
        if time.monotonic() < self.retry_at:
            raise self.failure.with_traceback(None)
        try:
            return super().fetch_data()
        except (PyJWTError, ValueError, OSError) as error:
            self.retry_at = time.monotonic() + RETRY_SECONDS
            if not isinstance(error, PyJWTError):
                error = PyJWKClientConnectionError(str(error))
            self.failure = error
            raise self.failure from None


@lru_cache(maxsize=1)
def _public_keys(url: str, seconds: float) -> PublicKeys:
    return PublicKeys(url, lifespan=KEYS_LIFESPAN, timeout=seconds)


def issuer() -> str:
    return f"{settings.SUPABASE_URL}/auth/v1"


def verified(token: str) -> Claims:
    """Whose token it is; raises InvalidToken, ExpiredToken, or ProviderDown without its keys."""
    try:
        header = jwt.get_unverified_header(token)
        claims = _decoded(token, header.get("alg"), header.get("kid"))
        return Claims(uuid.UUID(claims["sub"]), str(claims.get("email") or "")[:254])
    except jwt.ExpiredSignatureError as error:
        raise ExpiredToken from error
    except PyJWKClientConnectionError as error:
        raise ProviderDown from error
    except (PyJWTError, ValueError) as error:
        raise InvalidToken from error


def _decoded(token: str, algorithm: Any, key_id: Any) -> dict[str, Any]:
    if algorithm == "HS256":
        return _by_secret(token)
    if algorithm in {"ES256", "RS256"}:
        keys = _public_keys(f"{issuer()}/.well-known/jwks.json", settings.SUPABASE_TIMEOUT)
        key = keys.get_signing_key(str(key_id))
        if key.algorithm_name != algorithm:
            raise InvalidToken
        return _claims(token, key.key, algorithm)
    raise InvalidToken


def _by_secret(token: str) -> dict[str, Any]:
    """Any of the project's secrets will do: the old one is valid while a new one spreads."""
    failure: PyJWTError = jwt.InvalidKeyError()
    for secret in settings.SUPABASE_JWT_SECRETS:
        try:
            return _claims(token, secret, "HS256")
        except jwt.InvalidSignatureError as error:
            failure = error
    raise failure


def _claims(token: str, key: Any, algorithm: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=[algorithm],
        audience=AUDIENCE,
        issuer=issuer(),
        leeway=LEEWAY,
        options={"require": ["exp", "sub", "aud", "iss"]},
    )
    if claims.get("is_anonymous"):
        raise InvalidToken("Anonymous sign-ins are strangers here.")
    return claims
