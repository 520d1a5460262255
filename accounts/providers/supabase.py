"""Sign-ins by Supabase, by way of its own client; its tokens are checked here (`accounts.tokens`).

A client remembers whoever signed in with it, so each call has one of its own: nobody is ever taken
for somebody else.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from django.conf import settings
from django.utils import timezone
from rest_framework.exceptions import APIException, NotFound, Throttled, ValidationError
from supabase import Client, ClientOptions, create_client
from supabase_auth.errors import AuthApiError, AuthError, AuthWeakPasswordError
from supabase_auth.types import Session

from accounts.errors import (
    EmailTaken,
    InvalidToken,
    NotOffered,
    ProviderDown,
    Unconfirmed,
    WrongCredentials,
    WrongPassword,
)
from accounts.models import Departure, User
from accounts.providers import Tokens
from accounts.providers.local import Local
from accounts.tokens import Claims, verified

log = logging.getLogger(__name__)

REFUSALS: dict[str, type[APIException]] = {
    "invalid_credentials": WrongCredentials,
    "user_banned": WrongCredentials,
    "email_not_confirmed": Unconfirmed,
    "user_already_exists": EmailTaken,
    "email_exists": EmailTaken,
    "signup_disabled": NotOffered,
    "email_provider_disabled": NotOffered,
    "user_not_found": NotFound,
    "refresh_token_not_found": InvalidToken,
    "refresh_token_already_used": InvalidToken,
    "session_not_found": InvalidToken,
    "session_expired": InvalidToken,
    "bad_jwt": InvalidToken,
    "over_request_rate_limit": Throttled,
    "over_email_send_rate_limit": Throttled,
}
"""What Supabase's error codes mean here."""

MISFITS = {"email_address_invalid": "email", "same_password": "new_password"}
"""Codes that are about one field."""

SERVER_ERROR = 500

LONGEST_TOKEN = dt.timedelta(days=7)
"""An access token is good for no longer than that: Supabase lets nobody set more."""

NO_PASSWORD = "!"  # noqa: S105  (how Django marks an account that has none)


class Supabase:
    """See `Provider`."""

    resets_passwords = False

    def register(self, email: str, password: str) -> User | None:
        with _client() as client:
            answer = client.auth.sign_up({"email": email, "password": password})
        return None if answer.session is None else _bearing(self._tokens(answer.session))

    def sign_in(self, email: str, password: str) -> User:
        """Whose address and password these are; raises WrongCredentials."""
        with _client() as client:
            answer = client.auth.sign_in_with_password({"email": email, "password": password})
        return _bearing(self._tokens(answer.session))

    def tokens_for(self, user: User) -> Tokens:
        # An account of ours, such as the first administrator's, has none at Supabase: it signs
        # in on the pages.
        tokens: Tokens | None = getattr(user, "tokens", None)
        if tokens is None:
            raise WrongCredentials
        return tokens

    def refresh(self, refresh: str) -> Tokens:
        with _client() as client:
            answer = client.auth.refresh_session(refresh)
        return self._tokens(answer.session)

    def sign_out(self, refresh: str) -> None:
        # Signing out takes an access token, and the caller's may have expired.
        self.sign_out_by(self.refresh(refresh).access)

    def sign_out_by(self, access: str) -> None:
        with _client() as client:
            client.auth.admin.sign_out(access, "local")

    def user_of(self, access: str) -> User:
        return _account(verified(access))

    def check_password(self, user: User, password: str) -> bool:
        if user.supabase_id is None:
            return Local().check_password(user, password)
        try:
            return self.sign_in(user.email, password) == user
        except WrongCredentials:
            return False

    def change_password(self, user: User, current: str, new: str) -> None:
        if user.supabase_id is None:
            Local().change_password(user, current, new)
            return
        with _client() as client:
            try:
                with _translated():
                    client.auth.sign_in_with_password({"email": user.email, "password": current})
            except WrongCredentials as error:
                raise WrongPassword from error
            with _translated("new_password"):
                client.auth.update_user({"password": new})

    def may_forget(self) -> bool:
        return bool(settings.SUPABASE_SERVICE_KEY)

    def forget(self, user: User) -> None:
        if user.supabase_id is None:
            return
        try:
            with _client(settings.SUPABASE_SERVICE_KEY) as client:
                client.auth.admin.delete_user(str(user.supabase_id))
        except NotFound:
            log.info("Supabase had forgotten account %s before.", user.pk)
        Departure.objects.get_or_create(supabase_id=user.supabase_id)
        Departure.objects.filter(at__lt=timezone.now() - LONGEST_TOKEN).delete()

    def _tokens(self, session: Session | None) -> Tokens:
        if session is None:
            raise InvalidToken
        try:
            claims = verified(session.access_token)
        except InvalidToken as error:
            log.exception("A token fresh from Supabase is refused: do SUPABASE_... fit?")
            raise ProviderDown from error
        return Tokens(
            _account(claims), session.access_token, session.refresh_token, session.expires_in
        )


def _bearing(tokens: Tokens) -> User:
    """Whose tokens they are, with them: Supabase gives them out at the moment of signing in."""
    tokens.user.tokens = tokens  # type: ignore[attr-defined]
    return tokens.user


def _account(claims: Claims) -> User:
    """Our row for somebody, made at first sight; raises InvalidToken if it is switched off."""
    user = User.objects.filter(supabase_id=claims.id).first() or _first_seen(claims)
    if not user.is_active:
        raise InvalidToken
    if claims.email and user.email != claims.email:
        user.email = claims.email
        user.save(update_fields=["email"])
    return user


def _first_seen(claims: Claims) -> User:
    """A row for somebody new; raises InvalidToken for a token that has outlived its account."""
    if Departure.objects.filter(pk=claims.id).exists():
        raise InvalidToken
    # Of two first requests at once, one makes the row and the other finds it.
    user, _ = User.objects.get_or_create(
        supabase_id=claims.id,
        defaults={"username": str(claims.id), "email": claims.email, "password": NO_PASSWORD},
    )
    return user


@contextmanager
def _client(key: str = "") -> Iterator[Client]:
    """A client for one call; what Supabase answers is raised as `accounts.errors` has it."""
    with httpx.Client(timeout=settings.SUPABASE_TIMEOUT) as http, _translated():
        yield create_client(
            settings.SUPABASE_URL,
            key or settings.SUPABASE_KEY,
            ClientOptions(auto_refresh_token=False, persist_session=False, httpx_client=http),
        )


@contextmanager
def _translated(field: str = "password") -> Iterator[None]:
    try:
        yield
    except AuthWeakPasswordError as error:
        raise ValidationError({field: [error.message]}) from error
    except AuthApiError as error:
        raise _refusal(error) from error
    except (AuthError, httpx.HTTPError, ValueError) as error:
        # No connection, no answer in time, or one that is not Supabase's.
        log.warning("Supabase does not answer: %s", error)
        raise ProviderDown from error


def _refusal(error: AuthApiError) -> APIException:
    code = str(error.code)
    if code in REFUSALS:
        return REFUSALS[code]()
    if code in MISFITS:
        return ValidationError({MISFITS[code]: [error.message]})
    if error.status == Throttled.status_code:
        return Throttled()
    log.warning("Supabase refuses: %s (%s, %s)", error.message, error.status, code)
    if error.status >= SERVER_ERROR:
        return ProviderDown()
    return ValidationError({"non_field_errors": [error.message]})
