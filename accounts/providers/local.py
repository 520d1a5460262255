"""Sign-ins by the shop itself: Django's passwords, and tokens by simplejwt.

An access token is short-lived and kept nowhere. A refresh token is known by its id, and can be used
once: whoever puts its id on the blacklist first gets the next pair.
"""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import ExpiredTokenError, TokenError
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token

from accounts.errors import EmailTaken, ExpiredToken, InvalidToken, WrongPassword
from accounts.models import User
from accounts.providers import Tokens

T = TypeVar("T", bound=Token)

REFRESH_ID = "refresh"
"""A claim of access tokens: the id of the refresh token that came with it."""


class Local:
    """See `Provider`."""

    resets_passwords = True

    def register(self, email: str, password: str) -> User:
        if User.objects.filter(Q(username__iexact=email) | Q(email__iexact=email)).exists():
            raise EmailTaken
        try:
            with transaction.atomic():
                return User.objects.create_user(email, email, password)
        except IntegrityError as error:  # somebody was faster
            raise EmailTaken from error

    def tokens_for(self, user: User) -> Tokens:
        outstanding = OutstandingToken.objects.filter(user=user)
        outstanding.filter(expires_at__lt=timezone.now()).delete()
        refresh = RefreshToken.for_user(user)
        # The library keeps the token as well, which is as good as a password: its id will do.
        outstanding.filter(jti=refresh["jti"]).update(token="")
        access = refresh.access_token
        access[REFRESH_ID] = refresh["jti"]
        lifetime = AccessToken.lifetime
        assert lifetime is not None
        return Tokens(user, str(access), str(refresh), int(lifetime.total_seconds()))

    def refresh(self, refresh: str) -> Tokens:
        token = _verified(RefreshToken, refresh)
        user = _owner(token)
        _use_up(token)
        return self.tokens_for(user)

    def sign_out(self, refresh: str) -> None:
        _use_up(_verified(RefreshToken, refresh))

    def sign_out_by(self, access: str) -> None:
        jti = _verified(AccessToken, access).get(REFRESH_ID)
        for token in OutstandingToken.objects.filter(jti=jti):
            BlacklistedToken.objects.get_or_create(token=token)

    def user_of(self, access: str) -> User:
        return _owner(_verified(AccessToken, access))

    def check_password(self, user: User, password: str) -> bool:
        return user.check_password(password)

    def change_password(self, user: User, current: str, new: str) -> None:
        if not user.check_password(current):
            raise WrongPassword
        user.set_password(new)
        user.save(update_fields=["password"])

    def may_forget(self) -> bool:
        return True

    def forget(self, user: User) -> None:
        OutstandingToken.objects.filter(user=user).delete()


def _verified(kind: type[T], token: str) -> T:
    """A token whose signature, kind, time and (if for refreshing) first use have been checked."""
    try:
        return kind(token)  # type: ignore[arg-type]  # the library's hint is wrong
    except ExpiredTokenError as error:
        raise ExpiredToken from error
    except TokenError as error:
        raise InvalidToken from error


def _owner(token: Token) -> User:
    """Whose token it is, if their account is active and their password still the same."""
    try:
        owner = JWTAuthentication().get_user(token)
    except (AuthenticationFailed, ValueError) as error:
        raise InvalidToken from error
    assert isinstance(owner, User)
    return owner


def _use_up(token: RefreshToken) -> None:
    """Refuse the token from now on. Of several who do so at once, one succeeds."""
    listed: Any = token.blacklist()  # the library's hint is wrong: the row, and whether it is new
    if not listed[1]:
        raise InvalidToken
